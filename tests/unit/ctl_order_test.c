/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What conflicts and order print, and their exit codes: command lines against
 * a tree made here, and for others than root against a service. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>

#include "bootbed.h"
#include "ctlbed.h"
#include "common/ipc.h"
#include "common/paths.h"
#include "ctl/ctl.h"
#include "lib/loop.h"

static pid_t server;

static int run_as(uid_t uid, const char *line)
{
	return ctlbed_finish(bed, ctlbed_start(bed, uid, line));
}

static int run(const char *line)
{
	return run_as(0, line);
}

static void says(const char *text)
{
	if (!strstr(out, text))
		fail_msg("not said: %s\n%s%s", text, out, complaints);
}

static void complains(const char *text)
{
	if (!strstr(complaints, text))
		fail_msg("not told: %s\n%s%s", text, out, complaints);
}

static void silent(void)
{
	assert_string_equal(complaints, "");
}

/* ---- a service, for those who are not root ---- */

static void answer(struct ipc_call *call, const char *verb, json_t *args,
		   void *arg)
{
	json_t *data = json_loads(arg, 0, NULL);

	if (strcmp(verb, "conflicts") == 0 && data)
		ipc_reply(&call, data);
	else
		ipc_fail(&call, "denied", "you may not");
}

static void serve(const char *data)
{
	struct err err;
	struct loop *loop;
	char byte;
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	server = fork();
	if (server == 0) {
		alarm(60);
		paths_init(bed);
		if (fd_mkdirs(paths()->run_dir, 0755, &err) < 0)
			_exit(1);
		loop = loop_new();
		if (!ipc_listen(loop, paths()->entity_sock, answer,
				(void *)data, &err))
			_exit(1);
		chmod(paths()->entity_sock, 0666);
		fd_write_all(ready[1], "r", 1);
		loop_run(loop);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static int setup(void **state)
{
	int rc = bed_setup(state);

	bed_put("/out", "", 0666);
	bed_put("/err", "", 0666);
	bed_put("/etc/splx/conflicts.conf",
		"[abc]\nProduct = \"ABC\033[31m Scanner\"\n"
		"[def]\nProduct = DEF\nRestartsItself = \"at night\"\n"
		"[ghi]\nProduct = \"GHI Scanner\"\nText = \"take care\"\n",
		0644);
	return rc;
}

static int teardown(void **state)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
	return bed_teardown(state);
}

/* splx first of all, ghi at 90: the support case. */
static void the_case(void)
{
	bed_links("splx", 1, 99);
	bed_script("ghi", "", "");
	bed_links("ghi", 90, 10);
}

/* ---- conflicts ---- */

static void nobody_in_the_way_is_0(void **state)
{
	bed_links("splx", 1, 99);
	assert_int_equal(run("conflicts"), 0);
	says("no service is known to be in the way");
	assert_int_equal(run("conflicts --blocking"), 0);
	assert_string_equal(out, "");
	silent();
}

static void a_known_service_is_told_with_both_remedies(void **state)
{
	the_case();
	assert_int_equal(run("conflicts"), 0);
	says("ghi (GHI Scanner):");
	says("take care");
	says("Remedy 1: stop it before splx");
	says("service ghi stop\n");
	says("splxctl order apply --after=ghi");
	assert_int_equal(run("conflicts -o json"), 0);
	says("\"service\": \"ghi\"");
	assert_int_equal(run("conflicts --blocking"), 0);
	assert_string_equal(out, "");
}

static void a_wrong_entry_is_told_and_the_others_serve(void **state)
{
	the_case();
	run("conflicts");
	complains("conflicts.conf:2: holds a control character");
	assert_null(strchr(complaints, '\033'));
	says("ghi (GHI Scanner)");
}

/* What the kernel shows, by the words of a service. */
static const char blocked[] =
	"{\"loaded\":true,\"runlevel\":\"3\",\"blocking\":2,\"unseen\":[],"
	"\"problems\":[],\"conflicts\":["
	"{\"effect\":\"blocks-unload\",\"blocks\":true,\"module\":\"rv_a\","
	"\"kind\":\"inline-patch\",\"symbol\":\"thunk\",\"service\":\"abc\","
	"\"meaning\":\"m\",\"remedies\":[{\"number\":1,\"text\":\"t\","
	"\"command\":\"service abc stop\"}]},"
	"{\"effect\":\"blocks-unload\",\"blocks\":true,\"module\":\"rv_a\","
	"\"kind\":\"pointer\",\"symbol\":\"data\",\"service\":\"abc\","
	"\"meaning\":\"m\",\"remedies\":[{\"number\":1,\"text\":\"t\","
	"\"command\":\"service abc stop\"}]},"
	"{\"effect\":\"blocks-unload\",\"blocks\":true,\"module\":\"rv_b\","
	"\"service\":null,\"meaning\":\"m\",\"remedies\":[{\"number\":1,"
	"\"text\":\"unload it \\u001b[31m\",\"command\":null}]}]}";

static void what_keeps_the_module_is_1_and_one_line_each(void **state)
{
	serve(blocked);
	assert_int_equal(run_as(65534, "conflicts --blocking"), 1);
	assert_string_equal(out, "abc (module rv_a) keeps the kernel module: "
				 "first: service abc stop\n"
				 "rv_b keeps the kernel module: unload it "
				 "\\x1b[31m\n");
	silent();
	assert_int_equal(run_as(65534, "conflicts"), 1);
	says("blocks-unload");
	assert_int_equal(run_as(65534, "conflicts -o json"), 1);
	says("\"blocking\": 2");
}

static void a_refusal_of_the_service_is_2(void **state)
{
	serve("no JSON");
	assert_int_equal(run_as(65534, "conflicts"), 2);
	complains("you may not");
}

/* ---- order ---- */

static void check_is_1_while_a_conflict_comes_after_and_0_then(void **state)
{
	the_case();
	assert_int_equal(run("order check"), 1);
	says("ghi starts after splx in runlevel 3 (by number: S90ghi after "
	     "S01splx): splxctl order apply --after=ghi");
	assert_int_equal(run("order apply"), 0);
	says("rename /etc/rc3.d/S01splx to S91splx");
	says("Done.");
	says("The price:");
	assert_int_equal(run("order check"), 0);
	says("no known conflict starts after splx in runlevel 3");
	assert_int_equal(run("order check -o json"), 0);
	says("\"late\": []");
}

static void check_is_of_the_runlevel_that_is_named(void **state)
{
	the_case();
	assert_int_equal(run("order apply 3"), 0);
	assert_int_equal(run("order check 3"), 0);
	assert_int_equal(run("order check 2"), 1);
	assert_int_equal(run("order check 9"), 2);
	complains("9: is no runlevel");
}

static void show_tells_the_order_the_reasons_and_the_cost(void **state)
{
	bed_script("early", "", "");
	bed_links("early", 0, 1);
	the_case();
	assert_int_equal(run("order show"), 0);
	says("Runlevel 3 (after a boot).");
	says("before  S00early  early              by number: S00early before");
	says("after   S90ghi    ghi      yes       by number: S90ghi after");
	says("1 service starts before splx.");
	says("Remedy 2");
	assert_int_equal(run("order show S"), 0);
	says("splx is not started in this runlevel");
}

static void a_dry_run_only_shows(void **state)
{
	the_case();
	assert_int_equal(run("order apply --dry-run --after ghi"), 0);
	says("rename /etc/rc3.d/S01splx to S91splx");
	says("Dry run: nothing was changed.");
	assert_string_equal(bed_rc('3', 'S'), "S01splx S90ghi");
	assert_int_equal(run("order apply --dry-run -o json"), 0);
	says("\"applied\": false");
	says("\"to\": \"/etc/rc3.d/S91splx\"");
}

static void a_refusal_says_why_and_is_2(void **state)
{
	the_case();
	bed_script("def", "", "");
	bed_links("def", 95, 5);
	assert_int_equal(run("order apply --after=def"), 2);
	complains("def restarts itself at night");
	complains("Only remedy 1");
	assert_string_equal(bed_rc('3', 'S'), "S01splx S90ghi S95def");
	/* beside another it is left out: done in part */
	assert_int_equal(run("order apply"), 2);
	complains("def restarts itself at night");
	says("Done.");
	assert_string_equal(bed_rc('3', 'S'), "S90ghi S91splx S95def");
	assert_int_equal(run("order check"), 1);
	says("def starts after splx in runlevel 3");
	says("order is no remedy");
}

static void only_root_may_change_it(void **state)
{
	the_case();
	assert_int_equal(run_as(65534, "order apply"), 2);
	complains("only root");
}

static void without_runlevels_it_is_said(void **state)
{
	assert_int_equal(run("order show"), 2);
	complains("not started by runlevels");
	assert_int_equal(run("order apply"), 2);
	complains("not started by runlevels");
	assert_int_equal(run("conflicts"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nobody_in_the_way_is_0),
		T(a_known_service_is_told_with_both_remedies),
		T(a_wrong_entry_is_told_and_the_others_serve),
		T(what_keeps_the_module_is_1_and_one_line_each),
		T(a_refusal_of_the_service_is_2),
		T(check_is_1_while_a_conflict_comes_after_and_0_then),
		T(check_is_of_the_runlevel_that_is_named),
		T(show_tells_the_order_the_reasons_and_the_cost),
		T(a_dry_run_only_shows),
		T(a_refusal_says_why_and_is_2),
		T(only_root_may_change_it),
		T(without_runlevels_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
