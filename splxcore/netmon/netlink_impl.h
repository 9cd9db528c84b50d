/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_NETLINK_IMPL_H
#define SPLX_NETMON_NETLINK_IMPL_H

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>

#include "netlink.h"

/* What netlink_*.c share. */
struct netlink {
	struct mnl_socket *sock;
	uint32_t portid;
	uint32_t seq;
};

/* A message with nfnetlink's header at `at`; its address family is `family`. */
struct nlmsghdr *netlink_begin(struct netlink *nl, void *at, uint16_t type,
			       uint16_t flags, uint8_t family, uint16_t res_id);
/*
 * Sends `len` bytes of messages and reads until the one with number `last` is
 * acknowledged. Each data message goes to `fn` (NULL: none awaited). The first
 * error that any message got counts. 0; -1 and *err, err->code as the kernel
 * said it.
 */
int netlink_talk(struct netlink *nl, const void *data, size_t len,
		 uint32_t last, mnl_cb_t fn, void *arg, struct err *err);

#endif
