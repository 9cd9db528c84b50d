/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETBOARD_H
#define SPLX_COMMON_NETBOARD_H

#include <stdatomic.h>
#include <stdint.h>

#define NET_REASON_MAX 192

/*
 * How the monitor does: part of the scoreboard (`net`), written by splxnetmon
 * alone. Counts go up as long as the suite lives.
 */
struct net_board {
	_Atomic int32_t code;	 /* of codes.def, field NETWORK; 0 healthy */
	_Atomic uint32_t active; /* bool: the rule is in and somebody judges */
	_Atomic uint32_t queue;	 /* number of its NFQUEUE */
	_Atomic uint32_t buffer; /* bytes, as the kernel gave them */
	_Atomic int32_t judge;	 /* pid; 0 none */
	_Atomic uint64_t since_ns; /* CLOCK_REALTIME: active, or not, since */

	_Atomic uint64_t first_packets; /* all that came by */
	_Atomic uint64_t counted;	/* of the kernel's counter, in these */
	_Atomic uint64_t judged;	/* before they had to be let go of */
	_Atomic uint64_t uninspected;	/* came by and nobody judged them */
	_Atomic uint64_t alerted, dropped, reset;
	_Atomic uint64_t stalls;     /* the judge stood still */
	_Atomic uint64_t released;   /* packets let go of then */
	_Atomic uint64_t deaths;     /* of judges, unasked */
	_Atomic uint64_t overruns;   /* of the socket's buffer (ENOBUFS) */
	_Atomic uint64_t put_back;   /* our rules were gone and came back */
	_Atomic uint64_t unreported; /* allowed, and not told to core */

	_Atomic uint32_t rules, lists;
	_Atomic uint64_t entries;      /* in all lists */
	_Atomic uint64_t loaded_ns;    /* CLOCK_REALTIME: rules loaded */
	_Atomic uint32_t rules_broken; /* bool: new ones were refused */

	/* Why: of the code, and of rules_broken. */
	_Atomic uint32_t text_seq; /* odd while written */
	char reason[NET_REASON_MAX];
	char broken[NET_REASON_MAX];
};

#endif
