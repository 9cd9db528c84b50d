/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The drawing of who talks to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/talks.h"

static json_t *peer(int in, const char *program, const char *address, int port,
		    int times, int alerted, int prevented)
{
	return json_pack("{s:b, s:s, s:s, s:i, s:i, s:i, s:i}", "in", in,
			 "program", program, "address", address, "port", port,
			 "times", times, "alerted", alerted, "prevented",
			 prevented);
}

static char *drawn(json_t *peers)
{
	struct html h = {.lang = LANG_EN};

	talks_draw(&h, peers);
	json_decref(peers);
	return str_take(&h.out);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void both_sides_and_the_programs_are_drawn(void **state)
{
	json_t *peers = json_array();
	const char *file = getenv("TALKS_OUT");
	char *text;
	FILE *out;

	(void)state;
	json_array_append_new(
		peers, peer(1, "/usr/sbin/sshd", "192.0.2.7", 22, 900, 0, 900));
	json_array_append_new(peers,
			      peer(1, "/usr/sbin/nginx", "2001:db8:1:2:3:4:5:6",
				   443, 70, 0, 0));
	json_array_append_new(
		peers, peer(0, "/usr/bin/curl", "198.51.100.7", 443, 9, 1, 0));
	json_array_append_new(peers, peer(0, "/usr/sbin/nginx", "2001:db8::9",
					  5432, 3, 0, 0));
	json_array_append_new(peers, peer(0, "", "203.0.113.9", 80, 1, 0, 0));
	text = drawn(peers);
	assert_int_equal(count(text, "<path class=\"talk"), 5);
	assert_int_equal(count(text, "<path class=\"talk bad\""), 1);
	assert_int_equal(count(text, "<path class=\"talk warn\""), 1);
	/* nginx is one, and what is not known is one, too */
	assert_int_equal(count(text, "<rect"), 4);
	assert_int_equal(count(text, ">nginx<"), 1);
	assert_int_equal(count(text, ">?<"), 1);
	assert_non_null(strstr(text, ">192.0.2.7 → 22<"));
	assert_non_null(strstr(text, ">[2001:db8::9]:5432<"));
	assert_non_null(strstr(text, ">198.51.100.7:443<"));
	out = file ? fopen(file, "we") : NULL;
	if (out) {
		fputs(text, out);
		fclose(out);
	}
	free(text);
}

static void only_so_many_are_drawn(void **state)
{
	json_t *peers = json_array();
	char address[32], program[32], *text;

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		snprintf(program, sizeof(program), "/bin/p%d", i);
		json_array_append_new(
			peers, peer(i % 2, program, address, 80, 1, 0, 0));
	}
	text = drawn(peers);
	assert_int_equal(count(text, "<path class=\"talk"), 2 * TALKS_MAX);
	assert_int_equal(count(text, "<rect"), 2 * TALKS_MAX);
	free(text);
}

static void names_cannot_break_out(void **state)
{
	json_t *peers = json_array();
	char *text;

	(void)state;
	json_array_append_new(
		peers, peer(0, "/tmp/<script>\"&", "192.0.2.7", 80, 1, 0, 0));
	json_array_append_new(
		peers, peer(0, "/tmp/aログログログログログログログログログログ",
			    "192.0.2.8", 80, 1, 0, 0));
	text = drawn(peers);
	assert_null(strstr(text, "<script"));
	assert_non_null(strstr(text, "&lt;script&gt;"));
	/* Cut between characters, not in one. */
	assert_non_null(strstr(text, ">aログログログロ…<"));
	free(text);
}

static void without_any_it_says_so(void **state)
{
	char *text = drawn(json_array());

	(void)state;
	assert_null(strstr(text, "<svg"));
	assert_non_null(strstr(text, "class=\"empty\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_and_the_programs_are_drawn),
		cmocka_unit_test(only_so_many_are_drawn),
		cmocka_unit_test(names_cannot_break_out),
		cmocka_unit_test(without_any_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
