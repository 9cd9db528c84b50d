/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Who is in the kernel module's way: rivals tied to services, and remedies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "bootbed.h"
#include "common/conflicts.h"

static const char known[] =
	"[abc]\nProduct = \"ABC Scanner\"\nModule = rv_known*\n"
	"[restless other]\nProduct = Restless\nModule = rv_restless\n"
	"RestartsItself = \"when it likes to\"\n"
	"[named]\nProduct = Named\nText = \"some words\"\n";

static struct conflict_view v;
static json_t *rows;

static void forget(void)
{
	json_decref(rows);
	rows = NULL;
	conflict_view_free(&v);
	memset(&v, 0, sizeof(v));
}

static int teardown(void **state)
{
	forget();
	return bed_teardown(state);
}

/* `rivals`: "kind module symbol effect" lines as a JSON array; NULL: our
 * module is not loaded. */
static void look(const char *rivals)
{
	forget();
	v.boot = boot_read(bed);
	v.list = conflist_parse(known, "conflicts.conf");
	v.level = boot_level(v.boot);
	v.deps = v.level ? bootdeps_new(v.boot, v.level, NULL) : NULL;
	v.rivals = rivals ? json_loads(rivals, 0, NULL) : NULL;
	v.loaded = rivals != NULL;
	conflicts_find(v.boot, v.deps, v.list, v.rivals, &v.found);
	rows = conflict_view_json(&v, false);
}

#define RIVAL(module, effect)                                                  \
	"{\"kind\":\"inline-patch\",\"module\":\"" module "\",\"symbol\":"     \
	"\"thunk\",\"effect\":\"" effect "\"}"

static json_t *row(size_t i)
{
	json_t *o = json_array_get(json_object_get(rows, "conflicts"), i);

	assert_non_null(o);
	return o;
}

static size_t count(void)
{
	return json_array_size(json_object_get(rows, "conflicts"));
}

static const char *text(json_t *o, const char *key)
{
	json_t *value = json_object_get(o, key);

	assert_non_null(value);
	return json_is_null(value) ? "(null)" : json_string_value(value);
}

/* "1 2", the numbers of the remedies. */
static const char *remedies(json_t *o)
{
	static char out[32];
	json_t *list = json_object_get(o, "remedies"), *r;
	size_t i;

	*out = '\0';
	json_array_foreach (list, i, r)
		sprintf(out + strlen(out), "%s%d", i ? " " : "",
			(int)json_integer_value(json_object_get(r, "number")));
	return out;
}

static const char *command(json_t *o, size_t i)
{
	return text(json_array_get(json_object_get(o, "remedies"), i),
		    "command");
}

static void loads(const char *script, const char *lines)
{
	char *path = xasprintf("/etc/init.d/%s", script);
	char *all = xasprintf("#!/bin/sh\n%s\n", lines);

	bed_put(path, all, 0755);
	free(all);
	free(path);
}

/* ---- ties ---- */

static void a_rival_is_tied_to_the_script_that_loads_it(void **state)
{
	static const char *const ways[] = {
		"modprobe rv_one",
		"\t/sbin/insmod /opt/abc/rv-one.ko debug=1",
		"[ -x /sbin/modprobe ] && /sbin/modprobe -q \"rv_one\" || exit",
		"insmod ${DIR}/rv_one.ko.xz",
		"MODULE=rv-one\nmodprobe $MODULE",
		"start() { modprobe rv_one; }",
	};
	size_t i;

	bed_links("splx", 1, 99);
	bed_links("xyz", 90, 10);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		loads("xyz", ways[i]);
		look("[" RIVAL("rv_one", "blocks-unload") "]");
		assert_int_equal(count(), 1);
		if (strcmp(text(row(0), "service"), "xyz") != 0)
			fail_msg("not tied by: %s", ways[i]);
		assert_non_null(
			strstr(text(row(0), "source"), "/etc/init.d/xyz:"));
		assert_string_equal(text(row(0), "link"), "S90xyz");
		assert_string_equal(text(row(0), "runlevels"), "2345");
		assert_string_equal(text(row(0), "place"), "after");
	}
}

static void what_only_speaks_of_a_module_does_not_bring_it(void **state)
{
	static const char *const ways[] = {
		"# modprobe rv_one", "rmmod rv_one", "modprobe rv_one_two",
		"modprobe rv",	     "echo rv_one",  "insmod /x/rv_one.conf"};
	size_t i;

	bed_links("splx", 1, 99);
	bed_links("xyz", 90, 10);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		loads("xyz", ways[i]);
		look("[" RIVAL("rv_one", "blocks-unload") "]");
		if (strcmp(text(row(0), "service"), "(null)") != 0)
			fail_msg("tied by: %s", ways[i]);
	}
	assert_string_equal(remedies(row(0)), "1");
	assert_string_equal(command(row(0), 0), "modprobe -r rv_one");
	assert_non_null(strstr(text(row(0), "no_order"), "is not known"));
}

static void a_script_that_is_started_goes_before_one_that_is_not(void **state)
{
	bed_links("splx", 1, 99);
	bed_links("xyz", 90, 10);
	loads("aaa", "modprobe rv_one");
	loads("xyz", "modprobe rv_one");
	look("[" RIVAL("rv_one", "safe") "]");
	assert_string_equal(text(row(0), "service"), "xyz");
}

static void lists_of_modules_are_read_too(void **state)
{
	bed_links("splx", 1, 99);
	bed_put("/etc/modules", "# rv_one\nloop\n", 0644);
	bed_put("/etc/modules-load.d/x.conf", "rv-one\n", 0644);
	look("[" RIVAL("rv_one", "blocks-unload") "]");
	assert_string_equal(text(row(0), "service"), "(null)");
	assert_string_equal(text(row(0), "source"),
			    "/etc/modules-load.d/x.conf:1");
	loads("kmod", "modprobe -a");
	bed_link('S', "S05kmod");
	look("[" RIVAL("rv_one", "blocks-unload") "]");
	assert_string_equal(text(row(0), "service"), "kmod");
	assert_string_equal(text(row(0), "place"), "before");
	/* whom stopping does not take it out */
	assert_string_equal(command(row(0), 0), "modprobe -r rv_one");
}

static void the_list_ties_what_no_script_does(void **state)
{
	bed_links("splx", 1, 99);
	bed_script("abc", "", "");
	bed_links("abc", 90, 10);
	look("[" RIVAL("rv-known-2", "blocks-unload") "]");
	assert_int_equal(count(), 1);
	assert_string_equal(text(row(0), "service"), "abc");
	assert_string_equal(text(row(0), "product"), "ABC Scanner");
	assert_string_equal(text(row(0), "source"),
			    "/etc/splx/conflicts.conf:1");
	assert_string_equal(remedies(row(0)), "1 2");
	assert_string_equal(command(row(0), 0), "service abc stop");
	assert_string_equal(command(row(0), 1),
			    "splxctl order apply --after=abc");
}

/* ---- effects and remedies ---- */

static void only_what_keeps_the_module_blocks(void **state)
{
	json_t *few;

	bed_links("splx", 1, 99);
	look("[" RIVAL("rv_a", "safe") "," RIVAL("rv_b", "blocks-arm") "," RIVAL(
		"rv_c", "blocks-unload") "," RIVAL("rv_c",
						   "blocks-unload") "]");
	assert_int_equal(count(), 3); /* the same is told once */
	assert_int_equal(json_integer_value(json_object_get(rows, "blocking")),
			 1);
	assert_true(json_is_false(json_object_get(row(0), "blocks")));
	assert_string_equal(remedies(row(0)), "");
	assert_true(json_is_false(json_object_get(row(1), "blocks")));
	assert_true(json_is_true(json_object_get(row(2), "blocks")));
	few = conflict_view_json(&v, true);
	assert_int_equal(json_array_size(json_object_get(few, "conflicts")), 1);
	json_decref(few);
}

static void for_one_that_restarts_itself_only_stopping_helps(void **state)
{
	bed_links("splx", 1, 99);
	bed_script("other", "", "");
	bed_links("other", 90, 10);
	look("[" RIVAL("rv_restless", "blocks-unload") "]");
	/* of an entry's names the one that is installed */
	assert_string_equal(text(row(0), "service"), "other");
	assert_string_equal(text(row(0), "restarts_itself"),
			    "when it likes to");
	assert_string_equal(remedies(row(0)), "1");
	assert_non_null(strstr(text(row(0), "no_order"),
			       "other restarts itself when it likes to"));
}

static void a_known_service_is_told_though_the_kernel_shows_nothing(
	void **state)
{
	bed_links("splx", 1, 99);
	look("[]");
	assert_int_equal(count(), 0);
	bed_script("named", "", "");
	look("[]");
	assert_int_equal(count(), 1);
	assert_string_equal(text(row(0), "effect"), "named");
	assert_string_equal(text(row(0), "place"), "absent");
	assert_string_equal(text(row(0), "text"), "some words");
	assert_true(json_is_false(json_object_get(row(0), "blocks")));
	bed_links("named", 90, 10);
	look("[]");
	assert_string_equal(text(row(0), "place"), "after");
	assert_string_equal(remedies(row(0)), "1 2");
	assert_true(json_is_true(json_object_get(rows, "loaded")));
}

static void one_that_starts_before_splx_needs_no_remedy(void **state)
{
	bed_links("splx", 50, 50);
	bed_script("named", "", "");
	bed_links("named", 10, 90);
	look(NULL);
	assert_string_equal(text(row(0), "place"), "before");
	assert_string_equal(remedies(row(0)), "");
	assert_true(json_is_false(json_object_get(rows, "loaded")));
	/* but it was started again since */
	loads("named", "modprobe rv_named");
	look("[" RIVAL("rv_named", "blocks-unload") "]");
	assert_int_equal(count(), 1);
	assert_string_equal(remedies(row(0)), "1");
	assert_non_null(strstr(text(row(0), "no_order"), "started again"));
}

static void what_could_not_be_looked_for_is_told_as_such(void **state)
{
	bed_links("splx", 1, 99);
	look("[{\"kind\":\"kprobe\",\"module\":\"-\",\"symbol\":"
	     "\"not-looked-for\",\"effect\":\"safe\"}]");
	assert_int_equal(count(), 0);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(rows, "unseen"), 0)),
			    "kprobe");
}

static void a_rival_without_a_module_is_told_by_what_it_is(void **state)
{
	bed_links("splx", 1, 99);
	look("[" RIVAL("-", "blocks-unload") "]");
	assert_string_equal(remedies(row(0)), "1");
	assert_non_null(strstr(
		text(json_array_get(json_object_get(row(0), "remedies"), 0),
		     "text"),
		"inline-patch thunk"));
}

static void without_any_runlevel_it_is_told_all_the_same(void **state)
{
	look("[" RIVAL("rv_one", "blocks-unload") "]");
	assert_int_equal(count(), 1);
	assert_true(json_is_null(json_object_get(rows, "runlevel")));
	assert_string_equal(text(row(0), "place"), "(null)");
	bed_script("named", "", "");
	look("[]");
	assert_string_equal(text(row(0), "place"), "(null)");
}

static void under_systemd_the_remedy_is_a_units(void **state)
{
	bed_put("/run/systemd/system/x", "", 0644);
	bed_links("splx", 1, 99);
	bed_script("named", "", "");
	bed_links("named", 1, 1);
	look("[]");
	assert_string_equal(remedies(row(0)), "1 2");
	assert_non_null(strstr(command(row(0), 1), "After=named.service"));
	assert_string_equal(command(row(0), 0), "service named stop");
	/* one that has a unit alone */
	assert_int_equal(unlink(bed_path("/etc/init.d/named")), 0);
	bed_put("/lib/systemd/system/named.service", "", 0644);
	look("[]");
	assert_string_equal(command(row(0), 0), "systemctl stop named");
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_rival_is_tied_to_the_script_that_loads_it),
		T(what_only_speaks_of_a_module_does_not_bring_it),
		T(a_script_that_is_started_goes_before_one_that_is_not),
		T(lists_of_modules_are_read_too),
		T(the_list_ties_what_no_script_does),
		T(only_what_keeps_the_module_blocks),
		T(for_one_that_restarts_itself_only_stopping_helps),
		T(a_known_service_is_told_though_the_kernel_shows_nothing),
		T(one_that_starts_before_splx_needs_no_remedy),
		T(what_could_not_be_looked_for_is_told_as_such),
		T(a_rival_without_a_module_is_told_by_what_it_is),
		T(without_any_runlevel_it_is_told_all_the_same),
		T(under_systemd_the_remedy_is_a_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
