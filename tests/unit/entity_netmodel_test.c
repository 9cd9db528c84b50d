/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "entity/netmodel.h"
#include "lib/addrset.h"
#include "lib/netaddr.h"

#define DAY (86400ll * 1000000000)

static struct netmodel m;

static int up(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	return 0;
}

static int down(void **state)
{
	(void)state;
	netmodel_deinit(&m);
	return 0;
}

static enum netmodel_news see(const char *program, const char *address,
			      uint16_t port, bool learning)
{
	struct netaddr a;
	uint8_t bytes[16];

	assert_int_equal(netaddr_parse(address, &a, NULL), 0);
	netaddr_to16(&a, bytes);
	return netmodel_see(&m, program, bytes, port, 1000, 1, learning, NULL);
}

static void what_was_learnt_is_known_and_what_is_new_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(see("/a", "192.0.2.1", 443, true), NETMODEL_LEARNT);
	assert_int_equal(see("/a", "192.0.2.99", 443, false), NETMODEL_KNOWN);
	assert_int_equal(see("/a", "192.0.3.1", 443, false), NETMODEL_NEW);
	assert_int_equal(see("/a", "192.0.3.1", 443, false), NETMODEL_KNOWN);
	assert_int_equal(see("/a", "192.0.2.1", 80, false), NETMODEL_NEW);
	assert_int_equal(see("/b", "192.0.2.1", 443, false), NETMODEL_NEW);
	assert_int_equal(see("/a", "2001:db8:1::1", 443, true),
			 NETMODEL_LEARNT);
	assert_int_equal(see("/a", "2001:db8:1:9::2", 443, false),
			 NETMODEL_KNOWN);
	assert_int_equal(see("/a", "2001:db8:2::1", 443, false), NETMODEL_NEW);
	assert_int_equal(m.entries.len, 6);
	assert_false(m.entries.items[0]->alerted);
	assert_true(m.entries.items[1]->alerted);
	assert_string_equal(m.entries.items[0]->network, "192.0.2.0/24");
	assert_int_equal(m.entries.items[0]->times, 2);
}

static void many_networks_by_a_port_are_any(void **state)
{
	char address[32];

	(void)state;
	see("/a", "192.0.2.1", 25, true);
	for (int i = 1; i < NETMODEL_WIDE; i++) {
		snprintf(address, sizeof(address), "198.51.%d.1", i);
		assert_int_equal(see("/a", address, 443, true),
				 NETMODEL_LEARNT);
	}
	assert_int_equal(m.entries.len, NETMODEL_WIDE);
	see("/a", "203.0.113.1", 443, true);
	/* That of port 25, and one for all others. */
	assert_int_equal(m.entries.len, 2);
	assert_int_equal(see("/a", "8.8.8.8", 443, false), NETMODEL_KNOWN);
	assert_int_equal(see("/a", "8.8.8.8", 25, false), NETMODEL_NEW);
	assert_int_equal(see("/b", "8.8.8.8", 443, false), NETMODEL_NEW);
	assert_int_equal(m.entries.items[1]->times, NETMODEL_WIDE + 1);
	assert_int_equal(m.entries.items[1]->first_ns, 1000);
	assert_true(m.entries.items[1]->dirty);
}

static void many_ports_are_any(void **state)
{
	(void)state;
	for (uint16_t port = 1; port <= NETMODEL_WIDE; port++)
		see("/a", "192.0.2.1", port, true);
	assert_int_equal(m.entries.len, 1);
	assert_int_equal(see("/a", "8.8.8.8", 9999, false), NETMODEL_KNOWN);
	assert_int_equal(see("/b", "8.8.8.8", 9999, false), NETMODEL_NEW);
}

static void the_store_forgets_what_is_gone(void **state)
{
	struct netmodel_entry e = {.id = 7,
				   .program = (char *)"/a",
				   .network = "192.0.2.0/24",
				   .port = 443,
				   .last_ns = 5 * DAY};

	(void)state;
	netmodel_load(&m, &e);
	e.id = 8;
	e.port = 80;
	e.last_ns = 50 * DAY;
	netmodel_load(&m, &e);
	e.id = 9; /* the same twice */
	netmodel_load(&m, &e);
	assert_int_equal(m.gone.len, 1);
	assert_int_equal(m.gone.items[0], 9);
	assert_int_equal(see("/a", "192.0.2.5", 443, false), NETMODEL_KNOWN);
	m.entries.items[0]->last_ns = 5 * DAY;
	netmodel_age(&m, 100 * DAY);
	assert_int_equal(m.entries.len, 1);
	assert_int_equal(m.gone.items[1], 7);
	assert_int_equal(see("/a", "192.0.2.5", 443, false), NETMODEL_NEW);
	assert_false(netmodel_forget(&m, 7));
	assert_true(netmodel_forget(&m, 8));
	assert_int_equal(see("/a", "192.0.2.5", 80, false), NETMODEL_NEW);
	netmodel_clear(&m);
	assert_int_equal(m.entries.len, 0);
}

static void it_is_bounded_and_keeps_the_newest(void **state)
{
	char program[32];
	struct netaddr a;
	uint8_t bytes[16];

	(void)state;
	netaddr_parse("192.0.2.1", &a, NULL);
	netaddr_to16(&a, bytes);
	for (int i = 0; i < NETMODEL_MAX + 100; i++) {
		snprintf(program, sizeof(program), "/p%d", i);
		netmodel_see(&m, program, bytes, 1, i, 1, false, NULL);
		assert_true(m.entries.len <= NETMODEL_MAX);
	}
	snprintf(program, sizeof(program), "/p%d", NETMODEL_MAX + 99);
	assert_int_equal(netmodel_see(&m, program, bytes, 1, 1, 1, false, NULL),
			 NETMODEL_KNOWN);
	assert_int_equal(netmodel_see(&m, "/p0", bytes, 1, 1, 1, false, NULL),
			 NETMODEL_NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_learnt_is_known_and_what_is_new_is_told_once,
			up, down),
		cmocka_unit_test_setup_teardown(many_networks_by_a_port_are_any,
						up, down),
		cmocka_unit_test_setup_teardown(many_ports_are_any, up, down),
		cmocka_unit_test_setup_teardown(the_store_forgets_what_is_gone,
						up, down),
		cmocka_unit_test_setup_teardown(
			it_is_bounded_and_keeps_the_newest, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
