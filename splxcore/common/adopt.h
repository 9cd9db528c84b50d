/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_ADOPT_H
#define SPLX_COMMON_ADOPT_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "scoreboard.h"

/*
 * How the suite gets a new supervisor when its own was killed: core, and
 * after some patience vsapiapp's master, start `entity --adopt`, which
 * inherits the descriptors of control.h and takes over the processes that
 * live. Several may be started at once: the lock of the pid file lets one
 * win, the others end.
 */

/*
 * Starts one (a grandchild, so nobody has to wait for it), exempt from being
 * held. The descriptors INHERIT_* must be open in the caller. 0, or -1 and
 * *err; 0 does not mean that it won.
 */
int adopt_supervisor(struct scoreboard *sb, struct err *err);

/*
 * fork(2) for a child that will execute a program: no signal that is meant
 * for the parent's loop can reach it through the child. In the child every
 * signal has its default and none is blocked. Returns as fork(2).
 */
pid_t adopt_fork(void);

/*
 * Watches the supervisor from now on: the pipe INHERIT_LIFE first, later a
 * pidfd of whoever is the supervisor by the scoreboard. When it is gone for
 * `patience_ms` (core: 0, master: 2000) and nobody else has become it,
 * adopt_supervisor() is called, and again with pauses until there is one.
 * When the suite is ending (sb->quit) `on_quit` is called instead, once: the
 * caller should end by itself.
 */
struct adopt;
struct adopt *adopt_watch(struct loop *loop, struct scoreboard *sb,
			  uint64_t patience_ms, loop_fn on_quit, void *arg);
void adopt_free(struct adopt **adopt);

#endif
