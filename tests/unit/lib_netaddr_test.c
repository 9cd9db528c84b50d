/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/netaddr.h"

static bool in(const char *net, const char *address)
{
	struct netaddr n, a;
	struct err err;

	assert_int_equal(netaddr_parse(net, &n, &err), 0);
	assert_int_equal(netaddr_parse(address, &a, &err), 0);
	return netaddr_contains(&n, &a);
}

static void a_network_holds_its_addresses_alone(void **state)
{
	assert_true(in("192.0.2.7", "192.0.2.7"));
	assert_false(in("192.0.2.7", "192.0.2.6"));
	assert_true(in("192.0.2.0/29", "192.0.2.7"));
	assert_false(in("192.0.2.0/29", "192.0.2.8"));
	assert_true(in("192.0.2.255/24", "192.0.2.1"));
	assert_true(in("0.0.0.0/0", "198.51.100.1"));
	assert_true(in("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(in("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(in("::/0", "2001:db8::1"));
	assert_false(in("::/0", "192.0.2.1"));
	assert_false(in("0.0.0.0/0", "::1"));
}

static void ipv4_in_the_form_of_ipv6_is_ipv4(void **state)
{
	assert_true(in("192.0.2.0/24", "::ffff:192.0.2.9"));
	assert_true(in("::ffff:192.0.2.0/120", "192.0.2.9"));
	assert_false(in("192.0.2.0/24", "::192.0.2.9"));
}

static void what_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"host",
		"192.0.2",
		"192.0.2.0/33",
		"192.0.2.0/",
		"192.0.2.0/-1",
		"::1/129",
		"::1%lo",
		"1.2.3.4 ",
		"1.2.3.4/8/8",
		"/8",
		// NOLINTNEXTLINE(bugprone-suspicious-missing-comma)
		("000000000000000000000000000000000000000000000000000000000000"
		 "00000000000"),
	};
	struct netaddr a;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(netaddr_parse(bad[i], &a, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_holds_its_addresses_alone),
		cmocka_unit_test(ipv4_in_the_form_of_ipv6_is_ipv4),
		cmocka_unit_test(what_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
