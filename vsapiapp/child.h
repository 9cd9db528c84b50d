/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_CHILD_H
#define SPLX_VSAPIAPP_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "common/scoreboard.h"
#include "lib/err.h"
#include "lib/loop.h"

/*
 * fork(2) for a part of the master: in the child the signals stand at their
 * defaults, none is blocked, and the kernel kills it when the master dies
 * (the child sets that anew where it changes its user). Returns as fork()
 * does; in the parent *pidfd_r is the caller's, with close-on-exec.
 */
pid_t child_fork(int *pidfd_r);

/*
 * Closes every descriptor but standard input, output, error and keep[n].
 * keep[] is sorted in place.
 */
void child_close_others(int *keep, size_t n);

/*
 * Hands: what the master must not do itself because it could have to wait,
 * since to open a file on a protected file system is a question to the very
 * workers that the master looks after. A hand is a short-lived child that
 * does one such thing; its output comes back as a whole.
 */
struct hand;
/* Runs in the child; `out` takes what it has to tell. Returns the status. */
typedef int (*hand_fn)(int out, void *arg);
/* In the master, once: status is the child's, -1 when it was killed or could
 * not be started. The data is borrowed and terminated. The hand is gone. */
typedef void (*hand_done_fn)(int status, const char *data, size_t len,
			     void *arg);

/* Starts one that may take limit_ms. NULL and *err: `done` is not called. */
struct hand *hand_start(struct loop *loop, struct scoreboard *sb,
			uint64_t limit_ms, hand_fn fn, hand_done_fn done,
			void *arg, struct err *err);
/* Kills it; `done` is not called. */
void hand_cancel(struct hand **hand);
/* Kills it and does not wait; `done` is called when it is gone. NULL: none. */
void hand_kill(struct hand *hand);
/* For the end of this process: kills it and does not wait, for one that waits
 * for a disk may take its time; `done` is not called. */
void hand_leave(struct hand **hand);

#endif
