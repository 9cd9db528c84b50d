/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SUPERVISOR_H
#define SPLX_ENTITY_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/guard.h"
#include "common/scoreboard.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "part.h"

/*
 * The supervisor: makes what must outlive everybody, starts core and
 * vsapiapp and keeps them alive, and stands guard. Once supervisor_run() is
 * in its loop it opens no file that could lie on a protected file system, and
 * its lowest free descriptor is GUARD_NUMBER; all that it opens later is
 * moved to SUPERVISOR_FD_FLOOR and above.
 */
#define SUPERVISOR_FD_FLOOR 256
#define SUPERVISOR_TICK_MS GUARD_TICK_MS

struct controlsock;

struct supervisor {
	struct loop *loop;
	struct scoreboard *sb;
	struct guard *guard; /* NULL where the kernel has no such group */
	struct controlsock *control;
	struct part core;
	struct part master;
	struct part netmon;	 /* where sb->net_wanted */
	uint64_t netmon_gone_ns; /* when it ended; 0: nothing of it is left */
	bool foreground;
	bool start_all; /* vsapiapp too, as soon as core is ready */
	bool adopted;	/* took over from one that was killed */
	char anew[256]; /* why it could not; "" */
	bool terminal;	/* SIGHUP tells that it is gone */
	bool quitting;
	int exit_status;

	int pid_fd;
	int life_tx; /* its end tells the others that we are gone */
	int null_fd;
	int khm_lock_fd;	 /* khm_lock(), -1: we do not have it */
	int ready_fd;		 /* of proc_daemonize(), until core is ready */
	uint64_t start_limit_ns; /* until when core must be ready */
	uint64_t remains_ns;	 /* vsapiapp was stopped then, but its workers
				    may still live; 0: they are gone too */
	struct loop_event *tick;
	struct loop_event *signals[6];
	unsigned int ticks;
};

struct supervisor_options {
	bool foreground;
	bool start_all;
	bool adopt;
};

/* The whole life of a supervisor; returns the exit status (enum lsb_exit). */
int supervisor_run(const struct supervisor_options *options);

/* Ends the suite in order: vsapiapp, core, then the loop. */
void supervisor_quit(struct supervisor *sup);

/* vsapiapp's master, for the control socket. */
int supervisor_start_master(struct supervisor *sup, struct err *err);
void supervisor_stop_master(struct supervisor *sup);
/* Lets go of the kernel module, so that it can be unloaded. -1 and *err while
 * vsapiapp uses it. */
int supervisor_release_module(struct supervisor *sup, struct err *err);
bool supervisor_master_ready(const struct supervisor *sup);
bool supervisor_master_gone(const struct supervisor *sup);

/* Called by a part when its process has ended. */
void supervisor_part_gone(struct supervisor *sup, struct part *part,
			  int wait_status);

#endif
