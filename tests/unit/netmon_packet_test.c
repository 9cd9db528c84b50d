/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "netmon/packet.h"

#define SYN 0x02
#define ACK 0x10

static uint8_t packet[256];
static struct conn conn;

/* TCP's header at p: from 40000 to 443. */
static void put_tcp(uint8_t *p, uint8_t flags)
{
	p[0] = 40000 >> 8;
	p[1] = 40000 & 255;
	p[2] = 443 >> 8;
	p[3] = 443 & 255;
	p[13] = flags;
}

/* From 192.0.2.1 to 198.51.100.2, with `options` bytes of IPv4's. */
static size_t make4(size_t options, uint8_t flags)
{
	static const uint8_t ends[] = {192, 0, 2, 1, 198, 51, 100, 2};

	memset(packet, 0, sizeof(packet));
	packet[0] = (uint8_t)(0x40 | (20 + options) / 4);
	packet[9] = 6;
	memcpy(packet + 12, ends, sizeof(ends));
	put_tcp(packet + 20 + options, flags);
	return 20 + options + 20;
}

/* From 2001:db8::1 to 2001:db8::2, `chain` behind IPv6's own header. */
static size_t make6(uint8_t first, const uint8_t *chain, size_t len,
		    uint8_t flags)
{
	static const uint8_t net[] = {0x20, 0x01, 0x0d, 0xb8};

	memset(packet, 0, sizeof(packet));
	packet[0] = 0x60;
	packet[6] = first;
	memcpy(packet + 8, net, sizeof(net));
	packet[23] = 1;
	memcpy(packet + 24, net, sizeof(net));
	packet[39] = 2;
	if (len)
		memcpy(packet + 40, chain, len);
	put_tcp(packet + 40 + len, flags);
	return 40 + len + 20;
}

/* As from a buffer of that size alone: a byte too far is a fault. */
static bool read_it(size_t len, bool in)
{
	uint8_t *exact = malloc(len ? len : 1);
	bool rc;

	memcpy(exact, packet, len);
	memset(&conn, 0, sizeof(conn));
	rc = packet_read(exact, len, in, &conn);
	free(exact);
	return rc;
}

static void both_ends_are_told_by_direction(void **state)
{
	static const uint8_t source[16] = {
		[10] = 255, [11] = 255, [12] = 192, [14] = 2, [15] = 1};
	static const uint8_t target[16] = {[10] = 255, [11] = 255, [12] = 198,
					   [13] = 51,  [14] = 100, [15] = 2};
	size_t len = make4(0, SYN);

	(void)state;
	assert_true(read_it(len, false));
	assert_false(conn.in || conn.v6);
	assert_memory_equal(conn.local, source, 16);
	assert_memory_equal(conn.remote, target, 16);
	assert_int_equal(conn.local_port, 40000);
	assert_int_equal(conn.remote_port, 443);
	assert_true(read_it(len, true));
	assert_true(conn.in);
	assert_memory_equal(conn.remote, source, 16);
	assert_memory_equal(conn.local, target, 16);
	assert_int_equal(conn.remote_port, 40000);
	assert_int_equal(conn.local_port, 443);
}

static void options_stand_before_the_ports(void **state)
{
	(void)state;
	assert_true(read_it(make4(40, SYN), true));
	assert_int_equal(conn.local_port, 443);
}

static void a_chain_of_headers_is_followed(void **state)
{
	/* hop-by-hop, routing, destination, first fragment, AH */
	static const uint8_t chain[] = {
		43, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 0, 0, 0, 0,
		0,  0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0,
		51, 0, 0, 1, 0, 0, 0, 0, 6,  4, 0, 0, 0, 0, 0, 0,
		0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0};

	(void)state;
	assert_true(read_it(make6(6, NULL, 0, SYN), true));
	assert_true(conn.v6);
	assert_int_equal(conn.remote[15], 1);
	assert_int_equal(conn.local[15], 2);
	assert_true(read_it(make6(0, chain, sizeof(chain), SYN), true));
	assert_int_equal(conn.local_port, 443);
	assert_int_equal(conn.remote_port, 40000);
}

static void what_begins_no_connection_is_none(void **state)
{
	static const uint8_t later[8] = {6, 0, 0, 8};
	static const uint8_t endless[72] = {[64] = 6};
	size_t len;

	(void)state;
	assert_false(read_it(make4(0, SYN | ACK), true));
	assert_false(read_it(make4(0, ACK), true));
	assert_false(read_it(make6(6, NULL, 0, SYN | ACK), true));
	len = make4(0, SYN);
	packet[9] = 17; /* UDP */
	assert_false(read_it(len, true));
	len = make4(0, SYN);
	packet[7] = 1; /* a later fragment */
	assert_false(read_it(len, true));
	len = make4(0, SYN);
	packet[0] = 0x44; /* shorter than a header can be */
	assert_false(read_it(len, true));
	packet[0] = 0x55;
	assert_false(read_it(len, true));
	assert_false(read_it(make6(44, later, sizeof(later), SYN), true));
	assert_false(read_it(make6(17, NULL, 0, SYN), true));
	/* more headers than anybody sends */
	assert_false(read_it(make6(0, endless, sizeof(endless), SYN), true));
}

/* The copy ends anywhere. */
static void what_is_cut_off_is_not_read_beyond(void **state)
{
	static const uint8_t chain[8] = {6, 0};
	size_t i;

	(void)state;
	make4(8, SYN);
	for (i = 0; i < 60; i++)
		assert_int_equal(read_it(i, true), i >= 28 + 14);
	make6(60, chain, sizeof(chain), SYN);
	for (i = 0; i < 80; i++)
		assert_int_equal(read_it(i, true), i >= 48 + 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_are_told_by_direction),
		cmocka_unit_test(options_stand_before_the_ports),
		cmocka_unit_test(a_chain_of_headers_is_followed),
		cmocka_unit_test(what_begins_no_connection_is_none),
		cmocka_unit_test(what_is_cut_off_is_not_read_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
