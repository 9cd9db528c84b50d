/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_MASTER_H
#define SPLX_VSAPIAPP_MASTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/adopt.h"
#include "common/exclude.h"
#include "common/guard.h"
#include "common/scoreboard.h"
#include "follow.h"
#include "generation.h"
#include "interceptor.h"
#include "jobs.h"
#include "khm_side.h"
#include "refresh.h"
#include "remember.h"
#include "settings.h"
#include "slots.h"
#include "status.h"

#define MASTER_TICK_MS 100

/* How far a change of patterns or settings is. */
enum reload_phase {
	RELOAD_IDLE,
	RELOAD_LOADING, /* a new generation loads its engine */
	RELOAD_TAKING,	/* the generation takes over settings */
	RELOAD_FILLING, /* the new workers are being forked */
};

/*
 * The master's parts. master.c owns them all; reload.c is the change from one
 * line of workers to the next.
 */
struct master {
	struct loop *loop;
	struct scoreboard *sb;
	int group;  /* INHERIT_GROUP, or -1 where it is none */
	int notify; /* our own notify group, or -1 */
	uint64_t start;

	struct settings *settings; /* in force */
	struct exclude *exclude;   /* of these */
	json_t *void_entries;

	struct follow *follow;
	struct cover *cover;
	struct marks *marks;
	struct khm_side *khm;
	struct interceptor *ic;
	struct slots *slots;
	struct jobs *jobs;
	struct remember *remember;
	struct refresh *refresh;
	struct status *status;
	struct guard *guard;
	struct adopt *adopt;

	/* reload.c */
	enum reload_phase phase;
	uint64_t phase_ns;
	struct slots_line line;	   /* that serves; gen NULL: none yet */
	struct slots_line next;	   /* that is being made */
	struct settings *incoming; /* of `next`; NULL: as they are */
	struct hand *reading;
	bool want_patterns, want_settings;
	uint64_t not_before_ns; /* pause after a generation that failed */
	uint64_t pause_ms;
	char *load_fault;	  /* of the last try, when nothing serves */
	uint64_t held_stopped_ns; /* since when who has them unloaded is */
	uint64_t last_number;
	struct {
		VEC(struct gen *);
	} gens; /* all that live or have workers */

	bool armed; /* master_arm() has run */

	bool stopping;
	uint64_t stop_ns;
	bool drained;
	struct loop_event *tick;
	struct loop_event *signals[4];
};

/* Runs the master in a process that the supervisor started (control.h).
 * Returns the exit status. */
int master_run(bool foreground);

/*
 * A new plan from mounts and settings, armed. 0, or -1 when nothing could be
 * armed (the status says so). At each change of either.
 */
int master_arm(struct master *m);

/* --- reload.c ------------------------------------------------------------ */

/* Loads the patterns anew in a new generation, as soon as nothing else is
 * under way. */
void reload_patterns(struct master *m);
/* Takes over paths()->active_conf, likewise. */
void reload_settings(struct master *m);
/* Each tick: goes on with what is under way. */
void reload_tick(struct master *m);
/* Ends what is under way and all generations; workers are slots.c's. */
void reload_stop(struct master *m);
/* The compiled exclusions of the settings in force, and what of them is void,
 * into m->exclude and m->void_entries. */
void reload_compile(struct master *m);

#endif
