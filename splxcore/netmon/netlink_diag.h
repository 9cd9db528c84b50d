/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_NETLINK_DIAG_H
#define SPLX_NETMON_NETLINK_DIAG_H

#include <stdint.h>

#include "common/netjudge.h"
#include "netlink.h"

/* Whose socket a connection is: of an incoming one, who listens for it. */
struct diag_socket {
	int64_t uid;	/* -1 unknown */
	uint32_t inode; /* 0: none (any more) */
};

/* Asks the kernel (NETLINK_SOCK_DIAG). 0, or -1: nobody's. */
int diag_find(struct netlink *nl, const struct conn *conn,
	      struct diag_socket *socket_r);
/* The uid alone; -1 unknown. */
int64_t diag_uid(struct netlink *nl, const struct conn *conn);

#endif
