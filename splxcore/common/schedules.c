/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "schedules.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "lib/cron.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "nearest.h"
#include "paths.h"
#include "schedules_impl.h"
#include "verdict.h"

#define MAX_TIME_MS (30ull * 86400000)

static void words_free(struct schedule_words *words)
{
	char **w;

	vec_each (w, words)
		free(*w);
	vec_free(words);
}

static void entry_free(struct schedule *s)
{
	words_free(&s->paths);
	words_free(&s->exclude);
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

/* Each takes the words of a value; -1 and *err with what is allowed. */

static int set_when(struct schedule *s, struct schedule_words *words,
		    struct err *err)
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
	s->when = str_take(&all);
	return 0;
}

static int take_paths(struct schedule_words *to, struct schedule_words *words,
		      struct err *err)
{
	char **w;

	vec_each (w, words)
		if (**w != '/' || strlen(*w) >= PATH_MAX)
			return err_set(err, 0,
				       "%s: full paths, separated by commas, "
				       "are allowed",
				       *w);
	vec_each (w, words)
		vec_push(to, xstrdup(*w));
	return 0;
}

static int set_paths(struct schedule *s, struct schedule_words *words,
		     struct err *err)
{
	return take_paths(&s->paths, words, err);
}

static int set_exclude(struct schedule *s, struct schedule_words *words,
		       struct err *err)
{
	return take_paths(&s->exclude, words, err);
}

static int take_choice(const struct schedule_words *words, const char *yes,
		       const char *no, bool *out, struct err *err)
{
	if (words->len == 1 && strcasecmp(words->items[0], yes) == 0)
		*out = true;
	else if (words->len == 1 && strcasecmp(words->items[0], no) == 0)
		*out = false;
	else
		return err_set(err, 0, "%s or %s is allowed", yes, no);
	return 0;
}

static int set_exclusions(struct schedule *s, struct schedule_words *words,
			  struct err *err)
{
	return take_choice(words, "yes", "no", &s->exclusions, err);
}

static int set_all(struct schedule *s, struct schedule_words *words,
		   struct err *err)
{
	return take_choice(words, "yes", "no", &s->all, err);
}

static int set_priority(struct schedule *s, struct schedule_words *words,
			struct err *err)
{
	return take_choice(words, "low", "normal", &s->low, err);
}

static int set_resume(struct schedule *s, struct schedule_words *words,
		      struct err *err)
{
	return take_choice(words, "yes", "no", &s->resume, err);
}

static int set_missed(struct schedule *s, struct schedule_words *words,
		      struct err *err)
{
	return take_choice(words, "run", "skip", &s->missed, err);
}

static int take_action(const struct schedule_words *words, bool first, int *out,
		       struct err *err)
{
	int action = words->len == 1 ? action_parse(words->items[0]) : -1;

	if (words->len == 1 && strcmp(words->items[0], "default") == 0)
		*out = -1;
	else if (action < 0 || action == ACTION_NONE ||
		 (!first && action == ACTION_CLEAN))
		return err_set(err, 0,
			       "default, %squarantine, delete, rename, deny or "
			       "pass is allowed",
			       first ? "clean, " : "");
	else
		*out = action;
	return 0;
}

static int set_first(struct schedule *s, struct schedule_words *words,
		     struct err *err)
{
	return take_action(words, true, &s->first_action, err);
}

static int set_second(struct schedule *s, struct schedule_words *words,
		      struct err *err)
{
	return take_action(words, false, &s->second_action, err);
}

static int set_max_time(struct schedule *s, struct schedule_words *words,
			struct err *err)
{
	if (words->len != 1 ||
	    (strcmp(words->items[0], "0") != 0 &&
	     (str_to_duration(words->items[0], 0, &s->max_ms, NULL) < 0 ||
	      s->max_ms < 1000 || s->max_ms > MAX_TIME_MS)))
		return err_set(err, 0,
			       "a duration from 1s to 30d is allowed, such as "
			       "6h; 0: no limit");
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

static int set_report(struct schedule *s, struct schedule_words *words,
		      struct err *err)
{
	const char *word = words->len == 1 ? words->items[0] : "";

	if (strcmp(word, "none") != 0 && (*word != '/' || !word[1]) &&
	    !(str_starts(word, "mail:") && is_address(word + 5)))
		return err_set(err, 0,
			       "none, mail:ADDRESS, or the full path of a "
			       "directory is allowed");
	s->report = xstrdup(word);
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct schedule *s, struct schedule_words *words,
		   struct err *err);
} keys[] = {
	{"When", set_when},
	{"Paths", set_paths},
	{"Exclusions", set_exclusions},
	{"Exclude", set_exclude},
	{"All", set_all},
	{"FirstAction", set_first},
	{"SecondAction", set_second},
	{"Priority", set_priority},
	{"MaxTime", set_max_time},
	{"Resume", set_resume},
	{"Missed", set_missed},
	{"Report", set_report},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

const char *schedules_key_name(int key)
{
	return keys[key].name;
}

static void unknown_key(const char *word, int nearest, struct err *err)
{
	struct str all = {0};

	if (nearest >= 0) {
		err_set(err, 0, "%s: no such key; did you mean %s?", word,
			keys[nearest].name);
		return;
	}
	for (size_t i = 0; i < KEYS; i++)
		str_addf(&all, "%s%s", i ? ", " : "", keys[i].name);
	err_set(err, 0, "%s: no such key; allowed: %s", word, str_get(&all));
	str_free(&all);
}

int schedules_key(const char *word, struct err *err)
{
	int best = -1, least = INT_MAX, d;

	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(word, keys[i].name) == 0)
			return (int)i;
		d = nearest_distance(word, keys[i].name);
		if (d < least && nearest_plausible(word, keys[i].name, d)) {
			best = (int)i;
			least = d;
		}
	}
	unknown_key(word, best, err);
	return -1;
}

/* ---- reading ---- */

/* A file on its way to a list. */
struct reader {
	struct schedules *list;
	const char *name;
	int line;
	struct schedule entry; /* the one that is being read */
	bool open;	       /* there is one */
	bool is_void;	       /* something in it is wrong */
	unsigned int seen;     /* bits of its keys */
};

static void problem(struct reader *r, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void problem(struct reader *r, int line, const char *fmt, ...)
{
	struct schedule_problem p = {.line = line};
	struct str text = {0}, said = {0};
	va_list ap;
	size_t size;

	va_start(ap, fmt);
	str_vaddf(&said, fmt, ap);
	va_end(ap);
	if (line)
		str_addf(&text, "%s:%d: %s", r->name, line, str_get(&said));
	else
		str_addf(&text, "%s: %s", r->name, str_get(&said));
	size = text.len * 4 + 1;
	p.text = xmalloc(size);
	log_escape(p.text, size, str_get(&text));
	str_free(&said);
	str_free(&text);
	vec_push(&r->list->problems, p);
	r->is_void = true;
}

const struct schedule *schedules_find(const struct schedules *list,
				      const char *name)
{
	const struct schedule *s;

	vec_each (s, &list->entries)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static void end_entry(struct reader *r)
{
	struct schedule *s = &r->entry;

	if (!r->open)
		return;
	r->open = false;
	if (!r->is_void && !s->paths.len)
		problem(r, s->line, "%s: has no Paths; it is void", s->name);
	if (!r->is_void && schedules_find(r->list, s->name))
		problem(r, s->line, "%s: stands twice; this one is void",
			s->name);
	if (!r->is_void && r->list->entries.len >= SCHEDULES_MAX)
		problem(r, s->line, "more than %d entries; this one is void",
			SCHEDULES_MAX);
	if (r->is_void) {
		entry_free(s);
		return;
	}
	if (!s->when)
		s->when = xstrdup("off");
	if (!s->report)
		s->report = xstrdup("none");
	vec_push(&r->list->entries, *s);
}

bool schedules_is_rest(const char *rest)
{
	rest += strspn(rest, " \t\r");
	return !*rest || *rest == '#';
}

bool schedules_head(const char *line, char name[SCAN_NAME_MAX + 1])
{
	const char *close = strchr(line, ']');
	char *copy;
	bool ok;

	if (*line != '[' || !close || !schedules_is_rest(close + 1))
		return false;
	copy = xstrndup(line + 1, (size_t)(close - line) - 1);
	ok = scan_name_valid(str_trim(copy));
	if (ok)
		str_copy(name, SCAN_NAME_MAX + 1, str_trim(copy));
	free(copy);
	return ok;
}

static void begin_entry(struct reader *r, const char *line)
{
	end_entry(r);
	entry_begin(&r->entry, r->line);
	r->open = true;
	r->is_void = false;
	r->seen = 0;
	if (!schedules_head(line, r->entry.name))
		problem(r, r->line,
			"an entry begins with [NAME], a letter and then at "
			"most %d letters, digits, _ and -; this one is void",
			SCAN_NAME_MAX - 1);
}

/* One word of a value, in quotes; *at is moved behind it. NULL: not closed. */
static char *quoted(const char **at)
{
	struct str b = {0};
	const char *p = *at + 1;

	str_add(&b, "");
	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		str_addn(&b, p, 1);
	}
	*at = *p ? p + 1 : p;
	if (*p)
		return b.s ? str_take(&b) : xstrdup("");
	str_free(&b);
	return NULL;
}

static char *plain(const char **at)
{
	size_t n = strcspn(*at, ",#");
	char *copy, *word;

	/* A comment begins after a blank. */
	while ((*at)[n] == '#' && n > 0 &&
	       !isblank((unsigned char)(*at)[n - 1]))
		n += 1 + strcspn(*at + n + 1, ",#");
	copy = xstrndup(*at, n);
	word = xstrdup(str_trim(copy));

	*at += n;
	free(copy);
	return word;
}

int schedules_words(const char *value, struct schedule_words *words,
		    struct err *err)
{
	const char *at = value;
	char *word;

	for (;;) {
		at += strspn(at, " \t\r");
		word = *at == '"' ? quoted(&at) : plain(&at);
		if (!word)
			return err_set(err, 0, "the closing \" is missing");
		vec_push(words, word);
		if (!*word)
			return err_set(err, 0, "a value is missing");
		if (words->len > SCHEDULE_WORDS_MAX)
			return err_set(err, 0, "more than %d values",
				       SCHEDULE_WORDS_MAX);
		at += strspn(at, " \t\r");
		if (schedules_is_rest(at))
			return 0;
		if (*at++ != ',')
			return err_set(err, 0, "a comma is missing after %s",
				       word);
	}
}

static int set_key(struct schedule *s, int key, const char *value,
		   struct err *err)
{
	struct schedule_words words = {0};
	int rc = schedules_words(value, &words, err);

	if (rc == 0)
		rc = keys[key].set(s, &words, err);
	words_free(&words);
	return rc < 0 ? err_add(err, "%s", keys[key].name) : 0;
}

static bool has_control(const char *line)
{
	for (; *line; line++)
		if (((unsigned char)*line < ' ' && *line != '\t') ||
		    *line == 0x7f)
			return true;
	return false;
}

static void take_line(struct reader *r, char *line)
{
	struct err err;
	char *eq;
	int key;

	line = str_trim(line);
	if (!*line || *line == '#')
		return;
	if (*line == '[') {
		begin_entry(r, line);
		return;
	}
	if (!r->open) {
		problem(r, r->line,
			"belongs to no entry: it begins with [NAME]");
		return;
	}
	eq = strchr(line, '=');
	if (has_control(line) || !eq) {
		problem(r, r->line, "%s; the entry is void",
			eq ? "holds a control character"
			   : "is no \"Key = value\"");
		return;
	}
	*eq = '\0';
	key = schedules_key(str_trim(line), &err);
	if (key < 0)
		problem(r, r->line, "%s; %s is void", err.text, r->entry.name);
	else if (r->seen & 1u << key)
		problem(r, r->line, "%s: stands twice in %s, which is void",
			keys[key].name, r->entry.name);
	else if (set_key(&r->entry, key, eq + 1, &err) < 0)
		problem(r, r->line, "%s; %s is void", err.text, r->entry.name);
	if (key >= 0)
		r->seen |= 1u << key;
}

struct schedules *schedules_parse(const char *text, const char *name)
{
	struct schedules *list = xcalloc(1, sizeof(*list));
	struct reader r = {.list = list, .name = name};

	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = xstrndup(text, n);

		r.line++;
		take_line(&r, line);
		free(line);
		text += n + (text[n] == '\n');
	}
	end_entry(&r);
	return list;
}

struct schedules *schedules_read(void)
{
	const char *path = paths()->scans;
	struct schedules *list;
	struct err err = {0};
	char *text = NULL;
	size_t len;

	if (fd_read_file(path, SCHEDULES_FILE_MAX, &text, &len, &err) < 0 ||
	    memchr(text, '\0', len)) {
		struct reader r = {.list = xcalloc(1, sizeof(*r.list)),
				   .name = path};

		list = r.list;
		free(text);
		if (err.code != ENOENT)
			problem(&r, 0,
				"cannot be read, no scan is scheduled: "
				"%s",
				err.code ? strerror(err.code)
					 : "it holds a NUL byte");
		return list;
	}
	list = schedules_parse(text, path);
	free(text);
	return list;
}

void schedules_free(struct schedules **list)
{
	struct schedule_problem *p;
	struct schedule *s;

	if (!*list)
		return;
	vec_each (s, &(*list)->entries)
		entry_free(s);
	vec_free(&(*list)->entries);
	vec_each (p, &(*list)->problems)
		free(p->text);
	vec_free(&(*list)->problems);
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
