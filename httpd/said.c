/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "said.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* In which members of an answer, however deep, such texts stand. */
static const struct row {
	const char *verb, *members;
} rows[] = {
	{"status", "text action reason why unseen broken"},
	{"health", "text action reason why unseen broken"},
	{"config.show", "text"},
	{"exclusion.list", "reason"},
	{"schedule.list", "reason problems"},
	{"scan.list", "reason"},
	{"scan.show", "reason error"},
	{"notify.list", "error problems"},
	{"notify.queue", "message"},
	{"events.list", "message result detail"},
	{"quarantine.show", "detail"},
	{"module.status", "text"},
	{"network.status", "reason broken"},
	{"network.rules", "problems"},
	{"network.lists", "fault"},
	{"conflicts", "text meaning why no_order problems"},
	{"order.show", "text why notes problems"},
	{"order.check", "text why notes problems"},
	{"order.apply", "text why notes problems"},
};

static bool is_listed(const char *members, const char *name)
{
	size_t len = strlen(name), n;

	for (; *members; members += n + (members[n] == ' ')) {
		n = strcspn(members, " ");
		if (n == len && !memcmp(members, name, n))
			return true;
	}
	return false;
}

/* The text in another language; NULL for what is none, or is a word of its
 * own that pages look up in their tables. New reference. */
static json_t *said(enum lang lang, json_t *value)
{
	const char *text = json_string_value(value);
	char *other;
	json_t *out;

	if (!text || !strchr(text, ' '))
		return NULL;
	other = words_said(lang, text);
	out = json_string(other);
	free(other);
	return out;
}

static void walk(enum lang lang, const char *members, json_t *value, bool here)
{
	json_t *item, *other;
	const char *name;
	size_t i;
	void *next;

	json_object_foreach_safe(value, next, name, item)
	{
		bool listed = is_listed(members, name);

		other = listed ? said(lang, item) : NULL;
		if (other)
			json_object_set_new(value, name, other);
		else
			walk(lang, members, item, listed);
	}
	json_array_foreach (value, i, item) {
		other = here ? said(lang, item) : NULL;
		if (other)
			json_array_set_new(value, i, other);
		else
			walk(lang, members, item, false);
	}
}

void said_translate(enum lang lang, const char *verb, json_t *data)
{
	size_t i;

	if (lang == LANG_EN)
		return;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].verb, verb))
			walk(lang, rows[i].members, data, false);
}
