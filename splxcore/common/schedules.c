/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "schedules.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "lib/cron.h"
#include "lib/str.h"
#include "paths.h"
#include "schedules_impl.h"
#include "verdict.h"

#define MAX_TIME_MS (30ull * 86400000)

static void entry_free(struct schedule *s)
{
	entryfile_words_free(&s->paths);
	entryfile_words_free(&s->exclude);
	xfree(&s->when);
	xfree(&s->report);
}

static void entry_begin(struct schedule *s, int line)
{
	memset(s, 0, sizeof(*s));
	s->line = line;
	s->exclusions = s->resume = true;
	s->first_action = s->second_action = -1;
}

/* ---- the keys ---- */

/*
 * Each takes the words of a value to `to`, a field of the entry; `hint` is its
 * key's. -1 and *err with what is allowed.
 */
struct key {
	int (*set)(void *to, const struct entryfile_words *words,
		   const char *const hint[2], struct err *err);
	size_t field;
	const char *hint[2];
};

static int set_when(void *to, const struct entryfile_words *words,
		    const char *const hint[2], struct err *err)
{
	struct str all = {0};
	struct cron cron;
	char **w;

	/* Lists in a field have commas, too. */
	vec_each (w, words)
		str_addf(&all, "%s%s", all.len ? "," : "", *w);
	if (cron_parse(str_get(&all), 0, &cron, err) < 0) {
		str_free(&all);
		return -1;
	}
	*(char **)to = str_take(&all);
	return 0;
}

static int set_paths(void *to, const struct entryfile_words *words,
		     const char *const hint[2], struct err *err)
{
	struct entryfile_words *list = to;
	char **w;

	vec_each (w, words)
		if (**w != '/' || strlen(*w) >= PATH_MAX)
			return err_set(err, 0,
				       "%s: full paths, separated by commas, "
				       "are allowed",
				       *w);
	vec_each (w, words)
		vec_push(list, xstrdup(*w));
	return 0;
}

/* Hints: the word for true, the one for false. */
static int set_choice(void *to, const struct entryfile_words *words,
		      const char *const hint[2], struct err *err)
{
	bool yes = words->len == 1 && strcasecmp(words->items[0], hint[0]) == 0;

	if (!yes &&
	    (words->len != 1 || strcasecmp(words->items[0], hint[1]) != 0))
		return err_set(err, 0, "%s or %s is allowed", hint[0], hint[1]);
	*(bool *)to = yes;
	return 0;
}

/* Hint: "clean, " where that is allowed, else "". */
static int set_action(void *to, const struct entryfile_words *words,
		      const char *const hint[2], struct err *err)
{
	int action = words->len == 1 ? action_parse(words->items[0]) : -1;

	if (words->len == 1 && strcmp(words->items[0], "default") == 0)
		action = -1;
	else if (action < 0 || action == ACTION_NONE ||
		 (!*hint[0] && action == ACTION_CLEAN))
		return err_set(err, 0,
			       "default, %squarantine, delete, rename, deny or "
			       "pass is allowed",
			       hint[0]);
	*(int *)to = action;
	return 0;
}

static int set_max_time(void *to, const struct entryfile_words *words,
			const char *const hint[2], struct err *err)
{
	uint64_t ms = 0;

	if (words->len != 1 ||
	    (strcmp(words->items[0], "0") != 0 &&
	     (str_to_duration(words->items[0], 0, &ms, NULL) < 0 || ms < 1000 ||
	      ms > MAX_TIME_MS)))
		return err_set(err, 0,
			       "a duration from 1s to 30d is allowed, such as "
			       "6h; 0: no limit");
	*(uint64_t *)to = ms;
	return 0;
}

/* It stands in a header that a program reads. */
static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	for (const char *p = text; *p; p++)
		if (!isascii(*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("@._+-=", *p)))
			return false;
	return isascii(*text) && isalnum((unsigned char)*text) &&
	       strlen(text) < 255 && (!at || (at[1] && !strchr(at + 1, '@')));
}

static int set_report(void *to, const struct entryfile_words *words,
		      const char *const hint[2], struct err *err)
{
	const char *word = words->len == 1 ? words->items[0] : "";

	if (strcmp(word, "none") != 0 && (*word != '/' || !word[1]) &&
	    !(str_starts(word, "mail:") && is_address(word + 5)))
		return err_set(err, 0,
			       "none, mail:ADDRESS, or the full path of a "
			       "directory is allowed");
	*(char **)to = xstrdup(word);
	return 0;
}

#define KEYS(KEY)                                                              \
	KEY("When", set_when, when, "", "")                                    \
	KEY("Paths", set_paths, paths, "", "")                                 \
	KEY("Exclusions", set_choice, exclusions, "yes", "no")                 \
	KEY("Exclude", set_paths, exclude, "", "")                             \
	KEY("All", set_choice, all, "yes", "no")                               \
	KEY("FirstAction", set_action, first_action, "clean, ", "")            \
	KEY("SecondAction", set_action, second_action, "", "")                 \
	KEY("Priority", set_choice, low, "low", "normal")                      \
	KEY("MaxTime", set_max_time, max_ms, "", "")                           \
	KEY("Resume", set_choice, resume, "yes", "no")                         \
	KEY("Missed", set_choice, missed, "run", "skip")                       \
	KEY("Report", set_report, report, "", "")

#define KEY_NAME(name, setter, member, a, b) name,
#define KEY_ROW(name, setter, member, a, b)                                    \
	{setter, offsetof(struct schedule, member), {a, b}},
static const char *const key_names[] = {KEYS(KEY_NAME)};
static const struct key keys[] = {KEYS(KEY_ROW)};

/* ---- reading ---- */

/* A file on its way to a list. */
struct reader {
	struct schedules *list;
	struct schedule entry; /* the one that is being read */
};

const struct schedule *schedules_find(const struct schedules *list,
				      const char *name)
{
	const struct schedule *s;

	vec_each (s, &list->entries)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static void end_entry(struct entryfile *ef, void *arg)
{
	struct reader *r = arg;
	struct schedule *s = &r->entry;

	if (!entryfile_is_void(ef) && !s->paths.len)
		entryfile_wrong(ef, "%s: has no Paths; it is void", s->name);
	if (!entryfile_is_void(ef) && schedules_find(r->list, s->name))
		entryfile_wrong(ef, "%s: stands twice; this one is void",
				s->name);
	if (!entryfile_is_void(ef) && r->list->entries.len >= SCHEDULES_MAX)
		entryfile_wrong(ef, "more than %d entries; this one is void",
				SCHEDULES_MAX);
	if (entryfile_is_void(ef)) {
		entry_free(s);
		return;
	}
	if (!s->when)
		s->when = xstrdup("off");
	if (!s->report)
		s->report = xstrdup("none");
	vec_push(&r->list->entries, *s);
}

/* What stands between the brackets. */
static bool take_name(char *text, char name[SCAN_NAME_MAX + 1])
{
	text = str_trim(text);
	return scan_name_valid(text) && str_copy(name, SCAN_NAME_MAX + 1, text);
}

static void begin_entry(struct entryfile *ef, char *text, void *arg)
{
	struct reader *r = arg;

	entry_begin(&r->entry, entryfile_line(ef));
	if (!entryfile_is_void(ef) && !take_name(text, r->entry.name))
		entryfile_wrong(ef,
				"an entry begins with [NAME], a letter and "
				"then at most %d letters, digits, _ and -; "
				"this one is void",
				SCAN_NAME_MAX - 1);
}

static int take_value(struct schedule *s, int key, const char *value,
		      struct err *err)
{
	struct entryfile_words words = {0};
	int rc = entryfile_words(value, &words, err);

	if (rc == 0)
		rc = keys[key].set((char *)s + keys[key].field, &words,
				   keys[key].hint, err);
	entryfile_words_free(&words);
	return rc < 0 ? err_add(err, "%s", key_names[key]) : 0;
}

static void set_key(struct entryfile *ef, int key, char *value, void *arg)
{
	struct schedule *s = &((struct reader *)arg)->entry;
	struct err err;

	if (take_value(s, key, value, &err) < 0)
		entryfile_wrong(ef, "%s; %s is void", err.text, s->name);
}

static const struct entryfile_kind kind = {
	.head = "[NAME]",
	.keys = key_names,
	.keys_len = sizeof(key_names) / sizeof(key_names[0]),
	.begin = begin_entry,
	.set = set_key,
	.end = end_entry,
};

const struct entryfile_kind *schedules_kind(void)
{
	return &kind;
}

struct schedules *schedules_parse(const char *text, const char *name)
{
	struct schedules *list = xcalloc(1, sizeof(*list));
	struct reader r = {.list = list};

	entryfile_parse(&kind, text, name, &list->problems, &r);
	return list;
}

struct schedules *schedules_read(void)
{
	const char *path = paths()->scans;
	struct schedules *list;
	struct err err;
	char *text = entryfile_read(path, SCHEDULES_FILE_MAX, &err);

	if (text) {
		list = schedules_parse(text, path);
	} else {
		list = xcalloc(1, sizeof(*list));
		if (err.code != ENOENT)
			entryfile_problem(
				&list->problems, path,
				"cannot be read, no scan is scheduled: %s",
				err.code ? strerror(err.code) : err.text);
	}
	free(text);
	return list;
}

void schedules_free(struct schedules **list)
{
	struct schedule *s;

	if (!*list)
		return;
	vec_each (s, &(*list)->entries)
		entry_free(s);
	vec_free(&(*list)->entries);
	entryfile_problems_free(&(*list)->problems);
	xfree(list);
}

/* ---- what follows ---- */

const char *schedule_mail(const struct schedule *s)
{
	return str_starts(s->report, "mail:") ? s->report + 5 : NULL;
}

json_t *schedule_spec(const struct schedule *s, const struct conf *conf)
{
	int first = s->first_action, second = s->second_action;
	json_t *spec = json_object(), *list = json_array();
	char **path;

	if (first < 0)
		first = conf_action(conf, "ScheduledFirstAction");
	if (second < 0)
		second = conf_action(conf, "ScheduledSecondAction");
	vec_each (path, &s->paths) {
		char *word = scan_path_encode(*path);

		json_array_append_new(list, json_string(word));
		free(word);
	}
	json_object_set_new(spec, "path", list);
	json_object_set_new(spec, "schedule", json_string(s->name));
	json_object_set_new(spec, "source", json_string("scheduled"));
	json_object_set_new(spec, "action",
			    json_string(action_name((enum action)first)));
	json_object_set_new(spec, "second",
			    json_string(action_name((enum action)second)));
	if (s->all)
		json_object_set_new(spec, "all", json_true());
	if (!s->exclusions)
		json_object_set_new(spec, "no-exclusions", json_true());
	if (s->resume)
		json_object_set_new(spec, "resume", json_true());
	return spec;
}

uint64_t schedule_seed(uint64_t machine, const char *name)
{
	for (; *name; name++)
		machine = (machine ^ (unsigned char)*name) * 0x100000001b3ull;
	return machine;
}
