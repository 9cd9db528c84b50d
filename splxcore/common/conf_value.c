/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Single values: their kinds, bounds, words, and how they are written. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_impl.h"
#include "lib/alloc.h"
#include "lib/cron.h"
#include "lib/log.h"
#include "lib/str.h"
#include "nearest.h"

/* clang-format off */
const struct conf_option conf_options[] = {
#define OPTION(group, key, field, type, def, min, max, unit, text)             \
	{#group, #key, CONF_##type, def, min, max, unit, text,                 \
	 offsetof(struct conf, field)},
#include "options.def"
#undef OPTION
};
/* clang-format on */
const size_t conf_option_count = sizeof(conf_options) / sizeof(*conf_options);

const struct conf_option *conf_option_find(const char *key)
{
	size_t i;

	for (i = 0; i < conf_option_count; i++)
		if (strcmp(conf_options[i].key, key) == 0)
			return &conf_options[i];
	return NULL;
}

const struct conf_option *conf_option_nearest(const char *key)
{
	const struct conf_option *best = NULL;
	int best_distance = INT_MAX;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];
		int d = nearest_distance(key, opt->key);

		if (d < best_distance && nearest_plausible(key, opt->key, d)) {
			best = opt;
			best_distance = d;
		}
	}
	return best;
}

void *conf_field(const struct conf *conf, const struct conf_option *opt)
{
	return (char *)(uintptr_t)conf + opt->offset;
}

bool conf_option_word(const struct conf_option *opt, int index, char *out,
		      size_t size)
{
	const char *p = opt->unit;
	size_t len;

	if (opt->type != CONF_ENUM || index < 0)
		return false;
	for (; index > 0; index--) {
		p = strchr(p, '|');
		if (!p)
			return false;
		p++;
	}
	len = strcspn(p, "|");
	if (len >= size)
		return false;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

static bool is_cron(const struct conf_option *opt)
{
	return opt->type == CONF_STRING && strcmp(opt->unit, "cron") == 0;
}

/* The index of a word of an ENUM option, or -1. */
static int word_index(const struct conf_option *opt, const char *text)
{
	char word[32];
	int i;

	for (i = 0; conf_option_word(opt, i, word, sizeof(word)); i++)
		if (strcmp(word, text) == 0)
			return i;
	return -1;
}

struct unit {
	uint64_t factor;
	const char *name;
};

/* Writes n in the largest unit that it is a whole number of. */
static void write_units(struct str *out, uint64_t n, const struct unit *units,
			size_t count)
{
	size_t i;

	for (i = 0; n && i + 1 < count; i++)
		if (n % units[i].factor == 0)
			break;
	if (!n)
		str_add(out, "0");
	else
		str_addf(out, "%llu%s",
			 (unsigned long long)(n / units[i].factor),
			 units[i].name);
}

static void write_duration(struct str *out, uint64_t ms)
{
	static const struct unit units[] = {
		{86400000, "d"}, {3600000, "h"}, {60000, "m"},
		{1000, "s"},	 {1, "ms"},
	};

	write_units(out, ms, units, sizeof(units) / sizeof(*units));
}

static void write_size(struct str *out, uint64_t bytes)
{
	static const struct unit units[] = {
		{1ull << 40, "T"}, {1ull << 30, "G"}, {1ull << 20, "M"},
		{1ull << 10, "K"}, {1, ""},
	};

	write_units(out, bytes, units, sizeof(units) / sizeof(*units));
}

static void write_enum_words(struct str *out, const struct conf_option *opt)
{
	char word[32], next[32];
	int i;

	for (i = 0; conf_option_word(opt, i, word, sizeof(word)); i++) {
		bool last = !conf_option_word(opt, i + 1, next, sizeof(next));

		if (i)
			str_add(out, last ? " or " : ", ");
		str_add(out, word);
	}
}

static void write_bounds(struct str *out, const struct conf_option *opt,
			 void (*write)(struct str *out, uint64_t n))
{
	struct str min = {0}, max = {0};

	write(&min, (uint64_t)opt->min);
	write(&max, (uint64_t)opt->max);
	str_addf(out, "%s to %s, such as %s", str_get(&min), str_get(&max),
		 opt->def);
	str_free(&min);
	str_free(&max);
}

char *conf_option_allowed(const struct conf_option *opt, char *out, size_t size)
{
	struct str s = {0};

	switch (opt->type) {
	case CONF_BOOL:
		str_add(&s, "yes or no");
		break;
	case CONF_INT:
		str_addf(&s, "%lld to %lld", opt->min, opt->max);
		break;
	case CONF_SIZE:
		write_bounds(&s, opt, write_size);
		break;
	case CONF_DURATION:
		write_bounds(&s, opt, write_duration);
		break;
	case CONF_ENUM:
		write_enum_words(&s, opt);
		break;
	case CONF_STRING:
		if (is_cron(opt))
			str_add(&s, "hourly, daily, weekly, monthly, off, or "
				    "the five fields of crontab(5)");
		else
			str_addf(&s, "1 to %d characters, such as %s",
				 CONF_TEXT_MAX, opt->def);
		break;
	case CONF_LIST:
		str_addf(&s, "a list such as {\"a\", \"b\"} of up to %d items",
			 CONF_LIST_MAX);
		break;
	}
	str_copy(out, size, str_get(&s));
	str_free(&s);
	return out;
}

/* Describes a value that is not right; always -1. */
static int not_right(const struct conf_option *opt, const char *text,
		     const char *what, struct err *err)
{
	char allowed[256], shown[128];
	size_t max = sizeof(shown) - 1;

	log_escape(shown, sizeof(shown), text);
	return err_set(err, 0, "%s: \"%s%s\" %s; allowed: %s", opt->key, shown,
		       strlen(shown) >= max ? "..." : "", what,
		       conf_option_allowed(opt, allowed, sizeof(allowed)));
}

static int take_bool(bool *field, const struct conf_option *opt,
		     const char *text, struct err *err)
{
	static const char *const words[] = {"no",   "yes", "false",
					    "true", "off", "on"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*field = i & 1;
			return 0;
		}
	}
	return not_right(opt, text, "is neither yes nor no", err);
}

static int take_int(int64_t *field, const struct conf_option *opt,
		    const char *text, struct err *err)
{
	int64_t n;

	if (str_to_i64(text, INT64_MIN, INT64_MAX, &n, NULL) < 0)
		return not_right(opt, text, "is not a number", err);
	if (n < opt->min || n > opt->max)
		return not_right(opt, text, "is out of bounds", err);
	*field = n;
	return 0;
}

static int take_bounded(uint64_t *field, const struct conf_option *opt,
			const char *text, uint64_t n, struct err *err)
{
	if (n < (uint64_t)opt->min || n > (uint64_t)opt->max)
		return not_right(opt, text, "is out of bounds", err);
	*field = n;
	return 0;
}

static int take_size(uint64_t *field, const struct conf_option *opt,
		     const char *text, struct err *err)
{
	uint64_t n;

	if (str_to_size(text, &n, NULL) < 0)
		return not_right(opt, text, "is not a size", err);
	return take_bounded(field, opt, text, n, err);
}

static int take_duration(uint64_t *field, const struct conf_option *opt,
			 const char *text, struct err *err)
{
	size_t len = strlen(text);
	uint64_t n;

	if (str_to_duration(text, 1, &n, NULL) < 0)
		return not_right(opt, text, "is not a duration", err);
	/* whoever writes 90 for an age means days and would lose all */
	if (n && len && isdigit((unsigned char)text[len - 1]))
		return not_right(opt, text, "has no unit (ms, s, m, h, d)",
				 err);
	return take_bounded(field, opt, text, n, err);
}

static int take_enum(int *field, const struct conf_option *opt,
		     const char *text, struct err *err)
{
	int i = word_index(opt, text);

	if (i < 0)
		return not_right(opt, text, "is not known", err);
	*field = i;
	return 0;
}

static int take_string(char **field, const struct conf_option *opt,
		       const char *text, struct err *err)
{
	struct cron cron;
	struct err why;
	const char *p;

	if (!*text)
		return not_right(opt, text, "is empty", err);
	if (strlen(text) > CONF_TEXT_MAX)
		return not_right(opt, text, "is too long", err);
	for (p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return not_right(opt, text, "holds a control character",
					 err);
	if (is_cron(opt) && cron_parse(text, 0, &cron, &why) < 0)
		return not_right(opt, text, why.text, err);
	free(*field);
	*field = xstrdup(text);
	return 0;
}

static int take_item(struct conf_list *list, const struct conf_option *opt,
		     const char *text, struct err *err)
{
	if (strlen(text) > CONF_TEXT_MAX)
		return not_right(opt, text, "is too long", err);
	if (list->len >= CONF_LIST_MAX)
		return not_right(opt, text, "is one item too many", err);
	vec_push(list, xstrdup(text));
	return 0;
}

int conf_take(struct conf *conf, const struct conf_option *opt,
	      const char *text, struct err *err)
{
	void *field = conf_field(conf, opt);

	switch (opt->type) {
	case CONF_BOOL:
		return take_bool(field, opt, text, err);
	case CONF_INT:
		return take_int(field, opt, text, err);
	case CONF_SIZE:
		return take_size(field, opt, text, err);
	case CONF_DURATION:
		return take_duration(field, opt, text, err);
	case CONF_ENUM:
		return take_enum(field, opt, text, err);
	case CONF_STRING:
		return take_string(field, opt, text, err);
	case CONF_LIST:
		return take_item(field, opt, text, err);
	}
	panic("option %s has no kind", opt->key);
}

void conf_list_clear(struct conf_list *list)
{
	char **p;

	vec_each (p, list)
		free(*p);
	vec_free(list);
}

static bool list_equal(const struct conf_list *a, const struct conf_list *b)
{
	size_t i;

	if (a->len != b->len)
		return false;
	for (i = 0; i < a->len; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static size_t field_size(const struct conf_option *opt)
{
	switch (opt->type) {
	case CONF_BOOL:
		return sizeof(CONF_CTYPE_BOOL);
	case CONF_ENUM:
		return sizeof(CONF_CTYPE_ENUM);
	default:
		return sizeof(uint64_t); /* INT, SIZE, DURATION */
	}
}

bool conf_field_equal(const struct conf *a, const struct conf *b,
		      const struct conf_option *opt)
{
	const void *fa = conf_field(a, opt), *fb = conf_field(b, opt);

	if (opt->type == CONF_LIST)
		return list_equal(fa, fb);
	if (opt->type == CONF_STRING)
		return strcmp(*(char *const *)fa, *(char *const *)fb) == 0;
	return memcmp(fa, fb, field_size(opt)) == 0;
}

void conf_field_copy(struct conf *to, const struct conf *from,
		     const struct conf_option *opt)
{
	void *t = conf_field(to, opt);
	const void *f = conf_field(from, opt);

	if (opt->type == CONF_LIST) {
		const struct conf_list *list = f;
		char **p;

		conf_list_clear(t);
		vec_each (p, list)
			vec_push((struct conf_list *)t, xstrdup(*p));
	} else if (opt->type == CONF_STRING) {
		free(*(char **)t);
		*(char **)t = xstrdup(*(char *const *)f);
	} else {
		memcpy(t, f, field_size(opt));
	}
}

/* In double quotes, so that reading it gives the very same bytes. */
static void write_quoted(struct str *out, const char *text)
{
	const unsigned char *p;

	str_add(out, "\"");
	for (p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '$')
			str_addf(out, "\\%c", *p);
		else if (*p == '\n')
			str_add(out, "\\n");
		else if (*p == '\t')
			str_add(out, "\\t");
		else if (*p < 0x20 || *p == 0x7f)
			str_addf(out, "\\x%02x", *p);
		else
			str_addn(out, (const char *)p, 1);
	}
	str_add(out, "\"");
}

static void write_list(struct str *out, const struct conf_list *list)
{
	size_t i;

	str_add(out, "{");
	for (i = 0; i < list->len; i++) {
		if (i)
			str_add(out, ", ");
		write_quoted(out, list->items[i]);
	}
	str_add(out, "}");
}

char *conf_get(const struct conf *conf, const char *key)
{
	const struct conf_option *opt = conf_option_find(key);
	const void *f;
	struct str s = {0};
	char word[32];

	if (!opt)
		return NULL;
	f = conf_field(conf, opt);
	switch (opt->type) {
	case CONF_BOOL:
		str_add(&s, *(const bool *)f ? "yes" : "no");
		break;
	case CONF_INT:
		str_addf(&s, "%lld", (long long)*(const int64_t *)f);
		break;
	case CONF_SIZE:
		write_size(&s, *(const uint64_t *)f);
		break;
	case CONF_DURATION:
		write_duration(&s, *(const uint64_t *)f);
		break;
	case CONF_ENUM:
		if (!conf_option_word(opt, *(const int *)f, word, sizeof(word)))
			panic("%s holds no word of its own", key);
		str_add(&s, word);
		break;
	case CONF_STRING:
		if (conf_is_word(*(char *const *)f))
			str_add(&s, *(char *const *)f);
		else
			write_quoted(&s, *(char *const *)f);
		break;
	case CONF_LIST:
		write_list(&s, f);
		break;
	}
	return str_take(&s);
}
