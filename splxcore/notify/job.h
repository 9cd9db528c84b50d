/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_JOB_H
#define SPLX_NOTIFY_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/str.h"

/*
 * What is to be sent, and to whom, as core hands it over:
 *   {"channel": notify_job() of common/notifyconf.h, "host": name of this
 *    machine, "version": ours, "messages": [MESSAGE, ...]}
 * A MESSAGE is {"events": [event as store_events() shows it, ...]}, several
 * for a webhook alone, or a digest:
 *   {"digest": {"count", "first", "last": ns since 1970, "counts": [{"kind",
 *    "severity", "count"}], "events": [the worst of them]}}
 * or a test: {"test": {"time", "message"}}.
 *
 * Text in it has been made harmless: no control characters, nothing that
 * changes the direction of what follows, no line separators.
 */
struct job {
	json_t *all; /* owner of all that follows */
	json_t *channel;
	json_t *messages;
	char host[256]; /* letters, digits, . - _ alone */
	const char *version;
	uint64_t deadline_ns; /* monotonic */
};

/* How a try came out. */
struct outcome {
	size_t sent;	      /* messages, from the first on */
	bool refused;	      /* the next one, for what it says */
	uint64_t retry_after; /* seconds that the server asks to wait */
	char answer[256];     /* what the server said last */
};

int job_parse(struct job *job, const char *text, size_t len, struct err *err);
void job_free(struct job *job);
/* A member of the channel; NULL where it has none. */
const char *job_get(const struct job *job, const char *name);
bool job_is(const struct job *job, const char *name, const char *value);
/* What is left of its time, at most `max`; at least 1. */
long job_ms_left(const struct job *job, long max);
bool job_late(const struct job *job);

/* Text of an object's member; "" where it has none. */
const char *job_text(json_t *object, const char *name);
/* "2026-05-01T12:00:00.123Z". Returns out. */
char *job_time(char out[40], int64_t ns);
/* The text, made harmless. The caller frees it. */
char *job_clean(const char *text);
/* Cuts it to at most `max` bytes, at a character's end. */
void job_cut(struct str *text, size_t max);

/* ---- what a message says (text.c) ---- */

/* The one event of a message, NULL for a digest or a test. */
json_t *message_event(json_t *message);
/* One line. */
void message_line(const json_t *message, struct str *out);
/* "virus", "digest", "test", ...; 0 info to 3 high; ns since 1970. */
const char *message_kind(json_t *message);
int message_severity(json_t *message);
int64_t message_time(json_t *message);
/* Lines for a person. */
void message_body(const struct job *job, json_t *message, struct str *out);

/* ---- how it goes (main.c chooses) ---- */

int send_syslog(struct job *job, struct outcome *out, struct err *err);
int send_webhook(struct job *job, struct outcome *out, struct err *err);
int send_mail(struct job *job, struct outcome *out, struct err *err);
int send_snmp(struct job *job, struct outcome *out, struct err *err);

#endif
