/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "syslog.h"

#include <stdio.h>
#include <string.h>

#include "dgram.h"
#include "post.h"

#define UDP_MAX 2048 /* RFC 5426, 3.2 */
#define STREAM_MAX 8192
#define VALUE_PART 10 /* of that a value may take */
/* For documentation (RFC 5612): the suite has no number of its own. */
#define ENTERPRISE "splx@32473"

static int priority(const struct job *job, json_t *message)
{
	static const struct {
		const char *name;
		int number;
	} facilities[] = {{"user", 1},
			  {"daemon", 3},
			  {"auth", 4},
			  {"cron", 9},
			  {"authpriv", 10}};
	/* info, notice, warning, critical */
	static const int severities[] = {6, 5, 4, 2};
	const char *name = job_get(job, "facility");
	int facility = 3;

	for (size_t i = 0; name && i < sizeof(facilities) / sizeof(*facilities);
	     i++)
		if (strcmp(facilities[i].name, name) == 0)
			facility = facilities[i].number;
	if (name && str_starts(name, "local") && name[5] >= '0' &&
	    name[5] <= '7' && !name[6])
		facility = 16 + name[5] - '0';
	return facility * 8 + severities[message_severity(message)];
}

/* A value is cut, so that its end and the message are not. */
static void add_param(struct str *out, const char *name, json_t *value,
		      size_t max)
{
	const char *p = json_string_value(value);
	struct str cut = {0};

	if (json_is_integer(value)) {
		str_addf(out, " %s=\"%lld\"", name,
			 (long long)json_integer_value(value));
		return;
	}
	if (!p || !*p)
		return;
	str_add(&cut, p);
	job_cut(&cut, max);
	p = str_get(&cut);
	str_addf(out, " %s=\"", name);
	for (; *p; p++) {
		if (strchr("\"\\]", *p))
			str_add(out, "\\");
		str_addn(out, p, 1);
	}
	str_add(out, "\"");
	str_free(&cut);
}

static void add_data(json_t *message, size_t max, struct str *out)
{
	json_t *event = message_event(message);
	const char *name;
	json_t *value;

	str_add(out, "[" ENTERPRISE);
	if (!event)
		event = json_object_get(message, "digest");
	json_object_foreach (event, name, value)
		if (strcmp(name, "message") != 0 && strcmp(name, "time") != 0)
			add_param(out, name, value, max / VALUE_PART);
	str_add(out, "]");
}

static void add_text(const struct job *job, json_t *message, struct str *out)
{
	if (job_is(job, "format", "cef")) {
		cef_encode(job, message, out);
		return;
	}
	message_line(message, out);
}

void syslog_encode(const struct job *job, json_t *message, size_t max,
		   struct str *out)
{
	bool local = job_is(job, "protocol", "local");
	char time[40];

	str_addf(out, "<%d>", priority(job, message));
	if (local) {
		/* The receiver adds time and host by itself. */
		str_add(out, "splx: ");
	} else {
		str_addf(out, "1 %s %s splx - %s ",
			 job_time(time, message_time(message)), job->host,
			 message_kind(message));
		if (job_is(job, "format", "cef"))
			str_add(out, "-");
		else
			add_data(message, max, out);
		str_add(out, " ");
	}
	add_text(job, message, out);
	job_cut(out, max);
}

/* ---- sending ---- */

static int send_dgrams(struct job *job, struct outcome *out, struct err *err)
{
	bool local = job_is(job, "protocol", "local");
	struct dgram *d = local ? dgram_local(job_get(job, "server"), err)
				: dgram_open(job, "514", err);
	struct str text = {0};
	json_t *message;
	size_t i, n = 0;
	int rc = d ? 0 : -1;

	json_array_foreach (job->messages, i, message) {
		str_clear(&text);
		syslog_encode(job, message, UDP_MAX, &text);
		if (rc == 0)
			rc = dgram_send(d, str_get(&text), text.len, err);
		n += rc == 0;
	}
	str_free(&text);
	/* Which one did not arrive nobody tells. */
	if (rc == 0)
		rc = dgram_end(d, err);
	if (rc == 0)
		out->sent = n;
	dgram_free(&d);
	return rc;
}

/* Octet counting (RFC 6587, 3.4.1; RFC 5425, 4.3). */
static int send_stream(struct job *job, struct outcome *out, struct err *err)
{
	struct post *post = post_stream(job, err);
	struct str text = {0}, framed = {0};
	json_t *message;
	size_t i, n = 0;
	int rc = post ? 0 : -1;

	json_array_foreach (job->messages, i, message) {
		str_clear(&text);
		str_clear(&framed);
		syslog_encode(job, message, STREAM_MAX, &text);
		str_addf(&framed, "%zu %s", text.len, str_get(&text));
		if (rc == 0)
			rc = post_send(post, str_get(&framed), framed.len, err);
		n += rc == 0;
	}
	if (rc == 0)
		rc = post_stream_end(post, err);
	if (rc == 0)
		out->sent = n;
	str_free(&text);
	str_free(&framed);
	post_free(&post);
	return rc;
}

int send_syslog(struct job *job, struct outcome *out, struct err *err)
{
	int rc =
		job_is(job, "protocol", "tcp") || job_is(job, "protocol", "tls")
			? send_stream(job, out, err)
			: send_dgrams(job, out, err);

	if (rc == 0)
		snprintf(out->answer, sizeof(out->answer),
			 job_is(job, "protocol", "udp")
				 ? "sent; whether it arrived nobody tells (udp)"
				 : "taken");
	return rc;
}
