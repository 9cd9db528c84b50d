/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "events_text.h"
#include "lib/alloc.h"
#include "lib/clock.h"

#define POINTS_DEFAULT 240
#define POINTS_MAX 2000
#define SPAN_DEFAULT_S 86400
/* Asking is answered with what was counted until then, but not at a write a
 * request. */
#define FRESH_NS CLOCK_NS_PER_S
/* Rows from later than this are of a clock that was wrong. */
#define AHEAD_S 86400

const struct history_level history_levels[HISTORY_LEVELS] = {
	{60, 2 * 24 * 60},
	{900, 30 * 24 * 4},
	{6 * 3600, 2 * 366 * 4},
};

/* What each count is the sum of; ends in COUNTER_COUNT. */
static const enum counter_id sums[HISTORY_COUNTS][4] = {
	[HISTORY_OPENS] = {COUNTER_QUESTIONS, COUNTER_MODULE_CALLS,
			   COUNTER_COUNT},
	[HISTORY_ASKED] = {COUNTER_QUESTIONS, COUNTER_MODULE_QUESTIONS,
			   COUNTER_COUNT},
	[HISTORY_SCANS] = {COUNTER_SCANS, COUNTER_COUNT},
	[HISTORY_HITS] = {COUNTER_ALLOWED_KNOWN, COUNTER_MODULE_KNOWN,
			  COUNTER_COUNT},
	[HISTORY_FINDINGS] = {COUNTER_FINDINGS, COUNTER_COUNT},
	[HISTORY_TIMEOUTS] = {COUNTER_POLICY_TIMEOUT, COUNTER_POLICY_QUEUE,
			      COUNTER_POLICY_BREAKER, COUNTER_COUNT},
};

struct history {
	struct loop_event *timer;
	uint64_t sampled_ns;
	uint64_t count[HISTORY_COUNTS]; /* as it stood then */
	struct hist waits;
};

/* ---- writing ---- */

static void read_counters(struct core *core, uint64_t out[HISTORY_COUNTS])
{
	for (int i = 0; i < HISTORY_COUNTS; i++) {
		out[i] = 0;
		for (int k = 0; sums[i][k] != COUNTER_COUNT; k++)
			out[i] += scoreboard_count(core->sb, sums[i][k]);
	}
}

/* What came since; a scoreboard that began anew counts from nothing. */
static void take_difference(struct core *core, struct history_row *row)
{
	struct history *h = core->history;
	uint64_t now[HISTORY_COUNTS], n, before;
	struct hist waits = {0};

	read_counters(core, now);
	scoreboard_wait(core->sb, &waits);
	for (int i = 0; i < HISTORY_COUNTS; i++) {
		row->count[i] =
			now[i] - (now[i] >= h->count[i] ? h->count[i] : 0);
		h->count[i] = now[i];
	}
	for (int i = 0; i < HIST_BUCKETS; i++) {
		n = atomic_load(&waits.bucket[i]);
		before = atomic_load(&h->waits.bucket[i]);
		atomic_store(&row->waits.bucket[i],
			     n - (n >= before ? before : 0));
	}
	h->waits = waits;
}

void history_sample(struct core *core)
{
	int64_t now_s = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	struct history_row row = {0};

	take_difference(core, &row);
	core->history->sampled_ns = clock_mono_ns();
	for (int i = 0; i < HISTORY_LEVELS; i++) {
		row.level = i;
		row.time_s = now_s - now_s % history_levels[i].step_s;
		if (store_history_add(core->store, &row, NULL) < 0 ||
		    store_history_trim(core->store, i, history_levels[i].rows,
				       now_s + AHEAD_S, NULL) < 0)
			return; /* a gap; health tells that the store is ill */
	}
}

static void on_timer(void *arg)
{
	history_sample(arg);
}

int history_init(struct core *core, struct err *err)
{
	struct history *h = xcalloc(1, sizeof(*h));
	uint64_t age = clock_mono_ns() - core->sb->boot_ns;

	(void)err;
	core->history = h;
	/* What a core before this one has counted is told already. */
	if (age > HISTORY_MS * CLOCK_NS_PER_MS) {
		read_counters(core, h->count);
		scoreboard_wait(core->sb, &h->waits);
	}
	h->timer = loop_timer(core->loop, HISTORY_MS, true, on_timer, core);
	return 0;
}

void history_deinit(struct core *core)
{
	if (!core->history)
		return;
	if (core->history->timer && core->store)
		history_sample(core);
	loop_cancel(&core->history->timer);
	xfree(&core->history);
}

/* ---- reading ---- */

/* Several rows as one point. */
struct point {
	bool measured;
	uint64_t count[HISTORY_COUNTS];
	uint64_t p50_ns, p99_ns;
};

struct chart {
	int64_t from_s, step_s;
	int n, at; /* the point that is being added up; -1: none */
	struct hist waits;
	struct point *points;
};

static void end_point(struct chart *c)
{
	if (c->at < 0)
		return;
	c->points[c->at].p50_ns = hist_quantile(&c->waits, 0.5);
	c->points[c->at].p99_ns = hist_quantile(&c->waits, 0.99);
	memset(&c->waits, 0, sizeof(c->waits));
}

static void on_row(const struct history_row *row, void *arg)
{
	struct chart *c = arg;
	int64_t at = (row->time_s - c->from_s) / c->step_s;

	if (row->time_s < c->from_s || at >= c->n)
		return;
	if ((int)at != c->at) {
		end_point(c);
		c->at = (int)at;
	}
	c->points[at].measured = true;
	for (int i = 0; i < HISTORY_COUNTS; i++)
		c->points[at].count[i] += row->count[i];
	hist_merge(&c->waits, &row->waits);
}

/* The finest level that reaches back so far and has not too many rows. */
static int choose_level(int64_t since_s, int64_t until_s, int64_t now_s)
{
	int i;

	for (i = 0; i < HISTORY_LEVELS - 1; i++) {
		const struct history_level *l = &history_levels[i];

		if (since_s >= now_s - l->step_s * l->rows &&
		    (until_s - since_s) / l->step_s <= l->rows)
			break;
	}
	return i;
}

static json_t *series_json(const struct chart *c)
{
	static const char *const names[HISTORY_COUNTS] = {
		"opens", "asked", "scans", "hits", "findings", "timeouts",
	};
	json_t *series = json_object(), *list[HISTORY_COUNTS + 2];
	const struct point *p;
	int i, k;

	for (k = 0; k < HISTORY_COUNTS + 2; k++)
		list[k] = json_array();
	for (i = 0; i < c->n; i++) {
		p = &c->points[i];
		for (k = 0; k < HISTORY_COUNTS; k++)
			json_array_append_new(
				list[k],
				p->measured
					? json_integer((json_int_t)p->count[k])
					: json_null());
		json_array_append_new(
			list[k], p->p50_ns ? json_integer((json_int_t)p->p50_ns)
					   : json_null());
		json_array_append_new(
			list[k + 1],
			p->p99_ns ? json_integer((json_int_t)p->p99_ns)
				  : json_null());
	}
	for (k = 0; k < HISTORY_COUNTS; k++)
		json_object_set_new(series, names[k], list[k]);
	json_object_set_new(series, "p50_ns", list[k]);
	json_object_set_new(series, "p99_ns", list[k + 1]);
	return series;
}

json_t *history_json(struct store *store, int64_t since_s, int64_t until_s,
		     int points, int64_t now_s, struct err *err)
{
	int level = choose_level(since_s, until_s, now_s);
	int64_t step = history_levels[level].step_s, many;
	struct chart c = {.at = -1};
	json_t *data = NULL;

	many = (until_s - since_s + points * step - 1) / (points * step);
	c.step_s = step * (many > 1 ? many : 1);
	c.from_s = since_s - since_s % c.step_s;
	c.n = (int)((until_s - c.from_s + c.step_s - 1) / c.step_s);
	c.points = xcalloc((size_t)c.n, sizeof(*c.points));
	if (store_history(store, level, c.from_s, until_s, on_row, &c, err) ==
	    0) {
		end_point(&c);
		data = json_pack("{s:I, s:I, s:I, s:o}", "step_s",
				 (json_int_t)c.step_s, "from",
				 (json_int_t)c.from_s, "until",
				 (json_int_t)c.from_s + c.n * c.step_s,
				 "series", series_json(&c));
	}
	free(c.points);
	return data;
}

/* Since and until in seconds; -1 and *err. */
static int read_span(json_t *args, int64_t now_s, int64_t *since_r,
		     int64_t *until_r, struct err *err)
{
	const char *since = dispatch_arg(args, "since");
	const char *until = dispatch_arg(args, "until");
	int64_t ns;

	*until_r = now_s + 1;
	if (until) {
		if (events_text_time(until, &ns, err) < 0)
			return err_add(err, "until");
		*until_r = ns / (int64_t)CLOCK_NS_PER_S;
	}
	*since_r = *until_r - SPAN_DEFAULT_S;
	if (since) {
		if (events_text_time(since, &ns, err) < 0)
			return err_add(err, "since");
		*since_r = ns / (int64_t)CLOCK_NS_PER_S;
	}
	/* Nothing is kept for longer. */
	ns = history_levels[HISTORY_LEVELS - 1].step_s *
	     history_levels[HISTORY_LEVELS - 1].rows;
	if (*until_r > now_s + AHEAD_S)
		*until_r = now_s + AHEAD_S;
	if (*since_r < *until_r - ns)
		*since_r = *until_r - ns;
	if (*since_r < 0 || *since_r >= *until_r)
		return err_set(err, 0, "since is not before until");
	return 0;
}

void verb_statistics_history(struct core *core, struct ipc_call *call,
			     json_t *args)
{
	int64_t now_s = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	int64_t since = 0, until = 0;
	long long points;
	json_t *data;
	struct err err;

	if (dispatch_arg_i64(args, "points", POINTS_DEFAULT, 1, POINTS_MAX,
			     &points, &err) < 0 ||
	    read_span(args, now_s, &since, &until, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	if (clock_mono_ns() - core->history->sampled_ns > FRESH_NS)
		history_sample(core);
	data = history_json(core->store, since, until, (int)points, now_s,
			    &err);
	if (data)
		dispatch_reply(core, call, data);
	else
		dispatch_fail(core, call, "unavailable", "%s", err.text);
}
