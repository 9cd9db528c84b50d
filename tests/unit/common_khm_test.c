// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* What the kernel module is told, and what is made of what it says. The
 * module itself is met in the virtual machines (tests/vm). */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/khm.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

static struct conf *conf;
static struct khm_rules rules;
static struct mount_list mounts;
static char dir[64];

static void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(conf, key, value, &err))
		fail_msg("%s", err.text);
}

static void set_path(const char *key, const char *name)
{
	char *value = xasprintf("{\"%s%s\"}", dir, name);

	set(key, value);
	free(value);
}

static char *here(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	return path;
}

static void reckon(void)
{
	khm_rules_free(&rules);
	khm_rules_from(conf, &mounts, &rules);
}

static const struct splxmod_rule *rule(enum splxmod_rule_kind kind,
				       const char *text)
{
	const struct splxmod_rule *r;

	vec_each (r, &rules) {
		if (r->kind == kind && (!text || !strcmp(r->text, text)))
			return r;
	}
	return NULL;
}

static int setup(void **state)
{
	char *table;

	strcpy(dir, "/tmp/splx-khm-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mkdir(here("/mnt"), 0755), 0);
	conf = conf_new();
	table = xasprintf("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			  "21 20 0:41 /sub %s/mnt rw - btrfs /dev/sdb rw\n",
			  dir);
	mounts_parse(table, &mounts);
	free(table);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	khm_rules_free(&rules);
	mounts_free(&mounts);
	conf_free(&conf);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* --- settings ------------------------------------------------------------ */

static void the_policies_are_the_settings(void **state)
{
	struct splxmod_config c;

	set("OnError", "deny");
	set("OnTimeout", "allow");
	khm_config_from(conf, 7, &c);
	assert_int_equal(c.deny, SPLXMOD_DENY_ERROR | SPLXMOD_DENY_FULL);
	set("OnError", "allow");
	set("OnTimeout", "deny");
	khm_config_from(conf, 7, &c);
	assert_int_equal(c.deny, SPLXMOD_DENY_TIMEOUT);
	set("OnError", "deny");
	set("OnTimeout", "default");
	khm_config_from(conf, 7, &c);
	assert_int_equal(c.deny, SPLXMOD_DENY_ERROR | SPLXMOD_DENY_FULL |
					 SPLXMOD_DENY_TIMEOUT);
	assert_int_equal(c.epoch, 7);
}

static void an_outgoing_class_covers_executions(void **state)
{
	static const struct {
		const char *setting;
		uint32_t classes;
	} rows[] = {
		{"1", SPLXMOD_CLOSE},
		{"2", SPLXMOD_OPEN | SPLXMOD_EXEC},
		{"4", SPLXMOD_EXEC},
		{"7", SPLXMOD_OPEN | SPLXMOD_EXEC | SPLXMOD_CLOSE},
	};
	struct splxmod_config c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		set("RealtimeScan", rows[i].setting);
		khm_config_from(conf, 1, &c);
		assert_int_equal(c.classes, rows[i].classes);
	}
}

static void every_setting_lies_within_the_modules_bounds(void **state)
{
	static const struct {
		const char *timeout, *row, *retry;
	} rows[] = {
		{"100ms", "1", "100ms"},
		{"5s", "3", "2s"},
		{"2m", "1000", "10m"},
	};
	struct splxmod_config c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		set("VerdictTimeout", rows[i].timeout);
		set("BreakerTimeouts", rows[i].row);
		set("BreakerRetry", rows[i].retry);
		khm_config_from(conf, 1, &c);
		assert_in_range(c.verdict_timeout_ms, 100, 120000);
		assert_in_range(c.grace_ms, 0, c.verdict_timeout_ms);
		assert_in_range(c.max_pending, 16, 65536);
		assert_in_range(c.max_close, 16, 65536);
		assert_in_range(c.breaker_timeouts, 1, 1000);
		assert_in_range(c.breaker_retry_ms, 100, 600000);
		assert_int_equal(c.reserved[0] | c.reserved[3], 0);
	}
}

static void the_hook_method_is_the_modules_number(void **state)
{
	static const char *const words[] = {"auto", "ftrace", "fsnotify"};
	struct splxmod_config c;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		set("HookMethod", words[i]);
		khm_config_from(conf, 1, &c);
		assert_int_equal(c.method, i);
		assert_string_equal(khm_method_name(c.method), words[i]);
	}
}

static void without_known_files_the_module_remembers_nothing(void **state)
{
	struct splxmod_config c;

	khm_config_from(conf, 1, &c);
	assert_int_equal(c.flags, SPLXMOD_CACHE);
	set("KnownClean", "off");
	khm_config_from(conf, 1, &c);
	assert_int_equal(c.flags, 0);
}

/* --- rules --------------------------------------------------------------- */

static void file_systems_without_files_need_no_question(void **state)
{
	reckon();
	assert_non_null(rule(SPLXMOD_RULE_FSTYPE, "proc"));
	assert_non_null(rule(SPLXMOD_RULE_FSTYPE, "sysfs"));
	assert_null(rule(SPLXMOD_RULE_FSTYPE, "tmpfs"));
	assert_null(rule(SPLXMOD_RULE_FSTYPE, "ext4"));
}

static void network_and_fuse_follow_their_settings(void **state)
{
	reckon();
	assert_non_null(rule(SPLXMOD_RULE_FSTYPE, "nfs4"));
	assert_non_null(rule(SPLXMOD_RULE_FSTYPE, "fuse"));
	set("ScanNetworkFs", "yes");
	set("ScanFuse", "yes");
	set("ExcludeFsType", "{\"xfs\"}");
	reckon();
	assert_null(rule(SPLXMOD_RULE_FSTYPE, "nfs4"));
	assert_null(rule(SPLXMOD_RULE_FSTYPE, "fuse"));
	assert_non_null(rule(SPLXMOD_RULE_FSTYPE, "xfs"));
}

static void a_program_is_excluded_by_its_file_and_file_system(void **state)
{
	const struct splxmod_rule *r;
	struct stat st;

	assert_int_equal(fd_replace_file(here("/mnt/prog"), "x", 1, 0755, NULL),
			 0);
	assert_int_equal(symlink("prog", here("/mnt/link")), 0);
	assert_int_equal(stat(here("/mnt/prog"), &st), 0);
	set_path("ExcludeExecutable", "/mnt/link");
	reckon();
	r = rule(SPLXMOD_RULE_EXE, NULL);
	assert_non_null(r);
	assert_int_equal(r->ino, st.st_ino);
	assert_int_equal(r->dev, makedev(0, 41));
	set_path("ExcludeExecutable", "/mnt/none");
	reckon();
	assert_null(rule(SPLXMOD_RULE_EXE, NULL));
}

static void a_directory_is_named_from_the_root_of_its_file_system(void **state)
{
	const struct splxmod_rule *r;
	struct stat st;

	assert_int_equal(mkdir(here("/mnt/db"), 0755), 0);
	assert_int_equal(stat(here("/mnt/db"), &st), 0);
	set_path("ExcludeDirectory", "/mnt/db/");
	reckon();
	r = rule(SPLXMOD_RULE_DIRECTORY, "/sub/db");
	assert_non_null(r);
	assert_int_equal(r->ino, st.st_ino);
	assert_int_equal(r->dev, makedev(0, 41));
	/* the mount point itself, and one on the file system at / */
	set_path("ExcludeDirectory", "/mnt");
	reckon();
	assert_non_null(rule(SPLXMOD_RULE_DIRECTORY, "/sub"));
	set_path("ExcludeDirectory", "");
	reckon();
	r = rule(SPLXMOD_RULE_DIRECTORY, dir);
	assert_non_null(r);
	assert_int_equal(r->dev, makedev(8, 1));
}

/* Who may place a link shall not widen an exclusion. */
static void a_directory_behind_a_link_is_left_to_the_workers(void **state)
{
	assert_int_equal(mkdir(here("/mnt/db"), 0755), 0);
	assert_int_equal(symlink("mnt", here("/way")), 0);
	set_path("ExcludeDirectory", "/way/db");
	reckon();
	assert_null(rule(SPLXMOD_RULE_DIRECTORY, NULL));
}

static void what_there_is_no_room_for_is_counted(void **state)
{
	char longer[sizeof(((struct splxmod_rule *)0)->text) + 1];
	unsigned int i;

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	khm_rules_add(&rules, SPLXMOD_RULE_DIRECTORY, 1, 1, longer);
	assert_int_equal(rules.len, 0);
	assert_int_equal(rules.left_out, 1);
	for (i = 0; i <= SPLXMOD_RULES_MAX; i++)
		khm_rules_add(&rules, SPLXMOD_RULE_DEV, i, 0, NULL);
	assert_int_equal(rules.len, SPLXMOD_RULES_MAX);
	assert_int_equal(rules.left_out, 2);
}

/* --- lines --------------------------------------------------------------- */

static const char report[] = "ftrace: security_file_open is taken\n"
			     "fsnotify: not wanted\n"
			     "ftrace-ipmodify rv_ftip rv_callback blocks-arm\n"
			     "kprobe - pre_handler safe\n"
			     "livepatch lp_one - blocks-arm\n";

static void a_rivals_line_is_taken_apart(void **state)
{
	struct khm_rival r;

	assert_true(
		khm_rival_parse("pointer rv_fops data+0x20 blocks-unload", &r));
	assert_string_equal(r.kind, "pointer");
	assert_string_equal(r.module, "rv_fops");
	assert_string_equal(r.symbol, "data+0x20");
	assert_string_equal(r.effect, "blocks-unload");
	assert_false(khm_rival_parse("ftrace: is taken by somebody", &r));
	assert_false(khm_rival_parse("kprobe m s unheard-of", &r));
	assert_false(khm_rival_parse("kprobe m s safe more", &r));
	assert_false(khm_rival_parse("", &r));
}

static void a_report_names_who_is_in_the_way(void **state)
{
	char words[512];

	khm_report_words(report, words, sizeof(words));
	assert_string_equal(words,
			    "in the way: rv_ftip (ftrace-ipmodify rv_callback)"
			    ", lp_one (livepatch)");
	khm_report_words("ftrace: no such symbol\nfsnotify: no\n", words,
			 sizeof(words));
	assert_string_equal(words, "ftrace: no such symbol; fsnotify: no");
	khm_report_words("kprobe - x safe\n", words, sizeof(words));
	assert_string_equal(words, "");
	/* longer than there is room for: cut, not overrun */
	khm_report_words(report, words, 12);
	assert_string_equal(words, "in the way:");
}

static void a_report_tells_why_a_method_does_not_go(void **state)
{
	char why[128];

	khm_report_method(report, "ftrace", why, sizeof(why));
	assert_string_equal(why, "security_file_open is taken");
	khm_report_method(report, "fsnotify", why, sizeof(why));
	assert_string_equal(why, "not wanted");
	khm_report_method(report, "kprobe", why, sizeof(why));
	assert_string_equal(why, "");
	khm_report_method("ftrace:", "ftrace", why, sizeof(why));
	assert_string_equal(why, "");
}

static void counters_have_the_names_of_the_status_file(void **state)
{
	assert_string_equal(khm_counter_name(SPLXMOD_COUNT_CALLS), "calls");
	assert_string_equal(khm_counter_name(SPLXMOD_COUNT_FORGOTTEN),
			    "forgotten");
	assert_null(khm_counter_name(SPLXMOD_COUNTS));
}

/* --- why it is not there ------------------------------------------------- */

static void a_refusal_has_its_true_reason(void **state)
{
	static const struct {
		struct khm_refusal r;
		enum status_code code;
		const char *word;
	} rows[] = {
		{{.code = ENOSYS}, STATUS_NO_MODULE, "loads no modules"},
		{{.code = EPERM, .no_modules = true},
		 STATUS_NO_MODULE,
		 "loads no modules"},
		{{.code = EPERM, .modules_off = true},
		 STATUS_NO_MODULE,
		 "modules_disabled"},
		{{.code = EPERM,
		  .lockdown = "none [integrity] confidentiality"},
		 STATUS_MODULE_REFUSED,
		 "Secure Boot"},
		{{.code = EPERM,
		  .lockdown = "[none] integrity confidentiality"},
		 STATUS_MODULE_REFUSED,
		 "not allowed"},
		{{.code = EKEYREJECTED}, STATUS_MODULE_REFUSED, "signed"},
		{{.code = ENOKEY}, STATUS_MODULE_REFUSED, "signed"},
		{{.code = ENOEXEC, .release = "6.1.0", .vermagic = "5.10.0"},
		 STATUS_MODULE_MISFIT,
		 "built for \"5.10.0\", this is 6.1.0"},
		{{.code = ENOEXEC, .release = "6.1.0"},
		 STATUS_MODULE_MISFIT,
		 "6.1.0"},
		{{.code = ENOENT}, STATUS_MODULE_MISFIT, "symbols"},
		{{.code = ENOMEM}, STATUS_MODULE_FAILED, "memory"},
		{{.code = 0}, STATUS_OK, ""},
	};
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		err_set(&err, 0, "before");
		assert_int_equal(khm_refusal_code(&rows[i].r, &err),
				 rows[i].code);
		assert_non_null(strstr(err.text, rows[i].word));
	}
}

static void write_why(const char *text)
{
	assert_int_equal(fd_mkdirs(paths()->run_dir, 0755, NULL), 0);
	assert_int_equal(fd_replace_file(paths()->module_why, text,
					 strlen(text), 0644, NULL),
			 0);
}

/* Where modules are loaded at all, the last try says why this one is not. */
static void the_last_try_is_remembered(void **state)
{
	bool modules = !access("/proc/modules", F_OK);
	struct err err;

	if (!access(KHM_DEVICE, F_OK))
		skip();
	write_why("20070\nthe kernel is locked down\n");
	assert_int_equal(khm_why_not(&err),
			 modules ? STATUS_MODULE_REFUSED : STATUS_NO_MODULE);
	if (modules)
		assert_string_equal(err.text, "the kernel is locked down");
	/* what is not ours is not believed */
	write_why("20001\nprotected\n");
	assert_int_equal(khm_why_not(&err),
			 modules ? STATUS_NO_MODULE_BUILT : STATUS_NO_MODULE);
	write_why("rubbish");
	assert_int_equal(khm_why_not(&err),
			 modules ? STATUS_NO_MODULE_BUILT : STATUS_NO_MODULE);
	assert_true(*err.text);
}

/* --- which build it is --------------------------------------------------- */

static void a_modules_file_tells_what_it_is(void **state)
{
	static const char file[] = "\177ELF\0xversion=3\0srcversion=ABC\0"
				   "version=1.0\0vermagic=6.1 SMP ";
	static const char last[] = "\0version=2.0";
	struct khm_build build;
	char value[32];

	assert_int_equal(
		fd_replace_file(here("/a.ko"), file, sizeof(file), 0644, NULL),
		0);
	assert_true(khm_build_of(here("/a.ko"), &build));
	assert_string_equal(build.version, "1.0");
	assert_string_equal(build.sources, "ABC");
	khm_modinfo(here("/a.ko"), "vermagic", value, sizeof(value));
	assert_string_equal(value, "6.1 SMP ");
	khm_modinfo(here("/a.ko"), "depends", value, sizeof(value));
	assert_string_equal(value, "");
	/* one that ends in the middle of it */
	assert_int_equal(fd_replace_file(here("/b.ko"), last, sizeof(last) - 1,
					 0644, NULL),
			 0);
	assert_true(khm_build_of(here("/b.ko"), &build));
	assert_string_equal(build.version, "2.0");
	assert_false(khm_build_of(here("/none.ko"), &build));
}

/* By modinfo(8); here by one of ours. */
static void a_compressed_modules_file_tells_it_too(void **state)
{
	static const char script[] = "#!/bin/sh\n"
				     "[ \"$1\" = -F ] && case $3 in\n"
				     "*/a.ko.xz) echo \"of $2\" ;;\n"
				     "*) exit 1 ;; esac\n";
	char *path = xstrdup(getenv("PATH"));
	struct khm_build build;
	bool found, none;

	assert_int_equal(fd_replace_file(here("/modinfo"), script,
					 strlen(script), 0755, NULL),
			 0);
	setenv("PATH", dir, 1);
	found = khm_build_of(here("/a.ko.xz"), &build);
	setenv("PATH", path, 1);
	assert_true(found);
	assert_string_equal(build.version, "of version");
	assert_string_equal(build.sources, "of srcversion");
	setenv("PATH", dir, 1);
	none = khm_build_of(here("/b.ko.xz"), &build);
	setenv("PATH", path, 1);
	free(path);
	assert_false(none);
}

static void another_build_is_one_only_when_that_is_certain(void **state)
{
	static const struct {
		struct khm_build loaded, installed;
		const char *words;
	} rows[] = {
		{{"1.0", "AB"}, {"1.0", "AB"}, NULL},
		{{"1.0", "AB"}, {"2.0", "CD"}, "version 1.0 .* 2.0"},
		{{"1.0", "AB"}, {"1.0", "CD"}, "another build .* 1.0"},
		{{"1.0", ""}, {"2.0", ""}, "version 1.0 .* 2.0"},
		{{"", "AB"}, {"1.0", "CD"}, "another build .* unknown"},
		{{"1.0", ""}, {"1.0", "AB"}, NULL},
		{{"", ""}, {"1.0", "AB"}, NULL},
		{{"1.0", "AB"}, {"", ""}, NULL},
	};
	struct err why;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *words = rows[i].words;
		regex_t re;

		err_set(&why, 0, "before");
		assert_int_equal(khm_build_differs(&rows[i].loaded,
						   &rows[i].installed, &why),
				 words != NULL);
		if (!words)
			continue;
		assert_int_equal(regcomp(&re, words, REG_NOSUB), 0);
		assert_int_equal(regexec(&re, why.text, 0, NULL, 0), 0);
		regfree(&re);
	}
	if (access(KHM_DEVICE, F_OK))
		assert_false(khm_is_other(&why));
}

static void without_a_device_everything_says_so(void **state)
{
	struct khm_report r;
	struct err err;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_false(khm_is_device(-1));
	assert_false(khm_is_device(null));
	assert_int_equal(khm_arm(null, &r, &err), -1);
	assert_int_equal(err.code, ENOTTY);
	close(null);
	if (!access(KHM_DEVICE, F_OK))
		return;
	assert_int_equal(khm_open(&err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(khm_open_any(&err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(khm_reader(SPLXMOD_OPEN, &err), -1);
	/* what is not loaded need not be unloaded */
	assert_int_equal(khm_unload(&r, &err), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_policies_are_the_settings),
		T(an_outgoing_class_covers_executions),
		T(every_setting_lies_within_the_modules_bounds),
		T(the_hook_method_is_the_modules_number),
		T(without_known_files_the_module_remembers_nothing),
		T(file_systems_without_files_need_no_question),
		T(network_and_fuse_follow_their_settings),
		T(a_program_is_excluded_by_its_file_and_file_system),
		T(a_directory_is_named_from_the_root_of_its_file_system),
		T(a_directory_behind_a_link_is_left_to_the_workers),
		T(what_there_is_no_room_for_is_counted),
		T(a_rivals_line_is_taken_apart),
		T(a_report_names_who_is_in_the_way),
		T(a_report_tells_why_a_method_does_not_go),
		T(counters_have_the_names_of_the_status_file),
		T(a_refusal_has_its_true_reason),
		T(the_last_try_is_remembered),
		T(a_modules_file_tells_what_it_is),
		T(a_compressed_modules_file_tells_it_too),
		T(another_build_is_one_only_when_that_is_certain),
		T(without_a_device_everything_says_so),
	};
	char root[] = "/tmp/splx-khmroot-XXXXXX", cmd[128];
	int rc;

	if (!mkdtemp(root))
		return 1;
	paths_init(root);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	return system(cmd) || rc;
}
