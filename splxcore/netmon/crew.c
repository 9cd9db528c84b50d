/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/control.h"
#include "judge.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "looker.h"

#define REPORT_ROOM (1 << 20)
#define LOOKER_PAUSE_NS (1 * CLOCK_NS_PER_S)

int crew_init(struct crew *crew, struct err *err)
{
	int room = REPORT_ROOM;

	if (pipe2(crew->life, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe2");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, crew->report) < 0)
		return err_set(err, errno, "socketpair");
	if (setsockopt(crew->report[1], SOL_SOCKET, SO_SNDBUFFORCE, &room,
		       sizeof(room)))
		setsockopt(crew->report[1], SOL_SOCKET, SO_SNDBUF, &room,
			   sizeof(room));
	return 0;
}

static void drop_seat(struct crew_member *m)
{
	if (m->seat)
		munmap(m->seat, sizeof(*m->seat));
	memset(m, 0, sizeof(*m));
}

static void end_one(struct crew *crew, pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (crew->leave)
		crew->leave(*pid, crew->arg);
	*pid = 0;
}

void crew_deinit(struct crew *crew)
{
	int i;

	for (i = 0; i < CREW_PLACES; i++) {
		end_one(crew, &crew->judges[i].pid);
		drop_seat(&crew->judges[i]);
	}
	/* The looker hands on what it has, and ends by itself. */
	fd_close(&crew->report[1]);
	fd_close(&crew->life[1]);
	for (i = 0; crew->looker > 0 && i < 100; i++) {
		if (waitpid(crew->looker, NULL, WNOHANG) != 0)
			crew->looker = 0;
		else
			usleep(10000);
	}
	end_one(crew, &crew->looker);
	fd_close(&crew->life[0]);
	fd_close(&crew->report[0]);
}

/* Standard descriptors, the log and what is named stay open. */
static void close_others(const int *keep, size_t n)
{
	int fd, last = 0;
	size_t i;

	for (i = 0; i < n; i++)
		last = keep[i] > last ? keep[i] : last;
	for (fd = STDERR_FILENO + 1; fd <= last; fd++) {
		bool kept = fd == INHERIT_LOG;

		for (i = 0; i < n; i++)
			kept |= fd == keep[i];
		if (!kept)
			close(fd);
	}
	close_range((unsigned int)last + 1, ~0u, 0);
}

static pid_t fork_one(struct crew *crew)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		if (crew->enter)
			crew->enter(getpid(), crew->arg);
		sigemptyset(&old);
		signal(SIGPIPE, SIG_IGN);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static void __attribute__((noreturn))
be_judge(struct crew *crew, struct seat *seat)
{
	struct judge_job job = {
		.seat = seat,
		.queue = crew->queue,
		.mark = crew->mark,
		.uid = crew->uid,
		.gid = crew->gid,
		.queue_fd = crew->queue_fd,
		.report_fd = crew->report[1],
		.life_fd = crew->life[0],
	};
	int keep[] = {job.queue_fd, job.report_fd, job.life_fd};

	proc_title_set("splxnetmon: judge");
	close_others(keep, sizeof(keep) / sizeof(*keep));
	_exit(judge_run(&job));
}

int crew_fork_judge(struct crew *crew, struct err *err)
{
	struct crew_member *m = &crew->judges[CREW_NEXT];

	end_one(crew, &m->pid);
	drop_seat(m);
	m->seat = mmap(NULL, sizeof(*m->seat), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->seat == MAP_FAILED) {
		m->seat = NULL;
		return err_set(err, errno, "mmap");
	}
	atomic_store(&m->seat->released, crew->released);
	m->since_ns = clock_mono_ns();
	m->pid = fork_one(crew);
	if (m->pid == 0)
		be_judge(crew, m->seat);
	if (m->pid < 0) {
		err_set(err, errno, "fork");
		drop_seat(m);
		return -1;
	}
	return 0;
}

void crew_change(struct crew *crew)
{
	struct crew_member *judge = &crew->judges[CREW_JUDGE];
	struct crew_member *old = &crew->judges[CREW_OLD];

	if (judge->pid) {
		end_one(crew, &old->pid);
		drop_seat(old);
		*old = *judge;
		atomic_store(&old->seat->leave, 1);
	} else {
		drop_seat(judge);
	}
	*judge = crew->judges[CREW_NEXT];
	memset(&crew->judges[CREW_NEXT], 0, sizeof(*judge));
}

static void __attribute__((noreturn)) be_looker(struct crew *crew)
{
	struct looker_job job = {
		.uid = crew->uid,
		.gid = crew->gid,
		.from_fd = crew->report[0],
		.to_fd = crew->to_fd,
		.life_fd = crew->life[0],
	};
	int keep[] = {job.from_fd, job.life_fd, job.to_fd};

	proc_title_set("splxnetmon: looker");
	close_others(keep, sizeof(keep) / sizeof(*keep));
	_exit(looker_run(&job));
}

void crew_need_looker(struct crew *crew, uint64_t now_ns)
{
	if (crew->looker > 0 ||
	    (crew->looker_ns && now_ns - crew->looker_ns < LOOKER_PAUSE_NS))
		return;
	crew->looker_ns = now_ns;
	crew->looker = fork_one(crew);
	if (crew->looker == 0)
		be_looker(crew);
}

void crew_reap(struct crew *crew,
	       void (*ended)(enum crew_place place, int wait_status, void *arg),
	       void *arg)
{
	int status, i;

	if (crew->looker > 0 &&
	    waitpid(crew->looker, &status, WNOHANG) == crew->looker) {
		log_warn("network: looker ended pid=%d", (int)crew->looker);
		if (crew->leave)
			crew->leave(crew->looker, crew->arg);
		crew->looker = 0;
	}
	for (i = 0; i < CREW_PLACES; i++) {
		struct crew_member *m = &crew->judges[i];

		if (m->pid <= 0 || waitpid(m->pid, &status, WNOHANG) != m->pid)
			continue;
		if (crew->leave)
			crew->leave(m->pid, crew->arg);
		m->pid = 0;
		ended((enum crew_place)i, status, arg);
	}
}

void crew_released(struct crew *crew, uint32_t id)
{
	int i;

	crew->released = 1ull << 32 | id;
	for (i = 0; i < CREW_PLACES; i++)
		if (crew->judges[i].seat)
			atomic_store(&crew->judges[i].seat->released,
				     crew->released);
}

bool crew_judging(const struct crew *crew)
{
	const struct crew_member *m = &crew->judges[CREW_JUDGE];

	return m->pid > 0 && atomic_load(&m->seat->state) == SEAT_JUDGING;
}
