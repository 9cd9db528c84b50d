/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/paths.h"
#include "common/scanjob.h"
#include "inuse.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "render.h"
#include "scan_filter.h"
#include "scan_show.h"
#include "walk.h"

#define CLOCK_US 250000
/* No answer at all for twice ScanTimeout and this: nobody is there. */
#define SILENCE_MS 4000

struct scan {
	const struct ctl *ctl;
	struct conf *conf;
	struct scan_filter filter;
	struct scanclient *client;
	struct ipc_client *entity; /* NULL: our opens are not exempt */
	struct scan_show show;
	struct scan_tally tally;
	struct scan_count *count;
	uint32_t flags; /* SCANJOB_* */
	int first_action;
	int second_action;
	uint64_t answer_ns; /* when the last answer came */
	bool failed;	    /* the service went away, or the output did */
	bool in_use;	    /* what runs, not paths */
	struct {
		VEC(char *);
	} paths; /* full */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = 1;
}

static void on_clock(int sig)
{
	/* Its coming ends the wait for answers, which is all it is for. */
}

/*
 * The first SIGINT ends the scan in order; a second one ends the process. The
 * clock lets us look around while all wait for one large file.
 */
static void catch_signals(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction end = {
		.sa_handler = on_signal,
		.sa_flags = (int)SA_RESETHAND,
	};
	struct sigaction clock = {
		.sa_handler = on_clock,
		.sa_flags = SA_RESTART,
	};
	struct itimerval every = {
		.it_interval.tv_usec = CLOCK_US,
		.it_value.tv_usec = CLOCK_US,
	};
	size_t i;

	interrupted = 0;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &end, NULL);
	sigaction(SIGALRM, &clock, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* ---- answers ---- */

static const char *reason_of(const struct scanjob_reply *reply)
{
	if (reply->virus[0])
		return reply->virus;
	switch ((enum verdict)reply->verdict) {
	case VERDICT_OVERSIZE:
		return "too large or too deep, not examined in full";
	case VERDICT_ENCRYPTED:
		return "encrypted, not examined in full";
	case VERDICT_TIMEOUT:
		return "the scan took too long";
	default:
		return "could not be examined";
	}
}

static void on_reply(const struct scanjob_reply *reply, const char *path,
		     void *arg)
{
	struct scan *s = arg;
	struct scan_tally *t = &s->tally;

	s->answer_ns = clock_mono_ns();
	t->files++;
	t->bytes += reply->bytes;
	t->known += reply->known != 0;
	switch ((enum verdict)reply->verdict) {
	case VERDICT_CLEAN:
		break;
	case VERDICT_INFECTED:
		t->infected++;
		scan_show_finding(&s->show, reply, path,
				  action_name((enum action)s->first_action));
		break;
	case VERDICT_OVERSIZE:
	case VERDICT_ENCRYPTED:
		t->partly++;
		scan_show_error(&s->show, path, reason_of(reply));
		break;
	default:
		t->errors++;
		scan_show_error(&s->show, path, reason_of(reply));
	}
	scan_show_progress(&s->show, t);
}

/* ---- the walk ---- */

static bool on_skip(const char *path, bool directory, void *arg)
{
	struct scan *s = arg;

	/* Who names a path means it; what runs is anywhere. */
	if (s->in_use && s->filter.exclude &&
	    !exclude_included(s->filter.exclude, path))
		return true;
	return scan_filter_skip(&s->filter, path);
}

static bool on_cross(const char *path, void *arg)
{
	struct scan *s = arg;

	return scan_filter_cross(&s->filter, path);
}

static void on_error(const char *path, int code, void *arg)
{
	struct scan *s = arg;
	const char *reason = strerror(code);

	if (code == EPERM && !s->entity)
		reason = "denied by real-time protection: infected, or this "
			 "scan is not registered";
	s->tally.errors++;
	scan_show_error(&s->show, path, reason);
}

/*
 * After put or drain has failed: true when it was the clock's signal alone
 * and answers still come. A service that is stopped answers nothing, and
 * nobody should have to wait for it for ever.
 */
static bool may_go_on(struct scan *s, const struct err *err)
{
	uint64_t limit = s->conf->scan_timeout * 2 + SILENCE_MS;
	uint64_t now = clock_mono_ns();

	if (interrupted)
		return false;
	scan_show_progress(&s->show, &s->tally);
	if (err->code == EINTR && now - s->answer_ns < limit * CLOCK_NS_PER_MS)
		return true;
	s->failed = true;
	if (err->code == EINTR)
		scan_show_error(&s->show, "splxctl",
				"the scan workers do not answer any more");
	else
		scan_show_error(&s->show, "splxctl", err->text);
	return false;
}

static int on_file(int fd, const struct stat *st, const char *path, void *arg)
{
	struct scan *s = arg;
	struct err err = {0};

	while (scanclient_put(s->client, fd, path, s->flags, &err) < 0) {
		if (!may_go_on(s, &err))
			return 1;
	}
	s->tally.sent++;
	s->tally.sent_bytes += (uint64_t)st->st_size;
	return 0;
}

static bool on_stop(void *arg)
{
	struct scan *s = arg;

	scan_show_progress(&s->show, &s->tally);
	/* Nobody reads the findings any more. */
	if (ferror(stdout))
		s->failed = true;
	return interrupted || s->failed;
}

static const struct walk_ops walk_ops = {
	.skip = on_skip,
	.cross = on_cross,
	.file = on_file,
	.error = on_error,
	.stop = on_stop,
};

/* Non-zero when it was ended. */
static int walk_paths(struct scan *s)
{
	struct err err = {0};
	char **path;
	int rc;

	vec_each (path, &s->paths) {
		rc = scan_filter_begin(&s->filter, *path, &err);
		if (rc != 0)
			ctl_complain("%s%s", err.text,
				     rc > 0 ? " (see --no-exclusions)" : "");
		s->tally.errors += rc < 0;
		if (rc == 0 && walk_tree(*path, 0, &walk_ops, s) != 0)
			return 1;
	}
	return 0;
}

static int walk_in_use(struct scan *s)
{
	int rc = inuse_walk(s->conf, &walk_ops, s);

	if (rc < 0)
		on_error("/proc", errno, s);
	return rc > 0;
}

static void walk_all(struct scan *s)
{
	struct err err = {0};

	if (s->in_use ? walk_in_use(s) : walk_paths(s))
		return;
	while (scanclient_drain(s->client, &err) < 0) {
		if (!may_go_on(s, &err))
			return;
	}
}

/* ---- before and after ---- */

/* Told by entity, for an operator, who may not read the files. */
static struct conf *settings_told(const struct ctl *ctl, int *rc_r)
{
	struct err err = {0};
	json_t *list = NULL, *row;
	struct conf *conf;
	size_t i;

	*rc_r = ctl_call(ctl, "config.show", NULL, &list, &err);
	if (*rc_r != CTL_OK)
		return NULL;
	conf = conf_new();
	json_array_foreach (list, i, row) {
		const char *key =
			json_string_value(json_object_get(row, "key"));
		const char *value =
			json_string_value(json_object_get(row, "value"));

		if (key && value && conf_set(conf, key, value, &err) < 0)
			ctl_complain("%s: %s", key, err.text);
	}
	json_decref(list);
	return conf;
}

/* The settings in force, else those in the file, else the defaults. Who may
 * not even ask for them may not scan, and is told so then. */
static struct conf *settings(const struct ctl *ctl)
{
	struct err err = {0};
	struct conf *conf = conf_load(paths()->active_conf, NULL);
	int rc = CTL_OK;

	if (!conf)
		conf = settings_told(ctl, &rc);
	if (!conf)
		conf = conf_load(paths()->conf, &err);
	if (!conf && rc != CTL_ERROR && !status_is_stopped())
		ctl_complain("settings cannot be read, nothing is excluded: "
			     "%s",
			     err.text);
	return conf ? conf : conf_new();
}

static int set_actions(struct scan *s)
{
	const char *action = ctl_arg(s->ctl, "action");

	/* What runs is dealt with as if it began now. */
	s->first_action = conf_action(s->conf, s->in_use ? "FirstAction"
							 : "ManualFirstAction");
	s->second_action = conf_action(
		s->conf, s->in_use ? "SecondAction" : "ManualSecondAction");
	if (!action)
		return 0;
	s->first_action = action_parse(action);
	if (s->first_action < 0) {
		ctl_complain("--action=%s: clean, quarantine, delete, rename, "
			     "deny, pass or none is allowed",
			     action);
		return -1;
	}
	if (s->first_action == ACTION_NONE)
		s->second_action = ACTION_NONE;
	return 0;
}

static void set_paths(struct scan *s)
{
	json_t *list = json_object_get(s->ctl->args, "path"), *item;
	char full[PATH_MAX];
	size_t i;

	json_array_foreach (list, i, item) {
		const char *path = json_string_value(item);

		if (realpath(path, full))
			vec_push(&s->paths, xstrdup(full));
		else
			on_error(path, errno, s);
	}
}

static void put_number(json_t *args, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	json_object_set_new(args, name, json_string(text));
}

/*
 * An event of the scan: begun, done or interrupted. If entity is away there
 * is none.
 */
static void tell(struct scan *s, const char *state)
{
	const struct scan_tally *t = &s->tally;
	json_t *args;

	if (!s->entity)
		return;
	args = json_pack("{s:s}", "state", state);
	put_number(args, "job", t->job);
	if (strcmp(state, "begun") != 0) {
		put_number(args, "files", t->files);
		put_number(args, "infected", t->infected);
		put_number(args, "errors", t->errors);
		put_number(args, "bytes", t->bytes);
		put_number(args, "duration",
			   (clock_mono_ns() - s->show.began_ns) /
				   CLOCK_NS_PER_MS);
	}
	if (ipc_call_sync(s->entity, "scan.end", args, NULL, NULL, NULL) < 0) {
		/* It may have been restarted during a long scan. */
		ipc_client_free(&s->entity);
		s->entity = ipc_connect(paths()->entity_sock,
					s->ctl->timeout_ms, NULL);
		if (s->entity)
			ipc_call_sync(s->entity, "scan.end", args, NULL, NULL,
				      NULL);
	}
	json_decref(args);
}

/*
 * Tells entity, which exempts us: else real-time protection would examine
 * each file a first time when we open it, and deny us the infected ones.
 */
static void enlist(struct scan *s)
{
	struct err err = {0};
	char code[32] = "";
	json_t *data = NULL, *args = json_object();

	s->entity = ipc_connect(paths()->entity_sock, s->ctl->timeout_ms, &err);
	if (s->entity &&
	    ipc_call_sync(s->entity, "scan.begin", args, &data, code, &err) < 0)
		ipc_client_free(&s->entity);
	if (!s->entity)
		ctl_complain("the scan could not be registered, files that "
			     "real-time protection denies count as errors: %s",
			     err.text);
	json_decref(data);
	json_decref(args);
}

static int run_scan(struct scan *s)
{
	bool exclusions = !ctl_flag(s->ctl, "no-exclusions");
	bool stay = ctl_flag(s->ctl, "stay");
	struct err err = {0};

	s->client = scanclient_open(
		paths()->scan_sock, s->in_use ? SOURCE_IN_USE : SOURCE_MANUAL,
		s->first_action, s->second_action, on_reply, s, &err);
	if (!s->client && status_is_stopped()) {
		ctl_complain("splx is not running: service splx start");
		return CTL_ERROR;
	}
	if (!s->client) {
		ctl_complain("vsapiapp does not answer, see splxctl status: "
			     "%s",
			     err.text);
		return CTL_ERROR;
	}
	enlist(s);
	s->tally.job = scanclient_job(s->client);
	tell(s, "begun");
	scan_filter_init(&s->filter, s->conf, exclusions, stay);
	if (s->show.progress && !s->in_use)
		s->count = scan_count_start(s->paths.items, s->paths.len,
					    s->conf, exclusions, stay);
	s->show.count = s->count;
	catch_signals();
	s->answer_ns = clock_mono_ns();
	walk_all(s);
	s->tally.interrupted = interrupted || s->failed;
	s->tally.excluded = s->filter.excluded;
	s->tally.skipped = s->filter.skipped;
	scan_show_summary(&s->show, &s->tally);
	tell(s, s->tally.interrupted ? "interrupted" : "done");
	if (s->tally.infected)
		return CTL_NO;
	return s->tally.errors || s->tally.interrupted ? CTL_ERROR : CTL_OK;
}

/* Either paths, or what is in use. */
static bool is_told_what(const struct scan *s)
{
	bool paths = json_object_get(s->ctl->args, "path");

	if (s->in_use && geteuid() != 0)
		ctl_complain("scan --in-use: only root may look into all "
			     "processes");
	else if (s->in_use && paths)
		ctl_complain("scan --in-use takes no paths: what runs is "
			     "scanned wherever it lies");
	else if (!s->in_use && !paths)
		ctl_complain("scan: a path is missing, or --in-use: splxctl "
			     "scan PATH...");
	else
		return true;
	return false;
}

int scan_run(struct ctl *ctl)
{
	struct scan s = {.ctl = ctl, .in_use = ctl_flag(ctl, "in-use")};
	int rc = CTL_ERROR;
	char **path;

	if (!is_told_what(&s))
		return CTL_ERROR;
	s.conf = settings(ctl);
	if (ctl_flag(ctl, "all"))
		s.flags |= SCANJOB_IGNORE_KNOWN;
	scan_show_begin(&s.show, ctl->output == CTL_JSON,
			ctl_flag(ctl, "quiet"));
	if (set_actions(&s) == 0) {
		set_paths(&s);
		rc = run_scan(&s);
	}
	scan_count_free(&s.count);
	scanclient_close(&s.client);
	ipc_client_free(&s.entity);
	scan_filter_deinit(&s.filter);
	vec_each (path, &s.paths)
		free(*path);
	vec_free(&s.paths);
	conf_free(&s.conf);
	return rc;
}
