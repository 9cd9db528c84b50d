/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/paths.h"
#include "ctlbed.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"

/* Whole command lines, against a service that listens in a private root. */
static char root[PATH_MAX];
static pid_t server;

static const char *in_root(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static int run(const char *line)
{
	return ctlbed_finish(root, ctlbed_start(root, 0, line));
}

static int group_setup(void **state)
{
	struct err err;

	strcpy(root, "/tmp/splx-ctl-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	paths_init(root);
	return fd_mkdirs(paths()->run_dir, 0755, &err);
}

static int group_teardown(void **state)
{
	char *command = xasprintf("rm -rf '%s'", root);
	int rc = system(command);

	free(command);
	free(out);
	free(complaints);
	return rc;
}

/* ---- a service ---- */

static void answer(struct ipc_call *call, const char *verb, json_t *args,
		   void *arg)
{
	const char *mode = arg;
	int healthy = strcmp(mode, "healthy") == 0;

	if (strcmp(mode, "silent") == 0)
		return;
	if (strcmp(mode, "refusing") == 0) {
		ipc_fail(&call, "denied", "you may not");
		return;
	}
	if (strcmp(verb, "health") == 0 || strcmp(verb, "status") == 0)
		ipc_reply(&call,
			  json_pack("{s:s,s:b,s:i,s:{s:i},s:[]}", "overall",
				    healthy ? "Protected" : "Unprotected",
				    "healthy", healthy, "generalStatus", 0,
				    "workers", "front", 3, "coverage"));
	else if (strcmp(verb, "quarantine.delete") == 0)
		ipc_reply(&call, json_pack("{s:[i],s:[{s:i,s:s}]}", "deleted",
					   1, "failed", "id", 2, "error",
					   "there is none"));
	else if (strcmp(verb, "config.set") == 0)
		ipc_reply(&call,
			  json_pack("{s:b,s:s,s:[s]}", "applied", healthy,
				    "note", "why", "changed", "Workers"));
	else if (strcmp(verb, "events.export") == 0) {
		ipc_more(call, json_pack("{s:s}", "text", "id,time\r\n"));
		ipc_more(call, json_pack("{s:s}", "text", "1,x\r\n"));
		ipc_reply(&call, json_pack("{s:i}", "events", 1));
	} else
		ipc_reply(&call, json_incref(args));
}

static void serve(const char *mode)
{
	struct err err;
	struct loop *loop;
	char byte;
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	server = fork();
	if (server == 0) {
		alarm(60);
		loop = loop_new();
		if (!ipc_listen(loop, paths()->entity_sock, answer,
				(void *)mode, &err))
			_exit(1);
		fd_write_all(ready[1], "r", 1);
		loop_run(loop);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static int end_service(void **state)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
	unlink(paths()->entity_sock);
	return 0;
}

/* ---- the command line ---- */

static void check_parse(char **argv, int argc, int count,
			enum ctl_output output, int timeout_ms)
{
	struct command cmd;

	assert_int_equal(command_parse(&cmd, argc, argv, NULL), 0);
	assert_int_equal(cmd.count, count);
	assert_int_equal(cmd.output, output);
	assert_int_equal(cmd.timeout_ms, timeout_ms);
	command_free(&cmd);
}

static void global_options_may_stand_anywhere_before_two_dashes(void **state)
{
	char *a[] = {"splxctl", "health", "--output", "json", "--field", "x"};
	char *b[] = {"splxctl", "-ojson", "--timeout=2", "health"};
	char *c[] = {"splxctl", "config", "set", "--", "K", "-ojson"};

	check_parse(a, 6, 3, CTL_JSON, 0);
	check_parse(b, 4, 1, CTL_JSON, 2000);
	check_parse(c, 6, 5, CTL_TABLE, 0);
}

static void wrong_use_is_2_and_names_what_is_allowed(void **state)
{
	assert_int_equal(run(""), 2);
	assert_non_null(strstr(complaints, "Usage: splxctl"));
	assert_int_equal(run("quarantin list"), 2);
	assert_non_null(strstr(complaints, "quarantine list"));
	assert_int_equal(run("-o yaml status"), 2);
	assert_non_null(strstr(complaints, "table or json"));
	assert_int_equal(run("--timeout x status"), 2);
	assert_int_equal(run("status --timeout"), 2);
	assert_int_equal(run("-R relative status"), 2);
	assert_int_equal(run("quarantine show"), 2);
	assert_non_null(strstr(complaints, "quarantine show ID"));
	assert_int_equal(run("scan --bogus /tmp"), 2);
	assert_int_equal(run("scan --action=eat /tmp"), 2);
	assert_non_null(strstr(complaints, "quarantine, delete"));
	assert_int_equal(run("service start all"), 2);
	assert_int_equal(run("service restart all"), 2);
	assert_int_equal(run("completion fish"), 2);
	assert_string_equal(out, "");
}

static void help_is_had_by_verb_by_noun_and_in_the_middle(void **state)
{
	assert_int_equal(run("help"), 0);
	assert_non_null(strstr(out, "quarantine restore"));
	assert_null(strstr(out, "scan begin"));
	assert_int_equal(run("help quarantine"), 0);
	assert_non_null(strstr(out, "quarantine purge"));
	assert_int_equal(run("quarantine --help list"), 0);
	assert_non_null(strstr(out, "quarantine list [--virus=TEXT]"));
	assert_null(strstr(out, "quarantine purge"));
	assert_int_equal(run("scan -h /tmp"), 0);
	assert_non_null(strstr(out, "splxctl scan [PATH...]"));
	assert_int_equal(run("help nonsense"), 2);
}

/* ---- the service ---- */

static void no_service_is_3_with_what_to_do(void **state)
{
	json_t *o;

	assert_int_equal(run("quarantine list"), 3);
	assert_string_equal(out, "");
	assert_string_equal(complaints, "splxctl: splx is not running: "
					"service splx start\n");
	assert_int_equal(run("status"), 3);
	assert_non_null(strstr(out, "service splx start"));
	assert_int_equal(run("events follow"), 3);
	assert_int_equal(run("service status"), 3);
	assert_int_equal(run("health -o json"), 3);
	o = json_loads(out, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "overall")),
			    "Unprotected");
	assert_int_equal(json_array_size(json_object_get(o, "health_issues")),
			 1);
	json_decref(o);
	assert_int_equal(run("health --field overall"), 3);
	assert_string_equal(out, "Unprotected\n");
	assert_int_equal(run("version"), 0);
}

static void scan_without_a_service_is_2(void **state)
{
	assert_int_equal(run("scan /tmp"), 2);
	assert_non_null(strstr(complaints, "service splx start"));
}

static void a_service_that_keeps_silent_is_3_within_the_timeout(void **state)
{
	uint64_t begin;

	serve("silent");
	begin = clock_mono_ns();
	assert_int_equal(run("--timeout 300ms status"), 3);
	assert_int_equal(run("--timeout 300ms config show"), 3);
	assert_int_equal(run("--timeout 300ms events follow"), 3);
	assert_true(clock_mono_ns() - begin < 10 * CLOCK_NS_PER_S);
}

static void health_and_status_are_0_when_well_and_1_when_not(void **state)
{
	serve("healthy");
	assert_int_equal(run("health"), 0);
	assert_int_equal(run("status"), 0);
	end_service(NULL);
	serve("ill");
	assert_int_equal(run("health"), 1);
	assert_int_equal(run("health -o json"), 1);
	assert_int_equal(run("status"), 1);
	assert_non_null(strstr(out, "Unprotected"));
}

static void a_field_of_health_is_printed_alone(void **state)
{
	serve("healthy");
	assert_int_equal(run("health --field overall"), 0);
	assert_string_equal(out, "Protected\n");
	assert_int_equal(run("health --field=healthy"), 0);
	assert_string_equal(out, "true\n");
	assert_int_equal(run("health --field workers.front"), 0);
	assert_string_equal(out, "3\n");
	assert_int_equal(run("health --field workers -o json"), 0);
	assert_string_equal(out, "{\"front\":3}\n");
	assert_int_equal(run("health --field nonsense"), 2);
	assert_non_null(strstr(complaints, "generalStatus"));
	assert_string_equal(out, "");
}

static void a_refusal_is_2_with_the_services_words(void **state)
{
	serve("refusing");
	assert_int_equal(run("quarantine list"), 2);
	assert_string_equal(complaints, "splxctl: you may not\n");
	assert_int_equal(run("status"), 2);
	assert_int_equal(run("events list"), 2);
	assert_int_equal(run("events export"), 2);
}

static void what_failed_in_part_is_2_and_what_was_done_is_told(void **state)
{
	serve("healthy");
	assert_int_equal(run("quarantine delete 1 2"), 2);
	assert_string_equal(out, "deleted 1\n");
	assert_string_equal(complaints, "splxctl: 2: there is none\n");
}

static void a_change_that_is_not_in_force_is_1(void **state)
{
	serve("healthy");
	assert_int_equal(run("config set Workers 3"), 0);
	assert_string_equal(out, "changed: Workers\nwhy\n");
	end_service(NULL);
	serve("ill");
	assert_int_equal(run("config set Workers 3"), 1);
	assert_non_null(strstr(complaints, "not in force yet: why"));
}

static void an_export_is_written_as_it_comes(void **state)
{
	serve("healthy");
	assert_int_equal(run("events export --format=csv"), 0);
	assert_string_equal(out, "id,time\r\n1,x\r\n");
}

static void what_has_no_table_and_json_is_printed_as_it_came(void **state)
{
	serve("healthy");
	assert_int_equal(run("-o json quarantine show 7"), 0);
	assert_string_equal(out, "{\n  \"id\": \"7\"\n}\n");
}

/* ---- what needs no service ---- */

static void config_check_tells_the_line_and_changes_nothing(void **state)
{
	fd_replace_file(in_root("good"), "Workers = 3\n", 12, 0600, NULL);
	fd_replace_file(in_root("bad"), "\nWorkers = many\n", 16, 0600, NULL);
	char *line = xasprintf("config check %s/good", root);

	assert_int_equal(run(line), 0);
	free(line);
	line = xasprintf("config check %s/bad", root);
	assert_int_equal(run(line), 2);
	assert_non_null(strstr(complaints, "bad:2: Workers"));
	free(line);
	line = xasprintf("config check -o json %s/bad", root);
	assert_int_equal(run(line), 2);
	assert_non_null(strstr(out, "\"right\": false"));
	free(line);
}

static void the_sample_is_right(void **state)
{
	char *text, *line;

	assert_int_equal(run("config sample"), 0);
	text = xstrdup(out);
	fd_replace_file(in_root("sample"), text, strlen(text), 0600, NULL);
	line = xasprintf("config check %s/sample", root);
	assert_int_equal(run(line), 0);
	free(line);
	free(text);
}

static void a_bundle_can_be_had_without_a_service(void **state)
{
	char *line = xasprintf("diagnose %s/d.tar.gz", root), *command;
	static const char conf[] = "SmtpPassword = \"hunter2\"\nWorkers = 3\n";
	struct stat st;

	assert_int_equal(fd_mkdirs(paths()->conf_dir, 0755, NULL), 0);
	assert_int_equal(fd_mkdirs(paths()->lib_dir, 0755, NULL), 0);
	assert_int_equal(fd_mkdirs(paths()->quarantine_dir, 0700, NULL), 0);
	fd_replace_file(paths()->conf, conf, strlen(conf), 0600, NULL);
	fd_replace_file(paths()->quarantine_key, "KEYBYTES", 8, 0600, NULL);
	command = xasprintf("%s/1.q", paths()->quarantine_dir);
	fd_replace_file(command, "SEALED", 6, 0600, NULL);
	free(command);
	assert_int_equal(run(line), 0);
	assert_int_equal(stat(in_root("d.tar.gz"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	command = xasprintf("cd '%s' && tar xzf d.tar.gz && "
			    "grep -rq 'Workers = 3' splx-diagnose-* && "
			    "grep -rq kernel/ . ; ! grep -rqE "
			    "'hunter2|KEYBYTES|SEALED' splx-diagnose-*",
			    root);
	assert_int_equal(system(command), 0);
	free(command);
	command = xasprintf("cd '%s' && ls splx-diagnose-*/splx.conf "
			    "splx-diagnose-*/kernel/proc/mounts "
			    "splx-diagnose-*/health.json >/dev/null",
			    root);
	assert_int_equal(system(command), 0);
	free(command);
	assert_int_equal(run(line), 2); /* it is there already */
	free(line);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, NULL, end_service)
#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(global_options_may_stand_anywhere_before_two_dashes),
		TEST(wrong_use_is_2_and_names_what_is_allowed),
		TEST(help_is_had_by_verb_by_noun_and_in_the_middle),
		TEST(no_service_is_3_with_what_to_do),
		TEST(scan_without_a_service_is_2),
		SERVED(a_service_that_keeps_silent_is_3_within_the_timeout),
		SERVED(health_and_status_are_0_when_well_and_1_when_not),
		SERVED(a_field_of_health_is_printed_alone),
		SERVED(a_refusal_is_2_with_the_services_words),
		SERVED(what_failed_in_part_is_2_and_what_was_done_is_told),
		SERVED(a_change_that_is_not_in_force_is_1),
		SERVED(an_export_is_written_as_it_comes),
		SERVED(what_has_no_table_and_json_is_printed_as_it_came),
		TEST(config_check_tells_the_line_and_changes_nothing),
		TEST(the_sample_is_right),
		TEST(a_bundle_can_be_had_without_a_service),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
