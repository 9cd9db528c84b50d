/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SCANS_H
#define SPLX_ENTITY_SCANS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/scanstate.h"
#include "core.h"
#include "lib/proc.h"

/*
 * Scans as jobs. A scanning process registers itself (scan.begin), tells how
 * far it has come about once a second and learns whether it goes on
 * (scan.progress), and says how it ended (scan.end). While its process lives
 * its opens are exempt. A job has a number that lasts, in the store; a process
 * that ends without a word leaves it interrupted, and it may be gone on with
 * from the position that was told last.
 *
 * Where the store cannot be written a scan is exempt all the same, but no job:
 * its id is 0.
 */
struct scan {
	struct core *core;
	int64_t id;
	enum scan_state state;
	enum scan_order order;
	char name[SCAN_NAME_MAX + 1]; /* of its schedule; "": none */
	json_t *spec; /* what scan.begin was told: paths, actions … */
	int64_t uid;  /* who began it */
	int64_t begun_ns, ended_ns; /* since 1970; 0: not ended */
	unsigned int runs;	    /* how often it was begun or gone on with */
	/* Of the runs before this one, and of this one. */
	uint64_t before[SCAN_NUMBERS], now[SCAN_NUMBERS];
	uint64_t before_ms, now_ms;
	uint64_t all_files, all_bytes; /* 0: not counted */
	char *position;		       /* a word of scanstate.h; NULL: none */
	char *reason;		       /* why it stopped; NULL: none */
	bool background;	       /* entity runs it */

	/* While its process lives: */
	struct proc_id proc; /* pid 0: none */
	int pidfd;	     /* -1: none */
	struct loop_event *exit_event;
	uint64_t saved_ns; /* monotonic */
	bool told;	   /* since it was saved */
};

int scans_init(struct core *core, struct err *err);
void scans_deinit(struct core *core);
/* Deletes jobs beyond ScanKeep. */
void scans_purge(struct core *core);
/* Whether this process scans; its opens are exempt then. */
bool scans_has(const struct core *core, pid_t pid);

/* A living one: by the process, by its number. NULL: none. Borrowed. */
struct scan *scans_of(const struct core *core, pid_t pid);
struct scan *scans_live(const struct core *core, int64_t id);
/*
 * Any one, from the store when it does not live: then it is the caller's, to
 * be given to scans_release() or scans_attach(). NULL and *err (code ENOENT:
 * there is none).
 */
struct scan *scans_get(struct core *core, int64_t id, struct err *err);
/* The newest of a schedule, in the same way. */
struct scan *scans_last(struct core *core, const char *name, struct err *err);
/* Frees it unless it lives. NULL is allowed. */
void scans_release(struct scan **scan);

/* A new one, which the caller fills in before scans_attach(). */
struct scan *scan_new(struct core *core);
/*
 * It lives from now on, by this process, which is exempt until it ends. One
 * without an id gets it; one that has been before goes on: its numbers become
 * those of the runs before. -1 and *err when the process is gone or no more
 * can be exempt; the scan is freed then.
 */
int scans_attach(struct scan *scan, pid_t pid, struct err *err);
/*
 * For what a schedule says (schedule_spec()): the last one of that name, when
 * it was interrupted and may go on with the same paths, else a new one; it is
 * the caller's. NULL and *err, code EBUSY: it runs.
 */
struct scan *scans_scheduled(struct core *core, json_t *spec, int64_t uid,
			     struct err *err);
/* Gives a new one its number. -1 and *err when the store cannot. */
int scans_add(struct scan *scan, struct err *err);
/*
 * Runs it as a child of core, from its beginning or from where it stopped; it
 * goes on when core is killed, and ends with the suite. -1 and *err; the scan
 * is freed then.
 */
int scans_start(struct scan *scan, struct err *err);

/* scans_missed.c: starts what was missed while nobody could start it, looks
 * for what was changed in scans.conf. */
void scans_missed_init(struct core *core);
void scans_missed_deinit(void);
/* It lives no more: writes it, makes the event, frees it. */
void scans_end(struct scan *scan, enum scan_state state, const char *why);
/* Writes what it has come to, if it can be. */
void scan_save(struct scan *scan);

/*
 * What the verbs answer.
 *
 * JOB: id, name ("" or of the schedule), source ("manual", "scheduled",
 *   "in-use"), state (see scanstate.h), order ("go", "pause", "cancel"), uid,
 *   pid (0: none), background, paths [..], action, second_action, all,
 *   exclusions, stay, begun, ended (ns since 1970; null), duration_ms (pauses
 *   and the time between runs left out), runs, the numbers of scanstate.h by
 *   their names, all_files, all_bytes (null: not counted), current (a path;
 *   null), resumable, reason (null)
 * scan.begin: {"pid", "job": id or 0, "spec": as given to the scan.begin of the
 *   first run, "position": word or null}
 * scan.progress: {"job", "order"}
 * scan.list: {"jobs": [JOB...], "next": id or null}, newest first
 * scan.show: {"job": JOB, "findings": [EVENT of kind virus...], "more": bool}
 * scan.pause, scan.resume, scan.cancel, scan.start: JOB
 */
json_t *scan_json(const struct scan *scan);

#endif
