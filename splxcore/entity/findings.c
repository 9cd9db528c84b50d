/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The way of a finding: received, folded into an earlier one or queued; then
 * looked at (is the file still what was scanned? may it pass?), in async mode
 * its holders ended, the action done, its holders ended once more, and the
 * event written. The steps that take long are child processes; a few
 * findings are under way at a time.
 */
#include "findings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "action.h"
#include "attrs.h"
#include "childjob.h"
#include "common/finding.h"
#include "common/hash.h"
#include "findings_event.h"
#include "holders.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"
#include "look.h"
#include "seal.h"

#define RUNNING_MAX 4
#define WAITING_MAX 256
#define RECEIVE_MAX 64 /* in one turn of the loop */
#define FOLDS_MAX 1024
#define FOLD_TICK_MS 250
#define TRIES_MAX 3 /* cores that one finding may end */
#define LOOKS_MAX 5 /* at a file that moves */
#define HASH_MAX (1ull << 30)
#define CHILD_TIMEOUT_MS (5 * 60 * 1000)

struct findings;

/* Findings for one file that are one. */
struct fold {
	struct file_key key;
	char *virus;
	enum action first, second;
	bool not_held;	      /* who uses it is looked for, too */
	bool running;	      /* its job is waiting or under way */
	uint64_t since_ns;    /* when the job ended */
	unsigned int more;    /* folded into it since the last event */
	struct finding *last; /* of these; NULL while there are none */
};

struct job {
	struct findings *fs;
	struct finding f;
	int fd;
	int64_t spool;	   /* in the store until the event is written */
	struct fold *fold; /* NULL when there was no room for one */
	enum action first, second;
	struct found_event ev;
	uint64_t taken_ns;  /* when we took it, monotonic */
	uint64_t before_ns; /* async: and how long it was exposed by then */
	bool reopen;	    /* by its path: a core before us had taken it */
	struct look *look;
	struct holding_place place;
	bool placed;
	int looks;
	struct childjob *child;
	struct str notes;
};

struct hash_result {
	int rc;
	struct file_key key; /* when it was read */
	uint8_t sha256[32];
};

struct findings {
	struct findings_setup setup;
	struct loop_event *sock_event;
	struct loop_event *fold_timer;
	struct {
		VEC(struct job *);
	} waiting, running;
	struct {
		VEC(struct fold *);
	} folds;
	struct findings_stats stats;
	struct log_limit bad_limit;
};

static void pump(struct findings *fs);
static void job_act(struct job *job);
static void job_look(struct job *job);
static bool was_not_held(const struct job *job);

/* ---- folding ---- */

/* The content decides: the change time moves with our own renaming. */
static bool same_content(const struct file_key *a, const struct file_key *b)
{
	return a->fsid == b->fsid && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static void fold_free(struct fold *fold)
{
	free(fold->virus);
	free(fold->last);
	free(fold);
}

static struct fold *fold_find(struct findings *fs, const struct job *job)
{
	struct fold *fold;

	for (size_t i = 0; i < fs->folds.len; i++) {
		fold = fs->folds.items[i];
		/* Where nobody was held back who uses it is looked for. */
		if (fold->first == job->first && fold->second == job->second &&
		    (fold->not_held || !was_not_held(job)) &&
		    same_content(&fold->key, &job->f.key) &&
		    !strcmp(fold->virus, job->f.virus))
			return fold;
	}
	return NULL;
}

static void on_fold_tick(void *arg)
{
	struct findings *fs = arg;
	uint64_t now = clock_mono_ns();
	struct fold *fold;

	for (size_t i = fs->folds.len; i-- > 0;) {
		fold = fs->folds.items[i];
		if (fold->running ||
		    now - fold->since_ns < FINDINGS_WINDOW_MS * CLOCK_NS_PER_MS)
			continue;
		if (fold->more)
			found_event_repeated(fs->setup.store, fold->last,
					     fold->more);
		vec_remove(&fs->folds, i);
		fold_free(fold);
	}
	if (!fs->folds.len)
		loop_cancel(&fs->fold_timer);
}

static struct fold *fold_new(struct findings *fs, const struct job *job)
{
	struct fold *fold;

	if (fs->folds.len >= FOLDS_MAX)
		return NULL;
	fold = xcalloc(1, sizeof(*fold));
	fold->key = job->f.key;
	fold->virus = xstrdup(job->f.virus);
	fold->first = job->first;
	fold->second = job->second;
	fold->running = true;
	fold->not_held = was_not_held(job);
	vec_push(&fs->folds, fold);
	if (!fs->fold_timer)
		fs->fold_timer = loop_timer(fs->setup.loop, FOLD_TICK_MS, true,
					    on_fold_tick, fs);
	return fold;
}

static void fold_add(struct findings *fs, struct fold *fold,
		     const struct finding *f)
{
	if (!fold->last)
		fold->last = xmalloc(sizeof(*fold->last));
	*fold->last = *f;
	fold->more++;
	fs->stats.repeated++;
}

/* ---- the end of a job ---- */

static void job_free(struct job *job)
{
	struct findings *fs = job->fs;

	for (size_t i = 0; i < fs->running.len; i++) {
		if (fs->running.items[i] == job) {
			vec_remove(&fs->running, i);
			break;
		}
	}
	if (job->fold) {
		job->fold->running = false;
		job->fold->since_ns = clock_mono_ns();
	}
	str_free(&job->notes);
	fd_close(&job->place.h.dir);
	fd_close(&job->fd);
	free(job);
}

static void job_end(struct job *job)
{
	struct findings *fs = job->fs;

	job->ev.detail = str_get(&job->notes);
	found_event(fs->setup.store, &job->f, &job->ev);
	store_spool_drop(fs->setup.store, job->spool);
	job_free(job);
	pump(fs);
}

static void job_pass(struct job *job)
{
	job->ev.action = ACTION_PASS;
	job->ev.restored = true;
	attrs_note(&job->notes, "passed by restore");
	job_end(job);
}

/* ---- holders ---- */

/* Then whoever uses it got it without waiting for a verdict. */
static bool was_not_held(const struct job *job)
{
	const struct scoreboard *sb = job->fs->setup.sb;

	if (job->f.source == SOURCE_ASYNC || job->f.source == SOURCE_IN_USE ||
	    job->f.source == SOURCE_REFRESH)
		return true;
	return sb && job->f.source <= SOURCE_CLOSE &&
	       atomic_load(&sb->interceptor) == INTERCEPTOR_ASYNC;
}

static enum holders_whom whom_to_end(const struct job *job)
{
	const struct findings_setup *setup = &job->fs->setup;
	const struct conf *conf = setup->conf ? setup->conf(setup->arg) : NULL;

	switch (conf ? (enum conf_end_processes)conf->async_end_processes
		     : CONF_END_HOLDING) {
	case CONF_END_RUNNING:
		return HOLDERS_RUNNING;
	case CONF_END_NO:
		return HOLDERS_NOBODY;
	case CONF_END_HOLDING:
		break;
	}
	return HOLDERS_HOLDING;
}

static void holders_run(void *arg, void *result)
{
	struct job *job = arg;
	struct holders_spare spare;
	struct stat st;

	/* In the child its parent is core. */
	holders_spare(&spare, job->fs->setup.sb);
	if (fstat(job->fd, &st) == 0)
		holders_end(&st, whom_to_end(job), &spare, result);
}

static void note_left(struct job *job, const struct holders *h)
{
	if (h->too_many)
		attrs_note(
			&job->notes,
			"nobody was ended, as %d of %d processes use it: end "
			"them by hand, or restart the machine",
			h->users, h->processes);
	attrs_note(&job->notes, "left alone %s, and holds it: %s",
		   h->init_runs	 ? "as process 1 runs it"
		   : h->too_many ? "as they are too many"
				 : "by AsyncEndProcesses",
		   h->left.text);
}

/* `last`: nothing more is done, so whoever is left uses it on. */
static void note_holders(struct job *job, const struct holders *h, bool last)
{
	if (!h) {
		attrs_note(&job->notes, "who holds it could not be found out");
		return;
	}
	if (h->ended.count)
		attrs_note(&job->notes, "%d process%s ended: %s",
			   h->ended.count, h->ended.count == 1 ? "" : "es",
			   h->ended.text);
	if (!last)
		return;
	if (h->stuck.count)
		attrs_note(&job->notes, "told to end, but still there: %s",
			   h->stuck.text);
	if (h->spared.count)
		attrs_note(&job->notes, "must not be ended, and holds it: %s",
			   h->spared.text);
	if (h->left.count)
		note_left(job, h);
	if (h->unseen.count)
		attrs_note(&job->notes, "could not be looked at: %s",
			   h->unseen.text);
}

/* Async: how long it could be used, until now. */
static void note_exposure(struct job *job)
{
	uint64_t ns = job->before_ns + clock_mono_ns() - job->taken_ns;

	if (job->f.use == USE_NONE || job->ev.exposure_ms >= 0)
		return;
	job->ev.exposure_ms = (int64_t)(ns / CLOCK_NS_PER_MS);
	attrs_note(&job->notes,
		   "in use for %llu ms before the verdict, %llu ms until it "
		   "was dealt with",
		   (unsigned long long)(job->f.exposed_ns / CLOCK_NS_PER_MS),
		   (unsigned long long)(ns / CLOCK_NS_PER_MS));
}

static bool start_child(struct job *job, void (*run)(void *arg, void *result),
			void (*done)(void *arg, const void *result),
			size_t result_size)
{
	struct childjob_work work = {
		.run = run,
		.done = done,
		.arg = job,
		.result_size = result_size,
		.fds = &job->fd,
		.nfds = 1,
		.timeout_ms = CHILD_TIMEOUT_MS,
	};
	struct err err;

	job->child = childjob_start(job->fs->setup.loop, &work, &err);
	if (!job->child)
		attrs_note(&job->notes, "%s", err.text);
	return job->child != NULL;
}

static void on_holders_after(void *arg, const void *result)
{
	struct job *job = arg;

	job->child = NULL;
	note_holders(job, result, true);
	job_end(job);
}

static void on_holders_before(void *arg, const void *result)
{
	struct job *job = arg;

	job->child = NULL;
	note_holders(job, result, false);
	job_act(job);
}

/* ---- the action ---- */

static void on_action(const struct action_result *result, void *arg)
{
	struct job *job = arg;

	if (result->moved && job->looks < LOOKS_MAX) {
		job_look(job);
		return;
	}
	job->ev.action = result->done;
	job->ev.failed = result->failed;
	job->ev.item = result->item;
	if (result->sha256[0])
		str_copy(job->ev.sha256, sizeof(job->ev.sha256),
			 result->sha256);
	if (result->detail[0])
		attrs_note(&job->notes, "%s", result->detail);
	note_exposure(job);
	if (was_not_held(job) && result->done != ACTION_PASS &&
	    result->done != ACTION_NONE &&
	    start_child(job, holders_run, on_holders_after,
			sizeof(struct holders)))
		return;
	job_end(job);
}

static void job_act(struct job *job)
{
	struct action_request request = {
		.file = {.fd = job->fd,
			 .pid = job->f.pid,
			 .source = (enum scan_source)job->f.source,
			 .virus = job->f.virus,
			 .opener_uid = job->ev.uid,
			 .program = job->ev.program,
			 .place = job->placed ? &job->place : NULL},
		.first = job->first,
		.second = job->second,
	};

	action_run(job->fs->setup.quarantine, job->fs->setup.store, &request,
		   on_action, job);
}

/* The file is infected, is what was scanned, and has no pass. */
static void job_confirmed(struct job *job)
{
	if (was_not_held(job) && job->first != ACTION_PASS &&
	    job->first != ACTION_NONE && whom_to_end(job) != HOLDERS_NOBODY &&
	    start_child(job, holders_run, on_holders_before,
			sizeof(struct holders)))
		return;
	job_act(job);
}

/* ---- looking at the file ---- */

static void hash_run(void *arg, void *result)
{
	struct job *job = arg;
	struct hash_result *h = result;
	struct stat st;

	h->rc = hash_fd(job->fd, HASH_MAX, h->sha256, NULL, NULL);
	if (h->rc == 0)
		h->rc = file_key_get(job->fd, &h->key, &st);
}

static void on_hash(void *arg, const void *result)
{
	struct job *job = arg;
	const struct hash_result *h = result;

	job->child = NULL;
	if (h && h->rc == 0) {
		hash_hex(job->ev.sha256, h->sha256);
		if (quarantine_passed(job->fs->setup.quarantine, &h->key,
				      job->f.path, job->ev.sha256, NULL) > 0) {
			job_pass(job);
			return;
		}
	}
	job_confirmed(job);
}

/* NULL when it may be acted upon, else why not. */
static const char *what_hinders(const struct job *job,
				const struct look_result *r, bool *forged)
{
	*forged = false;
	if (!r)
		return "its file system does not answer";
	if (job->fd < 0)
		return "the file did not come along, or is gone";
	if (r->rc < 0)
		return "the file cannot be looked at";
	*forged = !S_ISREG(r->st.st_mode) || r->key.dev != job->f.key.dev ||
		  r->key.ino != job->f.key.ino;
	if (*forged)
		return "what came along is another file than the one named";
	if (!same_content(&r->key, &job->f.key))
		return "it was changed since it was scanned; it will be "
		       "examined again";
	return NULL;
}

static void job_hindered(struct job *job, const char *why)
{
	job->ev.action = ACTION_NONE;
	job->ev.failed = true;
	attrs_note(&job->notes, "%s", why);
	job_end(job);
}

static void keep_place(struct job *job, const struct look_result *r)
{
	fd_close(&job->place.h.dir);
	job->placed = true;
	job->place = r->place;
	if (r->place.h.dir >= 0)
		job->place.h.dir = fcntl(r->place.h.dir, F_DUPFD_CLOEXEC, 0);
}

static void on_look(const struct look_result *r, int fd, void *arg)
{
	struct job *job = arg;
	const char *why;
	bool forged, ask;

	job->look = NULL;
	if (fd >= 0)
		job->fd = fd;
	why = what_hinders(job, r, &forged);
	if (forged)
		log_error("finding: %s in %s: %s", job->f.virus, job->f.path,
			  why);
	if (why) {
		job_hindered(job, why);
		return;
	}
	keep_place(job, r);
	/* Again, as it had moved: the rest is known. */
	if (job->looks > 1) {
		job_act(job);
		return;
	}
	if (quarantine_passed(job->fs->setup.quarantine, &r->key, job->f.path,
			      NULL, &ask) > 0) {
		job_pass(job);
		return;
	}
	/* What is deleted leaves nothing else to know it by. */
	if ((ask || job->first == ACTION_DELETE) &&
	    start_child(job, hash_run, on_hash, sizeof(struct hash_result)))
		return;
	job_confirmed(job);
}

/* The descriptor, or the path of what a core before us had taken. */
static void job_look(struct job *job)
{
	struct look_request request = {
		.loop = job->fs->setup.loop,
		.sb = job->fs->setup.sb,
		.fd = job->fd,
		.path = job->f.path,
		.pid = job->f.pid,
		.locate = true,
		.limit_ms = job->fs->setup.look_limit_ms,
	};
	struct err err;

	job->looks++;
	if (job->fd < 0 && !job->reopen) {
		job_hindered(job, "the file did not come along, or is gone");
		return;
	}
	job->look = look_start(&request, on_look, job, &err);
	if (!job->look)
		job_hindered(job, err.text);
}

static void on_sock(int fd, int what, void *arg);

static void pump(struct findings *fs)
{
	struct job *job;

	while (fs->waiting.len && fs->running.len < RUNNING_MAX) {
		job = fs->waiting.items[0];
		vec_remove(&fs->waiting, 0);
		vec_push(&fs->running, job);
		job_look(job);
	}
	if (!fs->sock_event && fs->waiting.len < WAITING_MAX / 2 &&
	    fs->setup.sock >= 0)
		fs->sock_event = loop_fd(fs->setup.loop, fs->setup.sock,
					 LOOP_READ, on_sock, fs);
}

/* ---- receiving ---- */

static bool by_client(const struct finding *f)
{
	return f->source == SOURCE_MANUAL || f->source == SOURCE_SCHEDULED ||
	       f->source == SOURCE_IN_USE;
}

/* Whose word counts: the client's for its scan, else the settings'. */
static void choose_actions(struct findings *fs, struct job *job)
{
	const struct conf *conf =
		fs->setup.conf ? fs->setup.conf(fs->setup.arg) : NULL;

	job->first = (enum action)job->f.first_action;
	job->second = (enum action)job->f.second_action;
	if (conf && !by_client(&job->f)) {
		job->first = (enum action)conf_action(conf, "FirstAction");
		job->second = (enum action)conf_action(conf, "SecondAction");
	}
}

/* How long the verdict was on its way; nothing where a clock was set, or the
 * sender tells tales. */
static uint64_t since_ns(int64_t when_ns)
{
	int64_t now = clock_real_ns();

	if (when_ns <= 0 || when_ns > now ||
	    (uint64_t)(now - when_ns) > FINDING_EXPOSED_MAX)
		return 0;
	return (uint64_t)(now - when_ns);
}

static void refuse(struct findings *fs, int fd, const char *why)
{
	fs->stats.refused++;
	log_limited(&fs->bad_limit, 5, 60000, LOG_LVL_WARN,
		    "a finding is refused: %s", why);
	fd_close(&fd);
}

/* `spool`: its row in the store when a core before us had taken it, or 0; then
 * the file is opened by its path, if it is still there. */
static void take(struct findings *fs, const struct finding *f, int fd,
		 int64_t spool)
{
	struct fold *fold;
	struct job *job;

	fs->stats.received++;
	if (f->verdict != VERDICT_INFECTED) {
		refuse(fs, fd, "its verdict is not infected");
		return;
	}
	job = xcalloc(1, sizeof(*job));
	job->fs = fs;
	job->f = *f;
	job->fd = fd;
	job->spool = spool;
	job->reopen = spool != 0;
	job->place.h.dir = -1;
	job->ev.exposure_ms = -1;
	job->taken_ns = clock_mono_ns();
	job->before_ns = f->exposed_ns + since_ns(f->when_ns);
	choose_actions(fs, job);
	fold = fold_find(fs, job);
	if (fold) {
		fold_add(fs, fold, f);
		store_spool_drop(fs->setup.store, spool);
		job_free(job);
		return;
	}
	/* Now, while the opener may still be there. */
	holders_opener(f->pid, f->when_ns, job->ev.program,
		       sizeof(job->ev.program), &job->ev.uid);
	job->fold = fold_new(fs, job);
	if (!spool)
		store_spool_add(fs->setup.store, f, sizeof(*f), &job->spool);
	vec_push(&fs->waiting, job);
}

static void on_sock(int fd, int what, void *arg)
{
	struct findings *fs = arg;
	struct finding *f = xmalloc(sizeof(*f));
	struct err err;
	int file, rc;

	for (int i = 0; i < RECEIVE_MAX && fs->waiting.len < WAITING_MAX; i++) {
		rc = finding_recv(fs->setup.sock, f, &file, &err);
		if (rc == 0)
			break;
		if (rc > 0) {
			take(fs, f, file, 0);
			continue;
		}
		if (err.code == EPIPE) {
			/* Nobody can send any more; never with a supervisor. */
			loop_cancel(&fs->sock_event);
			fs->setup.sock = -1;
			break;
		}
		refuse(fs, -1, err.text);
	}
	free(f);
	/* What does not fit waits in the socket, and then at the workers. */
	if (fs->waiting.len >= WAITING_MAX)
		loop_cancel(&fs->sock_event);
	pump(fs);
}

/* ---- what a core before us had taken ---- */

static void give_up(struct findings *fs, const struct finding *f)
{
	struct found_event ev = {
		.action = ACTION_NONE,
		.failed = true,
		.uid = -1,
		.exposure_ms = -1,
		.detail = "given up: entity ended each time it dealt with it",
	};

	found_event(fs->setup.store, f, &ev);
}

static void take_again(int64_t id, int tries, const void *data, size_t len,
		       void *arg)
{
	struct findings *fs = arg;
	struct finding *f = xmalloc(sizeof(*f));
	bool known = len == sizeof(*f); /* else it is of another version */

	if (known) {
		memcpy(f, data, len);
		known = f->version == FINDING_VERSION;
	}
	if (known && tries < TRIES_MAX) {
		take(fs, f, -1, id);
	} else {
		if (known)
			give_up(fs, f);
		store_spool_drop(fs->setup.store, id);
	}
	free(f);
}

/* ---- as a whole ---- */

struct findings *findings_new(const struct findings_setup *setup)
{
	struct findings *fs = xcalloc(1, sizeof(*fs));

	fs->setup = *setup;
	if (setup->sock >= 0)
		fs->sock_event = loop_fd(setup->loop, setup->sock, LOOP_READ,
					 on_sock, fs);
	if (store_spool(setup->store, take_again, fs, NULL) == 0)
		pump(fs);
	return fs;
}

void findings_free(struct findings **fsp)
{
	struct findings *fs = *fsp;
	struct job *job;

	if (!fs)
		return;
	loop_cancel(&fs->sock_event);
	loop_cancel(&fs->fold_timer);
	/*
	 * What has begun an action belongs to the quarantine, which ends it
	 * without telling. All of it stays in the spool and goes on with the
	 * next core.
	 */
	while (fs->running.len) {
		job = fs->running.items[fs->running.len - 1];
		childjob_cancel(&job->child);
		look_cancel(&job->look);
		job_free(job);
	}
	for (size_t i = 0; i < fs->waiting.len; i++)
		job_free(fs->waiting.items[i]);
	for (size_t i = 0; i < fs->folds.len; i++)
		fold_free(fs->folds.items[i]);
	vec_free(&fs->waiting);
	vec_free(&fs->running);
	vec_free(&fs->folds);
	xfree(fsp);
}

void findings_stats(const struct findings *fs, struct findings_stats *stats_r)
{
	*stats_r = fs->stats;
	stats_r->waiting = (unsigned int)fs->waiting.len;
	stats_r->running = (unsigned int)fs->running.len;
}
