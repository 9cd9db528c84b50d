/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "pattern_wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"

#define SAID_MAX 65536
#define TICK_MS 300
#define END_MS 10 /* it has nothing more to say */
/* Nothing that it limits itself by ends a process that is stopped. */
#define STOPPED_MS 20000

struct times {
	struct proc_id id;
	uint64_t begin, tick, stopped; /* ns; stopped 0: it is not */
};

/* What it says; 1 at the end of that, -1 and *err. */
static int hear(int in, struct str *said, struct err *err)
{
	char buf[4096];
	ssize_t n = read(in, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EINTR))
		return 1;
	if (n > 0 && said->len + (size_t)n > SAID_MAX)
		return err_set(err, 0, "it says too much");
	if (n > 0)
		str_addn(said, buf, (size_t)n);
	return 0;
}

static int check(const struct pattern_wait *w, struct times *t, struct err *err)
{
	uint64_t now = clock_mono_ns();

	if (now - t->tick < TICK_MS * CLOCK_NS_PER_MS)
		return 0;
	t->tick = now;
	if (!proc_stopped(&t->id))
		t->stopped = 0;
	else if (!t->stopped)
		t->stopped = now;
	else if (now - t->stopped > STOPPED_MS * CLOCK_NS_PER_MS)
		return err_set(err, 0, "it was stopped (SIGSTOP), and killed");
	if (w->limit_ms && now - t->begin > w->limit_ms * CLOCK_NS_PER_MS)
		return err_set(err, 0, "it took too long");
	return w->tick ? w->tick(w->arg, err) : 0;
}

/* It may have closed its mouth long before its end. */
static int attend(const struct pattern_wait *w, struct str *said, int *status_r,
		  struct err *err)
{
	struct pollfd p = {.fd = w->in, .events = POLLIN};
	struct times t = {.begin = clock_mono_ns()};
	int rc;

	t.tick = t.begin;
	/* One that has ended is no process that could be stopped. */
	(void)!proc_identify(w->pid, &t.id);
	for (;;) {
		if (poll(&p, 1, p.fd < 0 ? END_MS : TICK_MS) > 0) {
			rc = hear(w->in, said, err);
			if (rc < 0)
				return -1;
			if (rc > 0)
				p.fd = -1;
		}
		if (p.fd < 0 && waitpid(w->pid, status_r, WNOHANG) == w->pid)
			return 0;
		if (check(w, &t, err) < 0)
			return -1;
	}
}

int pattern_wait(struct pattern_wait *w, struct str *said, int *status_r,
		 struct err *err)
{
	int rc = attend(w, said, status_r, err);

	fd_close(&w->in);
	if (rc == 0)
		return 0;
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, status_r, 0) < 0 && errno == EINTR)
		;
	return -1;
}
