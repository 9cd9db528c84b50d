/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * splxnotify: tells somebody of events. Started by core for each try, as the
 * scan user; a job (job.h) is its standard input, since secrets belong neither
 * into arguments nor into the environment. It can write nowhere.
 *
 * Prints one JSON object: {"ok": bool, "sent": messages that arrived, from the
 * first on, "why": text, "answer": the server's words, "refused": bool,
 * "retry_after": seconds}.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jsontext.h"
#include "job.h"
#include "lib/alloc.h"

#define JOB_MAX (16u << 20)
#define PIECE 65536

static const struct {
	const char *type;
	int (*send)(struct job *job, struct outcome *out, struct err *err);
} types[] = {
	{"syslog", send_syslog},
	{"webhook", send_webhook},
	{"smtp", send_mail},
	{"snmp", send_snmp},
};

static int run(struct job *job, struct outcome *out, struct err *err)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (job_is(job, "type", types[i].type))
			return types[i].send(job, out, err);
	return err_set(err, 0, "there is no such Type");
}

static void answer(int rc, const struct outcome *out, const struct err *err)
{
	json_t *o =
		json_pack("{s:b, s:I, s:o, s:o, s:b, s:I}", "ok", rc == 0,
			  "sent", (json_int_t)out->sent, "why",
			  jsontext_new(rc < 0 ? err->text : ""), "answer",
			  jsontext_new(out->answer), "refused", out->refused,
			  "retry_after", (json_int_t)out->retry_after);

	json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
}

/* The job; *err when it is too long. */
static int read_job(struct str *text, struct err *err)
{
	char *piece = xmalloc(PIECE);
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, PIECE)) > 0 &&
	       text->len < JOB_MAX)
		str_addn(text, piece, (size_t)n);
	explicit_bzero(piece, PIECE);
	free(piece);
	if (n < 0)
		return err_set(err, errno, "read");
	return n > 0 ? err_set(err, 0, "the job is too long") : 0;
}

int main(void)
{
	struct str text = {0};
	struct outcome out = {0};
	struct err err = {0};
	struct job job;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (isatty(STDIN_FILENO)) {
		fputs("splxnotify is started by the service: splxctl notify "
		      "test NAME\n",
		      stderr);
		return 2;
	}
	rc = read_job(&text, &err);
	if (rc == 0) {
		rc = job_parse(&job, str_get(&text), text.len, &err);
		if (text.s)
			explicit_bzero(text.s, text.len);
		str_free(&text);
		if (rc == 0) {
			rc = run(&job, &out, &err);
			job_free(&job);
		}
	}
	answer(rc, &out, &err);
	return rc == 0 ? 0 : 1;
}
