/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "generation.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"

struct gen {
	uint64_t number;
	pid_t pid;
	int pidfd;
	int sock;
	bool ready;
	bool failed; /* it said so, or was told to end */
	bool alive;
	unsigned int owes; /* answers */
	uint64_t waiting_since;
	json_t *about;
	uint64_t pattern_id;
	struct gen_events events;
	void *arg;
	struct loop_event *readable;
	struct loop_event *exited;
};

uint64_t gen_number(const struct gen *gen)
{
	return gen->number;
}

pid_t gen_pid(const struct gen *gen)
{
	return gen->pid;
}

bool gen_alive(const struct gen *gen)
{
	return gen->alive;
}

bool gen_is_ready(const struct gen *gen)
{
	return gen->ready;
}

const json_t *gen_describe(const struct gen *gen)
{
	return gen->about;
}

uint64_t gen_pattern_id(const struct gen *gen)
{
	return gen->pattern_id;
}

uint64_t gen_waiting_since(const struct gen *gen)
{
	return gen->waiting_since;
}

void gen_kill(struct gen *gen)
{
	if (!gen->alive)
		return;
	gen->failed = true;
	proc_signal(gen->pidfd, SIGKILL);
}

static void owes(struct gen *gen)
{
	gen->owes++;
	if (!gen->waiting_since)
		gen->waiting_since = clock_mono_ns();
}

static void has_answered(struct gen *gen)
{
	if (gen->owes)
		gen->owes--;
	gen->waiting_since = gen->owes ? clock_mono_ns() : 0;
}

/* The pid behind a pidfd as the kernel tells it, not as the sender does. */
static pid_t pid_of(int pidfd)
{
	char path[64], line[128];
	pid_t pid = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	in = fopen(path, "re");
	if (!in)
		return 0;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	fclose(in);
	return pid > 0 ? pid : 0;
}

static void on_ready(struct gen *gen, const struct gen_msg *msg)
{
	const char *id;

	has_answered(gen);
	gen->about = json_loads(msg->text, 0, NULL);
	id = json_string_value(json_object_get(gen->about, "pattern_id"));
	if (id)
		gen->pattern_id = strtoull(id, NULL, 16);
	if (!gen->about || !gen->pattern_id) {
		gen->failed = true;
		gen->events.failed(gen, "it does not tell what it loaded",
				   gen->arg);
		return;
	}
	gen->ready = true;
	gen->events.ready(gen, gen->arg);
}

static void on_message(struct gen *gen, const struct gen_msg *msg, int *fds,
		       int nfds)
{
	switch ((enum gen_kind)msg->kind) {
	case GEN_READY:
		if (!gen->ready)
			on_ready(gen, msg);
		break;
	case GEN_FAILED:
		if (gen->ready || gen->failed)
			break;
		gen->failed = true;
		gen->events.failed(gen, msg->text, gen->arg);
		break;
	case GEN_FORKED:
		has_answered(gen);
		if (msg->slot < 0 || msg->slot >= SCOREBOARD_SLOTS)
			break;
		if (nfds < 1) {
			gen->events.forked(gen, msg->slot, 0, -1, msg->text,
					   gen->arg);
			break;
		}
		gen->events.forked(gen, msg->slot, pid_of(fds[0]), fds[0], "",
				   gen->arg);
		fds[0] = -1;
		break;
	case GEN_DIED:
		if (msg->slot >= 0 && msg->slot < SCOREBOARD_SLOTS)
			gen->events.died(gen, msg->slot, msg->pid, msg->status,
					 gen->arg);
		break;
	case GEN_SETTINGS_DONE:
		has_answered(gen);
		gen->events.settings_done(gen, msg->text[0] ? msg->text : NULL,
					  gen->arg);
		break;
	default:
		break;
	}
}

/* One record; false when there was none (or the process is gone). */
static bool read_one(struct gen *gen)
{
	static struct gen_msg msg;
	int fds[FD_PASS_MAX], nfds = 0, i;
	ssize_t n =
		fd_recv(gen->sock, &msg, sizeof(msg), fds, &nfds, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EMSGSIZE);
	if (n > (ssize_t)offsetof(struct gen_msg, text)) {
		size_t len = (size_t)n - offsetof(struct gen_msg, text);

		msg.text[len - 1] = '\0';
		on_message(gen, &msg, fds, nfds);
	}
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	return true;
}

static void readable(int fd, int what, void *arg)
{
	struct gen *gen = arg;

	if (!read_one(gen) && errno != EAGAIN)
		loop_cancel(&gen->readable);
}

static void exited(int fd, int what, void *arg)
{
	struct gen *gen = arg;
	int status = 0;

	if (waitpid(gen->pid, &status, WNOHANG) == 0)
		return;
	/* its last words first */
	while (gen->readable && read_one(gen))
		;
	loop_cancel(&gen->readable);
	loop_cancel(&gen->exited);
	gen->alive = false;
	gen->waiting_since = 0;
	if (WIFSIGNALED(status) && !gen->failed)
		log_warn("generation %llu killed signal=%d",
			 (unsigned long long)gen->number, WTERMSIG(status));
	else
		log_info("generation %llu ended",
			 (unsigned long long)gen->number);
	gen->events.gone(gen, gen->arg);
}

struct gen *gen_start(struct loop *loop, const struct generation_setup *setup,
		      const struct gen_events *events, void *arg,
		      struct err *err)
{
	struct generation_setup mine = *setup;
	struct gen *gen;
	int pair[2], pidfd = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		err_set(err, errno, "socketpair");
		return NULL;
	}
	pid = child_fork(&pidfd);
	if (pid < 0) {
		err_set(err, errno, "fork");
		fd_close(&pair[0]);
		fd_close(&pair[1]);
		return NULL;
	}
	if (pid == 0) {
		mine.sock = pair[1];
		generation_run(&mine);
	}
	fd_close(&pair[1]);
	gen = xcalloc(1, sizeof(*gen));
	gen->number = setup->number;
	gen->pid = pid;
	gen->pidfd = pidfd;
	gen->sock = pair[0];
	gen->alive = true;
	gen->events = *events;
	gen->arg = arg;
	gen->readable = loop_fd(loop, gen->sock, LOOP_READ, readable, gen);
	gen->exited = loop_fd(loop, gen->pidfd, LOOP_READ, exited, gen);
	owes(gen); /* GEN_READY */
	log_info("generation %llu started pid=%d",
		 (unsigned long long)gen->number, pid);
	return gen;
}

void gen_free(struct gen **gen)
{
	struct gen *g = *gen;

	if (!g)
		return;
	loop_cancel(&g->readable);
	loop_cancel(&g->exited);
	if (g->alive) {
		proc_signal(g->pidfd, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	fd_close(&g->sock);
	fd_close(&g->pidfd);
	json_decref(g->about);
	free(g);
	*gen = NULL;
}

static int send_msg(struct gen *gen, const struct gen_msg *msg, const int *fds,
		    int nfds)
{
	if (fd_send(gen->sock, msg, offsetof(struct gen_msg, text) + 1, fds,
		    nfds, MSG_DONTWAIT | MSG_NOSIGNAL))
		return -1;
	owes(gen);
	return 0;
}

int gen_fork(struct gen *gen, int slot, enum slot_role role, int sock, int khm,
	     bool async, uint64_t policy_generation, uint64_t epoch)
{
	int fds[2] = {sock, khm};
	struct gen_msg *msg = xcalloc(1, sizeof(*msg));
	int rc;

	msg->kind = GEN_FORK;
	msg->slot = slot;
	msg->role = role;
	msg->flags = async ? GEN_FLAG_ASYNC : 0;
	msg->policy_generation = policy_generation;
	msg->epoch = epoch;
	rc = send_msg(gen, msg, fds, khm >= 0 ? 2 : 1);
	free(msg);
	return rc;
}

int gen_settings(struct gen *gen, const struct conf *conf, int known,
		 struct err *err)
{
	struct gen_msg *msg = xcalloc(1, sizeof(*msg));
	char *text = conf_dump(conf);
	int fds[2] = {memfd_create("settings", MFD_CLOEXEC), known};
	int rc = 0;

	msg->kind = GEN_SETTINGS;
	if (fds[0] < 0 || fd_write_all(fds[0], text, strlen(text)) ||
	    send_msg(gen, msg, fds, known >= 0 ? 2 : 1))
		rc = err_set(err, errno, "settings to generation %llu",
			     (unsigned long long)gen->number);
	fd_close(&fds[0]);
	free(text);
	free(msg);
	return rc;
}
