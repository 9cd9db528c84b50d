/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_WHAT_H
#define SPLX_CTL_SCAN_WHAT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/conf.h"
#include "common/scanstate.h"
#include "common/schedules.h"
#include "common/verdict.h"
#include "ctl.h"
#include "lib/vec.h"

/* What one scan is to do, from a command line or from a job of entity's. */
struct scan_what {
	struct conf *conf; /* the settings it goes by */
	struct {
		VEC(char *);
	} paths; /* full, without symbolic links */
	enum scan_source source;
	bool in_use; /* what runs, not paths */
	bool all;    /* known clean files too */
	bool exclusions;
	bool stay;
	int first_action;
	int second_action;
	char *schedule;	 /* NULL: it is none of a schedule */
	uint64_t max_ms; /* 0: no limit */
	bool low;	 /* for what nobody else needs of the machine */
	char *report;	 /* as in schedules.h; NULL: none */
	bool resumed;
	struct scan_position from; /* where to go on, when resumed */
};

/* The settings in force, else those in the file, else the defaults. Who may
 * not even ask for them may not scan, and is told so then. */
struct conf *scan_what_settings(const struct ctl *ctl);

/*
 * From the words of `scan`; `error` is told of paths that are none. -1 when it
 * is not told what to do, which was said. `what` is zeroed before, and
 * scan_what_free() in both cases.
 */
int scan_what_args(struct scan_what *what, const struct ctl *ctl,
		   void (*error)(const char *path, int code, void *arg),
		   void *arg);
/* From what scan.begin answered for a job; paths as above. -1 and *err. */
int scan_what_job(struct scan_what *what, json_t *data,
		  void (*error)(const char *path, int code, void *arg),
		  void *arg, struct err *err);
/* What a schedule says beyond that: after scan_what_job(), with conf set. -1
 * and *err. */
int scan_what_schedule(struct scan_what *what, const struct schedule *s,
		       struct err *err);
/* As arguments of scan.begin. New reference. */
json_t *scan_what_json(const struct scan_what *what);
void scan_what_free(struct scan_what *what);

#endif
