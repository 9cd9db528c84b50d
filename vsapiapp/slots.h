/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_SLOTS_H
#define SPLX_VSAPIAPP_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/scoreboard.h"
#include "generation.h"
#include "lib/loop.h"
#include "link.h"

/*
 * The workers: one record a slot. Forks what is wanted, sees to each one's
 * scan time and signs of life, ends those that are past them, answers for the
 * dead, drains and retires.
 */
struct slots;

/* Workers that are alike: of one generation under one policy. A gen must stay
 * while slots_any() knows workers of it, dead or alive. */
struct slots_line {
	struct gen *gen;
	uint64_t policy_generation;
	uint64_t epoch;
	bool async;
	bool khm; /* each has a reader of the kernel module */
};

enum slots_state {
	SLOTS_FREE,
	SLOTS_FORKING,	/* asked for */
	SLOTS_STARTING, /* a process, no sign of life yet */
	SLOTS_SERVING,
	SLOTS_DRAINING, /* told to end */
	SLOTS_KILLED,	/* its end is awaited */
};

struct slots_worker {
	int slot;
	enum slots_state state;
	enum slot_role role;
	struct gen *gen; /* NULL: left by an earlier master */
	uint64_t policy_generation;
	pid_t pid;
	uint64_t start; /* with pid: its identity */
	int pidfd;
	int sock;	     /* SEQPACKET, -1 for an earlier master's */
	uint64_t since_ns;   /* of this state */
	uint64_t first_beat; /* what the slot's beat was before it lived */
	bool khm;	     /* has a reader of the kernel module */
	bool lowered;	     /* in priority, for a long scan */
	bool overdue;	     /* killed for its scan time */
	bool told_why;	     /* its death is accounted for in the log */
	struct slots *slots;
	struct loop_event *readable;
	struct loop_event *exited;
};

struct slots_events {
	/* A message of a worker; descriptors stay the caller's. */
	void (*message)(struct slots_worker *w, const struct work_msg *msg,
			const int *fds, int nfds, void *arg);
	/* It has shown life for the first time. */
	void (*serving)(struct slots_worker *w, void *arg);
	/* It is gone; its slot can still be read, and is free after this. */
	void (*gone)(struct slots_worker *w, void *arg);
};

/* How many, and how long; taken from the settings. */
struct slots_limits {
	int front_min, front_max, back;
	uint64_t scan_timeout_ms;
	bool allow_on_error, allow_on_timeout;
};
void slots_limits_from(struct slots_limits *limits, const struct conf *conf,
		       bool have_front);

struct slots *slots_new(struct loop *loop, struct scoreboard *sb, int group,
			uint64_t master_start,
			const struct slots_events *events, void *arg);
/* Kills what is left and waits for nothing. */
void slots_free(struct slots **slots);
void slots_limit(struct slots *slots, const struct slots_limits *limits);
/* The scan user: nobody else's process is ever signalled. */
void slots_user(struct slots *slots, uid_t uid);

/*
 * Takes over the slots that an earlier master left: their workers go on until
 * slots_drain_others(). Slots whose process is gone are answered for and
 * freed.
 */
void slots_adopt(struct slots *slots);

/* Forks what the line lacks of its minimum, as far as slots are free and the
 * pauses after failed starts allow. */
void slots_fill(struct slots *slots, const struct slots_line *line);
/* True when the line's minimum serves (or all that has room). */
bool slots_filled(const struct slots *slots, const struct slots_line *line);
/* A low worker is wanted for the next seconds. */
void slots_want_low(struct slots *slots);
/* Tells all that are not of the line to finish; NULL: all. */
void slots_drain_others(struct slots *slots, const struct slots_line *line);
/*
 * Every 100 ms, for the line that serves: grows while all are busy, retires
 * what was too much for 30 s, has a low worker while one is wanted, lowers the
 * priority of long scans, ends those past ScanTimeout or without signs of life.
 */
void slots_tick(struct slots *slots, const struct slots_line *line);
/* Kills all that are left. */
void slots_kill_all(struct slots *slots);

/* From the generation: see struct gen_events. */
void slots_forked(struct slots *slots, struct gen *gen, int slot, pid_t pid,
		  int pidfd, const char *why);
void slots_died(struct slots *slots, struct gen *gen, int slot, pid_t pid,
		int status);

/* How many serve (or start, with `all`); gen NULL: of any. */
int slots_count(const struct slots *slots, const struct gen *gen,
		enum slot_role role, bool all);
/* Any left at all, of that generation (NULL: of any)? */
bool slots_any(const struct slots *slots, const struct gen *gen);
/* True when it belongs to the line. */
bool slots_in_line(const struct slots_worker *w, const struct slots_line *line);
/* Each worker that serves in that role. */
void slots_each(struct slots *slots, enum slot_role role,
		void (*fn)(struct slots_worker *w, void *arg), void *arg);
/* The pid of some serving worker, 0: there is none. */
pid_t slots_some_pid(const struct slots *slots);
/* True for a worker of ours. */
bool slots_owns_pid(const struct slots *slots, pid_t pid);
/* 0, or -1 (errno). */
int slots_send(struct slots_worker *w, const struct work_msg *msg, int fd);
/* Gives a worker its normal priority back. */
void slots_restore_priority(struct slots_worker *w);

/* What a tick decides for the front workers; pure, so that it can be tried
 * without any process. */
struct slots_view {
	int serving, idle, starting;
	int min, max;
	int free_slots;
	int reserve; /* slots kept free for the next line */
	uint64_t
		idle_ms; /* how long more than the minimum have been too many */
};
enum slots_advice { SLOTS_STAY, SLOTS_GROW, SLOTS_RETIRE };
#define SLOTS_RETIRE_MS 30000
enum slots_advice slots_advise(const struct slots_view *view);

#endif
