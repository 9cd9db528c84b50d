/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/guard.h"
#include "common/scanjob.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "khm_side.h"
#include "poison.h"
#include "slots_in.h"

#define FRESH_MS 1500	  /* a sign of life that counts as idle */
#define LIFELESS_MS 10000 /* no sign of life, no scan: killed */
#define START_MS 10000
#define SCAN_GRACE_MS 500  /* the engine's own limit comes first */
#define DRAIN_IDLE_MS 8000 /* it may try to deliver findings for 5 s */
#define PAUSE_MAX_MS 5000
#define ORPHAN_MS 500
#define WELL_MS 2000	 /* who lived that long has not failed to start */
#define LOW_IDLE_MS 5000 /* so long nobody has wanted a low worker: it ends */

struct slots {
	struct loop *loop;
	struct scoreboard *sb;
	int group;
	uint64_t master_start;
	uid_t uids[2]; /* the scan user; the one before, in a change */
	struct slots_events events;
	void *arg;
	struct slots_limits limits;
	uint64_t surplus_since;
	uint64_t pause_ms; /* after failed starts */
	uint64_t resume_ns;
	uint64_t low_wanted_ns; /* when a low worker was wanted last */
	struct slots_worker workers[SCOREBOARD_SLOTS];
	struct log_limit crash_limit, fork_limit, trust_limit;
};

struct slots *slots_new(struct loop *loop, struct scoreboard *sb, int group,
			uint64_t master_start,
			const struct slots_events *events, void *arg)
{
	struct slots *slots = xcalloc(1, sizeof(*slots));
	int i;

	slots->loop = loop;
	slots->sb = sb;
	slots->group = group;
	slots->master_start = master_start;
	slots->uids[0] = slots->uids[1] = (uid_t)-1;
	slots->events = *events;
	slots->arg = arg;
	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		slots->workers[i].slot = i;
		slots->workers[i].pidfd = -1;
		slots->workers[i].sock = -1;
		slots->workers[i].slots = slots;
	}
	return slots;
}

void slots_limit(struct slots *slots, const struct slots_limits *limits)
{
	slots->limits = *limits;
}

void slots_user(struct slots *slots, uid_t uid)
{
	if (uid == slots->uids[0])
		return;
	slots->uids[1] = slots->uids[0];
	slots->uids[0] = uid;
}

static struct slot *board(const struct slots_worker *w)
{
	return &w->slots->sb->slots[w->slot];
}

static void enter(struct slots_worker *w, enum slots_state state)
{
	w->state = state;
	w->since_ns = clock_mono_ns();
}

static uint64_t ms_since(uint64_t now, uint64_t then)
{
	return then < now ? (now - then) / CLOCK_NS_PER_MS : 0;
}

/* Closes the record; the slot itself is freed. */
static void forget(struct slots_worker *w)
{
	loop_cancel(&w->readable);
	loop_cancel(&w->exited);
	fd_close(&w->sock);
	fd_close(&w->pidfd);
	scoreboard_release(w->slots->sb, w->slot);
	if (w->khm)
		scoreboard_unexempt(w->slots->sb, w->pid);
	w->khm = false;
	w->gen = NULL;
	w->pid = 0;
	w->start = 0;
	w->lowered = w->overdue = w->told_why = false;
	enter(w, SLOTS_FREE);
}

/* --- the dead ----------------------------------------------------------- */

static void kill_worker(struct slots_worker *w, const char *why)
{
	if (w->state == SLOTS_KILLED)
		return;
	log_limited(&w->slots->crash_limit, 10, 60000, LOG_LVL_WARN,
		    "worker slot=%d pid=%d killed: %s", w->slot, w->pid, why);
	w->told_why = true;
	if (w->pidfd >= 0)
		proc_signal(w->pidfd, SIGKILL);
	enter(w, SLOTS_KILLED);
}

static void pause_starts(struct slots *slots)
{
	slots->pause_ms = slots->pause_ms ? slots->pause_ms * 2 : 100;
	if (slots->pause_ms > PAUSE_MAX_MS)
		slots->pause_ms = PAUSE_MAX_MS;
	slots->resume_ns = clock_mono_ns() + slots->pause_ms * CLOCK_NS_PER_MS;
}

/* What is told and counted of one that ended without having been told to. */
static void account(struct slots_worker *w, bool asked)
{
	struct slots *slots = w->slots;
	struct slot *slot = board(w);
	bool scanning = atomic_load(&slot->scan_start_ns) != 0;
	bool young = w->state == SLOTS_STARTING ||
		     ms_since(clock_mono_ns(), w->since_ns) < WELL_MS;

	if (!asked && !scanning && young && w->gen)
		pause_starts(slots);
	/* That one was past its limit on a busy machine says nothing of it. */
	if (scanning && !(w->overdue && w->role == SLOT_LOW)) {
		struct file_key key = slot->scan_key;

		poison_add(slots->sb, &key);
	}
	if (w->overdue) {
		atomic_fetch_add(&slots->sb->counters[COUNTER_WORKER_KILLED],
				 1);
	} else if (!asked || scanning) {
		atomic_fetch_add(&slots->sb->counters[COUNTER_WORKER_CRASHES],
				 1);
		if (!w->told_why)
			log_limited(
				&slots->crash_limit, 10, 60000, LOG_LVL_WARN,
				"worker slot=%d pid=%d ended by itself%s",
				w->slot, w->pid, scanning ? " in a scan" : "");
	}
}

/* The process is certainly gone. */
static void bury(struct slots_worker *w)
{
	struct slots *slots = w->slots;
	bool asked = atomic_load(&board(w)->drain) ||
		     atomic_load(&slots->sb->quit) || w->state == SLOTS_KILLED;

	account(w, asked);
	if (slots->group >= 0)
		guard_answer_slot(slots->sb, slots->group, w->slot,
				  w->overdue ? COUNTER_POLICY_SCANTIME
					     : COUNTER_POLICY_CRASH,
				  w->overdue ? slots->limits.allow_on_timeout
					     : slots->limits.allow_on_error);
	slots->events.gone(w, slots->arg);
	forget(w);
}

static void worker_exited(int fd, int what, void *arg)
{
	bury(arg);
}

/* --- messages ----------------------------------------------------------- */

/* How many keys a record of that length tells of; 0: it makes no sense. */
static unsigned int count_keys(const struct work_keys *rec, ssize_t len)
{
	size_t more = (size_t)len - sizeof(rec->first);

	if (len == (ssize_t)sizeof(rec->first))
		return 1;
	if (len < (ssize_t)sizeof(rec->first) ||
	    rec->first.kind != WORK_REMEMBER ||
	    more % sizeof(rec->more[0]) != 0 ||
	    rec->first.job != more / sizeof(rec->more[0]) + 1)
		return 0;
	return (unsigned int)rec->first.job;
}

static void worker_readable(int fd, int what, void *arg)
{
	struct slots_worker *w = arg;
	struct slots *slots = w->slots;
	struct work_keys rec = {0};
	int fds[FD_PASS_MAX], nfds = 0, i;
	ssize_t n = fd_recv(fd, &rec, sizeof(rec), fds, &nfds, MSG_DONTWAIT);
	unsigned int keys;

	if (n == 0 ||
	    (n < 0 && errno != EAGAIN && errno != EINTR && errno != EMSGSIZE)) {
		/* it ended, or closed its end; its pidfd tells which */
		loop_cancel(&w->readable);
		return;
	}
	keys = n > 0 ? count_keys(&rec, n) : 0;
	for (unsigned int k = 0; k < keys; k++) {
		if (k > 0) {
			rec.first.key = rec.more[k - 1].key;
			rec.first.trace = rec.more[k - 1].trace;
		}
		slots->events.message(w, &rec.first, fds, nfds, slots->arg);
	}
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
}

int slots_send(struct slots_worker *w, const struct work_msg *msg, int fd)
{
	if (w->sock < 0) {
		errno = ENOTCONN;
		return -1;
	}
	return fd_send(w->sock, msg, sizeof(*msg), &fd, fd >= 0 ? 1 : 0,
		       MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- forking ------------------------------------------------------------ */

static bool fork_one(struct slots *slots, const struct slots_line *line,
		     enum slot_role role)
{
	struct slots_worker *w;
	struct slot *slot;
	int pair[2], n, khm = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	n = scoreboard_claim(slots->sb, role);
	/* A slot that was ours already is said to be free by its worker. */
	if (n < 0 || slots->workers[n].state != SLOTS_FREE) {
		if (n >= 0)
			kill_worker(&slots->workers[n], "it hid");
		fd_close(&pair[0]);
		fd_close(&pair[1]);
		return false;
	}
	if (line->khm && role != SLOT_LOW)
		khm = khm_side_reader(role);
	w = &slots->workers[n];
	slot = &slots->sb->slots[n];
	atomic_store(&slot->master, slots->master_start);
	atomic_store(&slot->generation, gen_number(line->gen));
	w->role = role;
	w->khm = line->khm && role != SLOT_LOW;
	w->gen = line->gen;
	w->policy_generation = line->policy_generation;
	w->first_beat = atomic_load(&slot->beat_ns);
	w->sock = pair[0];
	enter(w, SLOTS_FORKING);
	if (gen_fork(line->gen, n, role, pair[1], khm, line->async,
		     line->policy_generation, line->epoch)) {
		log_limited(&slots->fork_limit, 3, 60000, LOG_LVL_WARN,
			    "worker slot=%d fork request: %m", n);
		forget(w);
		fd_close(&pair[1]);
		fd_close(&khm);
		return false;
	}
	fd_close(&pair[1]);
	fd_close(&khm);
	w->readable =
		loop_fd(slots->loop, w->sock, LOOP_READ, worker_readable, w);
	return true;
}

/* A process that is said to be a worker must be the scan user's: nobody else
 * ever gets a signal or a priority from here. */
static bool trusted(struct slots *slots, pid_t pid)
{
	char path[64], line[256];
	unsigned int uid;
	bool ok = false;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	if (!in)
		return false;
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "Uid: %u", &uid) != 1)
			continue;
		ok = uid == slots->uids[0] || uid == slots->uids[1];
		break;
	}
	fclose(in);
	return ok;
}

void slots_forked(struct slots *slots, struct gen *gen, int slot, pid_t pid,
		  int pidfd, const char *why)
{
	struct slots_worker *w = &slots->workers[slot];
	struct proc_id id;

	if (w->state != SLOTS_FORKING || w->gen != gen) {
		fd_close(&pidfd);
		return;
	}
	if (pidfd < 0) {
		log_limited(&slots->fork_limit, 3, 60000, LOG_LVL_ERROR,
			    "worker slot=%d: %s", slot, why);
		pause_starts(slots);
		forget(w);
		return;
	}
	w->pidfd = pidfd;
	w->pid = pid;
	if (pid > 0 && !proc_identify(pid, &id)) {
		w->start = id.start;
		if (!trusted(slots, pid)) {
			log_limited(&slots->trust_limit, 3, 60000,
				    LOG_LVL_ERROR,
				    "worker slot=%d pid=%d is not the scan "
				    "user's",
				    slot, pid);
			w->pid = 0;
			forget(w);
			return;
		}
		slots_priority_begin(w);
	}
	/* Where the module's open of a file for its reader is a question to
	 * whoever listens (kernels from 6.14 on), we may be the ones. */
	if (w->khm && w->pid > 0)
		scoreboard_exempt(slots->sb, w->pid);
	enter(w, SLOTS_STARTING);
	w->exited = loop_fd(slots->loop, w->pidfd, LOOP_READ, worker_exited, w);
}

void slots_died(struct slots *slots, struct gen *gen, int slot, pid_t pid,
		int status)
{
	struct slots_worker *w = &slots->workers[slot];

	if (w->gen != gen || w->pid != pid || w->told_why || !pid)
		return;
	if (WIFSIGNALED(status))
		log_limited(&slots->crash_limit, 10, 60000, LOG_LVL_WARN,
			    "worker slot=%d pid=%d ended by signal=%d%s", slot,
			    pid, WTERMSIG(status),
			    WTERMSIG(status) == SIGSYS
				    ? " (a system call that is not allowed)"
				    : "");
	else if (WEXITSTATUS(status))
		log_limited(&slots->crash_limit, 10, 60000, LOG_LVL_WARN,
			    "worker slot=%d pid=%d ended status=%d", slot, pid,
			    WEXITSTATUS(status));
	w->told_why = true;
}

/* --- counting ----------------------------------------------------------- */

bool slots_in_line(const struct slots_worker *w, const struct slots_line *line)
{
	return line && line->gen && w->gen == line->gen &&
	       w->policy_generation == line->policy_generation;
}

static bool on_duty(const struct slots_worker *w)
{
	return w->state == SLOTS_FORKING || w->state == SLOTS_STARTING ||
	       w->state == SLOTS_SERVING;
}

static int count_line(const struct slots *slots, const struct slots_line *line,
		      enum slot_role role, bool serving_only)
{
	int i, n = 0;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slots_worker *w = &slots->workers[i];

		if (w->role == role && slots_in_line(w, line) &&
		    (serving_only ? w->state == SLOTS_SERVING : on_duty(w)))
			n++;
	}
	return n;
}

int slots_count(const struct slots *slots, const struct gen *gen,
		enum slot_role role, bool all)
{
	int i, n = 0;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slots_worker *w = &slots->workers[i];

		if (w->role == role && (!gen || w->gen == gen) &&
		    (w->state == SLOTS_SERVING || (all && on_duty(w))))
			n++;
	}
	return n;
}

bool slots_any(const struct slots *slots, const struct gen *gen)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (slots->workers[i].state != SLOTS_FREE &&
		    (!gen || slots->workers[i].gen == gen))
			return true;
	return false;
}

static int free_slots(const struct slots *slots)
{
	int i, n = 0;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (atomic_load(&slots->sb->slots[i].role) == SLOT_UNUSED)
			n++;
	return n;
}

void slots_each(struct slots *slots, enum slot_role role,
		void (*fn)(struct slots_worker *w, void *arg), void *arg)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slots_worker *w = &slots->workers[i];

		if (w->role == role && w->state == SLOTS_SERVING)
			fn(w, arg);
	}
}

pid_t slots_some_pid(const struct slots *slots)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (slots->workers[i].state == SLOTS_SERVING &&
		    slots->workers[i].gen)
			return slots->workers[i].pid;
	return 0;
}

bool slots_owns_pid(const struct slots *slots, pid_t pid)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (slots->workers[i].state != SLOTS_FREE &&
		    slots->workers[i].pid == pid)
			return true;
	return false;
}

/* --- how many ----------------------------------------------------------- */

static bool wants_low(const struct slots *slots)
{
	return slots->low_wanted_ns &&
	       ms_since(clock_mono_ns(), slots->low_wanted_ns) < LOW_IDLE_MS;
}

void slots_fill(struct slots *slots, const struct slots_line *line)
{
	int front, back;
	bool low;

	if (!line->gen || !gen_alive(line->gen) ||
	    clock_mono_ns() < slots->resume_ns)
		return;
	front = slots->limits.front_min -
		count_line(slots, line, SLOT_FRONT, false);
	back = slots->limits.back - count_line(slots, line, SLOT_BACK, false);
	low = wants_low(slots) && !count_line(slots, line, SLOT_LOW, false);
	/* One of each first: with few free slots both kinds have to work. */
	while (front > 0 || back > 0) {
		if (front > 0 && front-- && !fork_one(slots, line, SLOT_FRONT))
			return;
		if (back > 0 && back-- && !fork_one(slots, line, SLOT_BACK))
			return;
	}
	if (low)
		fork_one(slots, line, SLOT_LOW);
}

void slots_want_low(struct slots *slots)
{
	slots->low_wanted_ns = clock_mono_ns();
}

bool slots_filled(const struct slots *slots, const struct slots_line *line)
{
	int front = count_line(slots, line, SLOT_FRONT, true);
	int back = count_line(slots, line, SLOT_BACK, true);

	if (front >= slots->limits.front_min && back >= slots->limits.back)
		return true;
	/* No room for more until others leave. */
	return free_slots(slots) == 0 && back > 0 &&
	       (front > 0 || !slots->limits.front_min);
}

static bool is_idle(const struct slots_worker *w, uint64_t now)
{
	const struct slot *slot = board(w);

	return w->state == SLOTS_SERVING &&
	       atomic_load(&slot->scan_start_ns) == 0 &&
	       ms_since(now, atomic_load(&slot->beat_ns)) < FRESH_MS;
}

static void drain(struct slots_worker *w)
{
	struct work_msg msg = {.kind = WORK_DRAIN};

	if (w->state == SLOTS_FREE || w->state == SLOTS_DRAINING ||
	    w->state == SLOTS_KILLED)
		return;
	atomic_store(&board(w)->drain, 1);
	if (w->state == SLOTS_FORKING)
		return; /* it will see the word when it comes, see tick_one() */
	slots_send(w, &msg, -1);
	enter(w, SLOTS_DRAINING);
}

static void retire_one(struct slots *slots, const struct slots_line *line,
		       uint64_t now)
{
	int i;

	for (i = SCOREBOARD_SLOTS; i-- > 0;) {
		struct slots_worker *w = &slots->workers[i];

		if (w->role == SLOT_FRONT && slots_in_line(w, line) &&
		    is_idle(w, now)) {
			drain(w);
			return;
		}
	}
}

static void tick_number(struct slots *slots, const struct slots_line *line,
			uint64_t now)
{
	struct slots_view view = {
		.min = slots->limits.front_min,
		.max = slots->limits.front_max,
		.reserve = slots->limits.front_min + slots->limits.back,
		.serving = count_line(slots, line, SLOT_FRONT, true),
		.free_slots = free_slots(slots),
	};
	int i;

	view.starting =
		count_line(slots, line, SLOT_FRONT, false) - view.serving;
	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (slots->workers[i].role == SLOT_FRONT &&
		    slots_in_line(&slots->workers[i], line) &&
		    is_idle(&slots->workers[i], now))
			view.idle++;
	if (view.idle <= 1 || view.serving <= view.min)
		slots->surplus_since = now;
	view.idle_ms = ms_since(now, slots->surplus_since);
	switch (slots_advise(&view)) {
	case SLOTS_GROW:
		if (line->gen && gen_alive(line->gen) &&
		    now >= slots->resume_ns)
			fork_one(slots, line, SLOT_FRONT);
		break;
	case SLOTS_RETIRE:
		/* the others one at a time, a little later */
		slots->surplus_since +=
			(SLOTS_RETIRE_MS / 10) * CLOCK_NS_PER_MS;
		retire_one(slots, line, now);
		break;
	case SLOTS_STAY:
		break;
	}
}

/* --- each one ----------------------------------------------------------- */

/*
 * Takes hold of the process that entered itself in a slot. What stands there
 * may be a lie: who is not the scan user's is no worker.
 */
static bool seize(struct slots_worker *w)
{
	struct slot *slot = board(w);
	struct proc_id id = {
		.pid = atomic_load(&slot->pid),
		.start = atomic_load(&slot->start),
	};

	w->pid = id.pid;
	w->start = id.start;
	if (id.pid > 1 && proc_alive(&id) && trusted(w->slots, id.pid))
		w->pidfd = proc_pidfd(&id);
	if (w->pidfd < 0)
		return false;
	w->exited =
		loop_fd(w->slots->loop, w->pidfd, LOOP_READ, worker_exited, w);
	return true;
}

/* Asked for, and its generation died before it could tell of it. */
static void tick_forking(struct slots_worker *w, uint64_t now)
{
	if (gen_alive(w->gen) || ms_since(now, w->since_ns) < ORPHAN_MS)
		return;
	if (seize(w))
		enter(w, SLOTS_STARTING);
	else
		forget(w);
}

static void tick_one(struct slots_worker *w, uint64_t now)
{
	struct slot *slot = board(w);
	uint64_t scan_start = atomic_load(&slot->scan_start_ns);
	uint64_t scan_ms = scan_start ? ms_since(now, scan_start) : 0;
	uint64_t beat = atomic_load(&slot->beat_ns);
	/* A low one gets to work seldom. */
	uint64_t patience = w->role == SLOT_LOW ? SCANJOB_LOW_PATIENCE : 1;
	uint64_t limit =
		w->slots->limits.scan_timeout_ms * patience + SCAN_GRACE_MS;

	if (w->state == SLOTS_FREE || w->state == SLOTS_KILLED)
		return;
	if (w->state == SLOTS_FORKING) {
		tick_forking(w, now);
		return;
	}
	if (w->state == SLOTS_STARTING && beat != w->first_beat) {
		enter(w, SLOTS_SERVING);
		slots_priority_serving(w);
		w->slots->events.serving(w, w->slots->arg);
		if (atomic_load(&slot->drain))
			drain(w);
	}
	if (w->state == SLOTS_SERVING && ms_since(now, w->since_ns) > WELL_MS)
		w->slots->pause_ms = 0;
	slots_priority_tick(w, scan_start ? scan_ms + 1 : 0);
	if (atomic_load(&slot->role) != w->role) {
		kill_worker(w, "its slot says that it is none");
	} else if (scan_start && scan_ms > limit) {
		w->overdue = true;
		kill_worker(w, "its scan is past ScanTimeout");
	} else if (w->state == SLOTS_STARTING &&
		   ms_since(now, w->since_ns) > START_MS) {
		pause_starts(w->slots);
		kill_worker(w, "it did not start");
	} else if (!scan_start && w->state == SLOTS_DRAINING &&
		   ms_since(now, w->since_ns) > DRAIN_IDLE_MS) {
		kill_worker(w, "it did not end when told to");
	} else if (!scan_start && w->state == SLOTS_SERVING &&
		   ms_since(now, beat) > LIFELESS_MS * patience) {
		kill_worker(w, "it shows no life");
	}
}

void slots_tick(struct slots *slots, const struct slots_line *line)
{
	uint64_t now = clock_mono_ns();
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slots_worker *w = &slots->workers[i];

		tick_one(w, now);
		if (w->role == SLOT_LOW && w->state == SLOTS_SERVING &&
		    !wants_low(slots))
			drain(w);
	}
	if (line && line->gen && gen_alive(line->gen)) {
		slots_fill(slots, line);
		tick_number(slots, line, now);
	}
}

void slots_drain_others(struct slots *slots, const struct slots_line *line)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++)
		if (!slots_in_line(&slots->workers[i], line))
			drain(&slots->workers[i]);
}

void slots_kill_all(struct slots *slots)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slots_worker *w = &slots->workers[i];

		if (w->state != SLOTS_FREE && w->state != SLOTS_FORKING)
			kill_worker(w, "the end");
	}
}

void slots_free(struct slots **slots)
{
	int i;

	if (!*slots)
		return;
	slots_kill_all(*slots);
	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slots_worker *w = &(*slots)->workers[i];

		loop_cancel(&w->readable);
		loop_cancel(&w->exited);
		fd_close(&w->sock);
		fd_close(&w->pidfd);
	}
	xfree(slots);
}

/* --- what an earlier master left ---------------------------------------- */

static void adopt_slot(struct slots *slots, int n)
{
	struct slots_worker *w = &slots->workers[n];

	w->role = (enum slot_role)atomic_load(&board(w)->role);
	w->gen = NULL;
	w->policy_generation = 0;
	enter(w, SLOTS_SERVING);
	if (seize(w)) {
		log_info("worker slot=%d pid=%d found at work", n, w->pid);
		return;
	}
	log_info("worker slot=%d pid=%d was left behind dead", n, w->pid);
	w->told_why = true;
	bury(w);
}

void slots_adopt(struct slots *slots)
{
	int i;

	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slot *slot = &slots->sb->slots[i];
		uint32_t role = atomic_load(&slot->role);

		if (role == SLOT_UNUSED)
			continue;
		if (role != SLOT_FRONT && role != SLOT_BACK && role != SLOT_LOW)
			scoreboard_release(slots->sb, i);
		else if (slots->workers[i].state == SLOTS_FREE)
			adopt_slot(slots, i);
	}
}
