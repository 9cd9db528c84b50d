/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_PATTERN_CHILD_H
#define SPLX_CTL_PATTERN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/str.h"

/*
 * Who reads what comes from the net: a child that is the scan user and nothing
 * else, writes in one directory alone (that is a wall where the kernel has
 * Landlock), and ends with its parent.
 */
struct pattern_child {
	uid_t uid;
	gid_t gid;
	const char *dir; /* its own */
	/*
	 * 0, or -1 and *err. What it writes to `out` is said to the parent.
	 * It may execute another program, with `out` as standard output.
	 */
	int (*work)(const void *arg, int out, struct err *err);
	const void *arg;

	/*
	 * For one whose limits are not its own: bytes in its directory, and
	 * how long it may take: this, and its time on the processor, and what
	 * a slow line needs for the bytes. 0: not watched.
	 */
	uint64_t bytes_max;
	uint64_t patience_ms;
	unsigned int cpu_seconds; /* on the processor at most; 0: any */
	const char *progress;	  /* what standard error is told, or NULL */
};

/* 0 and what it said (at most 64 KiB; str_free()); -1 and *err when it failed
 * or was ended. */
int pattern_child_run(const struct pattern_child *c, struct str *said,
		      struct err *err);

/*
 * The directory: made where it is missing, in the hands of that user. Returns
 * a descriptor, by which root reaches what is in it without following anything;
 * -1 and *err.
 */
int pattern_child_dir(const struct pattern_child *c, struct err *err);

#endif
