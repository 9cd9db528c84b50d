// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "worker_in.h"

/*
 * Events of the notify group: files that were written and closed, and in
 * async mode files that are opened or executed. Nobody waits.
 *
 * A large file is kept back until its ctime is older than a clock tick: only
 * then can its clean verdict be remembered (common/known.h), so that the first
 * opener has no scan to wait for; closed again and again meanwhile it is
 * scanned once. A small one is scanned at once and let go: as long as we have
 * a file open its file system cannot be unmounted and nobody gets a write
 * lease on it, and a second scan of it costs less than that.
 */
#define DEFER_SIZE (1 << 20)
#define DEFERRED_MAX 128
#define SETTLE_MS 30
/* Events taken, and deferred files scanned, in one turn. */
#define TAKE_MAX 8
#define SCAN_MAX 4

struct event {
	int fd;
	pid_t pid;
	enum scan_source source;
	enum finding_use use; /* SOURCE_ASYNC */
	uint64_t seen_ns;
	uint64_t due_ns;
	dev_t dev;
	ino_t ino;
	uint64_t id; /* of the kernel module's, 0: of the group's */
};

struct deferred {
	struct event events[DEFERRED_MAX]; /* a ring, by due time */
	unsigned int first, count;
};

static struct file current;

static struct event *event_at(struct deferred *d, unsigned int i)
{
	return &d->events[(d->first + i) % DEFERRED_MAX];
}

/* The same file in the ring already: the later look at it is enough. */
static bool is_deferred(struct deferred *d, const struct stat *st)
{
	for (unsigned int i = 0; i < d->count; i++)
		if (event_at(d, i)->ino == st->st_ino &&
		    event_at(d, i)->dev == st->st_dev)
			return true;
	return false;
}

/* Nothing is left to do for it. */
static void dismiss(struct worker *w, struct event *ev, bool remember)
{
	fd_close(&ev->fd);
	if (ev->id)
		khm_close_done(w, ev->id, remember);
}

/* Nobody asked for it: it may be that nobody asks, as it is marked. True when
 * it is known to be clean from now on. */
static bool scan(struct worker *w, struct file *f)
{
	bool remember;

	/* Should the scan end this process it is known by it. */
	w->slot->scan_key = f->key;
	file_scan(w, f);
	file_account(w, f, f->scan_ns);
	if (f->result.verdict != VERDICT_CLEAN)
		file_unmark(w, f);
	remember = f->result.verdict == VERDICT_CLEAN && file_is_steady(f);
	if (remember)
		file_remember(w, f);
	else if (f->result.verdict == VERDICT_INFECTED && !f->passed)
		report_finding(w, f, false, false, 0,
			       conf_action(w->s.conf, "FirstAction"),
			       conf_action(w->s.conf, "SecondAction"));
	return remember;
}

static void examine(struct worker *w, struct event *ev)
{
	struct file *f = &current;
	enum counter_id counter;
	bool remember = false;

	f->fd = ev->fd;
	f->pid = ev->pid;
	f->source = ev->source;
	f->job = 0;
	f->use = ev->use;
	f->seen_ns = ev->seen_ns;
	if (file_look(f) == 0) {
		if (!file_judge(w, f, &counter))
			remember = scan(w, f);
		else if (counter == COUNTER_POLICY_OVERSIZE ||
			 counter == COUNTER_POLICY_POISON)
			file_unmark(w, f);
	}
	dismiss(w, ev, remember);
}

static void examine_first(struct worker *w)
{
	struct deferred *d = w->deferred;
	struct event ev = *event_at(d, 0);

	d->first = (d->first + 1) % DEFERRED_MAX;
	d->count--;
	examine(w, &ev);
}

static void defer(struct worker *w, struct event *ev)
{
	struct deferred *d = w->deferred;

	if (d->count == DEFERRED_MAX)
		examine_first(w);
	ev->due_ns = clock_mono_ns() + SETTLE_MS * CLOCK_NS_PER_MS;
	*event_at(d, d->count++) = *ev;
}

/* Somebody uses it: there is no time to lose. */
static bool is_used(const struct event *ev)
{
	return ev->use == USE_OPENED || ev->use == USE_EXECUTED;
}

/* The event's file is looked at now or a little later. */
static void take_file(struct worker *w, struct event *ev, bool closed)
{
	struct stat st;

	if (scoreboard_is_exempt(w->sb, ev->pid) || fstat(ev->fd, &st) < 0 ||
	    !S_ISREG(st.st_mode) ||
	    (!is_used(ev) && is_deferred(w->deferred, &st))) {
		dismiss(w, ev, false);
		return;
	}
	if (closed)
		worker_count(w, COUNTER_CLOSE_EVENTS);
	ev->dev = st.st_dev;
	ev->ino = st.st_ino;
	if (st.st_size >= DEFER_SIZE && !is_used(ev))
		defer(w, ev);
	else
		examine(w, ev);
}

static void take_event(struct worker *w, const struct fangroup_event *fe)
{
	struct event ev = {
		.fd = fe->fd,
		.pid = fe->pid,
		.source = SOURCE_CLOSE,
		.seen_ns = clock_mono_ns(),
	};

	/* Whoever wants may have it open by now. */
	if (w->s.async) {
		ev.source = SOURCE_ASYNC;
		ev.use = fe->what & FANGROUP_EXEC   ? USE_EXECUTED
			 : fe->what & FANGROUP_OPEN ? USE_OPENED
						    : USE_WRITTEN;
	}
	take_file(w, &ev, (fe->what & FANGROUP_CLOSE) != 0);
}

static void take_closes(struct worker *w)
{
	for (int i = 0; i < TAKE_MAX; i++) {
		struct event ev = {.source = SOURCE_CLOSE, .use = USE_NONE};

		if (!khm_take_close(w, &ev.fd, &ev.pid, &ev.id))
			return;
		take_file(w, &ev, true);
	}
}

/* Takes what the kernel has, as long as there is room for it. */
static void take_events(struct worker *w)
{
	static struct log_limit limit;
	struct fangroup_event ev;

	for (int i = 0; i < TAKE_MAX; i++) {
		int rc = fangroup_read(w->s.notify, &ev);

		if (rc < 0)
			log_limited(&limit, 3, 60000, LOG_LVL_ERROR,
				    "event read: %m");
		if (rc <= 0)
			return;
		if (ev.overflow)
			worker_count(w, COUNTER_OVERFLOWS);
		if (ev.fd >= 0)
			take_event(w, &ev);
	}
}

void back_begin(struct worker *w)
{
	w->deferred = xcalloc(1, sizeof(*w->deferred));
	jobs_begin(w);
	if (w->s.notify < 0)
		return;
	worker_listen(w, w->s.notify, true);
	w->listening = true;
}

static bool is_due(struct worker *w)
{
	struct deferred *d = w->deferred;

	return d->count > 0 &&
	       (w->draining || event_at(d, 0)->due_ns <= clock_mono_ns());
}

void back_turn(struct worker *w)
{
	if (w->s.notify >= 0 && !w->draining)
		take_events(w);
	if (!w->draining)
		take_closes(w);
	for (int i = 0; i < SCAN_MAX && is_due(w); i++)
		examine_first(w);
	if (!w->draining)
		jobs_turn(w);
}

int back_patience(const struct worker *w)
{
	struct deferred *d = w->deferred;
	uint64_t now = clock_mono_ns(), due;
	int patience = jobs_patience(w), ms;

	if (d->count == 0)
		return patience;
	due = event_at(d, 0)->due_ns;
	if (due <= now)
		return 0;
	ms = (int)((due - now) / CLOCK_NS_PER_MS) + 1;
	return patience >= 0 && patience < ms ? patience : ms;
}

void back_end(struct worker *w)
{
	while (w->deferred->count > 0) {
		atomic_store(&w->slot->beat_ns, clock_mono_ns());
		examine_first(w);
	}
	jobs_end(w);
	xfree(&w->deferred);
}
