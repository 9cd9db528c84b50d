/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_PART_H
#define SPLX_ENTITY_PART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/proc.h"

struct supervisor;

/*
 * A process that the supervisor keeps alive: core, vsapiapp's master or the
 * network monitor. It is a child, or after an adoption any process, known by
 * pid and start time and held by a pidfd.
 */
enum part_state {
	PART_STOPPED, /* and is to stay so */
	PART_RUNNING,
	PART_PAUSING,  /* ended; is started again after a pause */
	PART_STOPPING, /* was told to end */
};

/* Its place in the scoreboard. */
struct part_place {
	_Atomic int32_t *pid;
	_Atomic uint64_t *start;
	_Atomic uint64_t *beat_ns;
	_Atomic uint32_t *restarts;
	_Atomic int32_t *last_status;
};

struct part {
	struct supervisor *sup;
	const char *name; /* "entity", "vsapiapp", "splxnetmon" */
	struct part_place place;
	/* Executes the program; only in the child; returns when it cannot. */
	void (*exec)(struct supervisor *sup);

	enum part_state state;
	struct proc_id id;
	int pidfd;
	struct loop_event *ended;
	uint64_t started_ns;
	uint64_t resume_ns; /* PART_PAUSING: when to start it */
	uint64_t kill_ns;   /* PART_STOPPING: when patience ends */
	uint64_t last_beat;
	unsigned int beatless; /* our ticks since it last beat */
	unsigned int patience; /* … after which it is ended; 0: as usual */
	unsigned int pauses;   /* how often it ended soon after its start */
	unsigned int deaths;   /* all in all, unasked */
	int last_status;       /* of waitpid(2); -1 unknown */
};

void part_init(struct part *part, struct supervisor *sup, const char *name,
	       struct part_place place, void (*exec)(struct supervisor *));
void part_deinit(struct part *part);

/* Starts it unless it lives; a pause ends at once. -1 and *err when a
 * process cannot be made (it is then tried again later). */
int part_start(struct part *part, struct err *err);
/* Takes over the process that the scoreboard names; false if none lives. */
bool part_adopt(struct part *part);
/* SIGTERM, and SIGKILL after ten seconds. */
void part_stop(struct part *part);
/* Sends a signal if it runs. */
void part_signal(struct part *part, int sig);

/* Each tick: pauses that are over, patience that is over, missing beats. */
void part_tick(struct part *part, uint64_t now_ns);
/* Tells that its process was waited for. */
void part_reaped(struct part *part, int wait_status);
/* Looks whether the process lives; for those that are no child of ours. */
void part_look(struct part *part);

/* It runs and beats: its start is over. */
bool part_ready(const struct part *part);
/* "running", "starting", "stalled", "restarting", "stopping", "stopped" */
const char *part_state_name(const struct part *part);
/* "exit status 3", "signal 9 (Killed)" for people. Returns out. */
char *part_status_text(int wait_status, char *out, size_t size);

#endif
