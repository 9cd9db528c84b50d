/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_SEAT_H
#define SPLX_NETMON_SEAT_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/netboard.h"

/*
 * A judge's memory, shared with the monitor that started it. The judge is not
 * trusted: the monitor takes numbers from here, and nothing that it follows.
 */
enum seat_state {
	SEAT_EMPTY,
	SEAT_LOADING, /* rules and lists */
	SEAT_JUDGING,
	SEAT_REFUSED, /* the rules are broken: `error` says why */
};

struct seat {
	/* by the judge */
	_Atomic uint32_t state; /* enum seat_state */
	_Atomic uint64_t
		turns; /* of its loop: it lives; at least 20 a second */
	_Atomic uint64_t answered;
	_Atomic uint64_t judged; /* of these, by the rules */
	_Atomic uint64_t late;	 /* of those judged, let go of before */
	_Atomic uint64_t alerted, dropped, reset;
	_Atomic uint64_t overruns, unreported;
	_Atomic uint32_t rules, lists;
	_Atomic uint64_t entries;
	char error[NET_REASON_MAX];

	/* by the monitor */
	_Atomic uint32_t leave; /* bool: another one has taken over */
	/* What is held up to this id was let go of; bit 32: there was any. */
	_Atomic uint64_t released;
};

#endif
