/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * What is sent of an event whose text is hostile: no encoding lets a control
 * character through, nor breaks out of its line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "lib/alloc.h"
#include "notify/hook.h"
#include "notify/mail.h"
#include "notify/snmp.h"
#include "notify/syslog.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void harmless(const struct str *out, bool lines)
{
	const char *s = str_get(out);

	check(strlen(s) == out->len);
	for (; *s; s++) {
		if (lines && *s == '\r' && s[1] == '\n') {
			s++;
			continue;
		}
		check((unsigned char)*s >= ' ' && *s != 0x7f);
	}
	check(!strstr(str_get(out), "\xe2\x80\xae"));
}

/* The text as each of an event's members, in JSON that jansson takes. */
static json_t *job_of(const char *text, const char *protocol,
		      const char *format)
{
	json_t *event = json_pack(
		"{s:i, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:i}", "id", 1,
		"time", (json_int_t)1777636800123000000, "kind", "virus",
		"severity", "high", "message", json_string_nocheck(text),
		"virus", json_string_nocheck(text), "path",
		json_string_nocheck(text), "action", json_string_nocheck(text),
		"code", 20001);

	return json_pack("{s:{s:s, s:s, s:[s]}, s:o, s:s, s:[{s:[o]}]}",
			 "channel", "protocol", protocol, "format", format,
			 "to", "a@b", "host", json_string_nocheck(text),
			 "version", "1", "messages", "events", event);
}

static void encode(const struct job *job)
{
	static const struct snmp_when when = {.boots = 1, .seconds = 2};
	json_t *message = json_array_get(job->messages, 0);
	struct str out = {0};
	struct err err;
	struct ber b;
	json_t *parsed;
	char *body;

	syslog_encode(job, message, 2048, &out);
	check(out.len <= 2048);
	harmless(&out, false);
	str_clear(&out);
	mail_encode(job, message, 5, "u", &out);
	harmless(&out, true);
	check(strstr(strstr(out.s, "\r\n\r\n") + 4, "\r\n.") == NULL);
	str_free(&out);
	body = hook_body(job, message);
	parsed = json_loads(body, 0, NULL);
	check(parsed != NULL);
	json_decref(parsed);
	free(body);
	check(snmp_encode(job, message, &when, &b, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ways[][2] = {
		{"udp", "rfc5424"}, {"tcp", "cef"}, {"local", "cef"}};
	char *text = xstrndup((const char *)data, size), *dumped, *clean;
	struct job job;
	json_t *all;

	/* What is no JSON: the job itself. */
	if (job_parse(&job, text, strlen(text), NULL) == 0)
		job_free(&job);
	clean = job_clean(text);
	for (size_t i = 0; i < 3; i++) {
		all = job_of(i == 2 ? clean : text, ways[i][0], ways[i][1]);
		dumped = json_dumps(all, 0);
		if (dumped &&
		    job_parse(&job, dumped, strlen(dumped), NULL) == 0) {
			encode(&job);
			job_free(&job);
		}
		free(dumped);
		json_decref(all);
	}
	free(clean);
	free(text);
	return 0;
}
