// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Questions of the kernel module, by a reader that this worker has for itself.
 *
 * One at a time: what is not read yet any other worker can take, and what is
 * read comes to another one when this process ends. Nothing is parked and no
 * guard is needed: the module lets the openers of one file share a question,
 * bounds their wait, and says so when a verdict comes late.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/khm.h"
#include "lib/fdutil.h"
#include "lib/hist.h"
#include "lib/log.h"
#include "poison.h"
#include "worker_in.h"

/* Questions taken in one turn before the rest of the loop gets its turn. */
#define TURN_MAX 64

/* What is looked at. */
static struct splxmod_event asked;
static uint64_t taken_ns;
static struct file current;

/*
 * Without its reader this worker is of no use: it ends, and what it held goes
 * to others. That happens when the module is taken out by force.
 */
static void lose_reader(struct worker *w, const char *what)
{
	log_error("kernel module %s: %m", what);
	worker_unlisten(w, w->s.khm);
	fd_close(&w->s.khm);
	w->draining = true;
}

static bool take(struct worker *w)
{
	int rc = khm_read(w->s.khm, &asked);

	if (rc < 0)
		lose_reader(w, "question read");
	if (rc <= 0)
		return false;
	taken_ns = clock_mono_ns();
	return true;
}

static uint64_t waited_ns(void)
{
	return asked.waited_us * 1000ull + (clock_mono_ns() - taken_ns);
}

/* True when those who asked got it. */
static bool write_verdict(struct worker *w, uint64_t id, bool allow,
			  uint32_t flags)
{
	static struct log_limit limit;

	switch (khm_answer(w->s.khm, id, w->s.epoch, allow, flags)) {
	case KHM_TAKEN:
		return true;
	case KHM_LATE:
		break;
	case KHM_UNKNOWN:
		log_limited(&limit, 3, 60000, LOG_LVL_WARN,
			    "kernel module does not know question %llu",
			    (unsigned long long)id);
		break;
	case KHM_FAILED:
		lose_reader(w, "verdict write");
		break;
	}
	return false;
}

/*
 * What the way out counts for; false: nobody waited any more. Unless the file
 * is to be reported it goes before the answer: an opener that goes on shall
 * not meet us on it, where we stand in the way of umount.
 */
static bool answer(struct worker *w, enum counter_id counter, bool allow,
		   uint32_t flags, bool stay_open)
{
	uint64_t wait = waited_ns();

	if (!stay_open)
		fd_close(&current.fd);
	if (!write_verdict(w, asked.id, allow, flags))
		return false;
	worker_count(w, counter);
	hist_add(&w->slot->wait, wait);
	return true;
}

static void conclude(struct worker *w, struct file *f)
{
	bool report = f->result.verdict == VERDICT_INFECTED && !f->passed;
	uint64_t wait = waited_ns();
	bool allow, remember, in_time;
	enum counter_id counter = file_outcome(w, f, &allow);

	remember = counter == COUNTER_ALLOWED_CLEAN && file_is_steady(f);
	if (remember)
		file_keep(w, f); /* as long as the file is open */
	in_time = answer(w, counter, allow, remember ? SPLXMOD_REMEMBER : 0,
			 report);
	file_account(w, f, wait);
	if (report)
		report_finding(w, f, !allow && in_time, !in_time, wait,
			       conf_action(w->s.conf, "FirstAction"),
			       conf_action(w->s.conf, "SecondAction"));
}

static void look_at(struct worker *w, struct file *f)
{
	enum counter_id counter;

	if (scoreboard_is_exempt(w->sb, f->pid)) {
		answer(w, COUNTER_ALLOWED_EXEMPT, true, SPLXMOD_ONE, false);
		return;
	}
	if (f->fd < 0 || file_look(f) < 0) {
		counter = COUNTER_POLICY_ERROR;
		answer(w, counter, file_policy(w, counter), 0, false);
		return;
	}
	if (!file_judge(w, f, &counter)) {
		if (asked.deaths < POISON_DEATHS) {
			/* Should the scan end this process it is known by it */
			w->slot->scan_key = f->key;
			file_scan(w, f);
			conclude(w, f);
			return;
		}
		counter = COUNTER_POLICY_POISON;
	}
	switch (counter) {
	case COUNTER_POLICY_OVERSIZE:
	case COUNTER_POLICY_POISON:
		answer(w, counter, file_policy(w, counter), 0, false);
		break;
	default:
		/* What is allowed by its path may have others, and others
		 * than the excluded program may wait for it. */
		answer(w, counter, true,
		       counter == COUNTER_ALLOWED_KNOWN ? SPLXMOD_REMEMBER
							: SPLXMOD_ONE,
		       false);
	}
}

void khm_begin(struct worker *w)
{
	if (w->s.khm >= 0)
		worker_listen(w, w->s.khm, false);
}

void khm_turn(struct worker *w)
{
	struct file *f = &current;

	for (int i = 0; i < TURN_MAX && w->s.khm >= 0; i++) {
		if (w->draining || atomic_load(&w->slot->drain) || !take(w))
			break;
		worker_count(w, COUNTER_MODULE_QUESTIONS);
		f->fd = asked.fd;
		f->pid = asked.pid;
		f->source =
			asked.kind == SPLXMOD_EXEC ? SOURCE_EXEC : SOURCE_OPEN;
		f->job = 0;
		look_at(w, f);
		fd_close(&f->fd);
		memory_flush(w, false);
	}
}

bool khm_take_close(struct worker *w, int *fd_r, pid_t *pid_r, uint64_t *id_r)
{
	while (w->s.khm >= 0 && take(w)) {
		if (asked.fd >= 0 && asked.deaths < POISON_DEATHS) {
			*fd_r = asked.fd;
			*pid_r = asked.pid;
			*id_r = asked.id;
			return true;
		}
		fd_close(&asked.fd);
		khm_close_done(w, asked.id, false);
	}
	return false;
}

void khm_close_done(struct worker *w, uint64_t id, bool remember)
{
	/* Nobody waits, and who opens the file is asked about anew: what is
	 * said is that it is done. */
	if (w->s.khm >= 0 &&
	    khm_answer(w->s.khm, id, w->s.epoch, true,
		       remember ? SPLXMOD_REMEMBER : 0) == KHM_FAILED)
		lose_reader(w, "verdict write");
}
