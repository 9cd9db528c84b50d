/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "statistics.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "common/jsontext.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "lib/str.h"

#define TOP_ENTRIES 512
#define TOP_DEFAULT 10
#define NAME_SIZE sizeof(((struct sample *)0)->path)

struct cost {
	char name[NAME_SIZE];
	uint32_t hash;
	uint64_t scans;
	uint64_t scan_ns;
	uint64_t wait_ns;
	uint64_t bytes;
};

struct table {
	struct cost rows[TOP_ENTRIES];
	int count;
};

struct statistics {
	struct loop_event *timer;
	int64_t since_ns;
	uint64_t since_mono_ns;
	uint32_t next[SCOREBOARD_SLOTS]; /* the first sample not read yet */
	uint64_t lost;
	struct table programs;
	struct table files;
	struct table directories;
	/* What stood there when counting began. */
	uint64_t counters[COUNTER_COUNT];
	struct hist wait;
	struct hist scan;
	/* The last pid looked up: one process opens many files in a row. */
	int32_t pid;
	char program[NAME_SIZE];
};

/* ---- tables ---- */

static uint32_t name_hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	while (*s)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h;
}

static struct cost *row_of(struct table *t, const char *name)
{
	uint32_t hash = name_hash(name);
	struct cost *row, *least = &t->rows[0];
	int i;

	for (i = 0; i < t->count; i++) {
		row = &t->rows[i];
		if (row->hash == hash && !strcmp(row->name, name))
			return row;
		if (row->scan_ns < least->scan_ns)
			least = row;
	}
	row = t->count < TOP_ENTRIES ? &t->rows[t->count++] : least;
	memset(row, 0, sizeof(*row));
	str_copy(row->name, sizeof(row->name), name);
	row->hash = hash;
	return row;
}

static void add(struct table *t, const char *name, const struct sample *s)
{
	struct cost *row = row_of(t, name);

	row->scans++;
	row->scan_ns += s->scan_ns;
	row->wait_ns += s->wait_ns;
	row->bytes += s->size;
}

static int by_cost(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	if (x->scan_ns != y->scan_ns)
		return x->scan_ns < y->scan_ns ? 1 : -1;
	return strcmp(x->name, y->name);
}

static json_t *table_json(const struct table *t, const char *key, int top)
{
	struct cost *rows = xmalloc(sizeof(t->rows));
	json_t *list = json_array();
	int i;

	memcpy(rows, t->rows, sizeof(t->rows));
	qsort(rows, (size_t)t->count, sizeof(*rows), by_cost);
	for (i = 0; i < t->count && i < top; i++)
		json_array_append_new(
			list, json_pack("{s:o, s:I, s:I, s:I, s:I}", key,
					jsontext_new(rows[i].name), "scans",
					(json_int_t)rows[i].scans, "scan_ns",
					(json_int_t)rows[i].scan_ns, "wait_ns",
					(json_int_t)rows[i].wait_ns, "bytes",
					(json_int_t)rows[i].bytes));
	free(rows);
	return list;
}

/* ---- samples ---- */

/* A whole sample out of shared memory; false while it is being written. */
static bool read_sample(const struct sample *shared, struct sample *out)
{
	uint32_t seq = atomic_load_explicit(&shared->seq, memory_order_acquire);

	if (seq & 1)
		return false;
	memcpy(out, shared, sizeof(*out));
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&shared->seq, memory_order_relaxed) != seq)
		return false;
	out->path[sizeof(out->path) - 1] = '\0';
	return true;
}

static const char *program_of(struct statistics *st, const struct sample *s)
{
	char path[PATH_MAX];
	dev_t dev;
	ino_t ino;

	if (s->source >= SOURCE_MANUAL)
		return "(scan jobs)";
	if (s->pid == st->pid)
		return st->program;
	if (s->pid <= 0)
		return "(unknown)";
	if (proc_exe(s->pid, path, sizeof(path), &dev, &ino))
		return "(ended since)";
	/* A path may be longer than a row has room for: its end tells more. */
	st->pid = s->pid;
	if (strlen(path) < NAME_SIZE)
		str_copy(st->program, NAME_SIZE, path);
	else
		str_copy(st->program, NAME_SIZE,
			 path + strlen(path) - (NAME_SIZE - 1));
	return st->program;
}

/* The directory that a file is in. Of a long path only the end is known, and
 * it begins with no slash; then what there is of it. */
static void add_directory(struct statistics *st, const struct sample *s)
{
	const char *slash = strrchr(s->path, '/');
	char name[NAME_SIZE];

	if (!slash)
		return;
	str_copy(name, sizeof(name), s->path);
	name[slash == s->path ? 1 : slash - s->path] = '\0';
	add(&st->directories, name, s);
}

static void drain_slot(struct statistics *st, const struct slot *slot,
		       uint32_t *next)
{
	uint32_t end = atomic_load(&slot->sample_next);
	uint32_t behind = end - *next;
	struct sample s;

	if (behind > SLOT_SAMPLES) {
		st->lost += behind - SLOT_SAMPLES;
		*next = end - SLOT_SAMPLES;
	}
	for (; *next != end; (*next)++) {
		if (!read_sample(&slot->samples[*next % SLOT_SAMPLES], &s)) {
			st->lost++;
			continue;
		}
		add(&st->programs, program_of(st, &s), &s);
		add(&st->files, s.path, &s);
		add_directory(st, &s);
	}
}

void statistics_drain(struct core *core)
{
	struct statistics *st = core->statistics;
	int i;

	st->pid = 0; /* it may have become another program */
	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		drain_slot(st, &core->sb->slots[i], &st->next[i]);
}

static void drain(void *arg)
{
	statistics_drain(arg);
}

/* ---- answers ---- */

/* What came into `now` since `then`. */
static void hist_since(struct hist *now, const struct hist *then)
{
	uint64_t a, b;
	size_t i;

	for (i = 0; i < HIST_BUCKETS; i++) {
		a = atomic_load(&now->bucket[i]);
		b = atomic_load(&then->bucket[i]);
		atomic_store(&now->bucket[i], a > b ? a - b : 0);
	}
}

static json_t *times_json(const struct hist *h)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "count",
			 (json_int_t)hist_count(h), "p50_ns",
			 (json_int_t)hist_quantile(h, 0.5), "p99_ns",
			 (json_int_t)hist_quantile(h, 0.99), "max_ns",
			 (json_int_t)hist_quantile(h, 1.0));
}

static json_t *counters_json(struct core *core)
{
	const struct statistics *st = core->statistics;
	json_t *object = json_object();
	uint64_t n;
	int i;

	for (i = 0; i < COUNTER_COUNT; i++) {
		n = scoreboard_count(core->sb, (enum counter_id)i);
		n = n > st->counters[i] ? n - st->counters[i] : 0;
		json_object_set_new(object, counter_names[i],
				    json_integer((json_int_t)n));
	}
	return object;
}

json_t *statistics_json(struct core *core, int top)
{
	struct statistics *st = core->statistics;
	struct hist wait = {0}, scan = {0};
	uint64_t age = clock_mono_ns() - st->since_mono_ns;

	statistics_drain(core);
	scoreboard_wait(core->sb, &wait);
	scoreboard_scan(core->sb, &scan);
	hist_since(&wait, &st->wait);
	hist_since(&scan, &st->scan);
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
			 "since", (json_int_t)st->since_ns, "seconds",
			 (json_int_t)(age / CLOCK_NS_PER_S), "counters",
			 counters_json(core), "wait", times_json(&wait), "scan",
			 times_json(&scan), "top_processes",
			 table_json(&st->programs, "program", top), "top_files",
			 table_json(&st->files, "path", top), "top_directories",
			 table_json(&st->directories, "path", top),
			 "samples_lost", (json_int_t)st->lost);
}

/* The scoreboard outlives core: it counts since the supervisor made it. */
static void begin_at_zero(struct core *core)
{
	struct statistics *st = core->statistics;
	uint64_t age = clock_mono_ns() - core->sb->boot_ns;

	st->since_mono_ns = core->sb->boot_ns;
	st->since_ns = clock_real_ns() - (int64_t)age;
}

void statistics_reset(struct core *core)
{
	struct statistics *st = core->statistics;
	int i;

	statistics_drain(core);
	st->since_ns = clock_real_ns();
	st->since_mono_ns = clock_mono_ns();
	st->programs.count = 0;
	st->files.count = 0;
	st->directories.count = 0;
	st->lost = 0;
	for (i = 0; i < COUNTER_COUNT; i++)
		st->counters[i] =
			scoreboard_count(core->sb, (enum counter_id)i);
	memset(&st->wait, 0, sizeof(st->wait));
	memset(&st->scan, 0, sizeof(st->scan));
	scoreboard_wait(core->sb, &st->wait);
	scoreboard_scan(core->sb, &st->scan);
}

int statistics_init(struct core *core, struct err *err)
{
	struct statistics *st = xcalloc(1, sizeof(*st));

	(void)err;
	core->statistics = st;
	begin_at_zero(core);
	st->timer =
		loop_timer(core->loop, STATISTICS_DRAIN_MS, true, drain, core);
	return 0;
}

void statistics_deinit(struct core *core)
{
	if (!core->statistics)
		return;
	loop_cancel(&core->statistics->timer);
	xfree(&core->statistics);
}

void verb_statistics(struct core *core, struct ipc_call *call, json_t *args)
{
	bool reset = json_is_true(json_object_get(args, "reset"));
	long long top;
	json_t *data;
	struct err err;

	if (dispatch_arg_i64(args, "top", TOP_DEFAULT, 0, TOP_ENTRIES, &top,
			     &err)) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	/* Looking is for everybody; what others count on is not. */
	if (reset && dispatch_role(core, call) < VERB_OPERATOR) {
		dispatch_fail(core, call, "denied",
			      "--reset needs the role operator");
		return;
	}
	data = statistics_json(core, (int)top);
	if (reset)
		statistics_reset(core);
	dispatch_reply(core, call, data);
}
