/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/adopt.h"
#include "common/control.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "supervisor.h"

#define STOP_PATIENCE_NS (10 * CLOCK_NS_PER_S)
#define WELL_NS (60 * CLOCK_NS_PER_S)
/* Without a beat for so long: told as stalled, ended; a start may be slow. */
#define STALLED_TICKS (2000 / SUPERVISOR_TICK_MS)
#define STUCK_TICKS (30000 / SUPERVISOR_TICK_MS)
#define START_STUCK_TICKS (60000 / SUPERVISOR_TICK_MS)

/* Pauses before a start, by how often it ended within WELL_NS. */
static const unsigned int pause_ms[] = {0,    200,   500,   1000, 2000,
					5000, 10000, 20000, 30000};

void part_init(struct part *part, struct supervisor *sup, const char *name,
	       struct part_place place, void (*exec)(struct supervisor *))
{
	memset(part, 0, sizeof(*part));
	part->sup = sup;
	part->name = name;
	part->place = place;
	part->exec = exec;
	part->pidfd = -1;
	part->last_status = -1;
}

void part_deinit(struct part *part)
{
	loop_cancel(&part->ended);
	fd_close(&part->pidfd);
}

char *part_status_text(int wait_status, char *out, size_t size)
{
	if (wait_status == -1)
		snprintf(out, size, "unknown status");
	else if (WIFSIGNALED(wait_status))
		snprintf(out, size, "signal %d (%s)", WTERMSIG(wait_status),
			 strsignal(WTERMSIG(wait_status)));
	else
		snprintf(out, size, "exit status %d", WEXITSTATUS(wait_status));
	return out;
}

static void pidfd_ready(int fd, int what, void *arg)
{
	(void)fd, (void)what;
	part_look(arg);
}

/* Holds the process `id` from now on. */
static int hold(struct part *part, const struct proc_id *id)
{
	int fd = proc_pidfd(id);

	if (fd < 0)
		return -1;
	part->pidfd = fd_move(fd, SUPERVISOR_FD_FLOOR);
	if (part->pidfd < 0) {
		close(fd);
		return -1;
	}
	part->id = *id;
	part->state = PART_RUNNING;
	part->started_ns = clock_mono_ns();
	part->last_beat = atomic_load(part->place.beat_ns);
	part->beatless = 0;
	part->ended = loop_fd(part->sup->loop, part->pidfd, LOOP_READ,
			      pidfd_ready, part);
	return 0;
}

/*
 * The child enters itself: whoever adopts the suite while it starts knows it
 * already. Its first beat, which it gives itself, tells that it is ready.
 */
static void __attribute__((noreturn)) child(struct part *part)
{
	struct scoreboard *sb = part->sup->sb;
	int fd;

	setsid();
	scoreboard_exempt(sb, getpid());
	scoreboard_enter_at(part->place.pid, part->place.start,
			    part->place.beat_ns);
	atomic_store(part->place.beat_ns, 0);
	/* Asked for before it can be handled, a reload must not end it. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	for (fd = 0; fd < INHERIT_COUNT; fd++)
		fd_set_cloexec(fd, false);
	close_range(INHERIT_COUNT, ~0U, 0);
	part->exec(part->sup);
	log_error("%s exec: %m", part->name);
	_exit(127);
}

static void pause_next(struct part *part)
{
	size_t last = sizeof(pause_ms) / sizeof(pause_ms[0]) - 1;
	unsigned int ms = pause_ms[part->pauses < last ? part->pauses : last];

	part->pauses++;
	part->state = PART_PAUSING;
	part->resume_ns = clock_mono_ns() + ms * CLOCK_NS_PER_MS;
}

static int spawn(struct part *part, struct err *err)
{
	struct proc_id id;
	pid_t pid = adopt_fork();

	if (pid == 0)
		child(part);
	if (pid < 0)
		return err_set(err, errno, "fork");
	/* Not waited for, so at least a zombie of it is there. */
	if (proc_identify(pid, &id) < 0 || hold(part, &id) < 0) {
		err_set(err, errno, "%s ended at once", part->name);
		kill(pid, SIGKILL);
		while (waitpid(pid, &part->last_status, 0) < 0 &&
		       errno == EINTR)
			;
		scoreboard_unexempt(part->sup->sb, pid);
		return -1;
	}
	part->last_beat = 0;
	log_info("%s started pid=%d", part->name, pid);
	return 0;
}

static int start_now(struct part *part, struct err *err)
{
	if (spawn(part, err) == 0)
		return 0;
	part->deaths++;
	pause_next(part);
	return -1;
}

int part_start(struct part *part, struct err *err)
{
	if (part->state == PART_RUNNING)
		return 0;
	if (part->state == PART_STOPPING)
		return err_set(err, 0, "%s is just being stopped", part->name);
	if (part->state == PART_STOPPED)
		part->pauses = 0;
	return start_now(part, err);
}

bool part_adopt(struct part *part)
{
	struct proc_id id = {
		.pid = atomic_load(part->place.pid),
		.start = atomic_load(part->place.start),
	};

	part->deaths = atomic_load(part->place.restarts);
	/* Workers can write there: nobody else's process is ever ended. */
	if (!proc_runs(&id, part->name) || hold(part, &id) < 0)
		return false;
	log_info("%s adopted pid=%d", part->name, id.pid);
	return true;
}

void part_signal(struct part *part, int sig)
{
	if (part->pidfd >= 0)
		proc_signal(part->pidfd, sig);
}

void part_stop(struct part *part)
{
	switch (part->state) {
	case PART_PAUSING:
		part->state = PART_STOPPED;
		break;
	case PART_RUNNING:
		part->state = PART_STOPPING;
		part->kill_ns = clock_mono_ns() + STOP_PATIENCE_NS;
		part_signal(part, SIGTERM);
		part_signal(part, SIGCONT); /* it may have been stopped */
		break;
	default:
		break;
	}
}

/* The process is gone; what follows depends on whether that was asked for. */
static void gone(struct part *part, int wait_status)
{
	bool asked = part->state == PART_STOPPING;
	char text[64];

	part_status_text(wait_status, text, sizeof(text));
	if (asked)
		log_info("%s stopped pid=%d", part->name, part->id.pid);
	else
		log_error("%s ended pid=%d: %s", part->name, part->id.pid,
			  text);
	loop_cancel(&part->ended);
	fd_close(&part->pidfd);
	scoreboard_unexempt(part->sup->sb, part->id.pid);
	part->id.pid = 0;
	part->last_status = wait_status;
	atomic_store(part->place.last_status, wait_status);
	if (asked) {
		part->state = PART_STOPPED;
	} else {
		part->deaths++;
		atomic_store(part->place.restarts, part->deaths);
		if (clock_mono_ns() - part->started_ns >= WELL_NS)
			part->pauses = 0;
		pause_next(part);
	}
	supervisor_part_gone(part->sup, part, wait_status);
}

void part_reaped(struct part *part, int wait_status)
{
	gone(part, wait_status);
}

void part_look(struct part *part)
{
	int status = -1;
	pid_t pid;

	if (part->pidfd < 0 || proc_alive(&part->id))
		return;
	pid = waitpid(part->id.pid, &status, WNOHANG);
	if (pid == 0)
		return; /* a child whose end is still under way */
	gone(part, pid == part->id.pid ? status : -1);
}

static void tick_beats(struct part *part)
{
	uint64_t beat = atomic_load(part->place.beat_ns);

	/*
	 * Counted in ticks of ours, not by the clock: when the whole machine
	 * or group of processes stood still, nobody is to blame.
	 */
	if (beat != part->last_beat) {
		part->last_beat = beat;
		part->beatless = 0;
		return;
	}
	part->beatless++;
	if (part->beatless == STALLED_TICKS && beat)
		log_warn("%s stalled pid=%d", part->name, part->id.pid);
	if (part->beatless < (!beat	       ? START_STUCK_TICKS
			      : part->patience ? part->patience
					       : STUCK_TICKS))
		return;
	log_error("%s stuck pid=%d: it is killed and started anew", part->name,
		  part->id.pid);
	part->beatless = 0;
	part_signal(part, SIGKILL);
}

void part_tick(struct part *part, uint64_t now_ns)
{
	struct err err;

	switch (part->state) {
	case PART_PAUSING:
		if (now_ns >= part->resume_ns && start_now(part, &err))
			log_error("%s start: %s", part->name, err.text);
		break;
	case PART_RUNNING:
		tick_beats(part);
		break;
	case PART_STOPPING:
		if (now_ns < part->kill_ns)
			break;
		log_warn("%s does not end pid=%d: it is killed", part->name,
			 part->id.pid);
		part->kill_ns = now_ns + STOP_PATIENCE_NS;
		part_signal(part, SIGKILL);
		break;
	case PART_STOPPED:
		break;
	}
}

bool part_ready(const struct part *part)
{
	return part->state == PART_RUNNING &&
	       atomic_load(part->place.beat_ns) != 0;
}

const char *part_state_name(const struct part *part)
{
	switch (part->state) {
	case PART_RUNNING:
		if (!part_ready(part))
			return "starting";
		return part->beatless >= STALLED_TICKS ? "stalled" : "running";
	case PART_PAUSING:
		return "restarting";
	case PART_STOPPING:
		return "stopping";
	default:
		return "stopped";
	}
}
