/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Events in the store: one table with the columns of all kinds (events.def),
 * read by id in slices.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "store_impl.h"

#define WAITING_MAX 1000
#define COLUMNS_MAX 64
#define COMMON_COLUMNS 5 /* id, time, kind, severity, message in the table */
#define MESSAGE_MAX 8192
/* Rows that one slice looks at: a few ms each. */
#define SLICE_TEXT 20000
#define SLICE_TIME 100000
#define PURGE_ROWS 2000

struct waiting {
	enum event_kind_id kind;
	enum event_severity severity;
	int64_t when_ns;
	json_t *columns; /* may be NULL */
	char *message;	 /* escaped */
};

struct store_follower {
	struct store *store;
	void (*fn)(int64_t id, void *arg);
	void *arg;
	bool gone; /* ended while the list is being walked */
};

struct store_events_state {
	struct {
		VEC(struct waiting);
	} waiting;
	unsigned long lost;
	struct {
		VEC(struct store_follower *);
	} followers;
	bool telling;
	bool flushing;
	int64_t count;
	char *sql_insert;
	char *sql_job;		  /* findings of one scan */
	char *sql_query[2][2][2]; /* newest first, one kind, text */
};

/* ---- columns and SQL ---- */

static const struct event_column *columns[COLUMNS_MAX];
static size_t column_count;

static int column_find(const char *name)
{
	for (size_t i = 0; i < column_count; i++)
		if (!strcmp(columns[i]->name, name))
			return (int)i;
	return -1;
}

static void columns_collect(void)
{
	const struct event_kind *kind;
	int at;

	if (column_count)
		return;
	for (int k = 0; k < EVENT_KIND_COUNT; k++) {
		kind = &event_kinds[k];
		for (size_t i = 0; i < kind->column_count; i++) {
			at = column_find(kind->columns[i].name);
			if (at >= 0 &&
			    columns[at]->type != kind->columns[i].type)
				panic("events.def: %s has two types",
				      columns[at]->name);
			if (at >= 0)
				continue;
			if (column_count == COLUMNS_MAX)
				panic("events.def: too many columns");
			columns[column_count++] = &kind->columns[i];
		}
	}
}

const struct event_column *store_event_column(size_t i)
{
	columns_collect();
	return i < column_count ? columns[i] : NULL;
}

static char *build_insert(void)
{
	struct str sql = {0};

	str_add(&sql, "INSERT INTO event(time,kind,severity,message");
	for (size_t i = 0; i < column_count; i++)
		str_addf(&sql, ",\"%s\"", columns[i]->name);
	str_add(&sql, ") VALUES(?1,?2,?3,?4");
	for (size_t i = 0; i < column_count; i++)
		str_addf(&sql, ",?%zu", i + COMMON_COLUMNS);
	str_add(&sql, ")");
	return str_take(&sql);
}

/*
 * ?1 < id <= ?2; the plus signs keep SQLite from taking the index over time,
 * which would have to sort: ids come in order by themselves.
 */
static char *build_query(bool newest, bool one_kind, bool text)
{
	struct str sql = {0};

	str_add(&sql, "SELECT id,time,kind,severity,message");
	for (size_t i = 0; i < column_count; i++)
		str_addf(&sql, ",\"%s\"", columns[i]->name);
	str_add(&sql, " FROM event WHERE id>?1 AND id<=?2 AND +time>=?3 AND "
		      "+time<?4");
	if (one_kind)
		str_add(&sql, " AND kind=?6");
	if (text) {
		str_add(&sql, " AND (message LIKE ?7 ESCAPE '!'");
		for (size_t i = 0; i < column_count; i++)
			if (columns[i]->type == EVENT_TYPE_TEXT)
				str_addf(&sql, " OR \"%s\" LIKE ?7 ESCAPE '!'",
					 columns[i]->name);
		str_add(&sql, ")");
	}
	str_addf(&sql, " ORDER BY id %s LIMIT ?5", newest ? "DESC" : "ASC");
	return str_take(&sql);
}

static char *build_job(void)
{
	struct str sql = {0};

	str_add(&sql, "SELECT id,time,kind,severity,message");
	for (size_t i = 0; i < column_count; i++)
		str_addf(&sql, ",\"%s\"", columns[i]->name);
	str_add(&sql, " FROM event WHERE job=?1 AND +kind='virus' "
		      "ORDER BY id LIMIT ?2");
	return str_take(&sql);
}

struct store_events_state *store_events_new(void)
{
	struct store_events_state *state = xcalloc(1, sizeof(*state));

	columns_collect();
	state->sql_insert = build_insert();
	state->sql_job = build_job();
	for (int n = 0; n < 2; n++)
		for (int k = 0; k < 2; k++)
			for (int t = 0; t < 2; t++)
				state->sql_query[n][k][t] =
					build_query(n, k, t);
	return state;
}

static void waiting_free(struct waiting *w)
{
	json_decref(w->columns);
	free(w->message);
}

void store_events_free(struct store_events_state **state)
{
	struct store_events_state *s = *state;
	struct waiting *w;

	if (!s)
		return;
	if (s->waiting.len)
		log_error("store: %zu events could not be written and are "
			  "lost",
			  s->waiting.len);
	vec_each (w, &s->waiting)
		waiting_free(w);
	vec_free(&s->waiting);
	for (size_t i = 0; i < s->followers.len; i++)
		free(s->followers.items[i]);
	vec_free(&s->followers);
	free(s->sql_insert);
	free(s->sql_job);
	for (int i = 0; i < 8; i++)
		free(s->sql_query[i >> 2][i >> 1 & 1][i & 1]);
	xfree(state);
}

/* ---- schema ---- */

static const char sql_table[] = "CREATE TABLE IF NOT EXISTS event ("
				" id INTEGER PRIMARY KEY AUTOINCREMENT,"
				" time INT NOT NULL, kind TEXT NOT NULL,"
				" severity INT NOT NULL,"
				" message TEXT NOT NULL);"
				"CREATE INDEX IF NOT EXISTS event_time"
				" ON event(time);"
				"CREATE INDEX IF NOT EXISTS event_kind"
				" ON event(kind)";

int store_events_schema(struct store *store, struct err *err)
{
	static const char sql_has[] =
		"SELECT count(*) FROM pragma_table_info('event') WHERE name=?1";
	struct stmt *st;
	struct str sql = {0};
	int rc = store_exec(store, sql_table, err);
	bool has;

	for (size_t i = 0; rc == 0 && i < column_count; i++) {
		st = stmt_get(store, sql_has, err);
		if (!st)
			return -1;
		stmt_text(st, 1, columns[i]->name);
		rc = stmt_step(st, err);
		has = rc > 0 && stmt_get_int(st, 0) > 0;
		stmt_done(&st);
		if (rc < 0)
			break;
		rc = 0;
		if (has)
			continue;
		str_clear(&sql);
		str_addf(&sql, "ALTER TABLE event ADD COLUMN \"%s\" %s",
			 columns[i]->name,
			 columns[i]->type == EVENT_TYPE_INT ? "INT" : "TEXT");
		rc = store_exec(store, str_get(&sql), err);
	}
	str_free(&sql);
	return rc < 0 ? -1
		      : store_exec(store,
				   "CREATE INDEX IF NOT EXISTS event_job ON "
				   "event(job) WHERE job IS NOT NULL",
				   err);
}

int store_events_opened(struct store *store, struct err *err)
{
	static const char sql[] = "SELECT count(*) FROM event";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	rc = stmt_step(st, err);
	if (rc > 0)
		store_events_of(store)->count = stmt_get_int(st, 0);
	stmt_done(&st);
	return rc < 0 ? -1 : 0;
}

/* ---- writing ---- */

static char *escaped(const char *text)
{
	size_t size = strlen(text) * 4 + 1;
	char *out = xmalloc(size);

	return log_escape(out, size, text);
}

static void bind_column(struct stmt *st, int at, const struct event_column *c,
			json_t *value)
{
	char *text;

	if (c->type == EVENT_TYPE_INT) {
		stmt_int(st, at,
			 json_is_true(value) ? 1 : json_integer_value(value));
		return;
	}
	if (!json_is_string(value)) {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		stmt_text(st, at, text ? text : "");
		free(text);
		return;
	}
	text = escaped(json_string_value(value));
	stmt_text(st, at, text);
	free(text);
}

static int insert(struct store *store, struct store_events_state *state,
		  const struct waiting *w, int64_t *id_r, struct err *err)
{
	struct stmt *st = stmt_get(store, state->sql_insert, err);
	const char *name;
	json_t *value;

	if (!st)
		return -1;
	stmt_int(st, 1, w->when_ns);
	stmt_text(st, 2, event_kinds[w->kind].name);
	stmt_int(st, 3, w->severity);
	stmt_text(st, 4, w->message);
	json_object_foreach (w->columns, name, value) {
		int i = column_find(name);

		if (!json_is_null(value))
			bind_column(st, i + COMMON_COLUMNS, columns[i], value);
	}
	if (stmt_run(&st, err) < 0)
		return -1;
	*id_r = store_rowid(store);
	return 0;
}

static void tell_followers(struct store_events_state *state, int64_t id)
{
	struct store_follower *f;

	state->telling = true;
	for (size_t i = 0; i < state->followers.len; i++)
		if (!state->followers.items[i]->gone)
			state->followers.items[i]->fn(
				id, state->followers.items[i]->arg);
	state->telling = false;
	for (size_t i = state->followers.len; i-- > 0;) {
		f = state->followers.items[i];
		if (!f->gone)
			continue;
		vec_remove(&state->followers, i);
		free(f);
	}
}

/* Writes the first `n` that wait in one transaction. */
static int write_waiting(struct store *store, struct store_events_state *state,
			 size_t n, int64_t *last_r, struct err *err)
{
	if (store_begin(store, false, err) < 0)
		goto undo;
	for (size_t i = 0; i < n; i++) {
		if (insert(store, state, &state->waiting.items[i], last_r,
			   err) == 0)
			continue;
		if (!store_refused(store))
			goto undo;
		/* This one will never go in. */
		log_error("store: an event is dropped: %s: %s", err->text,
			  state->waiting.items[i].message);
	}
	if (store_commit(store, err) == 0)
		return 0;
undo:
	store_rollback(store);
	return -1;
}

static void waiting_shift(struct store_events_state *state, size_t n)
{
	for (size_t i = 0; i < n; i++)
		waiting_free(&state->waiting.items[i]);
	state->waiting.len -= n;
	memmove(state->waiting.items, state->waiting.items + n,
		state->waiting.len * sizeof(*state->waiting.items));
}

/*
 * That the store is healthy again is itself told as an event, from within the
 * commit: it joins those that wait, and is written in the next turn.
 */
int store_events_flush(struct store *store, struct err *err)
{
	struct store_events_state *state = store_events_of(store);
	struct err mine;
	int64_t last = 0;
	size_t n;
	int rc = 0;

	if (state->flushing)
		return 0;
	state->flushing = true;
	while (rc == 0 && (n = state->waiting.len) > 0) {
		rc = write_waiting(store, state, n, &last, err ? err : &mine);
		if (rc < 0)
			break;
		waiting_shift(state, n);
		state->count += (int64_t)n;
	}
	state->flushing = false;
	if (rc == 0 && state->lost) {
		log_error("store: %lu events were lost while it could not be "
			  "written",
			  state->lost);
		state->lost = 0;
	}
	if (last > 0 && !state->telling)
		tell_followers(state, last);
	return rc;
}

static void check_columns(enum event_kind_id kind, json_t *cols)
{
	const char *name;
	json_t *value;

	json_object_foreach (cols, name, value) {
		if (!events_column_find(&event_kinds[kind], name) ||
		    column_find(name) < 0)
			panic("event %s has no column %s",
			      event_kinds[kind].name, name);
	}
}

void store_event(struct store *store, enum event_kind_id kind,
		 enum event_severity severity, json_t *cols, const char *fmt,
		 ...)
{
	struct store_events_state *state = store_events_of(store);
	struct waiting w = {
		.kind = kind,
		.severity = severity,
		.when_ns = clock_real_ns(),
		.columns = cols,
	};
	char *text = xmalloc(MESSAGE_MAX);
	struct err err;
	va_list ap;

	check_columns(kind, cols);
	va_start(ap, fmt);
	vsnprintf(text, MESSAGE_MAX, fmt, ap);
	va_end(ap);
	w.message = escaped(text);
	free(text);
	if (state->waiting.len >= WAITING_MAX && !state->flushing) {
		log_error("store: an event is lost: %s",
			  state->waiting.items[0].message);
		waiting_free(&state->waiting.items[0]);
		vec_remove(&state->waiting, 0);
		state->lost++;
	}
	vec_push(&state->waiting, w);
	store_events_flush(store, &err);
}

/* ---- reading ---- */

static json_t *column_value(struct stmt *st, size_t i)
{
	int at = (int)i + COMMON_COLUMNS;

	if (stmt_is_null(st, at))
		return json_null();
	if (columns[i]->type == EVENT_TYPE_INT)
		return json_integer(stmt_get_int(st, at));
	return json_string_nocheck(stmt_get_text(st, at));
}

/* An event of a kind that events.def no longer has shows all it holds. */
static json_t *row_to_json(struct stmt *st)
{
	const struct event_kind *kind = events_kind_find(stmt_get_text(st, 2));
	json_t *event = json_object();
	const char *name;

	json_object_set_new(event, "id", json_integer(stmt_get_int(st, 0)));
	json_object_set_new(event, "time", json_integer(stmt_get_int(st, 1)));
	json_object_set_new(event, "kind",
			    json_string_nocheck(stmt_get_text(st, 2)));
	json_object_set_new(event, "severity",
			    json_string(events_severity_name(
				    (enum event_severity)stmt_get_int(st, 3))));
	json_object_set_new(event, "message",
			    json_string_nocheck(stmt_get_text(st, 4)));
	for (size_t i = 0; kind && i < kind->column_count; i++) {
		name = kind->columns[i].name;
		json_object_set_new(
			event, name,
			column_value(st, (size_t)column_find(name)));
	}
	for (size_t i = 0; !kind && i < column_count; i++)
		json_object_set_new(event, columns[i]->name,
				    column_value(st, i));
	return event;
}

/*
 * The ids between which a time span lies, when it holds few enough events to
 * count them; the clock may have been set back, so ids and times need not
 * agree and the time is looked at again in each row.
 */
static int bound_by_time(struct store *store, struct event_query *q,
			 struct err *err)
{
	static const char sql[] =
		"SELECT count(*),min(id),max(id) FROM (SELECT id FROM event "
		"WHERE time>=?1 AND time<?2 LIMIT ?3)";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	stmt_int(st, 1, q->since_ns);
	stmt_int(st, 2, q->until_ns ? q->until_ns : INT64_MAX);
	stmt_int(st, 3, SLICE_TIME + 1);
	rc = stmt_step(st, err);
	if (rc > 0 && stmt_get_int(st, 0) <= SLICE_TIME) {
		q->low = stmt_get_int(st, 1) - 1;
		q->high = stmt_get_int(st, 2);
		if (stmt_get_int(st, 0) == 0)
			q->low = q->high = 1; /* nothing between */
	}
	stmt_done(&st);
	return rc < 0 ? -1 : 0;
}

/* 1 when there is something to look at, 0 when not, -1. */
static int bound(struct store *store, struct event_query *q, struct err *err)
{
	if (q->high)
		return 1;
	q->low = 0;
	q->high = store_last_event(store);
	if (!q->high)
		return store_healthy(store, err) ? 0 : -1;
	if (q->since_ns || q->until_ns)
		return bound_by_time(store, q, err) < 0 ? -1 : 1;
	return 1;
}

/* %text%, with LIKE's own signs escaped; stored text is escaped, so what is
 * looked for has to be, too. */
static char *like_pattern(const char *text)
{
	char *esc = escaped(text);
	struct str out = {0};

	str_add(&out, "%");
	for (const char *p = esc; *p; p++) {
		if (strchr("%_!", *p))
			str_add(&out, "!");
		str_addn(&out, p, 1);
	}
	str_add(&out, "%");
	free(esc);
	return str_take(&out);
}

/* The ids that this slice looks at: from < id <= to. */
static void slice(const struct event_query *q, int64_t *from, int64_t *to)
{
	int64_t span = q->text			    ? SLICE_TEXT
		       : q->since_ns || q->until_ns ? SLICE_TIME
						    : INT64_MAX / 2;

	*from = q->low;
	*to = q->high;
	if (q->newest_first) {
		if (q->cursor && q->cursor - 1 < *to)
			*to = q->cursor - 1;
		if (*to - span > *from)
			*from = *to - span;
	} else {
		if (q->cursor > *from)
			*from = q->cursor;
		if (*from + span < *to)
			*to = *from + span;
	}
}

static void bind_query(struct stmt *st, const struct event_query *q,
		       int64_t from, int64_t to)
{
	char *pattern;

	stmt_int(st, 1, from);
	stmt_int(st, 2, to);
	stmt_int(st, 3, q->since_ns);
	stmt_int(st, 4, q->until_ns ? q->until_ns : INT64_MAX);
	stmt_int(st, 5, q->limit);
	if (q->kind >= 0)
		stmt_text(st, 6, event_kinds[q->kind].name);
	if (q->text) {
		pattern = like_pattern(q->text);
		stmt_text(st, 7, pattern);
		free(pattern);
	}
}

int store_events(struct store *store, struct event_query *q, store_event_fn fn,
		 void *arg, struct err *err)
{
	struct store_events_state *state = store_events_of(store);
	struct stmt *st;
	int64_t from, to;
	int rc, found = 0;

	rc = bound(store, q, err);
	if (rc <= 0)
		return rc;
	slice(q, &from, &to);
	if (from >= to)
		return 0;
	st = stmt_get(
		store,
		state->sql_query[q->newest_first][q->kind >= 0][!!q->text],
		err);
	if (!st)
		return -1;
	bind_query(st, q, from, to);
	while ((rc = stmt_step(st, err)) > 0) {
		json_t *event = row_to_json(st);

		q->cursor = stmt_get_int(st, 0);
		found++;
		fn(event, arg);
		json_decref(event);
	}
	stmt_done(&st);
	if (rc < 0)
		return -1;
	if (found >= q->limit)
		return 1;
	q->cursor = q->newest_first ? from + 1 : to;
	return q->newest_first ? from > q->low : to < q->high;
}

int store_scan_findings(struct store *store, int64_t id, int limit,
			store_event_fn fn, void *arg, struct err *err)
{
	struct store_events_state *state = store_events_of(store);
	struct stmt *st;
	int rc;

	/* What waits in memory belongs to it, too. */
	if (store_events_flush(store, err) < 0)
		return -1;
	st = stmt_get(store, state->sql_job, err);
	if (!st)
		return -1;
	stmt_int(st, 1, id);
	stmt_int(st, 2, limit);
	while ((rc = stmt_step(st, err)) > 0) {
		json_t *event = row_to_json(st);

		fn(event, arg);
		json_decref(event);
	}
	stmt_done(&st);
	return rc;
}

int64_t store_last_event(struct store *store)
{
	static const char sql[] = "SELECT max(id) FROM event";
	struct stmt *st = stmt_get(store, sql, NULL);
	int64_t id = 0;

	if (!st)
		return 0;
	if (stmt_step(st, NULL) > 0)
		id = stmt_get_int(st, 0);
	stmt_done(&st);
	return id;
}

int64_t store_event_count(const struct store *store)
{
	/* Only the pointer is fetched; the state is not changed. */
	return store_events_of((struct store *)(uintptr_t)store)->count;
}

/* ---- following ---- */

struct store_follower *store_follow(struct store *store,
				    void (*fn)(int64_t id, void *arg),
				    void *arg)
{
	struct store_events_state *state = store_events_of(store);
	struct store_follower *f = xcalloc(1, sizeof(*f));

	f->store = store;
	f->fn = fn;
	f->arg = arg;
	vec_push(&state->followers, f);
	return f;
}

void store_unfollow(struct store_follower **follower)
{
	struct store_follower *f = *follower;
	struct store_events_state *state;

	if (!f)
		return;
	*follower = NULL;
	state = store_events_of(f->store);
	if (state->telling) {
		f->gone = true; /* whoever walks the list frees it */
		return;
	}
	for (size_t i = 0; i < state->followers.len; i++) {
		if (state->followers.items[i] == f) {
			vec_remove(&state->followers, i);
			break;
		}
	}
	free(f);
}

/* ---- purging ---- */

static int purge_some(struct store *store, const char *sql, int64_t a,
		      int64_t b, int64_t *deleted, struct err *err)
{
	struct store_events_state *state = store_events_of(store);
	struct stmt *st;

	if (store_begin(store, false, err) < 0)
		goto undo;
	st = stmt_get(store, sql, err);
	if (!st)
		goto undo;
	stmt_int(st, 1, a);
	stmt_int(st, 2, b);
	if (stmt_run(&st, err) < 0)
		goto undo;
	*deleted = store_changes(store);
	if (store_commit(store, err) < 0)
		goto undo;
	state->count -= *deleted;
	return 0;
undo:
	store_rollback(store);
	return -1;
}

int store_events_purge(struct store *store, uint64_t max_age_ms,
		       int64_t max_count, int64_t *deleted_r, struct err *err)
{
	static const char sql_age[] =
		"DELETE FROM event WHERE id IN (SELECT id FROM event WHERE "
		"time<?1 ORDER BY time LIMIT ?2)";
	static const char sql_count[] =
		"DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY "
		"id LIMIT min(?1,?2))";
	int64_t old = clock_real_ns() - (int64_t)(max_age_ms * CLOCK_NS_PER_MS);
	int64_t n = 0, over;

	if (max_age_ms &&
	    purge_some(store, sql_age, old, PURGE_ROWS, &n, err) < 0)
		return -1;
	if (deleted_r)
		*deleted_r += n;
	if (n == PURGE_ROWS)
		return 1;
	over = store_event_count(store) - max_count;
	if (max_count && over > 0) {
		n = 0;
		if (purge_some(store, sql_count, over, PURGE_ROWS, &n, err) < 0)
			return -1;
		if (deleted_r)
			*deleted_r += n;
		if (n == PURGE_ROWS)
			return 1;
	}
	/* Pages that became free go back to the disk, a few each time. */
	return store_exec(store, "PRAGMA incremental_vacuum(512)", err);
}
