/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "job.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/clock.h"

#define DEADLINE_MS 60000

/* ---- harmless text ---- */

/* The length of the UTF-8 character at s and what it is; 0: none. */
static unsigned int character(const unsigned char *s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int n = *s < 0x80	       ? 1
			 : (*s & 0xe0) == 0xc0 ? 2
			 : (*s & 0xf0) == 0xe0 ? 3
			 : (*s & 0xf8) == 0xf0 ? 4
					       : 0;

	if (n == 0)
		return 0;
	*code = n == 1 ? *s : *s & (0x7fu >> n);
	for (unsigned int i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	return *code < least[n] || *code > 0x10ffff ||
			       (*code >= 0xd800 && *code < 0xe000)
		       ? 0
		       : n;
}

/* Controls, separators of lines, and what changes the direction of text. */
static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c < 0xe0080);
}

char *job_clean(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	struct str out = {0};
	uint32_t code = 0;
	unsigned int n;

	while (*s) {
		n = character(s, &code);
		if (n == 0)
			str_addf(&out, "\\x%02x", *s);
		else if (!is_harmful(code))
			str_addn(&out, (const char *)s, n);
		else if (code < 0x100)
			str_addf(&out, "\\x%02x", code);
		else
			str_addf(&out, "\\u%04x", code);
		s += n ? n : 1;
	}
	return out.s ? str_take(&out) : xstrdup("");
}

void job_cut(struct str *text, size_t max)
{
	if (text->len <= max)
		return;
	while (max > 0 && ((unsigned char)text->s[max] & 0xc0) == 0x80)
		max--;
	text->len = max;
	text->s[max] = '\0';
}

/* All strings below a value. */
static json_t *cleaned(json_t *value)
{
	json_t *out, *item;
	const char *name;
	char *text;
	size_t i;

	if (json_is_string(value)) {
		text = job_clean(json_string_value(value));
		out = json_string_nocheck(text);
		free(text);
		return out;
	}
	if (json_is_array(value)) {
		out = json_array();
		json_array_foreach (value, i, item)
			json_array_append_new(out, cleaned(item));
		return out;
	}
	if (!json_is_object(value))
		return json_incref(value);
	out = json_object();
	json_object_foreach (value, name, item) {
		text = job_clean(name);
		json_object_set_new_nocheck(out, text, cleaned(item));
		free(text);
	}
	return out;
}

/* ---- the job ---- */

static void take_host(struct job *job, const char *name)
{
	size_t n = 0;

	for (; *name && n < sizeof(job->host) - 1; name++)
		job->host[n++] =
			isascii(*name) && (isalnum((unsigned char)*name) ||
					   strchr(".-", *name))
				? *name
				: '_';
	if (n == 0)
		job->host[n++] = '-';
	job->host[n] = '\0';
}

int job_parse(struct job *job, const char *text, size_t len, struct err *err)
{
	json_error_t why;
	json_t *messages;

	memset(job, 0, sizeof(*job));
	job->all = json_loadb(text, len, 0, &why);
	job->channel = json_object_get(job->all, "channel");
	messages = json_object_get(job->all, "messages");
	if (!json_is_object(job->channel) || !json_is_array(messages)) {
		job_free(job);
		return err_set(err, 0, "this is no job");
	}
	messages = cleaned(messages);
	json_object_set_new(job->all, "messages", messages);
	job->messages = messages;
	job->version = job_text(job->all, "version");
	take_host(job, job_text(job->all, "host"));
	job->deadline_ns = clock_mono_ns() + DEADLINE_MS * CLOCK_NS_PER_MS;
	return 0;
}

void job_free(struct job *job)
{
	json_decref(job->all);
	job->all = NULL;
}

const char *job_get(const struct job *job, const char *name)
{
	return json_string_value(json_object_get(job->channel, name));
}

bool job_is(const struct job *job, const char *name, const char *value)
{
	const char *is = job_get(job, name);

	return is && strcmp(is, value) == 0;
}

long job_ms_left(const struct job *job, long max)
{
	uint64_t now = clock_mono_ns();
	long left = job->deadline_ns > now
			    ? (long)((job->deadline_ns - now) / CLOCK_NS_PER_MS)
			    : 0;

	return left > max ? max : left < 1 ? 1 : left;
}

bool job_late(const struct job *job)
{
	return clock_mono_ns() >= job->deadline_ns;
}

const char *job_text(json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

char *job_time(char out[40], int64_t ns)
{
	time_t s = (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
	struct tm tm;
	size_t n;

	if (ns < 0 || !gmtime_r(&s, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03dZ",
		 (int)(ns > 0 ? ns / (int64_t)CLOCK_NS_PER_MS % 1000 : 0));
	return out;
}
