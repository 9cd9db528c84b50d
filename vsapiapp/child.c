/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"

#define HAND_OUTPUT_MAX (16u << 20)

struct hand {
	pid_t pid;
	int pidfd;
	int out; /* memfd */
	struct scoreboard *sb;
	hand_done_fn done;
	void *arg;
	struct loop_event *exited;
	struct loop_event *limit;
};

/* A terminal's Ctrl-C and hang-up go to every process of the group: what
 * they mean for the children is the master's to say. */
static void signals_to_default(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t child_fork(int *pidfd_r)
{
	pid_t parent = getpid();
	sigset_t all, before;
	pid_t pid;

	/* A signal that is meant for the parent's loop must not get there
	 * through the child, which shares it until the exec or the exit. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -1;
	if (pid == 0) {
		signals_to_default();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		return 0;
	}
	*pidfd_r = pidfd_open(pid, 0);
	if (*pidfd_r < 0) {
		int e = errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = e;
		return -1;
	}
	return pid;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void child_close_others(int *keep, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;
	size_t i;

	qsort(keep, n, sizeof(*keep), by_number);
	for (i = 0; i < n; i++) {
		unsigned int fd;

		if (keep[i] < 0)
			continue;
		fd = (unsigned int)keep[i];
		if (fd > from)
			close_range(from, fd - 1, 0);
		if (fd >= from)
			from = fd + 1;
	}
	close_range(from, ~0u, 0);
}

/* Everything but the process itself, which has been waited for. */
static void hand_release(struct hand *hand)
{
	loop_cancel(&hand->exited);
	loop_cancel(&hand->limit);
	scoreboard_unexempt(hand->sb, hand->pid);
	fd_close(&hand->pidfd);
	fd_close(&hand->out);
	free(hand);
}

static char *hand_output(const struct hand *hand, size_t *len_r)
{
	struct stat st;
	char *data;

	*len_r = 0;
	if (fstat(hand->out, &st) || st.st_size <= 0 ||
	    st.st_size > (off_t)HAND_OUTPUT_MAX)
		return xstrdup("");
	data = xmalloc((size_t)st.st_size + 1);
	if (lseek(hand->out, 0, SEEK_SET) ||
	    fd_read_all(hand->out, data, (size_t)st.st_size)) {
		data[0] = '\0';
		return data;
	}
	*len_r = (size_t)st.st_size;
	data[*len_r] = '\0';
	return data;
}

static void hand_exited(int fd, int what, void *arg)
{
	struct hand *hand = arg;
	hand_done_fn done = hand->done;
	void *done_arg = hand->arg;
	int status = 0;
	size_t len;
	char *data;

	if (waitpid(hand->pid, &status, WNOHANG) == 0)
		return;
	data = hand_output(hand, &len);
	hand_release(hand);
	done(WIFEXITED(status) ? WEXITSTATUS(status) : -1, data, len, done_arg);
	free(data);
}

static void hand_too_long(void *arg)
{
	struct hand *hand = arg;

	proc_signal(hand->pidfd, SIGKILL);
}

struct hand *hand_start(struct loop *loop, struct scoreboard *sb,
			uint64_t limit_ms, hand_fn fn, hand_done_fn done,
			void *arg, struct err *err)
{
	struct hand *hand = xcalloc(1, sizeof(*hand));

	hand->sb = sb;
	hand->done = done;
	hand->arg = arg;
	hand->out = memfd_create("hand", MFD_CLOEXEC);
	if (hand->out < 0) {
		err_set(err, errno, "memfd_create");
		free(hand);
		return NULL;
	}
	hand->pid = child_fork(&hand->pidfd);
	if (hand->pid < 0) {
		err_set(err, errno, "fork");
		fd_close(&hand->out);
		free(hand);
		return NULL;
	}
	if (hand->pid == 0) {
		scoreboard_exempt(sb, getpid());
		_exit(fn(hand->out, arg));
	}
	hand->exited = loop_fd(loop, hand->pidfd, LOOP_READ, hand_exited, hand);
	hand->limit = loop_timer(loop, limit_ms, false, hand_too_long, hand);
	return hand;
}

void hand_kill(struct hand *hand)
{
	if (hand)
		proc_signal(hand->pidfd, SIGKILL);
}

void hand_leave(struct hand **hand)
{
	if (!*hand)
		return;
	hand_kill(*hand);
	waitpid((*hand)->pid, NULL, WNOHANG);
	hand_release(*hand);
	*hand = NULL;
}

void hand_cancel(struct hand **hand)
{
	if (!*hand)
		return;
	proc_signal((*hand)->pidfd, SIGKILL);
	waitpid((*hand)->pid, NULL, 0);
	hand_release(*hand);
	*hand = NULL;
}
