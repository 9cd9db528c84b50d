/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * scans.conf: whatever stands in it, each entry that is taken has a name that
 * can do no harm in a crontab, and what is told of it can be set again and is
 * the same then; an edit keeps every other entry.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/schedules.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void set_again(const struct schedule *s)
{
	json_t *told = schedule_json(s), *row, *back;
	char *text = xstrdup(""), *next;
	struct schedules *list;
	size_t i;

	json_array_foreach (told, i, row) {
		next = schedules_edit(
			text, s->name,
			json_string_value(json_object_get(row, "key")),
			json_string_value(json_object_get(row, "value")), NULL);
		check(next != NULL);
		free(text);
		text = next;
	}
	list = schedules_parse(text, "again");
	/* What is no UTF-8 is shown in another way than it stands. */
	if (schedules_find(list, s->name)) {
		back = schedule_json(schedules_find(list, s->name));
		if (!strchr(text, '\\'))
			check(json_equal(told, back));
		json_decref(back);
	}
	schedules_free(&list);
	json_decref(told);
	free(text);
}

static void edit(const char *text, const struct schedules *list)
{
	const struct schedule *s;
	struct schedules *after;
	char *now = schedules_edit(text, "Fuzz", "Paths", "/fuzz", NULL);

	check(now != NULL);
	after = schedules_parse(now, "edited");
	vec_each (s, &list->entries)
		check(!strcmp(s->name, "Fuzz") ||
		      after->entries.len == SCHEDULES_MAX ||
		      schedules_find(after, s->name));
	schedules_free(&after);
	free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct schedules *list = schedules_parse(text, "fuzz");
	const struct schedule *s;

	vec_each (s, &list->entries) {
		check(scan_name_valid(s->name));
		check(s->paths.len && s->when && s->report);
		check(s->paths.items[0][0] == '/');
		set_again(s);
	}
	edit(text, list);
	schedules_free(&list);
	free(text);
	return 0;
}
