/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "cron.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "str.h"

#define FIELDS 5
#define DAY (24 * 3600)
#define YEARS_MAX 8 /* 29 February may be that far */

struct field {
	const char *name;
	unsigned int min, max;
	const char *const *names; /* of min, min + 1, … */
	unsigned int count;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr",
					  "may", "jun", "jul", "aug",
					  "sep", "oct", "nov", "dec"};
static const char *const day_names[] = {"sun", "mon", "tue", "wed",
					"thu", "fri", "sat"};

static const struct field fields[FIELDS] = {
	{"minute", 0, 59, NULL, 0},
	{"hour", 0, 23, NULL, 0},
	{"day of the month", 1, 31, NULL, 0},
	{"month", 1, 12, month_names, 12},
	{"day of the week", 0, 7, day_names, 7},
};

/* ---- reading ---- */

static int wrong(const struct field *f, const char *word, struct err *err)
{
	return err_set(err, 0,
		       "%s \"%s\": *, a number from %u to %u%s, a range 1-5, a "
		       "step */2, or a list of these with commas is allowed",
		       f->name, word, f->min, f->max,
		       f->names ? " or a name" : "");
}

/* Moves *at behind it. */
static bool take_number(const struct field *f, const char **at,
			unsigned int *out_r)
{
	char *end;

	for (unsigned int i = 0; i < f->count; i++)
		if (strncasecmp(*at, f->names[i], 3) == 0 &&
		    !isalnum((unsigned char)(*at)[3])) {
			*out_r = f->min + i;
			*at += 3;
			return true;
		}
	if (!isdigit((unsigned char)**at) || strspn(*at, "0123456789") > 4)
		return false;
	*out_r = (unsigned int)strtoul(*at, &end, 10);
	*at = end;
	return *out_r >= f->min && *out_r <= f->max;
}

/* One of a list. */
static int take_range(const struct field *f, const char *word, uint64_t *set,
		      struct err *err)
{
	unsigned int from = f->min, to = f->max, step = 1;
	const char *at = word;
	bool single = false;

	if (*at == '*') {
		at++;
	} else {
		if (!take_number(f, &at, &from))
			return wrong(f, word, err);
		single = *at != '-';
		to = from;
		if (!single) {
			at++;
			if (!take_number(f, &at, &to) || to < from)
				return wrong(f, word, err);
		}
	}
	if (*at == '/') {
		const struct field steps = {f->name, 1, f->max, NULL, 0};

		at++;
		if (single || !take_number(&steps, &at, &step))
			return wrong(f, word, err);
	}
	if (*at)
		return wrong(f, word, err);
	for (unsigned int n = from; n <= to; n += step)
		*set |= 1ull << n;
	return 0;
}

static int take_field(const struct field *f, char *text, uint64_t *set_r,
		      struct err *err)
{
	char *save, *word;

	*set_r = 0;
	/* strtok_r() passes over an empty one. */
	if (text[0] == ',' || str_ends(text, ",") || strstr(text, ",,"))
		return wrong(f, text, err);
	for (word = strtok_r(text, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		if (take_range(f, word, set_r, err) < 0)
			return -1;
	return 0;
}

static bool comes(const struct cron *c)
{
	return cron_next(c, 0) != (time_t)-1;
}

static int take_fields(char *const words[FIELDS], struct cron *c,
		       struct err *err)
{
	uint64_t sets[FIELDS];

	c->any_day = words[2][0] == '*';
	c->any_weekday = words[4][0] == '*';
	for (int i = 0; i < FIELDS; i++)
		if (take_field(&fields[i], words[i], &sets[i], err) < 0)
			return -1;
	c->minutes = sets[0];
	c->hours = (uint32_t)sets[1];
	c->days = (uint32_t)sets[2];
	c->months = (uint32_t)sets[3];
	c->weekdays = (uint32_t)((sets[4] | sets[4] >> 7) & 0x7f);
	return 0;
}

/* "daily" and so on: 0, or 1 when it is no such word. */
static int take_word(const char *text, uint64_t seed, struct cron *c)
{
	static const struct {
		const char *word;
		bool any_hour, any_day, any_weekday;
	} words[] = {
		{"hourly", true, true, true},
		{"daily", false, true, true},
		{"weekly", false, true, false},
		{"monthly", false, false, true},
	};
	size_t i;

	if (strcasecmp(text, "off") == 0) {
		c->off = true;
		return 0;
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i].word) == 0)
			break;
	if (i == sizeof(words) / sizeof(words[0]))
		return 1;
	c->any_day = words[i].any_day;
	c->any_weekday = words[i].any_weekday;
	c->minutes = 1ull << seed % 60;
	/* In the night, but not between 2 and 3: in many places that hour is
	 * missing once a year. */
	c->hours = words[i].any_hour ? 0xffffff : 1u << (3 + seed / 60 % 3);
	c->days = c->any_day ? 0xfffffffe : 2u << seed / 180 % 28;
	c->months = 0x1ffe;
	c->weekdays = c->any_weekday ? 0x7f : 1u << seed / 180 % 7;
	return 0;
}

int cron_parse(const char *text, uint64_t seed, struct cron *cron_r,
	       struct err *err)
{
	char *copy = xstrdup(text), *save, *word, *words[FIELDS + 1];
	int n = 0, rc;

	memset(cron_r, 0, sizeof(*cron_r));
	for (word = strtok_r(copy, " \t", &save); word && n <= FIELDS;
	     word = strtok_r(NULL, " \t", &save))
		words[n++] = word;
	if (n == 1 && take_word(words[0], seed, cron_r) == 0)
		rc = 0;
	else if (n != FIELDS)
		rc = err_set(err, 0,
			     "\"%s\": hourly, daily, weekly, monthly, off, or "
			     "the five fields of crontab(5) are allowed: "
			     "minute hour day month weekday",
			     text);
	else
		rc = take_fields(words, cron_r, err);
	if (rc == 0 && !cron_r->off && !comes(cron_r))
		rc = err_set(err, 0, "\"%s\": no such day ever comes", text);
	free(copy);
	return rc;
}

/* ---- writing ---- */

static void put_set(struct str *b, uint64_t set, unsigned int min,
		    unsigned int max, bool any)
{
	bool all = true, first = true;

	for (unsigned int n = min; n <= max; n++)
		all &= set >> n & 1;
	if (b->len)
		str_add(b, " ");
	if (all && any) {
		str_add(b, "*");
		return;
	}
	for (unsigned int n = min; n <= max; n++) {
		unsigned int to = n;

		if (!(set >> n & 1))
			continue;
		while (to < max && set >> (to + 1) & 1)
			to++;
		str_addf(b, "%s%u", first ? "" : ",", n);
		if (to > n)
			str_addf(b, "%s%u", to > n + 1 ? "-" : ",", to);
		first = false;
		n = to;
	}
}

char *cron_text(const struct cron *c, char *out, size_t size)
{
	/* A step of days such as "*" / 2 restricts, and yet both days count:
	 * crons differ there, so it is written as what it means. */
	bool day = c->any_day, weekday = c->any_weekday;
	struct str b = {0};

	put_set(&b, c->minutes, 0, 59, true);
	put_set(&b, c->hours, 0, 23, true);
	put_set(&b, c->days, 1, 31, day);
	put_set(&b, c->months, 1, 12, true);
	put_set(&b, c->weekdays, 0, 6, weekday);
	str_copy(out, size, str_get(&b));
	str_free(&b);
	return out;
}

/* ---- time ---- */

static bool day_matches(const struct cron *c, const struct tm *t)
{
	bool day = c->days >> t->tm_mday & 1;
	bool weekday = c->weekdays >> t->tm_wday & 1;

	if (!(c->months >> (t->tm_mon + 1) & 1))
		return false;
	if (c->any_day || c->any_weekday)
		return day && weekday;
	return day || weekday;
}

bool cron_matches(const struct cron *c, const struct tm *t)
{
	return !c->off && day_matches(c, t) && c->hours >> t->tm_hour & 1 &&
	       c->minutes >> t->tm_min & 1;
}

time_t cron_next(const struct cron *c, time_t after)
{
	time_t t = after - after % 60 + 60,
	       end = after + YEARS_MAX * 366ll * DAY;
	struct tm tm;

	while (!c->off && t < end && localtime_r(&t, &tm)) {
		if (cron_matches(c, &tm))
			return t;
		/* To the next day, hour or minute. Hours are stepped over by
		 * the clock, so that one that is missing or comes twice does
		 * no harm. */
		if (!day_matches(c, &tm) && tm.tm_hour < 22)
			t += (22 - tm.tm_hour) * 3600 - tm.tm_min * 60;
		else if (!day_matches(c, &tm) || !(c->hours >> tm.tm_hour & 1))
			t += 3600 - tm.tm_min * 60;
		else
			t += 60;
	}
	return (time_t)-1;
}
