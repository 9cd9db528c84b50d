/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/netconf.h"

static struct err err;

static const char sample[] = "# mine\n"
			     "[admins]\n"
			     "Action = allow\n"
			     "Direction = in\n"
			     "Address = 192.0.2.0/24, 2001:db8::/32\n"
			     "Port = 22, 8000-8080\n"
			     "User = root\n"
			     "Text = \"the office, by ssh\" # always\n"
			     "\n"
			     "# the rest\n"
			     "[bad]\n"
			     "Action = drop\n"
			     "List = botnets, spam\n"
			     "Enabled = no\n";

static void what_stands_in_the_file_is_read(void **state)
{
	struct netconf *conf = netconf_parse(sample, "f");
	const struct netrule *r = netconf_find(conf, "admins");
	char *said;

	(void)state;
	assert_int_equal(netconf_check(conf, &err), 0);
	assert_int_equal(conf->entries.len, 2);
	assert_int_equal(r->action, CONN_ALLOW);
	assert_int_equal(r->direction, NETRULE_IN);
	assert_int_equal(addrset_count(r->remote_set), 2);
	assert_null(r->local_set);
	assert_int_equal(r->ports.len, 2);
	assert_int_equal(r->ports.items[1].first, 8000);
	assert_int_equal(r->ports.items[1].last, 8080);
	assert_int_equal(r->uids.len, 1);
	assert_int_equal(r->uids.items[0], 0);
	assert_string_equal(r->text, "the office, by ssh");
	assert_true(r->enabled);
	said = netrule_summary(r);
	assert_string_equal(said, "in; address 192.0.2.0/24, 2001:db8::/32; "
				  "port 22, 8000-8080; user root");
	free(said);
	r = netconf_find(conf, "bad");
	assert_int_equal(r->action, CONN_DROP);
	assert_int_equal(r->direction, NETRULE_BOTH);
	assert_string_equal(r->list.items[1], "spam");
	assert_false(r->enabled);
	assert_null(netconf_find(conf, "other"));
	netconf_free(&conf);
	assert_null(conf);
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{"[a]\nAction = block\n", "f:2: Action: allow, alert, drop or"},
		{"[a]\nAction = prevent\n", "f:2: Action: "},
		{"[a]\nPort = 22\n", "f:1: a: has no Action"},
		{"[a]\nAction = drop\nDirection = up\n", "f:3: Direction: in,"},
		{"[a]\nAction = drop\nAddress = 1.2.3\n",
		 "f:3: Address: 1.2.3: addresses and networks are allowed"},
		{"[a]\nAction = drop\nAddress = any, ::1\n",
		 "f:3: Address: any"},
		{"[a]\nAction = drop\nLocal = ::1/200\n", "f:3: Local: "},
		{"[a]\nAction = drop\nPort = 0\n", "f:3: Port: 0: ports from"},
		{"[a]\nAction = drop\nPort = 9-3\n", "f:3: Port: 9-3"},
		{"[a]\nAction = drop\nPort = 1-65536\n", "f:3: Port: "},
		{"[a]\nAction = drop\nUser = no-such-one\n",
		 "f:3: User: no-such-one: there is no such user"},
		{"[a]\nAction = drop\nList = a/b\n", "f:3: List: a/b"},
		{"[a]\nAction = drop\nPort = 1\nEnabled = 1\n", "f:4: Enabled"},
		{"[a]\nAction = drop\nPort = 1\nText = a, b\n",
		 "f:4: Text: one"},
		{"[a]\nAction = drop\n", "f:1: a: would prevent every"},
		{"[a]\nAction = reset\nDirection = in\n", "f:1: a: would prev"},
		{"[a]\nAction = allow\n[a]\nAction = allow\n",
		 "f:3: a: stands"},
		{"[1a]\nAction = allow\n", "f:1: a rule begins with [NAME]"},
		{"[a]\nActoin = allow\n", "f:2: Actoin: no such key; did you"},
		{"Action = allow\n", "f:1: belongs to no entry"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct netconf *conf = netconf_parse(wrong[i].text, "f");

		assert_int_equal(netconf_check(conf, &err), -1);
		if (strncmp(err.text, wrong[i].said, strlen(wrong[i].said)))
			fail_msg("%s: %s", wrong[i].said, err.text);
		netconf_free(&conf);
	}
}

static void everything_is_prevented_only_by_saying_so(void **state)
{
	struct netconf *conf = netconf_parse("[a]\nAction = drop\n"
					     "Address = any\n"
					     "[b]\nAction = alert\n",
					     "f");

	(void)state;
	assert_int_equal(netconf_check(conf, &err), 0);
	assert_null(conf->entries.items[0].remote_set);
	netconf_free(&conf);
}

static void what_is_told_can_be_set_again(void **state)
{
	struct netconf *conf = netconf_parse(sample, "f"), *again;
	json_t *told = netrule_json(&conf->entries.items[0]), *row, *back;
	char *text = strdup(""), *next;
	size_t i;

	(void)state;
	json_array_foreach (told, i, row) {
		next = netconf_edit(
			text, "admins",
			json_string_value(json_object_get(row, "key")),
			json_string_value(json_object_get(row, "value")), &err);
		assert_non_null(next);
		free(text);
		text = next;
	}
	again = netconf_parse(text, "g");
	assert_int_equal(netconf_check(again, &err), 0);
	back = netrule_json(&again->entries.items[0]);
	assert_true(json_equal(told, back));
	json_decref(told);
	json_decref(back);
	netconf_free(&conf);
	netconf_free(&again);
	free(text);
}

static void order(const char *text, const char *expected)
{
	struct netconf *conf = netconf_parse(text, "f");
	char all[64] = "";
	const struct netrule *r;

	assert_int_equal(netconf_check(conf, &err), 0);
	vec_each (r, &conf->entries)
		strcat(strcat(all, r->name), " ");
	assert_string_equal(all, expected);
	netconf_free(&conf);
}

static void a_rule_is_moved_with_its_comment(void **state)
{
	static const char three[] = "# all of it\n\n[a]\nAction = allow\n"
				    "# about b\n[b]\nAction = alert\n\n"
				    "[c]\nAction = allow";
	char *text;

	(void)state;
	text = netconf_move(three, "b", "a", &err);
	order(text, "b a c ");
	assert_string_equal(text, "# all of it\n\n# about b\n[b]\n"
				  "Action = alert\n\n[a]\nAction = allow\n"
				  "[c]\nAction = allow");
	free(text);
	text = netconf_move(three, "a", NULL, &err);
	order(text, "b c a ");
	free(text);
	text = netconf_move(three, "c", "b", &err);
	order(text, "a c b ");
	assert_non_null(strstr(text, "# about b\n[b]\n"));
	free(text);
	text = netconf_move(three, "b", "b", &err);
	assert_string_equal(text, three);
	free(text);
	assert_null(netconf_move(three, "x", "a", &err));
	assert_int_equal(err.code, ENOENT);
	assert_null(netconf_move(three, "a", "x", &err));
	assert_null(netconf_move(three, "a", "x y", &err));
	assert_int_equal(err.code, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_in_the_file_is_read),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(everything_is_prevented_only_by_saying_so),
		cmocka_unit_test(what_is_told_can_be_set_again),
		cmocka_unit_test(a_rule_is_moved_with_its_comment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
