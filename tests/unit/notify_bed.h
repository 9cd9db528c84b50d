/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_NOTIFY_BED_H
#define SPLX_TESTS_NOTIFY_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "notify/job.h"

/* 2026-05-01T12:00:00.123Z */
#define BED_TIME 1777636800123000000LL

/* A job with one event that holds hostile text, a digest and a test. */
static inline void bed_job(struct job *job, const char *channel)
{
	static const char messages[] =
		"[{\"events\": [{\"id\": 7, \"time\": 1777636800123000000, "
		"\"kind\": \"virus\", \"severity\": \"high\", \"message\": "
		"\"Eicar in /a\\n<0>1 b\", \"virus\": \"Eicar\", \"path\": "
		"\"/a\\r\\nBcc: x@y |=\\\\ "
		"\\\"]\\u202e\\u2028\\u0085\\u00e9\", "
		"\"pid\": 12}]},"
		"{\"digest\": {\"count\": 12, \"first\": 1777636700000000000, "
		"\"last\": 1777636800123000000, \"counts\": [{\"kind\": "
		"\"virus\", \"severity\": \"high\", \"count\": 10}, {\"kind\": "
		"\"system\", \"severity\": \"medium\", \"count\": 2}], "
		"\"events\": [{\"id\": 7, \"time\": 1777636800123000000, "
		"\"kind\": \"virus\", \"severity\": \"high\", \"message\": "
		"\"one\\ntwo\"}]}},"
		"{\"test\": {\"time\": 1777636800123000000, \"message\": "
		"\"A test.\"}}]";
	struct str text = {0};
	struct err err;

	str_addf(&text,
		 "{\"channel\": {%s}, \"host\": \"h\\u00e9 st\", "
		 "\"version\": \"1|2\", \"messages\": %s}",
		 channel, messages);
	if (job_parse(job, str_get(&text), text.len, &err) < 0)
		fail_msg("%s: %s", err.text, str_get(&text));
	str_free(&text);
}

static inline json_t *bed_message(const struct job *job, size_t i)
{
	return json_array_get(job->messages, i);
}

/* No control but those in `allowed`, and nothing that turns text around. */
static inline void bed_harmless(const char *text, const char *allowed)
{
	static const char *const no[] = {"\xe2\x80\xae", "\xe2\x80\xa8",
					 "\xc2\x85"};

	for (const char *p = text; *p; p++)
		if (((unsigned char)*p < ' ' || *p == 0x7f) &&
		    !strchr(allowed, *p))
			fail_msg("a control character: %s", text);
	for (size_t i = 0; i < 3; i++)
		assert_null(strstr(text, no[i]));
}

#endif
