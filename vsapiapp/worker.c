// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "worker_in.h"

/* The longest sleep: the beat must not stand still for 500 ms. */
#define SLEEP_MS 250
/* How long the master may take to tell an opener's program, and how long it
 * is not asked again when it did not. */
#define ASK_MS 200
#define ASK_PAUSE_MS 5000
/* Without a sign of supervisor and master for so long a worker ends. */
#define ALONE_MS 60000
/* Descriptors that may be ready at once and are told of: one for each kind is
 * enough, the kernel goes on with others the next time. */
#define READY_MAX 4
/* A scan this long may have had our priority lowered. */
#define LONG_SCAN_MS 500

void worker_count(struct worker *w, enum counter_id id)
{
	atomic_fetch_add_explicit(&w->slot->counters[id], 1,
				  memory_order_relaxed);
}

void worker_listen(struct worker *w, int fd, bool exclusive)
{
	struct epoll_event ev = {
		.events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0u),
		.data.fd = fd,
	};

	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		panic("epoll_ctl(add %d): %m", fd);
}

void worker_unlisten(struct worker *w, int fd)
{
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* The master ----------------------------------------------------------------
 */

bool worker_tell(struct worker *w, const struct work_msg *msg, int fd)
{
	return w->s.master_sock >= 0 &&
	       fd_send(w->s.master_sock, msg, sizeof(*msg), &fd,
		       fd >= 0 ? 1 : 0, MSG_DONTWAIT) == 0;
}

bool worker_tell_keys(struct worker *w, const struct work_keys *keys,
		      unsigned int count, uint64_t forgets)
{
	struct work_keys record = *keys;

	record.first.kind = WORK_REMEMBER;
	record.first.epoch = w->s.epoch;
	record.first.job = count;
	record.first.ino = forgets;
	return w->s.master_sock >= 0 &&
	       fd_send(w->s.master_sock, &record,
		       sizeof(record.first) +
			       (count - 1) * sizeof(record.more[0]),
		       NULL, 0, MSG_DONTWAIT) == 0;
}

static void lose_master(struct worker *w)
{
	worker_unlisten(w, w->s.master_sock);
	fd_close(&w->s.master_sock);
}

/*
 * Takes one message: 1 and *msg_r for a WORK_EXE, 0 for any other (done here),
 * -1 when there is none.
 */
static int take_message(struct worker *w, struct work_msg *msg_r)
{
	int fds[FD_PASS_MAX], nfds = 0, rc = 0;
	ssize_t len = fd_recv(w->s.master_sock, msg_r, sizeof(*msg_r), fds,
			      &nfds, MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (len == 0 || (len < 0 && errno != EMSGSIZE)) {
		lose_master(w);
		return -1;
	}
	if (len != (ssize_t)sizeof(*msg_r)) {
		log_warn("message of the master: %zd bytes", len);
	} else if (msg_r->kind == WORK_CLIENT && nfds == 1 &&
		   w->s.role != SLOT_FRONT) {
		jobs_add(w, fds[0], msg_r->job, msg_r->ino);
		nfds = 0;
	} else if (msg_r->kind == WORK_DRAIN) {
		w->draining = true;
	} else if (msg_r->kind == WORK_EXE) {
		rc = 1;
	}
	for (int i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	return rc;
}

static void take_messages(struct worker *w)
{
	struct work_msg msg;

	while (w->s.master_sock >= 0 && take_message(w, &msg) >= 0)
		;
}

bool worker_ask_excluded(struct worker *w, pid_t pid)
{
	struct work_msg msg = {.kind = WORK_ASK_EXE, .pid = pid};
	uint64_t now = clock_mono_ns();
	uint64_t end = now + ASK_MS * CLOCK_NS_PER_MS;

	if (pid <= 0 || now < w->no_asking_until_ns ||
	    !worker_tell(w, &msg, -1))
		return false;
	while (w->s.master_sock >= 0 && (now = clock_mono_ns()) < end) {
		struct pollfd p = {.fd = w->s.master_sock, .events = POLLIN};

		poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1);
		/* An answer that came too late for another is passed over. */
		if (take_message(w, &msg) == 1 && msg.pid == pid)
			return msg.job == 1;
	}
	w->no_asking_until_ns = end + ASK_PAUSE_MS * CLOCK_NS_PER_MS;
	return false;
}

/* When to end ----------------------------------------------------------------
 */

static bool is_left_alone(struct worker *w, uint64_t now)
{
	uint64_t supervisor = atomic_load(&w->sb->supervisor.beat_ns);
	uint64_t master = atomic_load(&w->sb->master.beat_ns);
	uint64_t last = supervisor > master ? supervisor : master;

	return now > last && now - last > ALONE_MS * CLOCK_NS_PER_MS;
}

/* Our master is gone, and another one serves with workers of its own. */
static bool is_replaced(struct worker *w)
{
	return w->s.master_sock < 0 &&
	       atomic_load(&w->sb->master.start) !=
		       atomic_load(&w->slot->master) &&
	       atomic_load(&w->sb->master_state) == MASTER_READY;
}

static void look_around(struct worker *w)
{
	uint64_t now = clock_mono_ns();

	atomic_store(&w->slot->beat_ns, now);
	if (w->draining)
		return;
	if (atomic_load(&w->slot->drain) || atomic_load(&w->sb->quit))
		w->draining = true;
	else if (is_replaced(w) || is_left_alone(w, now)) {
		log_info("worker ends: its master is gone");
		w->draining = true;
	}
}

static bool is_done(const struct worker *w)
{
	return w->draining && (w->busy == 0 || atomic_load(&w->sb->quit) != 0);
}

/* The loop --------------------------------------------------------------------
 */

static int patience(struct worker *w)
{
	int ms = w->s.role == SLOT_FRONT ? front_patience(w) : back_patience(w);
	int memory_ms = memory_patience(w);

	if (ms < 0 || ms > SLEEP_MS)
		ms = SLEEP_MS;
	return memory_ms >= 0 && memory_ms < ms ? memory_ms : ms;
}

/* After a long scan: the master may have made others go first meanwhile. */
static void ask_priority_back(struct worker *w, uint64_t turn_ns)
{
	struct work_msg msg = {.kind = WORK_NICE};

	if (turn_ns > LONG_SCAN_MS * CLOCK_NS_PER_MS &&
	    getpriority(PRIO_PROCESS, 0) > 0)
		worker_tell(w, &msg, -1);
}

static void turn(struct worker *w)
{
	struct epoll_event ev[READY_MAX];
	uint64_t start;
	int n = epoll_wait(w->epoll, ev, READY_MAX, patience(w));

	if (n < 0 && errno != EINTR)
		panic("epoll_wait: %m");
	start = clock_mono_ns();
	look_around(w);
	for (int i = 0; i < n; i++)
		if (ev[i].data.fd == w->s.master_sock)
			take_messages(w);
	report_flush(w);
	if (w->s.role == SLOT_FRONT)
		front_turn(w);
	else
		back_turn(w);
	if (w->s.role == SLOT_FRONT)
		khm_turn(w);
	memory_flush(w, false);
	ask_priority_back(w, clock_mono_ns() - start);
}

static void begin(struct worker *w)
{
	report_begin(w);
	memory_begin(w);
	if (w->s.master_sock >= 0)
		worker_listen(w, w->s.master_sock, false);
	if (w->s.role == SLOT_FRONT)
		front_begin(w);
	else
		back_begin(w);
	khm_begin(w);
}

static void end(struct worker *w)
{
	if (w->s.role == SLOT_FRONT)
		front_end(w);
	else
		back_end(w);
	memory_end(w);
	report_end(w);
}

static int prepare(struct worker *w, struct err *err)
{
	struct log_sinks sinks = {.fd = -1, .file_fd = -1};

	if (worker_own_descriptors(&w->s, err) < 0)
		return -1;
	sinks.fd = w->s.log_sock;
	sinks.to_stderr = w->s.log_sock < 0;
	log_init("vsapiapp: worker", &sinks,
		 (enum log_level)w->s.conf->log_level);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll >= 0)
		w->epoll = fd_move(w->epoll, WORKER_FLOOR);
	if (w->epoll < 0)
		return err_set(err, errno, "epoll_create1");
	return worker_walls(&w->s, err);
}

void worker_run(const struct worker_setup *setup)
{
	struct worker w = {
		.s = *setup,
		.sb = setup->sb,
		.slot = &setup->sb->slots[setup->slot],
		.holds = setup->sb->holds[setup->slot],
		.evictable = true,
	};
	struct err err;

	proc_title_set("vsapiapp: %s worker %d",
		       setup->role == SLOT_FRONT ? "front"
		       : setup->role == SLOT_LOW ? "low"
						 : "back",
		       setup->slot);
	if (prepare(&w, &err) < 0) {
		log_error("worker cannot start: %s", err.text);
		_exit(1);
	}
	begin(&w);
	while (!is_done(&w))
		turn(&w);
	end(&w);
	_exit(0);
}
