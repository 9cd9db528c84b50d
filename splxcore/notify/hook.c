/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "post.h"

/* Times as text, in all objects below. */
static void times_to_text(json_t *value)
{
	static const char *const names[] = {"time", "first", "last"};
	const char *name;
	json_t *item;
	char text[40];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		item = json_object_get(value, names[i]);
		if (json_is_integer(item))
			json_object_set_new(
				value, names[i],
				json_string(job_time(
					text, json_integer_value(item))));
	}
	json_array_foreach (value, i, item)
		times_to_text(item);
	json_object_foreach (value, name, item)
		if (json_is_object(item) || json_is_array(item))
			times_to_text(item);
}

char *hook_body(const struct job *job, const json_t *message)
{
	json_t *body = json_deep_copy(message);
	char *text;

	times_to_text(body);
	json_object_set_new(body, "product", json_string("splx"));
	json_object_set_new(body, "version", json_string(job->version));
	json_object_set_new(body, "host", json_string(job->host));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text ? text : xstrdup("{}");
}

int hook_signature(const char *key, int64_t seconds, const char *body,
		   char out[128], struct err *err)
{
	uint8_t mac[CRYPT_SHA256];
	struct str what = {0};
	size_t n;
	int rc;

	str_addf(&what, "%lld.%s", (long long)seconds, body);
	rc = crypt_hmac(key, strlen(key), str_get(&what), what.len, mac, err);
	str_free(&what);
	n = (size_t)snprintf(
		out, 128, "X-Splx-Signature: t=%lld,v1=", (long long)seconds);
	for (size_t i = 0; i < sizeof(mac); i++, n += 2)
		snprintf(out + n, 128 - n, "%02x", mac[i]);
	return rc;
}

static int post_one(struct post *post, const struct job *job, json_t *message,
		    struct outcome *out, struct err *err)
{
	int64_t now = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	const char *headers[] = {"Content-Type: application/json",
				 "Expect:", NULL, NULL};
	char *body = hook_body(job, message), signature[128];
	const char *key = job_get(job, "key");
	int rc = 0;

	if (key) {
		rc = hook_signature(key, now, body, signature, err);
		headers[2] = signature;
	}
	if (rc == 0)
		rc = post_http(post, body, headers, out, err);
	free(body);
	return rc;
}

int send_webhook(struct job *job, struct outcome *out, struct err *err)
{
	return post_all(job, post_one, out, err);
}
