/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_bed.h"

#include "notify/dgram.h"
#include "notify/syslog.h"

static char *encoded(const char *channel, size_t i, size_t max)
{
	struct str out = {0};
	struct job job;

	bed_job(&job, channel);
	syslog_encode(&job, bed_message(&job, i), max, &out);
	job_free(&job);
	bed_harmless(str_get(&out), "");
	return str_take(&out);
}

static void an_event_is_a_message_of_rfc_5424(void **state)
{
	char *out = encoded("\"protocol\": \"udp\", \"facility\": \"local3\"",
			    0, 2048);

	(void)state;
	/* local3 (19) * 8 + critical (2) */
	assert_string_equal(
		out, "<154>1 2026-05-01T12:00:00.123Z h___st splx - virus "
		     "[splx@32473 id=\"7\" kind=\"virus\" severity=\"high\" "
		     "virus=\"Eicar\" path=\"/a\\\\x0d\\\\x0aBcc: x@y |=\\\\ "
		     "\\\"\\]\\\\u202e\\\\u2028\\\\x85\xc3\xa9\" pid=\"12\"] "
		     "Eicar in /a\\x0a<0>1 b");
	free(out);
}

static void facilities_and_severities_make_the_priority(void **state)
{
	static const struct {
		const char *channel;
		size_t message;
		const char *begins;
	} cases[] = {
		{"\"facility\": \"daemon\"", 0, "<26>1 "},
		{"\"facility\": \"daemon\"", 2, "<30>1 "},
		{"\"facility\": \"authpriv\"", 0, "<82>1 "},
		{"\"facility\": \"local7\"", 1, "<186>1 "},
		{"\"facility\": \"local9\"", 0, "<26>1 "},
		{"\"facility\": \"local77\"", 0, "<26>1 "},
		{"", 0, "<26>1 "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *out = encoded(cases[i].channel, cases[i].message, 2048);

		if (strncmp(out, cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("%s: %.20s", cases[i].channel, out);
		free(out);
	}
}

static void a_digest_counts_and_a_test_is_said_to_be_one(void **state)
{
	char *out = encoded("", 1, 2048);

	(void)state;
	assert_non_null(strstr(out, " splx - digest [splx@32473 count=\"12\""));
	assert_non_null(strstr(out, "] 12 events: virus high 10"));
	free(out);
	out = encoded("", 2, 2048);
	assert_non_null(strstr(out, " splx - test [splx@32473] A test."));
	free(out);
}

static void what_is_too_long_is_cut(void **state)
{
	for (size_t max = 1; max < 400; max++) {
		char *out = encoded("\"format\": \"rfc5424\"", 0, max);

		assert_true(strlen(out) <= max);
		free(out);
	}
	(void)state;
}

/* A long path does not cost the message behind it. */
static void long_values_are_cut_and_closed(void **state)
{
	struct str out = {0};
	struct job job;
	char *text = malloc(5001);

	(void)state;
	memset(text, ']', 5000);
	text[5000] = '\0';
	bed_job(&job, "\"protocol\": \"udp\"");
	json_object_set_new(message_event(bed_message(&job, 0)), "path",
			    json_string(text));
	syslog_encode(&job, bed_message(&job, 0), 2048, &out);
	assert_true(out.len < 2048);
	assert_non_null(strstr(out.s, "\\]\\]\" pid=\"12\"] Eicar in /a"));
	str_free(&out);
	job_free(&job);
	free(text);
}

static void local_receivers_get_their_own_header(void **state)
{
	char *out = encoded("\"protocol\": \"local\"", 0, 2048);

	(void)state;
	assert_string_equal(out, "<26>splx: Eicar in /a\\x0a<0>1 b");
	free(out);
}

static void cef_escapes_what_it_is_made_of(void **state)
{
	char *out = encoded("\"format\": \"cef\"", 0, 8192);

	(void)state;
	assert_non_null(
		strstr(out, " splx - virus - CEF:0|splx|splx|1\\|2|virus|Eicar|"
			    "9|rt=1777636800123 dvchost=h___st cat=virus "
			    "externalId=7 "));
	assert_non_null(strstr(out, " filePath=/a\\\\x0d\\\\x0aBcc: x@y "
				    "|\\=\\\\ \"]\\\\u202e"));
	assert_non_null(strstr(out, " cs1Label=virus cs1=Eicar msg=Eicar in "));
	free(out);
	out = encoded("\"format\": \"cef\"", 1, 8192);
	assert_non_null(strstr(out, "|digest|digest|9|"));
	assert_non_null(strstr(out, " cnt=12 msg=12 events"));
	free(out);
}

static void servers_are_split_in_host_and_port(void **state)
{
	static const struct {
		const char *server, *host, *port;
	} cases[] = {
		{"a", "a", "514"},
		{"a:1", "a", "1"},
		{"192.0.2.1:65535", "192.0.2.1", "65535"},
		{"[::1]", "::1", "514"},
		{"[::1]:99", "::1", "99"},
	};
	char host[256], port[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(dgram_split(cases[i].server, "514", host, port));
		assert_string_equal(host, cases[i].host);
		assert_string_equal(port, cases[i].port);
	}
	assert_false(dgram_split("", "514", host, port));
	assert_false(dgram_split(":1", "514", host, port));
	assert_false(dgram_split("a:123456789", "514", host, port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_a_message_of_rfc_5424),
		cmocka_unit_test(facilities_and_severities_make_the_priority),
		cmocka_unit_test(a_digest_counts_and_a_test_is_said_to_be_one),
		cmocka_unit_test(what_is_too_long_is_cut),
		cmocka_unit_test(long_values_are_cut_and_closed),
		cmocka_unit_test(local_receivers_get_their_own_header),
		cmocka_unit_test(cef_escapes_what_it_is_made_of),
		cmocka_unit_test(servers_are_split_in_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
