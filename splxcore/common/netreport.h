/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETREPORT_H
#define SPLX_COMMON_NETREPORT_H

#include <stdint.h>

#include "lib/err.h"
#include "netjudge.h"

/*
 * A connection on its way from splxnetmon to core: one record of a
 * SOCK_SEQPACKET pair that the supervisor made (INHERIT_NET_TX, INHERIT_NET_RX
 * of control.h). While core is away records wait there. Alerts and what was
 * prevented are never lost as long as splxnetmon lives; of what was allowed
 * some are counted instead (unreported) when there are more than can be told.
 */
#define NET_REPORT_MAGIC 0x53504c4eu /* "SPLN" */
#define NET_REPORT_VERSION 1
#define NET_PROGRAM_MAX 512

struct net_report {
	uint32_t magic;
	uint32_t version;
	struct conn conn; /* uid filled in where it could be found */
	struct conn_answer answer;
	int32_t pid; /* whose socket it is, or who listens; 0 unknown */
	/* Connections that this one stands for: equal in direction, verdict,
	 * rule, remote address and the port that was connected to. */
	uint32_t times;
	char program[NET_PROGRAM_MAX]; /* its executable; "" unknown */
	char rule[NET_NAME_MAX + 1];   /* "" none */
	char list[NET_NAME_MAX + 1];   /* "" none */
};

/* Sends without waiting; 0, 1 when there is no room now, -1 and *err. */
int net_report_send(int sock, const struct net_report *report, struct err *err);
/*
 * Receives one: 1, 0 when there is none, -1 and *err. Everything in it is
 * checked: enums in range, strings terminated. err->code is EBADMSG for a bad
 * record, which is gone then; EPIPE when no sender is left.
 */
int net_report_recv(int sock, struct net_report *report_r, struct err *err);

#endif
