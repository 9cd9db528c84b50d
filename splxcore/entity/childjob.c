/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "childjob.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"

#define KEEP_MAX 16
#define CANCEL_WAIT_MS 1000
#define KILL_GRACE_MS 1000
#define LEFT_MAX 64

/* In memory that parent and child share; the result follows. */
struct shared {
	_Atomic int finished;
	max_align_t result[];
};

struct childjob {
	struct loop *loop;
	struct childjob_work work;
	struct shared *shared;
	size_t shared_size;
	pid_t pid;
	int pidfd;
	struct loop_event *exit_event;
	struct loop_event *timer;
};

static void close_between(unsigned int from, unsigned int to)
{
	if (from > to)
		return;
	if (syscall(SYS_close_range, from, to, 0) == 0)
		return;
	for (unsigned int fd = from; fd <= to && fd < 65536; fd++)
		close((int)fd);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_others(const int *fds, int nfds)
{
	int keep[KEEP_MAX] = {0};
	unsigned int from = 3;

	if (nfds) /* without any there is no array */
		memcpy(keep, fds, sizeof(*keep) * (size_t)nfds);
	qsort(keep, (size_t)nfds, sizeof(*keep), by_number);
	for (int i = 0; i < nfds; i++) {
		if (keep[i] < (int)from)
			continue;
		close_between(from, (unsigned int)keep[i] - 1);
		from = (unsigned int)keep[i] + 1;
	}
	close_between(from, ~0u);
}

/*
 * The parent's handlers write into its loop: all signals become what they
 * were born as before any is let through.
 */
static void signals_default(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child(struct childjob *job, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_default();
	if (getppid() != parent)
		_exit(1);
	close_others(job->work.fds, job->work.nfds);
	job->work.run(job->work.arg, job->shared->result);
	atomic_store(&job->shared->finished, 1);
	_exit(0);
}

static void job_free(struct childjob *job)
{
	loop_cancel(&job->exit_event);
	loop_cancel(&job->timer);
	fd_close(&job->pidfd);
	if (job->shared)
		munmap(job->shared, job->shared_size);
	free(job);
}

static void reap(struct childjob *job)
{
	while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void on_exit_event(int fd, int what, void *arg)
{
	struct childjob *job = arg;

	/* Readable once the child is over; somebody else may have reaped it,
	 * so what counts is what it left in the shared memory. */
	reap(job);
	loop_cancel(&job->exit_event);
	loop_cancel(&job->timer);
	job->work.done(job->work.arg, atomic_load(&job->shared->finished)
					      ? job->shared->result
					      : NULL);
	job_free(job);
}

/*
 * Children that no signal ends: what they wait for in a dead file system is
 * over when that is. Nobody waits for them, but somebody has to reap them.
 */
static struct {
	pid_t pids[LEFT_MAX];
} left;

static void reap_left(void)
{
	for (int i = 0; i < LEFT_MAX; i++)
		if (left.pids[i] && waitpid(left.pids[i], NULL, WNOHANG) != 0)
			left.pids[i] = 0;
}

static void leave(pid_t pid)
{
	for (int i = 0; i < LEFT_MAX; i++) {
		if (!left.pids[i]) {
			left.pids[i] = pid;
			return;
		}
	}
}

static void on_grace_over(void *arg)
{
	struct childjob *job = arg;

	loop_cancel(&job->exit_event);
	loop_cancel(&job->timer);
	leave(job->pid);
	job->work.done(job->work.arg, NULL);
	job_free(job);
}

static void on_timeout(void *arg)
{
	struct childjob *job = arg;

	proc_signal(job->pidfd, SIGKILL);
	loop_cancel(&job->timer);
	job->timer =
		loop_timer(job->loop, KILL_GRACE_MS, false, on_grace_over, job);
}

static int spawn(struct childjob *job, struct err *err)
{
	pid_t parent = getpid();
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	job->pid = fork();
	if (job->pid == 0)
		child(job, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (job->pid < 0)
		return err_set(err, errno, "fork");
	job->pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);
	if (job->pidfd < 0) {
		err_set(err, errno, "pidfd_open");
		kill(job->pid, SIGKILL);
		reap(job);
		return -1;
	}
	fd_set_cloexec(job->pidfd, true);
	return 0;
}

struct childjob *childjob_start(struct loop *loop,
				const struct childjob_work *work,
				struct err *err)
{
	struct childjob *job = xcalloc(1, sizeof(*job));

	reap_left();
	job->loop = loop;
	job->work = *work;
	job->pidfd = -1;
	job->shared_size = sizeof(*job->shared) + work->result_size;
	job->shared = mmap(NULL, job->shared_size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job->shared == MAP_FAILED) {
		err_set(err, errno, "mmap");
		job->shared = NULL;
	} else if (work->nfds > KEEP_MAX) {
		err_set(err, EMFILE, "too many descriptors");
	} else if (spawn(job, err) == 0) {
		job->exit_event = loop_fd(loop, job->pidfd, LOOP_READ,
					  on_exit_event, job);
		if (work->timeout_ms)
			job->timer = loop_timer(loop, work->timeout_ms, false,
						on_timeout, job);
		return job;
	}
	job_free(job);
	return NULL;
}

void childjob_cancel(struct childjob **job)
{
	struct pollfd p = {.events = POLLIN};

	if (!*job)
		return;
	proc_signal((*job)->pidfd, SIGKILL);
	/* One that hangs in a dead file system is not waited for. */
	p.fd = (*job)->pidfd;
	if (poll(&p, 1, CANCEL_WAIT_MS) > 0)
		reap(*job);
	else
		leave((*job)->pid);
	job_free(*job);
	*job = NULL;
}
