/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_CHILDJOB_H
#define SPLX_ENTITY_CHILDJOB_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

/*
 * Work that takes longer than the loop may stand still (reading and writing
 * whole files, going through /proc) is done by a forked child. The child has
 * nothing of the parent's but memory and the descriptors it is given, opens
 * no store and touches no loop, and dies with its parent.
 */
struct childjob;

struct childjob_work {
	/* In the child: fills result (zeroed, result_size bytes). */
	void (*run)(void *arg, void *result);
	/* In the parent's loop: result is borrowed, NULL when the child died,
	 * was killed for its time, or said nothing. A child that not even
	 * SIGKILL ends is left to itself a moment later. */
	void (*done)(void *arg, const void *result);
	void *arg;
	size_t result_size;
	const int *fds; /* what the child keeps open besides 0, 1, 2 */
	int nfds;
	uint64_t timeout_ms;
};

/* NULL and *err when there can be no child; `done` is not called then. */
struct childjob *childjob_start(struct loop *loop,
				const struct childjob_work *work,
				struct err *err);
/* Kills it; `done` is not called. Nulls the pointer; NULL is allowed. */
void childjob_cancel(struct childjob **job);

#endif
