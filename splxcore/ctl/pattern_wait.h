/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_PATTERN_WAIT_H
#define SPLX_CTL_PATTERN_WAIT_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/str.h"

/* A child of ours that says something in a pipe. */
struct pattern_wait {
	pid_t pid;
	int in;		   /* closed afterwards */
	uint64_t limit_ms; /* so long it may take; 0: tick() knows */
	/* Asked some times a second, or NULL; -1 and *err: enough of it. */
	int (*tick)(void *arg, struct err *err);
	void *arg;
};

/*
 * Until its end: 0, its status, and what it said (at most 64 KiB;
 * str_free()). -1 and *err when it was killed, as it said too much, took too
 * long, was stopped (SIGSTOP) and not let go on, or as tick() said. It is
 * reaped in any case.
 */
int pattern_wait(struct pattern_wait *w, struct str *said, int *status_r,
		 struct err *err);

#endif
