/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_bed.h"

#include "notify/ber.h"
#include "notify/crypt.h"
#include "notify/snmp.h"

static struct err err;

/* ---- the encoding ---- */

static void check_bytes(const struct ber *b, const void *want, size_t want_len)
{
	const uint8_t *data;
	size_t len;

	data = ber_data(b, &len);
	assert_int_equal(len, want_len);
	assert_memory_equal(data, want, len);
}

static void check_number(int tag, int64_t n, const void *want, size_t len)
{
	struct ber b;

	ber_begin(&b);
	ber_number(&b, tag, n);
	check_bytes(&b, want, len);
}

static void numbers_are_as_short_as_keeps_their_sign(void **state)
{
	(void)state;
	check_number(BER_INTEGER, 0, "\x02\x01\x00", 3);
	check_number(BER_INTEGER, 127, "\x02\x01\x7f", 3);
	check_number(BER_INTEGER, 128, "\x02\x02\x00\x80", 4);
	check_number(BER_INTEGER, 256, "\x02\x02\x01\x00", 4);
	check_number(BER_INTEGER, -1, "\x02\x01\xff", 3);
	check_number(BER_INTEGER, -128, "\x02\x01\x80", 3);
	check_number(BER_INTEGER, -129, "\x02\x02\xff\x7f", 4);
	check_number(BER_INTEGER, 2147483647, "\x02\x04\x7f\xff\xff\xff", 6);
	check_number(BER_UNSIGNED, 4294967295, "\x42\x05\x00\xff\xff\xff\xff",
		     7);
}

static void check_oid(const char *oid, const void *want, size_t len)
{
	struct ber b;

	ber_begin(&b);
	ber_oid(&b, oid);
	assert_int_equal(b.full, 0);
	check_bytes(&b, want, len);
}

static void names_of_objects_are_encoded(void **state)
{
	static const char *const wrong[] = {"",	   "1",	    "1.",
					    "a.b", "1.3.x", "1..3"};
	struct ber b;

	(void)state;
	check_oid("1.3.6.1", "\x06\x03\x2b\x06\x01", 5);
	check_oid("1.3.6.1.4.1.8072", "\x06\x07\x2b\x06\x01\x04\x01\xbf\x08",
		  9);
	check_oid("2.5.4.3", "\x06\x03\x55\x04\x03", 5);
	check_oid("1.3.4294967295", "\x06\x06\x2b\x8f\xff\xff\xff\x7f", 8);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ber_begin(&b);
		ber_oid(&b, wrong[i]);
		if (!b.full)
			fail_msg("%s: taken", wrong[i]);
	}
}

static void lengths_take_one_two_or_three_bytes(void **state)
{
	static const size_t lens[] = {0, 127, 128, 255, 256, 1300};
	static const char *const heads[] = {
		"\x04\x00",	"\x04\x7f",	    "\x04\x81\x80",
		"\x04\x81\xff", "\x04\x82\x01\x00", "\x04\x82\x05\x14"};
	static const uint8_t zeros[1400];
	static const size_t head_len[] = {2, 2, 3, 3, 4, 4};
	const uint8_t *data;
	struct ber b;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		ber_begin(&b);
		ber_bytes(&b, BER_OCTETS, zeros, lens[i]);
		data = ber_data(&b, &len);
		assert_int_equal(len, head_len[i] + lens[i]);
		assert_memory_equal(data, heads[i], head_len[i]);
	}
	ber_begin(&b);
	ber_bytes(&b, BER_OCTETS, zeros, sizeof(zeros));
	assert_int_equal(b.full, 1);
}

/* ---- traps ---- */

static const struct snmp_when when = {
	.boots = 1,
	.seconds = 1777636800,
	.ticks = 4711,
	.id = 99,
	.salt = "12345678",
};

/* The value at *at, whose head is passed; -1: it does not fit in. */
static int next(const uint8_t *d, size_t end, size_t *at, size_t *len_r)
{
	int tag;

	if (*at + 2 > end)
		return -1;
	tag = d[(*at)++];
	*len_r = d[(*at)++];
	if (*len_r & 0x80) {
		int n = *len_r & 0x7f;

		for (*len_r = 0; n > 0; n--)
			*len_r = *len_r << 8 | d[(*at)++];
	}
	return *at + *len_r <= end ? tag : -1;
}

/* Every length fits; how many values there are. */
static int walk(const uint8_t *d, size_t at, size_t end)
{
	int count = 0, tag;
	size_t len = 0;

	while (at < end) {
		tag = next(d, end, &at, &len);
		assert_true(tag >= 0);
		count++;
		if (tag == BER_SEQUENCE || tag == BER_TRAP)
			count += walk(d, at, at + len);
		at += len;
	}
	assert_int_equal(at, end);
	return count;
}

static void a_trap_is_whole_and_begins_with_version_and_community(void **state)
{
	const uint8_t *data;
	struct job job;
	struct ber b;
	size_t len;

	(void)state;
	bed_job(&job, "\"protocol\": \"v2c\", \"password\": \"secret\"");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(snmp_encode(&job, bed_message(&job, i), &when,
					     &b, &err),
				 0);
		data = ber_data(&b, &len);
		assert_true(walk(data, 0, len) > 20);
		assert_int_equal(data[0], BER_SEQUENCE);
		assert_memory_equal(
			data + (data[1] & 0x80 ? 2 + (data[1] & 3) : 2),
			"\x02\x01\x01\x04\x06secret", 11);
	}
	job_free(&job);
}

/* As Python's hashlib makes it of the same. */
static void keys_are_made_as_rfc_3414_says(void **state)
{
	static const uint8_t want[32] = {
		0x59, 0x56, 0x76, 0x46, 0x0d, 0x2f, 0x72, 0x6f,
		0xcf, 0x99, 0x55, 0xb5, 0x70, 0x25, 0x16, 0xa6,
		0xb4, 0x43, 0xd5, 0xaa, 0x61, 0xa6, 0x1c, 0x0d,
		0x1b, 0xf9, 0xf0, 0x3a, 0xdf, 0x0c, 0xd1, 0xdd};
	uint8_t engine[SNMP_ENGINE_MAX], key[32];
	size_t len = snmp_engine("h", engine);

	(void)state;
	assert_int_equal(len, 6);
	assert_memory_equal(engine, "\x80\x00\x1f\x88\x04h", 6);
	assert_int_equal(snmp_key("maplesyrup", engine, len, key, &err), 0);
	assert_memory_equal(key, want, 32);
	assert_int_equal(
		snmp_engine("a-host-with-a-name-that-is-far-too-long", engine),
		SNMP_ENGINE_MAX);
}

/* All that can be long is, and nothing is lost but ends. */
static void the_longest_trap_fits(void **state)
{
	static const char *const channels[] = {
		"\"protocol\": \"v2c\", \"password\": "
		"\"a-community-of-as-much-as-anybody-would-ever-type\"",
		"\"protocol\": \"v3\", \"user\": "
		"\"a-user-of-as-many-as-32-letters-x\", \"password\": "
		"\"auth-auth\", \"key\": \"priv-priv\""};
	static const char *const members[] = {"message", "virus", "path",
					      "action"};
	char *text = malloc(5001);
	struct job job;
	struct ber b;

	(void)state;
	memset(text, 'x', 5000);
	text[5000] = '\0';
	for (size_t i = 0; i < 2; i++) {
		json_t *event;

		bed_job(&job, channels[i]);
		memset(job.host, 'h', sizeof(job.host) - 1);
		event = message_event(bed_message(&job, 0));
		for (size_t k = 0; k < 4; k++)
			json_object_set_new(event, members[k],
					    json_string(text));
		json_object_set_new(event, "id", json_integer(INT64_MAX));
		json_object_set_new(event, "code", json_integer(UINT32_MAX));
		if (snmp_encode(&job, bed_message(&job, 0), &when, &b, &err))
			fail_msg("%s", err.text);
		walk(b.buf, b.at, sizeof(b.buf));
		job_free(&job);
	}
	free(text);
}

static bool holds(const uint8_t *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

static void a_trap_of_a_user_is_authentic_and_secret(void **state)
{
	static const uint8_t zeros[24];
	uint8_t engine[SNMP_ENGINE_MAX], key[32], mac[32];
	size_t len, engine_len = snmp_engine("h___st", engine);
	struct job job;
	struct ber b;
	uint8_t *place;

	(void)state;
	bed_job(&job, "\"protocol\": \"v3\", \"user\": \"me\", \"password\": "
		      "\"auth-auth\", \"key\": \"priv-priv\"");
	assert_int_equal(
		snmp_encode(&job, bed_message(&job, 0), &when, &b, &err), 0);
	ber_data(&b, &len);
	walk(b.buf, b.at, sizeof(b.buf));
	assert_false(holds(b.buf + b.at, len, "Eicar"));
	assert_false(holds(b.buf + b.at, len, "auth-auth"));
	assert_true(holds(b.buf + b.at, len, "\x04\x02me"));
	/* The code is over all of it, with zeros in its own place. */
	place = memmem(b.buf + b.at, len, "\x04\x02me\x04\x18", 6);
	assert_non_null(place);
	place += 6;
	assert_int_equal(snmp_key("auth-auth", engine, engine_len, key, &err),
			 0);
	memcpy(mac + 8, place, 24);
	memcpy(place, zeros, 24);
	{
		uint8_t want[32];

		crypt_hmac(key, 32, b.buf + b.at, len, want, &err);
		assert_memory_equal(want, mac + 8, 24);
	}
	job_free(&job);
}

static void without_secrets_a_user_goes_in_the_clear(void **state)
{
	struct job job;
	struct ber b;
	size_t len;

	(void)state;
	bed_job(&job, "\"protocol\": \"v3\", \"user\": \"me\"");
	assert_int_equal(
		snmp_encode(&job, bed_message(&job, 0), &when, &b, &err), 0);
	ber_data(&b, &len);
	assert_true(walk(b.buf, b.at, sizeof(b.buf)) > 20);
	assert_true(holds(b.buf + b.at, len, "Eicar"));
	job_free(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_as_short_as_keeps_their_sign),
		cmocka_unit_test(names_of_objects_are_encoded),
		cmocka_unit_test(lengths_take_one_two_or_three_bytes),
		cmocka_unit_test(
			a_trap_is_whole_and_begins_with_version_and_community),
		cmocka_unit_test(the_longest_trap_fits),
		cmocka_unit_test(keys_are_made_as_rfc_3414_says),
		cmocka_unit_test(a_trap_of_a_user_is_authentic_and_secret),
		cmocka_unit_test(without_secrets_a_user_goes_in_the_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
