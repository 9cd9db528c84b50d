/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "generation.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "common/control.h"
#include "common/exclude.h"
#include "common/known.h"
#include "common/scanjob.h"
#include "engine.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "worker.h"

#define SETTINGS_MAX (4u << 20)

struct generation {
	uint64_t number;
	struct scoreboard *sb;
	int sb_readonly; /* for the workers */
	struct conf *conf;
	struct exclude *exclude;
	struct engine *engine;
	struct known *known;
	int notify;
	int sock;
	pid_t workers[SCOREBOARD_SLOTS]; /* 0: none of ours */
};

static void on_child(int sig)
{
	/* only to end ppoll(2) */
}

/* A message is small or large by its text; only what is used is sent. */
static int tell(struct generation *g, struct gen_msg *msg, const int *fds,
		int nfds)
{
	size_t len = offsetof(struct gen_msg, text) + strlen(msg->text) + 1;

	return fd_send(g->sock, msg, len, fds, nfds, MSG_NOSIGNAL);
}

static void tell_text(struct generation *g, enum gen_kind kind,
		      const char *text)
{
	struct gen_msg *msg = xcalloc(1, sizeof(*msg));

	msg->kind = kind;
	str_copy(msg->text, sizeof(msg->text), text);
	tell(g, msg, NULL, 0);
	free(msg);
}

static void give_up(struct generation *g, const char *why)
	__attribute__((noreturn));
static void give_up(struct generation *g, const char *why)
{
	tell_text(g, GEN_FAILED, why);
	_exit(1);
}

/* Only what is needed stays open, low enough to leave the workers' numbers
 * (slot_number()) free. */
static void keep_descriptors(struct generation *g, int *known)
{
	int keep[] = {INHERIT_SCOREBOARD, INHERIT_GROUP, INHERIT_FINDING_TX,
		      INHERIT_LOG,	  g->sock,	 g->notify,
		      g->sb_readonly,	  *known};
	int *own[] = {&g->sock, &g->notify, &g->sb_readonly, known};
	size_t i;

	child_close_others(keep, sizeof(keep) / sizeof(keep[0]));
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (*own[i] >= 0)
			*own[i] = fd_move(*own[i], INHERIT_COUNT);
	}
}

static void become_scan_user(struct generation *g)
{
	struct err err;
	uid_t uid;
	gid_t gid;

	if (proc_user(g->conf->scan_user, &uid, &gid, &err) ||
	    jail_enter(g->conf, uid, gid, &err) ||
	    sandbox_become(uid, gid, 1ull << CAP_LEASE | 1ull << CAP_SYS_CHROOT,
			   &err))
		give_up(g, err.text);
	/* the kernel forgets it when the user changes */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void load(struct generation *g, const char *only_builtin)
{
	struct err err;
	char *text;
	json_t *about;

	g->engine = only_builtin
			    ? engine_new_builtin(g->conf, only_builtin, &err)
			    : engine_new(g->conf, &err);
	if (!g->engine)
		give_up(g, err.text);
	g->exclude = exclude_new(g->conf, NULL);
	about = engine_describe(g->engine);
	text = json_dumps(about, JSON_COMPACT);
	if (text && strlen(text) >= sizeof(((struct gen_msg *)0)->text)) {
		/* very many pattern files: their list is left out */
		free(text);
		json_object_set_new(about, "patterns", json_array());
		text = json_dumps(about, JSON_COMPACT);
	}
	json_decref(about);
	if (!text)
		give_up(g, "the engine cannot be described");
	tell_text(g, GEN_READY, text);
	free(text);
}

/*
 * In the child: one that takes what others leave. A session of its own is an
 * autogroup of its own (sched(7)), or its share of the CPU would be the whole
 * suite's whenever nobody else of the suite works; the master lowers it.
 */
static void be_patient(struct worker_setup *setup)
{
	struct conf *conf = conf_copy(setup->conf);
	struct err err;

	setsid();
	conf->scan_timeout *= SCANJOB_LOW_PATIENCE;
	if (engine_configure(setup->engine, conf, &err) < 0)
		log_warn("worker slot=%d: %s", setup->slot, err.text);
	setup->conf = conf;
}

/* In the child: a worker. */
static void be_worker(struct generation *g, const struct gen_msg *msg, int sock,
		      int khm) __attribute__((noreturn));
static void be_worker(struct generation *g, const struct gen_msg *msg, int sock,
		      int khm)
{
	struct slot *slot = &g->sb->slots[msg->slot];
	struct worker_setup setup = {
		.sb = g->sb,
		.sb_readonly = g->sb_readonly,
		.slot = msg->slot,
		.role = (enum slot_role)msg->role,
		.generation = g->number,
		.policy_generation = msg->policy_generation,
		.engine = g->engine,
		.conf = g->conf,
		.exclude = g->exclude,
		.known = g->known,
		.epoch = msg->epoch,
		.group = msg->role == SLOT_FRONT ? INHERIT_GROUP : -1,
		.notify = msg->role == SLOT_BACK ? g->notify : -1,
		.khm = khm,
		.finding_sock = INHERIT_FINDING_TX,
		.master_sock = sock,
		.log_sock = INHERIT_LOG,
		.async = (msg->flags & GEN_FLAG_ASYNC) != 0,
	};
	char scratch[32];
	struct proc_id id;
	sigset_t none;

	if (!proc_identify(getpid(), &id)) {
		atomic_store(&slot->start, id.start);
		atomic_store(&slot->pid, id.pid);
	}
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fd_close(&g->sock);
	if (msg->role != SLOT_BACK)
		fd_close(&g->notify);
	if (msg->role == SLOT_LOW)
		be_patient(&setup);
	jail_clean(msg->slot);
	jail_scratch(msg->slot, scratch, sizeof(scratch));
	setup.scratch = scratch;
	worker_run(&setup);
}

static void fork_worker(struct generation *g, const struct gen_msg *msg,
			int sock, int khm)
{
	struct gen_msg *reply;
	int pidfd = -1;
	pid_t pid;

	if (msg->slot < 0 || msg->slot >= SCOREBOARD_SLOTS || sock < 0)
		return;
	pid = fork();
	if (pid == 0)
		be_worker(g, msg, sock, khm);
	reply = xcalloc(1, sizeof(*reply));
	reply->kind = GEN_FORKED;
	reply->slot = msg->slot;
	if (pid > 0) {
		pidfd = pidfd_open(pid, 0);
		reply->pid = pid;
		g->workers[msg->slot] = pid;
	} else {
		snprintf(reply->text, sizeof(reply->text), "fork: %s",
			 strerror(errno));
	}
	tell(g, reply, &pidfd, pidfd >= 0 ? 1 : 0);
	fd_close(&pidfd);
	free(reply);
}

static int take_settings(struct generation *g, const int *fds, int nfds,
			 struct err *err)
{
	struct conf *conf;
	char path[64], *text;
	size_t len;

	if (nfds < 1)
		return err_set(err, 0, "settings came without a descriptor");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	text = xcalloc(1, SETTINGS_MAX + 1);
	len = 0;
	for (;;) {
		ssize_t n = pread(fds[0], text + len, SETTINGS_MAX - len,
				  (off_t)len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	conf = conf_parse(text, "settings", err);
	free(text);
	if (!conf)
		return -1;
	/* 1, a new engine is wanted, is the master's to know */
	if (engine_configure(g->engine, conf, err) < 0) {
		struct err ignored;

		engine_configure(g->engine, g->conf, &ignored);
		conf_free(&conf);
		return -1;
	}
	conf_free(&g->conf);
	g->conf = conf;
	exclude_free(&g->exclude);
	g->exclude = exclude_new(conf, NULL);
	known_free(&g->known);
	if (nfds > 1)
		g->known = known_map(fds[1], NULL);
	return 0;
}

static void serve_one(struct generation *g)
{
	static struct gen_msg msg;
	int fds[FD_PASS_MAX];
	struct err err = {0};
	int nfds = 0, i;
	ssize_t n = fd_recv(g->sock, &msg, sizeof(msg), fds, &nfds, 0);

	if (n == 0 ||
	    (n < 0 && errno != EINTR && errno != EAGAIN && errno != EMSGSIZE))
		_exit(0); /* the master is gone; the workers stay */
	if (n < (ssize_t)offsetof(struct gen_msg, text))
		goto out;
	switch ((enum gen_kind)msg.kind) {
	case GEN_FORK:
		fork_worker(g, &msg, nfds > 0 ? fds[0] : -1,
			    nfds > 1 ? fds[1] : -1);
		break;
	case GEN_SETTINGS:
		take_settings(g, fds, nfds, &err);
		tell_text(g, GEN_SETTINGS_DONE, err.text);
		break;
	default:
		break;
	}
out:
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
}

static void reap(struct generation *g)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (slot = 0; slot < SCOREBOARD_SLOTS; slot++) {
			struct gen_msg *msg;

			if (g->workers[slot] != pid)
				continue;
			g->workers[slot] = 0;
			jail_clean(slot);
			msg = xcalloc(1, sizeof(*msg));
			msg->kind = GEN_DIED;
			msg->slot = slot;
			msg->pid = pid;
			msg->status = status;
			tell(g, msg, NULL, 0);
			free(msg);
			break;
		}
	}
}

void generation_run(const struct generation_setup *setup)
{
	struct generation g = {
		.number = setup->number,
		.sb = setup->sb,
		.notify = setup->notify,
		.sock = setup->sock,
	};
	struct sigaction act = {.sa_handler = on_child};
	int known = setup->known;
	sigset_t block, none;
	struct err err;

	proc_title_set("vsapiapp: generation %llu",
		       (unsigned long long)setup->number);
	scoreboard_exempt(g.sb, getpid());
	g.conf = conf_copy(setup->conf);
	g.sb_readonly = scoreboard_readonly(INHERIT_SCOREBOARD, &err);
	if (g.sb_readonly < 0)
		give_up(&g, err.text);
	keep_descriptors(&g, &known);
	become_scan_user(&g);
	if (known >= 0) {
		g.known = known_map(known, NULL);
		fd_close(&known);
	}
	load(&g, setup->only_builtin);

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, NULL);
	sigaction(SIGCHLD, &act, NULL);
	sigemptyset(&none);
	for (;;) {
		struct pollfd p = {.fd = g.sock, .events = POLLIN};

		reap(&g);
		if (ppoll(&p, 1, NULL, &none) > 0)
			serve_one(&g);
	}
}
