/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/events.h"

static void every_kind_is_found_by_its_name(void **state)
{
	int i;

	for (i = 0; i < EVENT_KIND_COUNT; i++) {
		const struct event_kind *k =
			events_kind_find(event_kinds[i].name);

		assert_ptr_equal(k, &event_kinds[i]);
		assert_int_equal(k->id, i);
	}
	assert_null(events_kind_find("nothing"));
}

static void columns_belong_to_the_kind_of_their_row(void **state)
{
	const struct event_kind *virus = events_kind_find("virus");
	const struct event_kind *audit = events_kind_find("audit");

	assert_string_equal(virus->columns[0].name, "virus");
	assert_string_equal(virus->columns[virus->column_count - 1].name,
			    "exposure_ms");
	assert_string_equal(audit->columns[0].name, "user");
	assert_int_equal(audit->column_count, 8);
	assert_int_equal(events_column_find(virus, "pid")->type,
			 EVENT_TYPE_INT);
	assert_null(events_column_find(audit, "virus"));
}

static void every_kind_begins_with_the_common_columns(void **state)
{
	static const char *const first[] = {"id", "time", "severity",
					    "message"};
	int i;
	size_t j;

	assert_int_equal(event_common_count, 4);
	for (i = 0; i < EVENT_KIND_COUNT; i++)
		for (j = 0; j < 4; j++)
			assert_string_equal(
				events_column(&event_kinds[i], j)->name,
				first[j]);
}

static void no_kind_has_a_column_twice_and_the_walk_ends(void **state)
{
	int i;

	for (i = 0; i < EVENT_KIND_COUNT; i++) {
		const struct event_kind *k = &event_kinds[i];
		const struct event_column *c;
		size_t j;

		for (j = 0; (c = events_column(k, j)); j++)
			assert_ptr_equal(events_column_find(k, c->name), c);
		assert_int_equal(j, event_common_count + k->column_count);
	}
}

static void severities_have_names_both_ways(void **state)
{
	int i;

	for (i = EVENT_SEVERITY_INFO; i <= EVENT_SEVERITY_HIGH; i++)
		assert_int_equal(events_severity_parse(events_severity_name(
					 (enum event_severity)i)),
				 i);
	assert_int_equal(events_severity_parse("extreme"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_found_by_its_name),
		cmocka_unit_test(columns_belong_to_the_kind_of_their_row),
		cmocka_unit_test(every_kind_begins_with_the_common_columns),
		cmocka_unit_test(no_kind_has_a_column_twice_and_the_walk_ends),
		cmocka_unit_test(severities_have_names_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
