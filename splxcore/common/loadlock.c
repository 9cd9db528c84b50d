/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The load lock's lines, their ages, and when they lock; loadlock_file.c has
 * the file. */
#include "loadlock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"

/* A wall time that is off by less was not set anew: both clocks are cut to
 * seconds, and time servers correct a little. */
#define SLACK 2
/* Beyond these nobody has meant it: 1970 to 9999. */
#define TIME_MAX 253402300799ll
#define UP_MAX (100ll * 366 * 86400)
#define LINE_MAX_LEN 512
#define BOOT_LEN 36

static const char head[] =
	"# The load lock of splx's kernel module, see splxctl(8). It is made "
	"anew at each\n# start. What locks are the lines that begin with "
	"\"crash\":\n# splxctl module unlock, or stop, remove this file, "
	"start.\n";

static const char *const kinds[] = {
	[LOADLOCK_START] = "start",
	[LOADLOCK_CRASH] = "crash",
	[LOADLOCK_CLEARED] = "cleared",
};
static const char *const bys[] = {
	[LOADLOCK_BY_LOAD] = "load",
	[LOADLOCK_BY_SERVICE] = "service",
};

void loadlock_policy(const struct conf *conf, struct loadlock_policy *policy_r)
{
	policy_r->window = (int64_t)(conf->load_lock_window / 1000);
	policy_r->max = (unsigned int)conf->load_lock_max_crashes;
}

/* ---- words of a line ---- */

/* FNV-1a: it has to tell a torn line, not a forged one. */
static uint32_t sum_of(const char *s, size_t len)
{
	uint32_t h = 0x811c9dc5u;

	while (len--)
		h = (h ^ (unsigned char)*s++) * 0x01000193u;
	return h;
}

static void time_text(int64_t t, char out[24])
{
	time_t when = (time_t)t;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool read_time(const char *s, int64_t *out_r)
{
	struct tm tm = {0};
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (!end || *end)
		return false;
	*out_r = (int64_t)timegm(&tm);
	return *out_r >= 0 && *out_r <= TIME_MAX;
}

static bool read_boot(const char *s, char out[LOADLOCK_BOOT])
{
	return strlen(s) == BOOT_LEN &&
	       strspn(s, "0123456789abcdef-") == BOOT_LEN &&
	       str_copy(out, LOADLOCK_BOOT, s);
}

static int word_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s, words[i]))
			return (int)i;
	return -1;
}
#define WORD_OF(s, words) word_of(s, words, sizeof(words) / sizeof((words)[0]))

/* What a line says, before it is known where in time that is. */
struct line {
	struct loadlock_entry e;
	char seen[LOADLOCK_BOOT]; /* whose clock `up` is of */
	int64_t up;
	bool has_time, has_up, has_by, has_count;
};

static bool read_yes_no(const char *s, bool *out_r)
{
	*out_r = !strcmp(s, "yes");
	return *out_r || !strcmp(s, "no");
}

/* One key=value; unknown keys are a later version's. */
static bool read_field(struct line *l, const char *key, const char *value)
{
	int64_t n;
	int by;

	if (!strcmp(key, "boot"))
		return read_boot(value, l->e.boot);
	if (!strcmp(key, "seen"))
		return read_boot(value, l->seen);
	if (!strcmp(key, "time"))
		return l->has_time = read_time(value, &l->e.time);
	if (!strcmp(key, "up"))
		return l->has_up = !str_to_i64(value, -UP_MAX, UP_MAX, &l->up,
					       NULL);
	if (!strcmp(key, "kernel"))
		return str_copy(l->e.kernel, sizeof(l->e.kernel), value);
	if (!strcmp(key, "by")) {
		by = WORD_OF(value, bys);
		l->e.by = (enum loadlock_by)by;
		return l->has_by = by >= 0;
	}
	if (!strcmp(key, "told"))
		return read_yes_no(value, &l->e.told);
	if (!strcmp(key, "count")) {
		l->has_count = !str_to_i64(value, 0, 1000000, &n, NULL);
		l->e.count = l->has_count ? (unsigned int)n : 0;
		return l->has_count;
	}
	return true;
}

static bool is_complete(struct line *l)
{
	if (!l->has_time || !l->has_up)
		return false;
	switch (l->e.kind) {
	case LOADLOCK_START:
		memcpy(l->seen, l->e.boot, sizeof(l->seen));
		return l->e.boot[0] && l->has_by;
	case LOADLOCK_CRASH:
		return l->e.boot[0] && l->seen[0];
	case LOADLOCK_CLEARED:
		return l->seen[0] && l->has_count;
	}
	return false;
}

/* Whole, and ours? `text` is written to. */
static bool read_line(char *text, struct line *l)
{
	char *sum = strstr(text, " sum="), *save, *word, *value, right[16];
	int kind;

	memset(l, 0, sizeof(*l));
	if (!sum)
		return false;
	snprintf(right, sizeof(right), " sum=%08" PRIx32,
		 sum_of(text, (size_t)(sum - text)));
	if (strcmp(sum, right) != 0)
		return false;
	*sum = '\0';
	word = strtok_r(text, " ", &save);
	kind = word ? WORD_OF(word, kinds) : -1;
	if (kind < 0)
		return false;
	l->e.kind = (enum loadlock_kind)kind;
	while ((word = strtok_r(NULL, " ", &save))) {
		value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = '\0';
		if (!read_field(l, word, value))
			return false;
	}
	return is_complete(l);
}

/* ---- a place in time ---- */

/*
 * A time of this boot is taken as it is; the wall time of one that was told by
 * another boot's clock shows how long ago it was, but it was before this boot
 * began, whatever the clock says.
 */
static void place(struct line *l, const struct loadlock_now *now)
{
	bool own = now->boot[0] && !strcmp(l->seen, now->boot);

	if (own) {
		l->e.at = l->up < now->up ? l->up : now->up;
		return;
	}
	l->e.at = l->e.time - (now->real - now->up);
	if (l->e.at > 0)
		l->e.at = 0;
}

/* Oldest first; the oldest goes when there is no room. */
static void insert(struct loadlock *lock, const struct loadlock_entry *e)
{
	unsigned int i;

	if (lock->n == LOADLOCK_MAX) {
		if (e->at <= lock->entries[0].at)
			return;
		memmove(lock->entries, lock->entries + 1,
			(LOADLOCK_MAX - 1) * sizeof(*e));
		lock->n--;
	}
	for (i = lock->n; i > 0 && lock->entries[i - 1].at > e->at; i--)
		lock->entries[i] = lock->entries[i - 1];
	lock->entries[i] = *e;
	lock->n++;
}

static void drop(struct loadlock *lock, unsigned int i)
{
	memmove(lock->entries + i, lock->entries + i + 1,
		(lock->n - i - 1) * sizeof(lock->entries[0]));
	lock->n--;
}

static bool has(const struct loadlock *lock, const struct loadlock_entry *e)
{
	for (unsigned int i = 0; i < lock->n; i++) {
		const struct loadlock_entry *o = &lock->entries[i];

		if (o->kind == e->kind && o->by == e->by &&
		    o->kind != LOADLOCK_CLEARED && !strcmp(o->boot, e->boot))
			return true;
	}
	return false;
}

void loadlock_parse(struct loadlock *lock_r, const char *text,
		    const struct loadlock_now *now)
{
	const char *end, *at;
	char line[LINE_MAX_LEN];
	struct line l;
	size_t len;

	memset(lock_r, 0, sizeof(*lock_r));
	for (at = text; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		len = (size_t)(end - at);
		if (!len || *at == '#')
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)len, at);
		if (len < sizeof(line) && *end && read_line(line, &l)) {
			place(&l, now);
			if (!has(lock_r, &l.e))
				insert(lock_r, &l.e);
			continue;
		}
		if (!lock_r->voids++)
			snprintf(lock_r->void_line, sizeof(lock_r->void_line),
				 "%.*s", (int)len, at);
	}
}

/* The wall time of an entry, as it was told while it still holds. */
static int64_t wall(const struct loadlock_entry *e,
		    const struct loadlock_now *now)
{
	int64_t t = now->real - now->up + e->at;

	if (llabs(t - e->time) <= SLACK)
		t = e->time;
	return t < 0 ? 0 : t > TIME_MAX ? TIME_MAX : t;
}

static void format_entry(const struct loadlock_entry *e,
			 const struct loadlock_now *now, struct str *text)
{
	struct str b = {0};
	char when[24];

	time_text(wall(e, now), when);
	str_addf(&b, "%s", kinds[e->kind]);
	if (e->kind != LOADLOCK_CLEARED)
		str_addf(&b, " boot=%s", e->boot);
	str_addf(&b, " time=%s up=%" PRId64, when, e->at);
	if (e->kind == LOADLOCK_START)
		str_addf(&b, " by=%s", bys[e->by]);
	else
		str_addf(&b, " seen=%s", now->boot);
	if (e->kind == LOADLOCK_CRASH)
		str_addf(&b, " told=%s", e->told ? "yes" : "no");
	if (e->kind == LOADLOCK_CLEARED)
		str_addf(&b, " count=%u", e->count);
	if (e->kernel[0])
		str_addf(&b, " kernel=%s", e->kernel);
	str_addf(text, "%s sum=%08" PRIx32 "\n", str_get(&b),
		 sum_of(str_get(&b), b.len));
	str_free(&b);
}

void loadlock_format(const struct loadlock *lock,
		     const struct loadlock_now *now, struct str *text_r)
{
	if (!lock->n)
		return;
	str_add(text_r, head);
	for (unsigned int i = 0; i < lock->n; i++)
		format_entry(&lock->entries[i], now, text_r);
}

/* ---- what follows ---- */

static bool is_foreign_start(const struct loadlock_entry *e,
			     const struct loadlock_now *now)
{
	/* Where this boot has no name none can be told from it. */
	return e->kind == LOADLOCK_START && now->boot[0] &&
	       strcmp(e->boot, now->boot) != 0;
}

void loadlock_settle(struct loadlock *lock, const struct loadlock_now *now,
		     int64_t window)
{
	unsigned int i = 0;

	while (i < lock->n) {
		struct loadlock_entry crash = lock->entries[i];

		if (!is_foreign_start(&crash, now)) {
			i++;
			continue;
		}
		drop(lock, i);
		crash.kind = LOADLOCK_CRASH;
		crash.by = LOADLOCK_BY_LOAD;
		crash.at = 0;
		crash.time = now->real - now->up;
		if (has(lock, &crash))
			continue;
		insert(lock, &crash);
		i = 0;
	}
	for (i = lock->n; i-- > 0;)
		if (lock->entries[i].kind == LOADLOCK_CRASH &&
		    now->up - lock->entries[i].at >= window)
			drop(lock, i);
}

unsigned int loadlock_crashes(const struct loadlock *lock)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < lock->n; i++)
		n += lock->entries[i].kind == LOADLOCK_CRASH;
	return n;
}

static bool was_let_in(const struct loadlock *lock,
		       const struct loadlock_now *now)
{
	for (unsigned int i = 0; i < lock->n; i++)
		if (lock->entries[i].kind == LOADLOCK_START && now->boot[0] &&
		    !strcmp(lock->entries[i].boot, now->boot))
			return true;
	return false;
}

bool loadlock_locks(const struct loadlock *lock, const struct loadlock_now *now,
		    const struct loadlock_policy *policy, int64_t *free_in_r)
{
	unsigned int n = loadlock_crashes(lock), past, i;

	*free_in_r = 0;
	if (!policy->max || n < policy->max || was_let_in(lock, now))
		return false;
	/* So many of the oldest have to go. */
	past = n - policy->max + 1;
	for (i = 0; past; i++)
		if (lock->entries[i].kind == LOADLOCK_CRASH && !--past)
			*free_in_r = policy->window -
				     (now->up - lock->entries[i].at);
	if (*free_in_r < 1)
		*free_in_r = 1;
	return true;
}

char *loadlock_text(const struct loadlock_state *state,
		    const struct loadlock_now *now,
		    const struct loadlock_policy *policy, char *out,
		    size_t size)
{
	const struct loadlock *lock = &state->lock;
	const struct loadlock_entry *last = NULL;
	unsigned int n = loadlock_crashes(lock);
	char window[32], ago[32];

	for (unsigned int i = 0; i < lock->n; i++)
		if (lock->entries[i].kind == LOADLOCK_CRASH)
			last = &lock->entries[i];
	str_duration(window, sizeof(window), (uint64_t)policy->window * 1000);
	if (!last) {
		snprintf(out, size, "no crash within %s", window);
		return out;
	}
	str_duration(ago, sizeof(ago), (uint64_t)(now->up - last->at) * 1000);
	snprintf(out, size,
		 "the machine went down without a clean end %u time%s within "
		 "%s while the kernel module was in use (last %s ago, kernel "
		 "%s)",
		 n, n == 1 ? "" : "s", window, ago,
		 last->kernel[0] ? last->kernel : "unknown");
	return out;
}
