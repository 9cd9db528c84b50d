// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "worker_in.h"

/* Findings that wait here while entity's socket has no room. */
#define KEPT_MAX 64
/* How long an ending worker goes on trying. */
#define FAREWELL_MS 5000
#define FAREWELL_STEP_MS 20

struct kept {
	struct finding finding;
	int fd; /* ours; -1 when it could not be doubled */
};

struct reports {
	struct kept *kept[KEPT_MAX]; /* a ring */
	unsigned int first, count;
};

void report_begin(struct worker *w)
{
	w->reports = xcalloc(1, sizeof(*w->reports));
}

/* True when it is gone from our hands. */
static bool send_one(struct worker *w, const struct finding *f, int fd)
{
	static struct log_limit limit;
	struct err err;
	int rc = finding_send(w->s.finding_sock, f, fd, &err);

	if (rc < 0)
		log_limited(&limit, 3, 60000, LOG_LVL_ERROR,
			    "finding not sent: %s", err.text);
	if (rc != 0)
		return false;
	worker_count(w, COUNTER_FINDINGS);
	if (f->late)
		worker_count(w, COUNTER_FINDINGS_LATE);
	return true;
}

static void drop_first(struct reports *r)
{
	fd_close(&r->kept[r->first]->fd);
	xfree(&r->kept[r->first]);
	r->first = (r->first + 1) % KEPT_MAX;
	r->count--;
}

static void lose_first(struct worker *w)
{
	static struct log_limit limit;
	struct reports *r = w->reports;

	log_limited(&limit, 10, 60000, LOG_LVL_ERROR,
		    "finding lost path=%s virus=%s",
		    r->kept[r->first]->finding.path,
		    r->kept[r->first]->finding.virus);
	worker_count(w, COUNTER_FINDINGS_LOST);
	drop_first(r);
}

/* One who opens the same file again and again shall not push out what was
 * found in others: its first finding stands for all. */
static bool is_kept(const struct reports *r, const struct finding *f)
{
	for (unsigned int i = 0; i < r->count; i++) {
		const struct finding *k =
			&r->kept[(r->first + i) % KEPT_MAX]->finding;

		if (file_key_same(&k->key, &f->key) && k->late == f->late &&
		    k->denied == f->denied && k->job == f->job)
			return true;
	}
	return false;
}

static void keep(struct worker *w, const struct finding *f, int fd)
{
	struct reports *r = w->reports;
	struct kept *k;

	if (is_kept(r, f))
		return;
	k = xmalloc(sizeof(*k));
	if (r->count == KEPT_MAX)
		lose_first(w);
	k->finding = *f;
	k->fd = fcntl(fd, F_DUPFD_CLOEXEC, WORKER_FLOOR);
	r->kept[(r->first + r->count++) % KEPT_MAX] = k;
	worker_count(w, COUNTER_FINDINGS_HELD);
}

bool report_flush(struct worker *w)
{
	struct reports *r = w->reports;

	while (r->count > 0 &&
	       send_one(w, &r->kept[r->first]->finding, r->kept[r->first]->fd))
		drop_first(r);
	return r->count == 0;
}

void report_end(struct worker *w)
{
	struct timespec step = {.tv_nsec = FAREWELL_STEP_MS * 1000000};

	for (int ms = 0; ms < FAREWELL_MS && !report_flush(w);
	     ms += FAREWELL_STEP_MS)
		nanosleep(&step, NULL);
	while (w->reports->count > 0)
		lose_first(w);
	xfree(&w->reports);
}

void report_finding(struct worker *w, struct file *f, bool denied, bool late,
		    uint64_t wait_ns, int first_action, int second_action)
{
	struct finding finding = {
		.magic = FINDING_MAGIC,
		.version = FINDING_VERSION,
		.source = f->source,
		.verdict = f->result.verdict,
		.denied = denied,
		.late = late,
		.pid = f->pid,
		.first_action = (uint32_t)first_action,
		.second_action = (uint32_t)second_action,
		.job = f->job,
		.key = f->key,
		.when_ns = clock_real_ns(),
		.wait_ns = wait_ns,
		.scan_ns = f->scan_ns,
		.generation = w->s.generation,
		.use = f->use,
	};

	if (f->use != USE_NONE)
		finding.exposed_ns = clock_mono_ns() - f->seen_ns;

	str_copy(finding.virus, sizeof(finding.virus), f->result.name);
	str_copy(finding.path, sizeof(finding.path), file_path(f));
	/* Those that wait go first. */
	if (!report_flush(w) || !send_one(w, &finding, f->fd))
		keep(w, &finding, f->fd);
}

void report_sample(struct worker *w, struct file *f, uint64_t wait_ns)
{
	uint32_t n = atomic_fetch_add_explicit(&w->slot->sample_next, 1,
					       memory_order_relaxed);
	struct sample *s = &w->slot->samples[n % SLOT_SAMPLES];
	const char *path = file_path(f);
	size_t len = strlen(path);
	/* Odd while written; a worker that died in here left it odd. */
	uint32_t seq = atomic_load(&s->seq) | 1u;

	atomic_store(&s->seq, seq);
	s->pid = f->pid;
	s->source = f->source;
	s->verdict = f->result.verdict;
	s->wait_ns = wait_ns;
	s->scan_ns = f->scan_ns;
	s->size = f->key.size;
	s->when_ns = clock_real_ns();
	if (len >= sizeof(s->path))
		path += len - sizeof(s->path) + 1;
	str_copy(s->path, sizeof(s->path), path);
	atomic_store(&s->seq, seq + 1);
}
