/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Writing schedules: one key in a file that is somebody's own, and as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "schedules_impl.h"
#include "verdict.h"

/* ---- the text of a file ---- */

/* Where an entry lies in a text; begin == end: it is not there. */
struct span {
	size_t begin; /* of its head's line */
	size_t body;  /* of the line after that */
	size_t end;   /* of its last line that says something */
	size_t key;   /* of the line with the key; 0: there is none */
	size_t key_end;
};

static size_t line_end(const char *text, size_t at)
{
	size_t n = strcspn(text + at, "\n");

	return at + n + (text[at + n] == '\n');
}

static bool is_key(const char *line, const char *key)
{
	char *copy = xstrndup(line, strcspn(line, "\n")), *eq;
	bool is;

	eq = strchr(copy, '=');
	if (eq)
		*eq = '\0';
	is = eq && strcmp(str_trim(copy), key) == 0;
	free(copy);
	return is;
}

/* The name of the entry that begins in this line. */
static bool is_head(const char *line, char name[SCAN_NAME_MAX + 1])
{
	size_t blanks = strspn(line, " \t");
	char *copy;
	bool is;

	if (line[blanks] != '[')
		return false;
	copy = xstrndup(line + blanks, strcspn(line + blanks, "\n"));
	if (!schedules_head(copy, name))
		*name = '\0';
	is = true;
	free(copy);
	return is;
}

static struct span find(const char *text, const char *name, const char *key)
{
	char head[SCAN_NAME_MAX + 1];
	struct span s = {0};
	bool in = false;
	size_t at, next;

	for (at = 0; text[at]; at = next) {
		const char *line = text + at;

		next = line_end(text, at);
		if (is_head(line, head)) {
			if (s.end)
				break;
			in = strcmp(head, name) == 0;
			if (in) {
				s.begin = at;
				s.body = s.end = next;
			}
		} else if (in && key && is_key(line, key)) {
			s.key = at;
			s.key_end = s.end = next;
		} else if (in && !entryfile_is_rest(line) &&
			   line[strspn(line, " \t\r")] != '\n') {
			s.end = next;
		}
	}
	return s;
}

/* What is allowed to stand in a file as one value. */
static int check_value(const char *value, struct err *err)
{
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_set(err, EINVAL,
				       "a control character is not allowed");
	return 0;
}

static char *without(const char *text, size_t from, size_t to)
{
	struct str out = {0};

	str_addn(&out, text, from);
	str_add(&out, text + to);
	return out.s ? str_take(&out) : xstrdup("");
}

static char *with_key(const char *text, const char *name, const char *key,
		      const char *value)
{
	struct span s = find(text, name, key);
	struct str out = {0};

	if (s.end && !*value)
		return s.key_end ? without(text, s.key, s.key_end)
				 : xstrdup(text);
	if (!s.end) {
		str_add(&out, text);
		if (out.len && out.s[out.len - 1] != '\n')
			str_add(&out, "\n");
		str_addf(&out, "%s[%s]\n", out.len ? "\n" : "", name);
		if (*value)
			str_addf(&out, "%s = %s\n", key, value);
		return str_take(&out);
	}
	str_addn(&out, text, s.key_end ? s.key : s.end);
	/* The last line need not have an end. */
	if (out.len && out.s[out.len - 1] != '\n')
		str_add(&out, "\n");
	str_addf(&out, "%s = %s\n", key, value);
	str_add(&out, text + (s.key_end ? s.key_end : s.end));
	return str_take(&out);
}

char *schedules_edit(const char *old_text, const char *name, const char *key,
		     const char *value, struct err *err)
{
	const char *text = old_text ? old_text : "";
	struct span s;
	int number;

	if (!scan_name_valid(name)) {
		err_set(err, EINVAL,
			"%s: a name is a letter and then at most %d letters, "
			"digits, _ and -",
			name, SCAN_NAME_MAX - 1);
		return NULL;
	}
	if (!key) {
		s = find(text, name, NULL);
		if (s.end)
			return without(text, s.begin, s.end);
		err_set(err, ENOENT, "schedule %s", name);
		return NULL;
	}
	number = schedules_key(key, err);
	if (number < 0)
		err->code = EINVAL;
	if (number < 0 || check_value(value, err) < 0)
		return NULL;
	return with_key(text, name, schedules_key_name(number), value);
}

/* ---- as JSON ---- */

static void add(json_t *list, const char *key, const char *value)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "key", key, "value",
					      jsontext_new(value)));
}

static bool needs_quotes(const char *word)
{
	size_t n = strlen(word);

	return n == 0 || strpbrk(word, ",#\"\\") || word[0] == ' ' ||
	       word[n - 1] == ' ';
}

static void add_words(json_t *list, const char *key,
		      const struct schedule_words *words)
{
	struct str b = {0};
	char **w;

	vec_each (w, words) {
		if (b.len)
			str_add(&b, ", ");
		if (!needs_quotes(*w)) {
			str_add(&b, *w);
			continue;
		}
		str_add(&b, "\"");
		for (const char *p = *w; *p; p++) {
			if (*p == '"' || *p == '\\')
				str_add(&b, "\\");
			str_addn(&b, p, 1);
		}
		str_add(&b, "\"");
	}
	add(list, key, str_get(&b));
	str_free(&b);
}

static const char *action_word(int action)
{
	return action < 0 ? "default" : action_name((enum action)action);
}

json_t *schedule_json(const struct schedule *s)
{
	json_t *list = json_array();
	char time[32] = "0";

	/* As the file takes it: whole seconds. */
	if (s->max_ms)
		snprintf(time, sizeof(time), "%llums",
			 (unsigned long long)s->max_ms);
	if (s->max_ms && s->max_ms % 1000 == 0)
		snprintf(time, sizeof(time), "%llus",
			 (unsigned long long)(s->max_ms / 1000));
	add(list, "When", s->when);
	add_words(list, "Paths", &s->paths);
	add(list, "Exclusions", s->exclusions ? "yes" : "no");
	add_words(list, "Exclude", &s->exclude);
	add(list, "All", s->all ? "yes" : "no");
	add(list, "FirstAction", action_word(s->first_action));
	add(list, "SecondAction", action_word(s->second_action));
	add(list, "Priority", s->low ? "low" : "normal");
	add(list, "MaxTime", time);
	add(list, "Resume", s->resume ? "yes" : "no");
	add(list, "Missed", s->missed ? "run" : "skip");
	add(list, "Report", s->report);
	return list;
}
