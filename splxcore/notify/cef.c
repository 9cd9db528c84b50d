/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* ArcSight's Common Event Format, version 0. */
#include <string.h>

#include "lib/clock.h"
#include "syslog.h"

/* Of the header: | and \ are escaped. */
static void add_head(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("|\\", *text))
			str_add(out, "\\");
		str_addn(out, text, 1);
	}
	str_add(out, "|");
}

/* Of the extension: = and \ are. */
static void add_field(struct str *out, const char *name, const char *text)
{
	if (!*text)
		return;
	if (out->s[out->len - 1] != '|')
		str_add(out, " ");
	str_addf(out, "%s=", name);
	for (; *text; text++) {
		if (strchr("=\\", *text))
			str_add(out, "\\");
		str_addn(out, text, 1);
	}
}

static void add_number(struct str *out, const char *name, json_t *object,
		       const char *member)
{
	json_t *value = json_object_get(object, member);
	struct str text = {0};

	if (json_is_integer(value))
		str_addf(&text, "%lld", (long long)json_integer_value(value));
	add_field(out, name, str_get(&text));
	str_free(&text);
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_event(struct str *out, json_t *event)
{
	const char *path = job_text(event, "path");

	add_number(out, "externalId", event, "id");
	if (*path) {
		add_field(out, "fname", base(path));
		add_field(out, "filePath", path);
	}
	add_field(out, "fileHash", job_text(event, "sha256"));
	add_number(out, "fsize", event, "size");
	add_field(out, "act", job_text(event, "action"));
	add_field(out, "outcome", job_text(event, "result"));
	add_field(out, "sproc", job_text(event, "program"));
	add_number(out, "spid", event, "pid");
	add_number(out, "suid", event, "uid");
	add_field(out, "suser", job_text(event, "user"));
	add_field(out, "src", job_text(event, "from"));
	if (*job_text(event, "virus")) {
		add_field(out, "cs1Label", "virus");
		add_field(out, "cs1", job_text(event, "virus"));
	}
	if (json_is_integer(json_object_get(event, "code"))) {
		add_field(out, "cn1Label", "code");
		add_number(out, "cn1", event, "code");
	}
}

void cef_encode(const struct job *job, json_t *message, struct str *out)
{
	static const char *const severities[] = {"2", "4", "6", "9"};
	json_t *event = message_event(message);
	struct str line = {0};

	message_line(message, &line);
	str_add(out, "CEF:0|splx|splx|");
	add_head(out, job->version);
	add_head(out, message_kind(message));
	add_head(out, event && *job_text(event, "virus")
			      ? job_text(event, "virus")
			      : message_kind(message));
	add_head(out, severities[message_severity(message)]);
	str_addf(out, "rt=%lld",
		 (long long)(message_time(message) / (int64_t)CLOCK_NS_PER_MS));
	add_field(out, "dvchost", job->host);
	add_field(out, "cat", message_kind(message));
	if (event)
		add_event(out, event);
	add_number(out, "cnt", json_object_get(message, "digest"), "count");
	add_field(out, "msg", str_get(&line));
	str_free(&line);
}
