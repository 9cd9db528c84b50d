/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_NETLINK_TABLE_H
#define SPLX_NETMON_NETLINK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "netlink.h"

/*
 * Our table of the packet filter, `inet splx`. It touches no other one.
 *
 *   chains in, out   filter hooks, a little after the ordinary ones; policy
 *                    accept; a TCP packet with SYN and without ACK goes to
 *   chain new        1. our own mark: refused by a reset
 *                    2. counted: every first packet that came by
 *                    3. while the set `alive` holds its element: to the queue,
 *                       which lets all pass when nobody listens
 *
 * The element has a time limit in the kernel. Who is to keep it alive does so
 * by table_renew(); when he stands still, nothing is queued any more.
 */
#define TABLE_NAME "splx"
#define TABLE_ALIVE_MS 300

struct table_plan {
	uint16_t queue;
	uint32_t mark;	/* of what is to be reset */
	bool loopback;	/* its connections too */
	bool by_target; /* xt's NFQUEUE: the kernel has no `queue` of its own;
			 * table_put() finds out and sets it */
};

struct table_counts {
	uint64_t first;	 /* first packets that came by */
	uint64_t queued; /* of these, sent to the queue */
};

/* Makes the table, in place of one that is there, in one step: what was there
 * stays when it fails. The set is empty. -1 and *err. */
int table_put(struct netlink *nl, struct table_plan *plan, struct err *err);
/* Has the queue used for TABLE_ALIVE_MS from now. -1 and *err; err->code is
 * ENOENT when somebody has taken the table away. */
int table_renew(struct netlink *nl, struct err *err);
/* Takes the queue out of use at once. Errors as above. */
int table_pause(struct netlink *nl, struct err *err);
/* What was counted since table_put(). Errors as above. */
int table_count(struct netlink *nl, struct table_counts *counts_r,
		struct err *err);
/* Removes the table: 1, 0 when there was none, -1 and *err. err->code is
 * EPROTONOSUPPORT or EOPNOTSUPP where the kernel has no nf_tables. */
int table_remove(struct netlink *nl, struct err *err);

#endif
