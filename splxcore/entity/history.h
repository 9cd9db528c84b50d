/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HISTORY_H
#define SPLX_ENTITY_HISTORY_H

#include <jansson.h>
#include <stdint.h>

#include "core.h"
#include "lib/hist.h"
#include "store.h"

/*
 * What the counters did over time, in the store: a row a minute for two days,
 * one for 15 minutes for 30 days, one for 6 hours for two years; so a bounded
 * number of rows, and a chart of any span reads some thousands at most. Rows
 * hold the waiting times as a histogram, so the quantiles of a longer step are
 * as true as those of a minute.
 */
#define HISTORY_MS 60000

enum history_count {
	HISTORY_OPENS,	  /* that were seen */
	HISTORY_ASKED,	  /* … that somebody was asked about */
	HISTORY_SCANS,	  /* by the engine */
	HISTORY_HITS,	  /* answered by what was known */
	HISTORY_FINDINGS, /* infected */
	HISTORY_TIMEOUTS, /* nobody answered in time */
	HISTORY_COUNTS
};

/* The levels, finest first. */
#define HISTORY_LEVELS 3
extern const struct history_level {
	int64_t step_s;
	int64_t rows;
} history_levels[HISTORY_LEVELS];

struct history_row {
	int level;
	int64_t time_s; /* since 1970, a multiple of the step */
	uint64_t count[HISTORY_COUNTS];
	struct hist waits;
};

/* Adds to what stands in that row. */
int store_history_add(struct store *store, const struct history_row *row,
		      struct err *err);
/* Rows from `from_s` until before `until_s`, oldest first. fn must not call
 * the store. */
typedef void (*store_history_fn)(const struct history_row *row, void *arg);
int store_history(struct store *store, int level, int64_t from_s,
		  int64_t until_s, store_history_fn fn, void *arg,
		  struct err *err);
/* Leaves the newest `keep` rows of a level, and none from after `until_s`: a
 * clock that was wrong. */
int store_history_trim(struct store *store, int level, int64_t keep,
		       int64_t until_s, struct err *err);

int history_init(struct core *core, struct err *err);
void history_deinit(struct core *core);

/* Writes what was counted since the last time. */
void history_sample(struct core *core);
/*
 * From since_s until until_s in at most so many points: {"step_s", "from":
 * seconds since 1970, "until", "series": {"opens": [...], "asked", "scans",
 * "hits", "findings", "timeouts", "p50_ns", "p99_ns"}}, null where nothing was
 * measured. NULL and *err.
 */
json_t *history_json(struct store *store, int64_t since_s, int64_t until_s,
		     int points, int64_t now_s, struct err *err);

#endif
