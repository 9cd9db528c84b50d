/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* ClamAV's own databases: the program that fetches them, and when it may. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/jsontext.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "pattern_clamav.h"

/* All that is there at a time: databases, and what they are made from. */
#define BYTES_MAX (2ull << 30)
#define CPU_SECONDS 1800 /* checking and mending all of them: about 60 */
/* Nobody is believed who wants more. */
#define WAIT_MAX (7 * 86400)
#define STATE_MAX 65536

/* ---- not before ---- */

static char *state_path(void)
{
	return xasprintf("%s/clamav.json", paths()->pattern_dir);
}

static int refused_until(const struct clamav *a, int64_t when, struct err *err)
{
	char text[32] = "?";
	time_t t = when;
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%F %R UTC", &tm);
	return err_set(
		err, 0,
		a->official ? "the server refused (status 403 or 429: "
			      "blocked, or asked too often) and is not asked "
			      "again before %s"
			    : "the server refused (status 403 or 429: "
			      "blocked, or asked too often) and is not asked "
			      "again before %s, but by hand (--from)",
		text);
}

int clamav_may_ask(const struct clamav *a, struct err *err)
{
	char *path = state_path(), *text = NULL;
	int64_t now = time(NULL), until = 0;
	const char *source = NULL;
	json_t *o = NULL;
	size_t len;
	int rc = 0;

	if (fd_read_file(path, STATE_MAX, &text, &len, NULL) == 0)
		o = json_loads(text, 0, NULL);
	source = json_string_value(json_object_get(o, "server"));
	until = json_integer_value(json_object_get(o, "not_before"));
	if (source && strcmp(source, a->server) == 0 && until > now &&
	    until <= now + WAIT_MAX &&
	    (a->official || !ctl_arg(a->c->ctl, "from")))
		rc = refused_until(a, until, err);
	json_decref(o);
	free(text);
	free(path);
	return rc;
}

static void remember(const struct clamav *a, int64_t not_before)
{
	char *path = state_path(), *text;
	json_t *o = json_pack("{s:o, s:I}", "server", jsontext_new(a->server),
			      "not_before", (json_int_t)not_before);
	struct err err;

	text = json_dumps(o, JSON_INDENT(1));
	if (fd_replace_file(path, text, strlen(text), 0644, &err) < 0)
		ctl_complain("%s", err.text);
	json_decref(o);
	free(text);
	free(path);
}

/* ---- the program ---- */

/* In the child: the proxy as libcurl looks for it, for both who use it. */
static void set_proxy(const char *proxy)
{
	static const char *const names[] = {
		"http_proxy",  "https_proxy", "all_proxy", "no_proxy",
		"HTTPS_PROXY", "ALL_PROXY",   "NO_PROXY"};

	if (strcmp(proxy, "environment") == 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
	if (strcmp(proxy, "none") == 0)
		return;
	setenv("http_proxy", proxy, 1);
	setenv("https_proxy", proxy, 1);
}

struct program {
	const struct clamav *a;
	char **argv;
};

static int work(const void *arg, int out, struct err *err)
{
	const struct program *p = arg;

	set_proxy(p->a->c->conf->pattern_proxy);
	if (dup2(out, STDOUT_FILENO) < 0)
		return err_set(err, errno, "dup2");
	execv(p->argv[0], p->argv);
	return err_set(err, errno, "%s", p->argv[0]);
}

static char **arguments(const struct clamav *a, bool fetch)
{
	const struct clamav_database *d;
	struct {
		VEC(char *);
	} v = {0};

	vec_push(&v, xasprintf("%s/splxfresh", paths()->libexec_dir));
	vec_push(&v, xstrdup(fetch ? "update" : "versions"));
	vec_push(&v, xstrdup(a->dir));
	vec_push(&v, xstrdup(a->server));
	vec_push(&v, xasprintf("%lld",
			       (long long)a->c->conf->pattern_timeout / 1000));
	vec_each (d, &a->databases)
		if (!fetch || d->wanted)
			vec_push(&v, xasprintf("%s=%llu", d->name,
					       (unsigned long long)d->there));
	vec_push(&v, NULL);
	return v.items;
}

static json_t *read_answer(struct clamav *a, const struct str *said,
			   struct err *err)
{
	json_t *o = json_loads(str_get(said), 0, NULL);
	const char *why = json_string_value(json_object_get(o, "why"));
	json_t *list = json_object_get(o, "databases");
	int64_t until = json_integer_value(json_object_get(o, "not_before"));

	if (until > time(NULL)) {
		remember(a, until);
		refused_until(a, until, err);
		list = NULL;
	} else if (!json_is_object(list)) {
		err_set(err, 0, "%s",
			why ? why : "splxfresh ended without an answer");
		list = NULL;
	}
	json_incref(list);
	json_decref(o);
	return list;
}

json_t *clamav_run(struct clamav *a, bool fetch, struct err *err)
{
	struct program p = {.a = a, .argv = arguments(a, fetch)};
	struct pattern_child *c = &a->child;
	struct str said = {0};
	json_t *o = NULL;

	c->work = work;
	c->arg = &p;
	c->bytes_max = BYTES_MAX;
	c->cpu_seconds = CPU_SECONDS;
	/* For each some requests, of which none may take longer. */
	c->patience_ms = (uint64_t)a->c->conf->pattern_timeout *
			 (4 * a->databases.len + 2);
	c->progress = fetch && isatty(STDERR_FILENO) ? "ClamAV" : NULL;
	if (pattern_child_run(c, &said, err) == 0 || str_get(&said)[0] == '{')
		o = read_answer(a, &said, err);
	str_free(&said);
	for (char **arg = p.argv; *arg; arg++)
		free(*arg);
	free(p.argv);
	return o;
}
