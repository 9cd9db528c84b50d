/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_TASKS_H
#define SPLX_ENTITY_TASKS_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/verbs.h"
#include "core.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "store.h"

/*
 * What splxctl does by itself, done for somebody who is not on the machine: a
 * verb of the table that is a TASK, run as a child of core by splxctl. Of each
 * noun one runs at a time. What came of the last TASKS_KEEP is in the store.
 *
 * A task outlives core: the next one watches it to its end, but what it says
 * until then is lost.
 */
#define TASKS_KEEP 50
#define TASKS_BUNDLES 3 /* results (of diagnose) that are kept */
#define TASKS_OUTPUT (64u << 10)
#define TASKS_CANCEL_MS 10000 /* then it is killed */

enum task_state {
	TASK_RUNNING,
	TASK_DONE,
	TASK_FAILED,
	TASK_CANCELLED,
	TASK_INTERRUPTED, /* nobody saw how it ended */
};
const char *task_state_name(enum task_state state);

struct task_row {
	int64_t id;
	const char *verb; /* wire name */
	const char *args; /* as splxctl got them, in one line */
	const char *by;
	int state; /* enum task_state */
	int code;  /* exit status; -1: none */
	int64_t started_ns, ended_ns;
	const char *output;
	struct proc_id proc;
};
typedef void (*store_task_fn)(const struct task_row *row, void *arg);
/* Sets row->id. */
int store_task_add(struct store *store, struct task_row *row, struct err *err);
int store_task_save(struct store *store, const struct task_row *row,
		    struct err *err);
/* Newest first, at most `limit`; fn must not call the store. */
int store_tasks(struct store *store, int limit, store_task_fn fn, void *arg,
		struct err *err);
/* 1, 0 when there is none, -1. */
int store_task_get(struct store *store, int64_t id, store_task_fn fn, void *arg,
		   struct err *err);
int store_tasks_trim(struct store *store, int keep, struct err *err);

/* One that runs. */
struct task {
	struct task *next;
	struct core *core;
	int64_t id;
	const struct verb *verb;
	char *args, *by;
	int64_t started_ns;
	struct proc_id proc;
	int pidfd, pipe; /* pipe -1: of a core before this one */
	bool ours;	 /* a child of this core */
	bool cancelled;
	struct loop_event *exit_event, *output_event, *kill_timer;
	struct str output;
};

int tasks_init(struct core *core, struct err *err);
void tasks_deinit(struct core *core);

/* tasks_run.c: runs `argv` (splxctl's words, NULL at the end) for it; fills
 * proc, pidfd and pipe. */
int tasks_spawn(struct task *t, char *const *argv, struct err *err);
/* The words for `verb` and its arguments (as verbs_parse() made them), with
 * `extra` (NULL: none) as one word more. To be freed by tasks_argv_free(). */
char **tasks_argv(const struct verb *verb, json_t *args, const char *extra);
void tasks_argv_free(char ***argv);
/* What it said, safe to be shown: lines, without control characters. */
char *tasks_text(const struct str *output);
/* Adds to what it said, of which the end is kept. */
void tasks_say(struct str *output, const char *data, size_t len);

/* Where its result lies, freed by the caller. */
char *tasks_result(int64_t id);

#endif
