/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/netreport.h"
#include "lib/fdutil.h"

static int pair[2];
static struct err err;

static struct net_report good(void)
{
	struct net_report r;

	memset(&r, 0, sizeof(r));
	r.magic = NET_REPORT_MAGIC;
	r.version = NET_REPORT_VERSION;
	r.conn.in = true;
	r.conn.uid = -1;
	r.conn.remote_port = 443;
	r.answer.verdict = CONN_RESET;
	r.answer.rule = 2;
	r.answer.list = -1;
	r.pid = 42;
	r.times = 1;
	strcpy(r.program, "/usr/sbin/haproxy");
	strcpy(r.rule, "office");
	return r;
}

static int up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int down(void **state)
{
	(void)state;
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return 0;
}

static void a_connection_arrives_whole(void **state)
{
	struct net_report r = good(), got;

	(void)state;
	assert_int_equal(net_report_recv(pair[1], &got, &err), 0);
	assert_int_equal(net_report_send(pair[0], &r, &err), 0);
	assert_int_equal(net_report_recv(pair[1], &got, &err), 1);
	assert_memory_equal(&r, &got, sizeof(r));
}

static void who_has_no_room_is_told_and_does_not_wait(void **state)
{
	struct net_report r = good();
	int rc, n = 0;

	(void)state;
	while ((rc = net_report_send(pair[0], &r, &err)) == 0 && n < 100000)
		n++;
	assert_int_equal(rc, 1);
	assert_true(n > 10);
}

static void the_end_of_the_sender_is_told(void **state)
{
	struct net_report got;

	(void)state;
	fd_close(&pair[0]);
	assert_int_equal(net_report_recv(pair[1], &got, &err), -1);
	assert_int_equal(err.code, EPIPE);
	assert_int_equal(net_report_send(pair[1], &got, &err), -1);
}

static void refused(const void *record, size_t len)
{
	struct net_report got;

	assert_int_equal(send(pair[0], record, len, 0), (ssize_t)len);
	assert_int_equal(net_report_recv(pair[1], &got, &err), -1);
	assert_int_equal(err.code, EBADMSG);
	assert_int_equal(net_report_recv(pair[1], &got, &err), 0);
}

#define REFUSED(change)                                                        \
	do {                                                                   \
		struct net_report r = good();                                  \
                                                                               \
		change;                                                        \
		refused(&r, sizeof(r));                                        \
	} while (0)

static void what_is_not_within_bounds_is_refused(void **state)
{
	char longer[sizeof(struct net_report) + 1] = {0};
	struct net_report whole = good();

	(void)state;
	REFUSED(r.magic++);
	REFUSED(r.version++);
	REFUSED(memset(&r.conn.in, 2, 1));
	REFUSED(memset(&r.conn.v6, 255, 1));
	REFUSED(memset(&r.conn.loopback, 2, 1));
	REFUSED(r.conn.uid = -2);
	REFUSED(r.conn.uid = 1ll << 32);
	REFUSED(r.answer.verdict = CONN_VERDICTS);
	REFUSED(r.answer.verdict = (enum conn_verdict) - 1);
	REFUSED(r.answer.rule = -2);
	REFUSED(r.answer.list = -2);
	REFUSED(r.pid = -1);
	REFUSED(r.times = 0);
	REFUSED(memset(r.program, 'a', sizeof(r.program)));
	REFUSED(memset(r.rule, 'a', sizeof(r.rule)));
	REFUSED(memset(r.list, 'a', sizeof(r.list)));
	refused(&whole, sizeof(whole) - 1);
	memcpy(longer, &whole, sizeof(whole));
	refused(longer, sizeof(longer));
	refused("", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_connection_arrives_whole, up,
						down),
		cmocka_unit_test_setup_teardown(
			who_has_no_room_is_told_and_does_not_wait, up, down),
		cmocka_unit_test_setup_teardown(the_end_of_the_sender_is_told,
						up, down),
		cmocka_unit_test_setup_teardown(
			what_is_not_within_bounds_is_refused, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
