/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/addrset.h"

static void add(struct addrset *set, const char *text)
{
	struct netaddr net;
	struct err err;

	assert_int_equal(netaddr_parse(text, &net, &err), 0);
	addrset_add(set, &net);
}

static bool has(const struct addrset *set, const char *text)
{
	struct netaddr addr;
	uint8_t bytes[16];

	assert_int_equal(netaddr_parse(text, &addr, NULL), 0);
	netaddr_to16(&addr, bytes);
	return addrset_has(set, bytes);
}

static void an_empty_set_has_nothing(void **state)
{
	struct addrset *set = addrset_new();

	addrset_seal(set);
	assert_false(has(set, "192.0.2.1"));
	assert_false(has(set, "::"));
	assert_int_equal(addrset_count(set), 0);
	addrset_free(&set);
	assert_null(set);
	addrset_free(&set);
}

static void the_ends_of_a_network_are_in_it(void **state)
{
	struct addrset *set = addrset_new();

	add(set, "198.51.100.0/25");
	add(set, "192.0.2.77/24");
	add(set, "203.0.113.9");
	add(set, "2001:db8::/33");
	add(set, "::");
	addrset_seal(set);
	assert_true(has(set, "198.51.100.0"));
	assert_true(has(set, "198.51.100.127"));
	assert_false(has(set, "198.51.100.128"));
	assert_false(has(set, "198.51.99.255"));
	assert_true(has(set, "192.0.2.0"));
	assert_true(has(set, "203.0.113.9"));
	assert_false(has(set, "203.0.113.8"));
	assert_false(has(set, "203.0.113.10"));
	assert_true(has(set, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has(set, "2001:db8:8000::"));
	assert_true(has(set, "::"));
	assert_false(has(set, "::1"));
	addrset_free(&set);
}

static void all_of_a_family_is_not_the_other(void **state)
{
	struct addrset *four = addrset_new(), *six = addrset_new();

	add(four, "0.0.0.0/0");
	add(six, "::/0");
	addrset_seal(four);
	addrset_seal(six);
	assert_true(has(four, "0.0.0.0"));
	assert_true(has(four, "255.255.255.255"));
	assert_false(has(four, "::1"));
	assert_false(has(six, "192.0.2.1"));
	assert_true(has(six, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	addrset_free(&four);
	addrset_free(&six);
}

static void what_touches_becomes_one(void **state)
{
	struct addrset *set = addrset_new();
	size_t one;

	add(set, "192.0.2.0/24");
	addrset_seal(set);
	one = addrset_bytes(set);
	addrset_free(&set);
	set = addrset_new();
	for (int i = 255; i >= 0; i--) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%d", i);
		add(set, text);
	}
	add(set, "192.0.2.128/25");
	addrset_seal(set);
	assert_int_equal(addrset_count(set), 257);
	assert_int_equal(addrset_bytes(set), one);
	assert_true(has(set, "192.0.2.200"));
	assert_false(has(set, "192.0.3.0"));
	addrset_free(&set);
}

/* ---- against a reference that looks at each ---- */

static uint64_t seed;

static uint32_t any(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 32);
}

/* Few bytes differ, so that they meet. */
static struct netaddr random_net(bool v6, bool host)
{
	struct netaddr n = {.family = v6 ? AF_INET6 : AF_INET};
	int len = v6 ? 16 : 4;

	n.bits = host ? len * 8 : (int)(any() % (uint32_t)(len * 8 + 1));
	if (!host && any() % 4)
		n.bits = len * 8 - (int)(any() % 12);
	for (int i = 0; i < len; i++) {
		uint32_t what = any() % 8;

		n.bytes[i] = (uint8_t)(what == 0   ? any()
				       : what == 1 ? 0xff
				       : what == 2 ? any() % 4
						   : 0);
	}
	if (v6)
		n.bytes[0] |= 0x20; /* never IPv4 in the form of IPv6 */
	return n;
}

static void compare(struct addrset *set, const struct netaddr *nets, size_t n,
		    const struct netaddr *addr)
{
	bool expected = false;
	uint8_t bytes[16];

	for (size_t i = 0; i < n && !expected; i++)
		expected = netaddr_contains(&nets[i], addr);
	netaddr_to16(addr, bytes);
	assert_int_equal(addrset_has(set, bytes), expected);
}

static void random_sets_answer_as_a_list_does(void **state)
{
	static struct netaddr nets[4000];

	for (seed = 1; seed < 400; seed++) {
		uint64_t round = seed;
		size_t n = any() % 40;
		struct addrset *set = addrset_new();
		struct netaddr addr;

		/* Now and then enough for the index. */
		if (round % 50 == 0)
			n = sizeof(nets) / sizeof(*nets);
		for (size_t i = 0; i < n; i++) {
			nets[i] = random_net(any() % 2, n > 40);
			addrset_add(set, &nets[i]);
		}
		addrset_seal(set);
		for (int i = 0; i < 500; i++) {
			addr = random_net(any() % 2, true);
			compare(set, nets, n, &addr);
		}
		/* Both neighbours of what is in it. */
		for (size_t i = 0; i < n && i < 200; i++) {
			addr = nets[i];
			compare(set, nets, n, &addr);
			addr.bytes[addr.family == AF_INET ? 3 : 15]++;
			compare(set, nets, n, &addr);
			addr.bytes[addr.family == AF_INET ? 3 : 15] -= 2;
			compare(set, nets, n, &addr);
		}
		addrset_free(&set);
		seed = round;
	}
}

static struct netaddr numbered(uint32_t n)
{
	struct netaddr net = {.family = AF_INET, .bits = 32};

	net.bytes[0] = (uint8_t)(n >> 24);
	net.bytes[1] = (uint8_t)(n >> 16);
	net.bytes[2] = (uint8_t)(n >> 8);
	net.bytes[3] = (uint8_t)n;
	return net;
}

static bool has_number(const struct addrset *set, uint32_t n)
{
	struct netaddr net = numbered(n);
	uint8_t bytes[16];

	netaddr_to16(&net, bytes);
	return addrset_has(set, bytes);
}

static void half_a_million_take_little_room(void **state)
{
	struct addrset *set = addrset_new();
	struct netaddr net;

	for (uint32_t i = 1; i <= 500000; i++) {
		net = numbered(i * 8191);
		addrset_add(set, &net);
	}
	addrset_seal(set);
	assert_true(addrset_bytes(set) < 500000 * 8 + 300000);
	for (uint32_t i = 1; i <= 500000; i++) {
		assert_true(has_number(set, i * 8191));
		assert_false(has_number(set, i * 8191 + 1));
		assert_false(has_number(set, i * 8191 - 1));
	}
	assert_false(has_number(set, 0));
	assert_false(has_number(set, UINT32_MAX));
	addrset_free(&set);
}

static void an_address_goes_there_and_back(void **state)
{
	static const char *const all[] = {"192.0.2.7", "2001:db8::7", "::"};

	for (size_t i = 0; i < 3; i++) {
		struct netaddr a, b;
		uint8_t bytes[16];

		assert_int_equal(netaddr_parse(all[i], &a, NULL), 0);
		netaddr_to16(&a, bytes);
		netaddr_from16(bytes, &b);
		assert_int_equal(a.family, b.family);
		assert_int_equal(a.bits, b.bits);
		assert_memory_equal(a.bytes, b.bytes, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(the_ends_of_a_network_are_in_it),
		cmocka_unit_test(all_of_a_family_is_not_the_other),
		cmocka_unit_test(what_touches_becomes_one),
		cmocka_unit_test(random_sets_answer_as_a_list_does),
		cmocka_unit_test(half_a_million_take_little_room),
		cmocka_unit_test(an_address_goes_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
