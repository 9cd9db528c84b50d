/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Lists as they come with a set of patterns, and what rules say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/netrules.h"
#include "common/paths.h"
#include "common/patternset.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

static char root[] = "/tmp/splx-netrules-XXXXXX";
static struct err err;

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", err.text);
}

static void write_file(const char *path, const char *text)
{
	must(fd_replace_file(path, text, strlen(text), 0644, &err));
}

/* A new set with that list in a part of that name. */
static void update(const char *part, const char *file, const char *text)
{
	char *dir = xasprintf("%s/incoming", root);
	char *path = xasprintf("%s/%s", dir, file);
	struct patternset_stage stage = {0};
	struct manifest m = {.version = 7, .created = 1790000000};
	struct manifest_file f = {.size = strlen(text)};
	uint64_t number;
	int fd, lock;

	must(fd_mkdirs(dir, 0755, &err));
	write_file(path, text);
	str_copy(m.name, sizeof(m.name), part);
	str_copy(f.name, sizeof(f.name), file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(hash_fd_hex(fd, f.sha256, NULL, &err));
	close(fd);
	vec_push(&m, f);
	lock = patternset_lock(&err);
	must(lock);
	must(patternset_stage_begin(&stage, &err));
	must(patternset_stage_part(&stage, &m, dir, "a test", "", &err));
	must(patternset_install(&stage, &number, &err));
	must(patternset_switch(number, &err));
	patternset_stage_end(&stage);
	manifest_free(&m);
	close(lock);
	free(path);
	free(dir);
}

static int up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	paths_init(root);
	must(fd_mkdirs(paths()->conf_dir, 0755, &err));
	return fd_mkdirs(paths()->pattern_dir, 0755, &err);
}

static int down(void **state)
{
	char *line = xasprintf("rm -rf '%s'", root);
	int rc = system(line);

	(void)state;
	free(line);
	return rc;
}

static void to16(const char *text, uint8_t out[16])
{
	struct netaddr a;

	must(netaddr_parse(text, &a, &err));
	netaddr_to16(&a, out);
}

static struct conn conn(bool in, const char *remote, uint16_t port)
{
	struct conn c = {.in = in, .uid = -1};

	to16("192.0.2.1", c.local);
	to16(remote, c.remote);
	c.local_port = in ? port : 40000;
	c.remote_port = in ? 40000 : port;
	return c;
}

/* "VERDICT RULE LIST" */
static const char *ask(const struct netrules *rules, const struct conn *c)
{
	static char text[200];
	struct conn_answer a;

	judge_conn(rules, c, &a);
	snprintf(text, sizeof(text), "%s %s %s", netrule_action(a.verdict),
		 netrules_rule_name(rules, a.rule),
		 netrules_list_name(rules, a.list));
	return text;
}

static struct netrules *load(const char *text)
{
	struct netrules *rules;

	write_file(paths()->network, text);
	rules = netrules_load(&err);
	if (!rules)
		fail_msg("%s", err.text);
	return rules;
}

static void without_rules_everything_is_allowed(void **state)
{
	struct conn c = conn(true, "203.0.113.9", 22);
	struct netrules *rules;

	(void)state;
	assert_string_equal(ask(NULL, &c), "allow  ");
	unlink(paths()->network);
	rules = netrules_load(&err);
	assert_non_null(rules);
	assert_string_equal(ask(rules, &c), "allow  ");
	assert_int_equal(netrules_rules(rules), 0);
	netrules_free(&rules);
	assert_null(rules);
}

static void the_first_rule_that_fits_decides(void **state)
{
	struct netrules *rules = load("[off]\nAction = drop\nAddress = any\n"
				      "Enabled = no\n"
				      "[one]\nAction = allow\n"
				      "Address = 198.51.100.7\n"
				      "[net]\nAction = reset\n"
				      "Address = 198.51.100.0/24\n"
				      "[all]\nAction = alert\n");
	struct conn c = conn(true, "198.51.100.7", 22);

	(void)state;
	assert_string_equal(ask(rules, &c), "allow one ");
	c = conn(true, "198.51.100.8", 22);
	assert_string_equal(ask(rules, &c), "reset net ");
	c = conn(true, "198.51.101.8", 22);
	assert_string_equal(ask(rules, &c), "alert all ");
	assert_int_equal(netrules_rules(rules), 4);
	netrules_free(&rules);
}

static void a_port_is_that_of_the_service(void **state)
{
	struct netrules *rules = load("[in]\nAction = drop\nDirection = in\n"
				      "Port = 20-22\n"
				      "[out]\nAction = alert\nDirection = out\n"
				      "Port = 25\n");
	struct conn c = conn(true, "2001:db8::1", 22);

	(void)state;
	assert_string_equal(ask(rules, &c), "drop in ");
	c = conn(false, "2001:db8::1", 22);
	assert_string_equal(ask(rules, &c), "allow  ");
	c = conn(false, "2001:db8::1", 25);
	assert_string_equal(ask(rules, &c), "alert out ");
	c = conn(true, "2001:db8::1", 25);
	assert_string_equal(ask(rules, &c), "allow  ");
	c = conn(true, "2001:db8::1", 23);
	assert_string_equal(ask(rules, &c), "allow  ");
	/* What stays here comes in, too. */
	c = conn(false, "::1", 22);
	c.loopback = true;
	assert_string_equal(ask(rules, &c), "drop in ");
	netrules_free(&rules);
}

static void a_user_that_is_not_known_is_nobody(void **state)
{
	struct netrules *rules = load("[u]\nAction = drop\nUser = 0, 65534\n"
				      "[l]\nAction = alert\n"
				      "Local = 192.0.2.1\nPort = 80\n");
	struct conn c = conn(false, "203.0.113.9", 443);

	(void)state;
	assert_true(netrules_by_user(rules));
	assert_string_equal(ask(rules, &c), "allow  ");
	c.uid = 0;
	assert_string_equal(ask(rules, &c), "drop u ");
	c.uid = 65534;
	assert_string_equal(ask(rules, &c), "drop u ");
	c.uid = 1000;
	assert_string_equal(ask(rules, &c), "allow  ");
	c.remote_port = 80;
	assert_string_equal(ask(rules, &c), "alert l ");
	to16("192.0.2.2", c.local);
	assert_string_equal(ask(rules, &c), "allow  ");
	netrules_free(&rules);
	rules = load("[u]\nAction = drop\nUser = 0\nEnabled = no\n");
	assert_false(netrules_by_user(rules));
	netrules_free(&rules);
}

static void wrong_rules_are_refused_as_a_whole(void **state)
{
	(void)state;
	write_file(paths()->network, "[a]\nAction = allow\n[b]\nAction = no\n"
				     "[c]\nPort = 1\n");
	assert_null(netrules_load(&err));
	assert_non_null(strstr(err.text, "network.conf:4: Action: allow,"));
	assert_non_null(strstr(err.text, "(and 1 more)"));
}

static void a_list_comes_with_the_patterns(void **state)
{
	static const char text[] = "[good]\nAction = allow\n"
				   "List = partners, missing\n"
				   "[bad]\nAction = drop\nList = botnets\n"
				   "[none]\nAction = reset\nList = missing\n";
	struct netrules *rules;
	struct conn c;

	(void)state;
	update("feed", "botnets.netlist",
	       "# two\n198.51.100.0/24 ; SBL\n\t2001:db8::/33\r\n");
	update("own", "partners.netlist", "198.51.100.9");
	update("own2", "botnets.netlist", "203.0.113.0/29\n");
	rules = load(text);
	assert_int_equal(netrules_lists(rules), 2);
	assert_int_equal(netrules_entries(rules), 4);
	c = conn(true, "198.51.100.9", 1);
	assert_string_equal(ask(rules, &c), "allow good partners");
	c = conn(true, "198.51.100.8", 1);
	assert_string_equal(ask(rules, &c), "drop bad botnets");
	c = conn(false, "203.0.113.7", 1);
	assert_string_equal(ask(rules, &c), "drop bad botnets");
	c = conn(true, "2001:db8::5", 1);
	assert_string_equal(ask(rules, &c), "drop bad botnets");
	c = conn(true, "203.0.113.8", 1);
	assert_string_equal(ask(rules, &c), "allow  ");
	netrules_free(&rules);
}

static void damaged_lists_give_way_to_the_former_ones(void **state)
{
	struct netlists lists;
	struct patternset now;
	char *path;

	(void)state;
	must(patternset_current(&now, &err));
	path = xasprintf("%s/current/own2/botnets.netlist",
			 paths()->pattern_dir);
	unlink(path);
	write_file(path, "203.0.113.0/28\n");
	must(netlists_load(&lists, &err));
	assert_int_equal(lists.number, now.number - 1);
	assert_non_null(strstr(lists.fault, "botnets.netlist"));
	assert_int_equal(
		addrset_count(
			lists.items[netlists_find(&lists, "botnets")].set),
		2);
	netlists_free(&lists);
	patternset_free(&now);
	free(path);
}

static void a_wrong_line_is_named(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{"192.0.2.1\n192.0.2\n", "l:2: 192.0.2: an address or network"},
		{"# a\n\n192.0.2.1 192.0.2.2\n", "l:3: one address or network"},
		{"0.0.0.0/0\n", "l:1: 0.0.0.0/0: at least 3 bits"},
		{"::/2", "l:1: ::/2: at least 3 bits"},
		{"192.0.2.0/33", "l:1: 192.0.2.0/33"},
		{"host.example", "l:1: host.example: an address"},
		{"\n\x1b[31m\n", "l:2: \\x1b[31m"},
	};
	static const char nul[] = "192.0.2.1\n192.0.2.1\0000\n";
	struct addrset *set = addrset_new();

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(netlist_parse(wrong[i].text,
					       strlen(wrong[i].text), "l", set,
					       &err),
				 -1);
		if (strncmp(err.text, wrong[i].said, strlen(wrong[i].said)))
			fail_msg("%s: %s", wrong[i].said, err.text);
	}
	assert_int_equal(netlist_parse(nul, sizeof(nul) - 1, "l", set, &err),
			 -1);
	assert_non_null(strstr(err.text, "l:2: "));
	assert_int_equal(netlist_parse("", 0, "l", set, &err), 0);
	addrset_free(&set);
}

static void a_list_is_known_by_its_name(void **state)
{
	char name[NET_NAME_MAX + 1];

	(void)state;
	assert_true(netlist_name("a.b.netlist", name));
	assert_string_equal(name, "a.b");
	assert_true(netlist_name("A.NetList", name));
	assert_false(netlist_name(".netlist", name));
	assert_false(netlist_name("a.ndb", name));
	assert_false(netlist_name("netlist", name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_everything_is_allowed),
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(a_port_is_that_of_the_service),
		cmocka_unit_test(a_user_that_is_not_known_is_nobody),
		cmocka_unit_test(wrong_rules_are_refused_as_a_whole),
		cmocka_unit_test(a_list_comes_with_the_patterns),
		cmocka_unit_test(damaged_lists_give_way_to_the_former_ones),
		cmocka_unit_test(a_wrong_line_is_named),
		cmocka_unit_test(a_list_is_known_by_its_name),
	};

	return cmocka_run_group_tests(tests, up, down);
}
