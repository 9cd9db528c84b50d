// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* What the engine loads. */
#include "vsapi_enginebed.h"

#include <dirent.h>
#include <dlfcn.h>

#define TESTFILES "/usr/share/clamav-testfiles"

/* An unsigned database container with one signature, for "ABCDEF". */
static void make_cud(const char *name, int version, const char *signature)
{
	run("rm -rf %s/cud && mkdir %s/cud && cd %s/cud && touch COPYING && "
	    "echo '%s:0:*:414243444546' >x.ndb && "
	    "SIGNDUSER=splx sigtool --build=x.cud --unsigned "
	    "--cvd-version=%d --max-bad-sigs=10 </dev/null >/dev/null 2>&1; "
	    "mv x.cud %s/%s",
	    root, root, root, signature, version, db(), name);
}

static void a_broken_pattern_file_is_named(void **state)
{
	static const struct {
		const char *name, *text;
	} broken[] = {
		{"a.ndb", "Name.Without.Signature\n"},
		{"b.ndb", "Odd.Hex:0:*:123\n"},
		{"c.hdb", "zzzz:12:Bad.Hash\n"},
		{"d.ldb", "Bad.Logic;Engine:81-255,Target:0;(0&;4142434445\n"},
		{"e.cvd", "no database at all\n"},
		{"daily.cld", "ClamAV-VDB:x"},
		{"f.hsb", ""},
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char path[600];
		struct err err;
		struct engine *e;

		fresh_pattern_dir();
		snprintf(path, sizeof(path), "%s/%s", db(), broken[i].name);
		put_text(path, broken[i].text);
		e = engine_new(conf, &err);
		if (e)
			fail_msg("%s was loaded", broken[i].name);
		if (!strstr(err.text, path))
			fail_msg("%s: %s", broken[i].name, err.text);
	}
	fresh_pattern_dir();
}

static void what_is_no_pattern_file_is_passed_over(void **state)
{
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	run("cd %s && echo x >README && mkfifo pipe.ndb && mkdir dir.ndb",
	    db());
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_pattern_id(e), engine_pattern_id(engine));
	engine_free(&e);
	fresh_pattern_dir();
}

static void what_lies_beside_the_sets_is_not_loaded(void **state)
{
	struct conf *c = conf_copy(conf);
	char dirs[600];
	struct err err;
	struct engine *e;

	run("mkdir -p %s && echo rubbish >%s/x.ndb", paths()->pattern_dir,
	    paths()->pattern_dir);
	e = engine_new(conf, &err);
	assert_non_null(e);
	assert_int_equal(engine_pattern_id(e), engine_pattern_id(engine));
	engine_free(&e);
	/* nor when somebody says so */
	snprintf(dirs, sizeof(dirs), "{\"%s/.\"}", paths()->pattern_dir);
	assert_int_equal(conf_set(c, "PatternDirectory", dirs, &err), 0);
	e = engine_new(c, &err);
	assert_non_null(e);
	assert_int_equal(engine_pattern_id(e), engine_pattern_id(engine));
	engine_free(&e);
	conf_free(&c);
	run("rm %s/x.ndb", paths()->pattern_dir);
}

static void missing_directories_are_none_but_the_built_in(void **state)
{
	struct engine *e = engine_set("PatternDirectory", "/nonexistent/dir");
	struct err err;

	engine_free(&e);
	run("mv %s %s.away", paths()->builtin_dir, paths()->builtin_dir);
	e = engine_new(conf, &err);
	run("mv %s.away %s", paths()->builtin_dir, paths()->builtin_dir);
	assert_null(e);
	assert_non_null(strstr(err.text, paths()->builtin_dir));
}

static void pattern_id_follows_the_content(void **state)
{
	char path[600];
	struct err err;
	struct engine *e;
	uint64_t id;

	fresh_pattern_dir();
	snprintf(path, sizeof(path), "%s/x.ndb", db());
	put_text(path, "Foo.A:0:*:414243444546\n");
	e = engine_new(conf, &err);
	assert_non_null(e);
	id = engine_pattern_id(e);
	assert_int_not_equal(id, 0);
	assert_int_not_equal(id, engine_pattern_id(engine));
	engine_free(&e);
	e = engine_new(conf, &err);
	assert_true(engine_pattern_id(e) == id);
	engine_free(&e);
	put_text(path, "Foo.A:0:*:414243444547\n");
	e = engine_new(conf, &err);
	assert_true(engine_pattern_id(e) != id);
	engine_free(&e);
	fresh_pattern_dir();
}

static void names_of_others_are_left_as_they_are(void **state)
{
	char path[600];
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	snprintf(path, sizeof(path), "%s/x.ndb", db());
	put_text(path, "Foo.Bar-1:0:*:66756c6c206f66207370616d\n");
	e = engine_new(conf, &err);
	assert_non_null(e);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	put_text(in_root("f"), "this is full of spam indeed");
	expect_with(e, in_root("f"), VERDICT_INFECTED, "Foo.Bar-1.UNOFFICIAL");
	engine_free(&e);
	fresh_pattern_dir();
}

static void description_tells_what_is_loaded(void **state)
{
	json_t *d = engine_describe(engine);
	int *rar = dlsym(RTLD_DEFAULT, "have_rar"), none = 0;
	char path[600], id[17];
	struct err err;
	struct engine *e;

	assert_true(json_is_true(json_object_get(d, "builtin_only")));
	assert_int_equal(json_integer_value(json_object_get(d, "signatures")),
			 2);
	assert_int_equal(json_integer_value(json_object_get(d, "pattern_time")),
			 0);
	snprintf(id, sizeof(id), "%016llx",
		 (unsigned long long)engine_pattern_id(engine));
	assert_string_equal(json_string_value(json_object_get(d, "pattern_id")),
			    id);
	assert_non_null(json_string_value(json_object_get(d, "engine")));
	rar = rar ? rar : &none;
	assert_int_equal(json_is_true(json_object_get(d, "rar")), *rar);
	*rar = !*rar;
	json_decref(d);

	fresh_pattern_dir();
	make_cud("t.cud", 7, "Foo.A");
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	d = engine_describe(e);
	assert_int_equal(json_is_true(json_object_get(d, "rar")), *rar);
	*rar = !*rar;
	assert_false(json_is_true(json_object_get(d, "builtin_only")));
	assert_true(json_integer_value(json_object_get(d, "pattern_time")) >
		    1700000000);
	snprintf(path, sizeof(path), "%s/t.cud", db());
	for (size_t i = 0; i < json_array_size(json_object_get(d, "patterns"));
	     i++) {
		json_t *p = json_array_get(json_object_get(d, "patterns"), i);

		if (strcmp(json_string_value(json_object_get(p, "file")), path))
			continue;
		assert_string_equal(
			json_string_value(json_object_get(p, "kind")), "cud");
		assert_int_equal(
			json_integer_value(json_object_get(p, "version")), 7);
		assert_int_equal(
			json_integer_value(json_object_get(p, "signatures")),
			1);
		path[0] = '\0';
		break;
	}
	assert_int_equal(path[0], '\0');
	json_decref(d);
	engine_free(&e);
	fresh_pattern_dir();
}

static void of_two_containers_the_newer_is_loaded(void **state)
{
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	make_cud("t.CUD", 7, "Foo.V7");
	make_cud("t.cud", 8, "Foo.V8");
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	put_text(in_root("f"), "xx ABCDEF xx");
	expect_with(e, in_root("f"), VERDICT_INFECTED, "Foo.V8.UNOFFICIAL");
	engine_free(&e);
	fresh_pattern_dir();
}

static void every_test_file_of_clamav_is_found(void **state)
{
	struct dirent **names;
	int n = scandir(TESTFILES, &names, NULL, alphasort), seen = 0;
	struct err err;
	struct engine *e;

	assert_true(n > 2);
	fresh_pattern_dir();
	run("sigtool --md5 %s/clam.exe >%s/clam.hdb", TESTFILES, db());
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	for (int i = 0; i < n; i++) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", TESTFILES,
			 names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			expect_with(e, path, VERDICT_INFECTED,
				    "clam.exe.UNOFFICIAL");
			seen++;
		}
		free(names[i]);
	}
	free(names);
	assert_int_equal(seen, 44);
	engine_free(&e);
	fresh_pattern_dir();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_pattern_file_is_named),
		cmocka_unit_test(what_is_no_pattern_file_is_passed_over),
		cmocka_unit_test(what_lies_beside_the_sets_is_not_loaded),
		cmocka_unit_test(missing_directories_are_none_but_the_built_in),
		cmocka_unit_test(pattern_id_follows_the_content),
		cmocka_unit_test(names_of_others_are_left_as_they_are),
		cmocka_unit_test(description_tells_what_is_loaded),
		cmocka_unit_test(of_two_containers_the_newer_is_loaded),
		cmocka_unit_test(every_test_file_of_clamav_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
