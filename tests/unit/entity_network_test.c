/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What core makes of connections that the network monitor tells of. */
#include "entity_bed.h"

#include <sys/socket.h>

#include "common/control.h"
#include "entity/core.h"
#include "entity/health.h"
#include "entity/network_impl.h"
#include "entity/settings.h"
#include "lib/addrset.h"
#include "lib/str.h"

#define MINUTE (61 * CLOCK_NS_PER_S)

/* One root for all: paths_init() is for life. */
static struct bed the_root;
static struct core core;
static int sb_fd;
static struct err err;

static void network_up(void)
{
	assert_int_equal(network_init(&core, &err), 0);
}

static int setup(void **state)
{
	int pair[2];

	(void)state;
	/* First of all: nobody else is to have these numbers. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	dup2(pair[0], INHERIT_NET_TX);
	dup2(pair[1], INHERIT_NET_RX);
	close(pair[0]);
	close(pair[1]);
	bed_write(&the_root, "etc/splx/splx.conf",
		  "ScanUser = \"61184\"\nLogSyslog = no\n");
	assert_int_equal(fd_mkdirs(paths()->run_dir, 0755, NULL), 0);
	assert_int_equal(fd_mkdirs(paths()->lib_dir, 0755, NULL), 0);
	memset(&core, 0, sizeof(core));
	core.sb = scoreboard_new(&sb_fd, &err);
	core.loop = loop_new();
	assert_int_equal(health_init(&core, &err), 0);
	assert_int_equal(settings_init(&core, &err), 0);
	core.store = store_new(paths()->store);
	network_up();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	network_deinit(&core);
	close(INHERIT_NET_TX);
	close(INHERIT_NET_RX);
	store_free(&core.store);
	settings_deinit(&core);
	health_deinit(&core);
	loop_free(&core.loop);
	munmap(core.sb, sizeof(*core.sb));
	close(sb_fd);
	unlink(paths()->store);
	return 0;
}

static struct net_report report(bool in, enum conn_verdict verdict,
				const char *remote, uint16_t port)
{
	struct net_report r;
	struct netaddr a;

	memset(&r, 0, sizeof(r));
	r.magic = NET_REPORT_MAGIC;
	r.version = NET_REPORT_VERSION;
	r.conn.at_ns = (uint64_t)clock_real_ns();
	r.conn.in = in;
	r.conn.uid = 33;
	assert_int_equal(netaddr_parse(remote, &a, NULL), 0);
	netaddr_to16(&a, r.conn.remote);
	netaddr_parse("192.0.2.1", &a, NULL);
	netaddr_to16(&a, r.conn.local);
	r.conn.local_port = in ? port : 40000;
	r.conn.remote_port = in ? 40000 : port;
	r.answer = (struct conn_answer){verdict, 0, -1};
	r.pid = 42;
	r.times = 1;
	str_copy(r.program, sizeof(r.program), "/usr/bin/prog");
	str_copy(r.rule, sizeof(r.rule), verdict == CONN_ALLOW ? "" : "rule-a");
	return r;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void run(void)
{
	struct loop_event *t =
		loop_timer(core.loop, 30, false, stop, core.loop);

	loop_run(core.loop);
	loop_cancel(&t);
}

static void send_report(const struct net_report *r)
{
	int rc;

	while ((rc = net_report_send(INHERIT_NET_TX, r, &err)) == 1)
		run();
	assert_int_equal(rc, 0);
}

static void add_event(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

/* All events of connections, oldest first. */
static json_t *events(void)
{
	struct event_query q = {.kind = EVENT_network, .limit = 1000};
	json_t *list = json_array();

	while (store_events(core.store, &q, add_event, list, &err) > 0)
		;
	return list;
}

static size_t count_events(void)
{
	json_t *list = events();
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

static const char *text(json_t *row, const char *member)
{
	const char *t = json_string_value(json_object_get(row, member));

	return t ? t : "";
}

static json_int_t number(json_t *row, const char *member)
{
	return json_integer_value(json_object_get(row, member));
}

static void a_connection_is_shown_and_counted(void **state)
{
	struct net_report r = report(true, CONN_ALLOW, "2001:db8::7", 443);
	json_t *list, *row;

	(void)state;
	send_report(&r);
	r = report(false, CONN_ALLOW, "198.51.100.7", 25);
	r.times = 3;
	send_report(&r);
	run();
	list = network_recent(&core, NULL, 10);
	assert_int_equal(json_array_size(list), 2);
	row = json_array_get(list, 0);
	assert_string_equal(text(row, "address"), "198.51.100.7");
	assert_string_equal(text(row, "direction"), "out");
	assert_int_equal(number(row, "port"), 25);
	assert_int_equal(number(row, "peer_port"), 40000);
	row = json_array_get(list, 1);
	assert_string_equal(text(row, "address"), "2001:db8::7");
	assert_string_equal(text(row, "verdict"), "allow");
	assert_true(json_is_null(json_object_get(row, "rule")));
	json_decref(list);
	list = network_recent(&core, "2001", 10);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	list = network_peers(&core, 10);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(number(json_array_get(list, 0), "times"), 3);
	json_decref(list);
	/* What is allowed is no event. */
	assert_int_equal(count_events(), 0);
}

static void what_comes_in_is_bounded(void **state)
{
	struct net_report r = report(true, CONN_ALLOW, "198.51.100.7", 1);
	json_t *list;

	(void)state;
	for (int i = 0; i < NETWORK_PEERS + 500; i++) {
		r.conn.local_port = (uint16_t)(i + 1);
		send_report(&r);
		if (i % 100 == 0)
			run();
	}
	run();
	list = network_recent(&core, NULL, 100000);
	assert_int_equal(json_array_size(list), NETWORK_RECENT);
	assert_int_equal(number(json_array_get(list, 0), "port"),
			 NETWORK_PEERS + 500);
	json_decref(list);
	list = network_peers(&core, 100000);
	assert_true(json_array_size(list) <= NETWORK_PEERS);
	assert_true(json_array_size(list) >= NETWORK_PEERS / 2);
	json_decref(list);
}

static void what_was_prevented_is_an_event(void **state)
{
	struct net_report r = report(true, CONN_DROP, "198.51.100.7", 22);
	json_t *list, *row;

	(void)state;
	str_copy(r.list, sizeof(r.list), "botnets");
	send_report(&r);
	r = report(false, CONN_ALERT, "2001:db8::9", 25);
	send_report(&r);
	run();
	list = events();
	assert_int_equal(json_array_size(list), 2);
	row = json_array_get(list, 0);
	assert_string_equal(text(row, "message"),
			    "dropped: 198.51.100.7 to port 22, /usr/bin/prog "
			    "(rule rule-a, list botnets)");
	assert_string_equal(text(row, "severity"), "medium");
	assert_string_equal(text(row, "verdict"), "drop");
	assert_string_equal(text(row, "list"), "botnets");
	assert_string_equal(text(row, "program"), "/usr/bin/prog");
	assert_int_equal(number(row, "pid"), 42);
	assert_int_equal(number(row, "uid"), 33);
	row = json_array_get(list, 1);
	assert_string_equal(text(row, "message"),
			    "alert: /usr/bin/prog to 2001:db8::9 port 25 "
			    "(rule rule-a)");
	json_decref(list);
}

static void equal_ones_are_one_event_and_a_count(void **state)
{
	struct netevents *e = netevents_new(core.store);
	struct net_report r = report(true, CONN_RESET, "198.51.100.7", 22);
	json_t *list;

	(void)state;
	for (int i = 0; i < 50; i++)
		netevents_add(e, &r, MINUTE);
	assert_int_equal(count_events(), 1);
	netevents_tick(e, MINUTE + 1);
	assert_int_equal(count_events(), 1);
	netevents_tick(e, 2 * MINUTE);
	list = events();
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(number(json_array_get(list, 1), "times"), 49);
	assert_true(str_starts(text(json_array_get(list, 1), "message"),
			       "49 times refused: 198.51.100.7 to port 22"));
	json_decref(list);
	/* Over: the next one is told at once; another one always was. */
	netevents_add(e, &r, 2 * MINUTE);
	r.conn.local_port = 23;
	netevents_add(e, &r, 2 * MINUTE);
	assert_int_equal(count_events(), 4);
	netevents_free(&e);
	assert_int_equal(count_events(), 4);
}

static void a_flood_fills_no_log(void **state)
{
	struct netevents *e = netevents_new(core.store);
	struct net_report r = report(true, CONN_DROP, "198.51.100.7", 22);
	json_t *list;

	(void)state;
	netevents_tick(e, MINUTE);
	for (int i = 0; i < 20000; i++) {
		r.conn.remote[14] = (uint8_t)(i >> 8);
		r.conn.remote[15] = (uint8_t)i;
		netevents_add(e, &r, MINUTE);
	}
	assert_int_equal(count_events(), NETEVENTS_MINUTE);
	netevents_tick(e, 2 * MINUTE);
	list = events();
	assert_int_equal(json_array_size(list), NETEVENTS_MINUTE + 1);
	assert_int_equal(
		number(json_array_get(list, NETEVENTS_MINUTE), "times"),
		20000 - NETEVENTS_MINUTE);
	json_decref(list);
	netevents_free(&e);
}

static void learnt_for(const char *duration)
{
	struct conf *conf = (struct conf *)core_conf(&core);

	assert_int_equal(conf_set(conf, "NetworkLearning", duration, NULL), 0);
}

static void after_learning_what_is_new_is_an_alert_once(void **state)
{
	struct net_report r = report(false, CONN_ALLOW, "198.51.100.7", 443);
	json_t *list, *row;

	(void)state;
	send_report(&r);
	run();
	assert_int_equal(count_events(), 0);
	/* The time is over. */
	store_netmodel_set_learnt(core.store, 8ll * 86400000, &err);
	network_deinit(&core);
	store_netmodel_set_learnt(core.store, 8ll * 86400000, &err);
	network_up();
	send_report(&r);
	r = report(true, CONN_ALLOW, "203.0.113.9", 443);
	send_report(&r); /* comes in */
	r = report(false, CONN_ALLOW, "203.0.113.9", 443);
	send_report(&r);
	send_report(&r);
	run();
	list = events();
	assert_int_equal(json_array_size(list), 1);
	row = json_array_get(list, 0);
	assert_string_equal(text(row, "verdict"), "alert");
	assert_true(json_is_null(json_object_get(row, "rule")));
	assert_non_null(strstr(text(row, "message"),
			       "/usr/bin/prog to 203.0.113.9 port 443 (for "
			       "the first time"));
	json_decref(list);
	list = network_model(&core, NULL, true, 10);
	assert_int_equal(json_array_size(list), 1);
	row = json_array_get(list, 0);
	assert_string_equal(text(row, "network"), "203.0.113.0/24");
	assert_true(number(row, "id") > 0);
	assert_true(network_model_forget(&core, number(row, "id")));
	json_decref(list);
	send_report(&r);
	run();
	assert_int_equal(count_events(), 2);
}

static void the_model_outlives_core(void **state)
{
	struct net_report r = report(false, CONN_ALLOW, "198.51.100.7", 443);
	json_t *list;

	(void)state;
	send_report(&r);
	run();
	network_deinit(&core);
	network_up();
	list = network_model(&core, "prog", false, 10);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text(json_array_get(list, 0), "network"),
			    "198.51.100.0/24");
	json_decref(list);
	network_model_learn(&core);
	network_deinit(&core);
	network_up();
	list = network_model(&core, NULL, false, 10);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static void nothing_is_learnt_where_that_is_off(void **state)
{
	struct net_report r = report(false, CONN_ALLOW, "198.51.100.7", 443);
	json_t *s;

	(void)state;
	learnt_for("0");
	send_report(&r);
	/* Nor from what was prevented, or stays here. */
	run();
	learnt_for("7d");
	r.answer.verdict = CONN_DROP;
	send_report(&r);
	r.answer.verdict = CONN_ALLOW;
	r.conn.loopback = true;
	send_report(&r);
	run();
	s = network_model_state(&core);
	assert_int_equal(number(s, "entries"), 0);
	assert_string_equal(text(s, "state"), "learning");
	json_decref(s);
}

static void write_text(const char *path, const char *content)
{
	assert_int_equal(
		fd_replace_file(path, content, strlen(content), 0644, &err), 0);
}

static uint32_t changes(void)
{
	network_look(&core);
	return atomic_load(&core.sb->net_changes);
}

static void other_rules_and_lists_are_loaded_by_themselves(void **state)
{
	uint32_t before = changes();
	char *link;

	(void)state;
	assert_int_equal(changes(), before);
	write_text(paths()->network, "[a]\nAction = allow\n");
	assert_int_equal(changes(), before + 1);
	assert_int_equal(changes(), before + 1);
	/* The same again is no change; another text of that length is. */
	write_text(paths()->network, "[a]\nAction = allow\n");
	assert_int_equal(changes(), before + 1);
	write_text(paths()->network, "[a]\nAction = alert\n");
	assert_int_equal(changes(), before + 2);
	assert_int_equal(fd_mkdirs(paths()->pattern_dir, 0755, &err), 0);
	assert_true(asprintf(&link, "%s/current", paths()->pattern_dir) > 0);
	assert_int_equal(symlink("sets/1", link), 0);
	assert_int_equal(changes(), before + 3);
	/* What comes with new settings is loaded with them, once. */
	write_text(paths()->network, "[a]\nAction = drop\nPort = 1\n");
	network_changed(&core);
	assert_int_equal(changes(), before + 4);
	unlink(link);
	assert_int_equal(symlink("sets/2", link), 0);
	assert_int_equal(changes(), before + 5);
	unlink(paths()->network);
	assert_int_equal(changes(), before + 6);
	free(link);
}

static void what_makes_no_sense_is_passed_over(void **state)
{
	struct net_report r = report(true, CONN_ALLOW, "198.51.100.7", 443);
	json_t *list;

	(void)state;
	assert_int_equal(send(INHERIT_NET_TX, "junk", 4, 0), 4);
	send_report(&r);
	run();
	list = network_recent(&core, NULL, 10);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
}

static int group_setup(void **state)
{
	(void)state;
	bed_new(&the_root);
	paths_init(the_root.root);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	bed_free(&the_root);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_shown_and_counted),
		TEST(what_comes_in_is_bounded),
		TEST(what_was_prevented_is_an_event),
		TEST(equal_ones_are_one_event_and_a_count),
		TEST(a_flood_fills_no_log),
		TEST(after_learning_what_is_new_is_an_alert_once),
		TEST(the_model_outlives_core),
		TEST(nothing_is_learnt_where_that_is_off),
		TEST(other_rules_and_lists_are_loaded_by_themselves),
		TEST(what_makes_no_sense_is_passed_over),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
