/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_NETLINK_H
#define SPLX_NETMON_NETLINK_H

#include "lib/err.h"

/*
 * netlink towards the packet filter, by libmnl; netlink_*.c alone know it.
 * A wait for an answer ends after NETLINK_WAIT_MS.
 */
#define NETLINK_WAIT_MS 2000

/* A socket of a netlink protocol (NETLINK_*); close-on-exec. NULL and *err. */
struct netlink;
struct netlink *netlink_open(int protocol, struct err *err);
void netlink_close(struct netlink **nl);
/* Its descriptor; stays the netlink's. */
int netlink_fd(const struct netlink *nl);

#endif
