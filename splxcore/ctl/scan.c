/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "common/scanjob.h"
#include "inuse.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "render.h"
#include "scan_filter.h"
#include "scan_link.h"
#include "scan_report.h"
#include "scan_show.h"
#include "scan_what.h"
#include "walk.h"

#define CLOCK_US 250000
/* No answer at all for twice ScanTimeout and this: nobody is there. */
#define SILENCE_MS 4000
/* For so long a scan service that went away may come again; or for so long
 * when the whole suite is stopped. */
#define AWAY_NS (60 * CLOCK_NS_PER_S)
#define STOPPED_NS (10 * CLOCK_NS_PER_S)
/* For so long what is under way is waited for when MaxTime is over. */
#define FINISH_NS (10 * CLOCK_NS_PER_S)

struct scan {
	const struct ctl *ctl;
	struct scan_what what;
	struct scan_filter filter;
	struct scanclient *client;
	struct scan_link link;
	struct scan_show show;
	struct scan_tally tally;
	struct scan_count *count;
	uint32_t flags;	     /* SCANJOB_* */
	uint64_t answer_ns;  /* when the last answer came */
	uint64_t held_ns;    /* how long it was paused */
	char here[PATH_MAX]; /* the last file that was handed over */
	bool failed;	     /* the service went away, or the output did */
	bool late;	     /* it took longer than MaxTime */
	const char *why;     /* it ended early; NULL: by a signal */
	/* The service went away with `lost` files under way, the first of
	 * which is `here`. */
	bool broken;
	uint64_t lost, lost_id;
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

/* The service went away before it had answered for this one. */
static void on_lost(struct scan *s, const struct scanjob_reply *reply,
		    const char *path)
{
	s->tally.sent--;
	s->lost++;
	if (s->lost_id && s->lost_id < reply->id)
		return;
	s->lost_id = reply->id;
	str_copy(s->here, sizeof(s->here), path);
}

static void on_reply(const struct scanjob_reply *reply, const char *path,
		     void *arg)
{
	struct scan *s = arg;
	struct scan_tally *t = &s->tally;

	s->answer_ns = clock_mono_ns();
	if (scanclient_broken(s->client)) {
		on_lost(s, reply, path);
		return;
	}
	t->files++;
	t->bytes += reply->bytes;
	t->known += reply->known != 0;
	switch ((enum verdict)reply->verdict) {
	case VERDICT_CLEAN:
		break;
	case VERDICT_INFECTED:
		t->infected++;
		scan_show_finding(
			&s->show, reply, path,
			action_name((enum action)s->what.first_action));
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

/* ---- told and ordered ---- */

static struct scan_told told(struct scan *s, bool paused)
{
	const char *oldest = s->client ? scanclient_oldest(s->client) : NULL;
	struct scan_told t = {
		.tally = &s->tally,
		.paused = paused,
		.path = oldest	   ? oldest
			: *s->here ? s->here
				   : NULL,
		.elapsed_ns = clock_mono_ns() - s->show.began_ns - s->held_ns,
	};

	/* What runs is no tree to go on in. */
	if (s->what.in_use)
		t.path = NULL;
	if (!scan_count_done(s->count, &t.all_files, &t.all_bytes))
		t.all_files = t.all_bytes = 0;
	return t;
}

static enum scan_order tell(struct scan *s, bool paused)
{
	struct scan_told t = told(s, paused);

	return scan_link_tell(&s->link, &t);
}

/* Takes what answers still come; then nothing goes on until it may. */
static void hold(struct scan *s)
{
	static const struct timespec look = {0, CLOCK_US * 1000L};
	uint64_t begin = clock_mono_ns();

	while (!interrupted && tell(s, true) == SCAN_PAUSE) {
		if (!s->broken && scanclient_pending(s->client))
			scanclient_drain(s->client, NULL);
		else
			nanosleep(&look, NULL);
	}
	s->held_ns += clock_mono_ns() - begin;
	s->answer_ns = clock_mono_ns();
}

/* Pauses count: whoever sets a limit wants the machine for others then. */
static bool is_late(struct scan *s)
{
	uint64_t ns = clock_mono_ns() - s->show.began_ns;

	if (s->what.max_ms && ns >= s->what.max_ms * CLOCK_NS_PER_MS)
		s->late = true;
	return s->late;
}

/* True when the scan is to end. */
static bool is_over(struct scan *s)
{
	enum scan_order order = tell(s, false);

	if (order == SCAN_PAUSE) {
		hold(s);
		order = s->link.order;
	}
	if (order == SCAN_CANCEL)
		s->why = "cancelled";
	if (is_late(s))
		s->why = "MaxTime is over";
	scan_show_progress(&s->show, &s->tally);
	/* Nobody reads the findings any more. */
	if (ferror(stdout))
		s->failed = true;
	return interrupted || s->failed || s->late || order == SCAN_CANCEL;
}

/* ---- the walk ---- */

static bool on_skip(const char *path, bool directory, void *arg)
{
	struct scan *s = arg;

	/* Who names a path means it; what runs is anywhere. */
	if (s->what.in_use && s->filter.exclude &&
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

	if (code == EPERM && !s->link.wanted)
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
	uint64_t limit = s->what.conf->scan_timeout * 2 *
				 (s->what.low ? SCANJOB_LOW_PATIENCE : 1) +
			 SILENCE_MS;

	if (is_over(s))
		return false;
	s->broken = scanclient_broken(s->client);
	if (err->code == EINTR && !s->broken &&
	    clock_mono_ns() - s->answer_ns < limit * CLOCK_NS_PER_MS)
		return true;
	if (s->broken)
		return false; /* it may come again */
	s->failed = true;
	s->why = "the scan workers do not answer any more";
	if (err->code != EINTR)
		s->why = "waiting for the scan workers failed";
	scan_show_error(&s->show, "splxctl", s->why);
	return false;
}

static int on_file(int fd, const struct stat *st, const char *path, void *arg)
{
	struct scan *s = arg;
	struct err err = {0};

	while (scanclient_put(s->client, fd, path, s->flags, &err) < 0) {
		if (may_go_on(s, &err))
			continue;
		if (s->broken && !s->lost)
			str_copy(s->here, sizeof(s->here), path);
		return 1;
	}
	str_copy(s->here, sizeof(s->here), path);
	s->tally.sent++;
	s->tally.sent_bytes += (uint64_t)st->st_size;
	return 0;
}

static bool on_stop(void *arg)
{
	return is_over(arg);
}

static const struct walk_ops walk_ops = {
	.skip = on_skip,
	.cross = on_cross,
	.file = on_file,
	.error = on_error,
	.stop = on_stop,
};

/* Where to go on: the first of the paths that holds the position. */
static size_t first_path(const struct scan *s)
{
	size_t i;

	for (i = 0; s->what.resumed && i < s->what.paths.len; i++)
		if (walk_is_below(s->what.paths.items[i], s->what.from.path))
			return i;
	return 0;
}

/* Non-zero when it was ended. */
static int walk_paths(struct scan *s)
{
	struct walk_from from = {
		.path = s->what.from.path,
		.time_ns = s->what.from.time_ns,
	};
	size_t first = first_path(s), i;
	struct err err = {0};
	const char *path;
	int rc;

	for (i = first; i < s->what.paths.len; i++) {
		path = s->what.paths.items[i];
		rc = scan_filter_begin(&s->filter, path, &err);
		if (rc != 0)
			ctl_complain("%s%s", err.text,
				     rc > 0 ? " (see --no-exclusions)" : "");
		s->tally.errors += rc < 0;
		if (rc == 0 &&
		    walk_tree_from(path,
				   i == first && s->what.resumed ? &from : NULL,
				   0, &walk_ops, s) != 0)
			return 1;
	}
	return 0;
}

static int walk_in_use(struct scan *s)
{
	int rc = inuse_walk(s->what.conf, &walk_ops, s);

	if (rc < 0)
		on_error("/proc", errno, s);
	return rc > 0;
}

/* All of it. False when it was ended, or the service went away. */
static bool walk_once(struct scan *s)
{
	struct err err = {0};

	if (s->what.in_use ? walk_in_use(s) : walk_paths(s))
		return false;
	while (scanclient_drain(s->client, &err) < 0) {
		if (!may_go_on(s, &err))
			return false;
	}
	return true;
}

/* ---- the service ---- */

static struct scanclient *connect_service(struct scan *s, struct err *err)
{
	struct scanclient *client = scanclient_open(
		s->what.low ? paths()->low_sock : paths()->scan_sock,
		s->what.source, s->what.first_action, s->what.second_action,
		on_reply, s, err);

	/* Its one worker serves other scans of low priority in turns. */
	if (client && s->what.low)
		scanclient_limit(client, 1);
	return client;
}

/* The service does not come again: what was under way is not examined. */
static void give_up(struct scan *s)
{
	s->failed = true;
	s->why = "the scan service went away";
	s->tally.errors += s->lost;
	s->tally.sent += s->lost;
	s->tally.files += s->lost;
	scan_show_error(&s->show, "splxctl",
			"the scan service went away; files that were under "
			"way were not examined");
}

/*
 * The service was restarted, perhaps: the scan goes on with the file that was
 * under way for longest. False when it is over.
 */
static bool reconnect(struct scan *s)
{
	static const struct timespec look = {0, CLOCK_US * 1000L};
	uint64_t begin = clock_mono_ns(), now;
	struct scanclient *client = NULL;
	/* What runs is scanned anew by the next start. */
	uint64_t patience = s->what.in_use ? 0 : STOPPED_NS;

	while (!client) {
		now = clock_mono_ns();
		if (now - begin > AWAY_NS ||
		    (now - begin >= patience && status_is_stopped())) {
			give_up(s);
			return false;
		}
		if (is_over(s))
			return false;
		nanosleep(&look, NULL);
		client = connect_service(s, NULL);
	}
	scanclient_close(&s->client);
	s->client = client;
	scanclient_set_job(client, (uint64_t)s->link.id);
	s->broken = false;
	s->lost = s->lost_id = 0;
	s->answer_ns = clock_mono_ns();
	s->what.resumed = *s->here != '\0';
	s->what.from.time_ns = clock_real_ns();
	str_copy(s->what.from.path, sizeof(s->what.from.path), s->here);
	return true;
}

/* What is under way is waited for, a while. */
static void finish(struct scan *s)
{
	uint64_t end = clock_mono_ns() + FINISH_NS;

	while (!interrupted && !s->broken && clock_mono_ns() < end &&
	       scanclient_drain(s->client, NULL) < 0)
		s->broken = scanclient_broken(s->client);
}

static void walk_all(struct scan *s)
{
	while (!walk_once(s))
		if (!s->broken || !reconnect(s))
			break;
	if (s->late)
		finish(s);
}

/* ---- before and after ---- */

/* Nobody has to scan while splx is stopped; else it is an error, or it is not
 * for this user. */
static int no_service(const struct err *err)
{
	if (status_is_stopped())
		ctl_complain("splx is not running: service splx start");
	else if (err->code == EACCES)
		ctl_complain("%s", err->text);
	else
		ctl_complain("vsapiapp does not answer, see splxctl status: "
			     "%s",
			     err->text);
	return CTL_ERROR;
}

/* Tells entity. A scan of its own goes on without it. */
static void enlist(struct scan *s)
{
	struct err err = {0};
	char code[32];

	if (scan_link_begin(&s->link, scan_what_json(&s->what),
			    s->ctl->timeout_ms, NULL, code, &err) < 0)
		ctl_complain("the scan could not be registered, files that "
			     "real-time protection denies count as errors: %s",
			     err.text);
}

static void say_end(struct scan *s)
{
	struct scan_told t = told(s, false);
	bool cancelled = s->link.order == SCAN_CANCEL;

	s->tally.interrupted = interrupted || s->failed || s->late || cancelled;
	s->tally.excluded = s->filter.excluded;
	s->tally.skipped = s->filter.skipped;
	scan_show_summary(&s->show, &s->tally);
	scan_link_end(&s->link, &t,
		      cancelled		     ? SCAN_CANCELLED
		      : s->tally.interrupted ? SCAN_INTERRUPTED
					     : SCAN_DONE,
		      s->why);
	if (s->what.report && s->link.id)
		scan_report(s->ctl, &s->what, s->link.id, &s->tally);
}

static int run_scan(struct scan *s)
{
	const struct scan_what *what = &s->what;

	s->tally.job =
		s->link.id ? (uint64_t)s->link.id : scanclient_job(s->client);
	scanclient_set_job(s->client, (uint64_t)s->link.id);
	scan_filter_init(&s->filter, what->conf, what->exclusions, what->stay);
	/* For a job in the background others look. */
	if ((s->show.progress || ctl_arg(s->ctl, "job")) && !what->in_use &&
	    what->source == SOURCE_MANUAL)
		s->count = scan_count_start(what->paths.items, what->paths.len,
					    what->conf, what->exclusions,
					    what->stay);
	s->show.count = s->count;
	catch_signals();
	s->answer_ns = clock_mono_ns();
	walk_all(s);
	say_end(s);
	if (s->tally.infected)
		return CTL_NO;
	return s->tally.errors || s->tally.interrupted ? CTL_ERROR : CTL_OK;
}

/* What a schedule says beyond what entity keeps of it. */
static int add_schedule(struct scan *s, json_t *data, struct err *err)
{
	const char *name = json_string_value(
		json_object_get(json_object_get(data, "spec"), "schedule"));
	struct schedules *list;
	const struct schedule *sched;
	int rc = 0;

	if (!name)
		return 0;
	list = schedules_read();
	sched = schedules_find(list, name);
	if (sched)
		rc = scan_what_schedule(&s->what, sched, err);
	else
		rc = err_set(err, 0,
			     "there is no schedule %s any more, or it "
			     "is void",
			     name);
	schedules_free(&list);
	return rc;
}

/*
 * A job that entity keeps, from where it stopped, or one that it makes of a
 * schedule. CTL_NO when that runs already.
 */
static int attach(struct scan *s, json_t *args)
{
	json_t *data = NULL;
	struct err err = {0};
	char code[32];
	int rc = scan_link_begin(&s->link, args, s->ctl->timeout_ms, &data,
				 code, &err);

	if (rc < 0 && strcmp(code, "conflict") == 0) {
		/* To cron that is no trouble: the other one tells. */
		if (!s->show.no_errors)
			ctl_complain("%s", err.text);
		return CTL_NO;
	}
	if (rc < 0) {
		if (*code)
			ctl_complain("%s", err.text);
		else
			ctl_failed(CTL_UNREACHABLE, &err);
		return CTL_ERROR;
	}
	s->what.conf = scan_what_settings(s->ctl);
	if (scan_what_job(&s->what, data, on_error, s, &err) < 0 ||
	    add_schedule(s, data, &err) < 0) {
		struct scan_told t = told(s, false);

		ctl_complain("%s", err.text);
		scan_link_end(&s->link, &t, SCAN_FAILED, err.text);
		rc = -1;
	}
	json_decref(data);
	return rc < 0 ? CTL_ERROR : CTL_OK;
}

/* All is said what is to be done; `own`: by the command line. */
static int go(struct scan *s, bool own)
{
	struct err err = {0};

	if (s->what.all)
		s->flags |= SCANJOB_IGNORE_KNOWN;
	if (s->what.low)
		scan_count_lower();
	s->client = connect_service(s, &err);
	if (!s->client) {
		struct scan_told t = told(s, false);

		scan_link_end(&s->link, &t, SCAN_INTERRUPTED, err.text);
		return no_service(&err);
	}
	if (own)
		enlist(s);
	return run_scan(s);
}

static int end(struct scan *s, int rc)
{
	scan_count_free(&s->count);
	scanclient_close(&s->client);
	scan_link_free(&s->link);
	scan_filter_deinit(&s->filter);
	scan_what_free(&s->what);
	return rc;
}

int scan_run(struct ctl *ctl)
{
	const char *job = ctl_arg(ctl, "job");
	struct scan s = {.ctl = ctl};
	int rc = CTL_OK;

	scan_show_begin(&s.show, ctl->output == CTL_JSON,
			ctl_flag(ctl, "quiet"));
	if (job && attach(&s, json_pack("{s:s}", "job", job)) != CTL_OK)
		rc = CTL_ERROR;
	else if (!job && scan_what_args(&s.what, ctl, on_error, &s) < 0)
		rc = CTL_ERROR;
	else
		rc = go(&s, !job);
	return end(&s, rc);
}

/* ---- scheduled ones ---- */

/* The arguments of scan.begin for it; NULL, and it was said why. */
static json_t *schedule_args(struct scan *s, const char *name)
{
	struct schedules *list = schedules_read();
	const struct schedule *sched = schedules_find(list, name);
	const struct entryfile_problem *p;
	struct conf *conf;
	json_t *args = NULL;

	if (sched) {
		conf = scan_what_settings(s->ctl);
		args = schedule_spec(sched, conf);
		conf_free(&conf);
		/* Others tell what was found. */
		s->show.no_findings = ctl_flag(s->ctl, "cron") &&
				      strcmp(sched->report, "none") != 0;
	} else {
		vec_each (p, &list->problems)
			ctl_complain("%s", p->text);
		ctl_complain("there is no schedule %s, or it is void", name);
	}
	schedules_free(&list);
	return args;
}

/* For cron: not all machines at once. */
static void wait_a_while(void)
{
	struct conf *conf = conf_in_force(NULL);
	uint64_t ms = conf ? (uint64_t)conf->scan_delay : 0, random = 0;

	conf_free(&conf);
	if (ms && getrandom(&random, sizeof(random), 0) > 0)
		sleep((unsigned int)(random % (ms / 1000 + 1)));
}

int scan_schedule_run(struct ctl *ctl)
{
	bool cron = ctl_flag(ctl, "cron");
	struct scan s = {.ctl = ctl};
	json_t *args;
	int rc;

	if (cron)
		wait_a_while();
	/* Nothing is to be scanned while splx is stopped; who stopped it knows
	 * that. */
	if (cron && status_is_stopped())
		return CTL_OK;
	scan_show_begin(&s.show, ctl->output == CTL_JSON,
			cron || ctl_flag(ctl, "quiet"));
	s.show.no_errors = cron;
	args = schedule_args(&s, ctl_arg(ctl, "name"));
	rc = args ? attach(&s, args) : CTL_ERROR;
	if (rc == CTL_OK)
		rc = go(&s, false);
	else if (rc == CTL_NO)
		rc = cron ? CTL_OK : CTL_ERROR;
	return end(&s, rc);
}
