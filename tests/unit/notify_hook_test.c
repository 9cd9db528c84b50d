/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_bed.h"

#include "notify/hook.h"

#define SIGNATURE                                                              \
	"X-Splx-Signature: t=1700000000,v1="                                   \
	"9d713ed406bb7076d4123f0dc2c39d2d"                                     \
	"f5c654ed4b0cd56b52c8b4c940bd63ae"

static void a_body_is_json_with_times_as_text(void **state)
{
	struct job job;
	json_t *body, *e;
	char *text;

	(void)state;
	bed_job(&job, "");
	text = hook_body(&job, bed_message(&job, 0));
	bed_harmless(text, "");
	body = json_loads(text, 0, NULL);
	assert_string_equal(job_text(body, "product"), "splx");
	assert_string_equal(job_text(body, "host"), "h___st");
	e = json_array_get(json_object_get(body, "events"), 0);
	assert_string_equal(job_text(e, "time"), "2026-05-01T12:00:00.123Z");
	assert_int_equal(json_integer_value(json_object_get(e, "id")), 7);
	/* The job is as it was. */
	assert_true(message_time(bed_message(&job, 0)) == BED_TIME);
	json_decref(body);
	free(text);
	text = hook_body(&job, bed_message(&job, 1));
	body = json_loads(text, 0, NULL);
	e = json_object_get(body, "digest");
	assert_string_equal(job_text(e, "last"), "2026-05-01T12:00:00.123Z");
	json_decref(body);
	free(text);
	job_free(&job);
}

/* As `printf 1700000000.{} | openssl dgst -sha256 -hmac key` has it. */
static void a_signature_is_of_the_time_and_the_body(void **state)
{
	char out[128], other[128];
	struct err err;

	(void)state;
	assert_int_equal(hook_signature("key", 1700000000, "{}", out, &err), 0);
	assert_string_equal(out, SIGNATURE);
	hook_signature("key", 1700000001, "{}", other, &err);
	assert_string_not_equal(strstr(out, "v1="), strstr(other, "v1="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_json_with_times_as_text),
		cmocka_unit_test(a_signature_is_of_the_time_and_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
