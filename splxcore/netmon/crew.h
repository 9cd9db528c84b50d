/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_CREW_H
#define SPLX_NETMON_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "seat.h"

/*
 * The monitor's children: the judge that answers, one that is to follow it
 * while it loads new rules, one that is about to leave, and the looker.
 */
enum crew_place { CREW_JUDGE, CREW_NEXT, CREW_OLD, CREW_PLACES };

struct crew_member {
	pid_t pid; /* 0: nobody */
	struct seat *seat;
	struct seat seen; /* what was taken over of its counts */
	uint64_t since_ns;
};

struct crew {
	struct crew_member judges[CREW_PLACES];
	pid_t looker;
	uint64_t looker_ns;
	int life[2];   /* its writing end is ours alone */
	int report[2]; /* judges write, the looker reads */
	int queue_fd, to_fd;
	uint16_t queue;
	uint32_t mark;
	uid_t uid;
	gid_t gid;
	uint64_t released; /* as in struct seat */
	/* The new process is not to be held by the scanner; may be NULL. */
	void (*enter)(pid_t pid, void *arg);
	void (*leave)(pid_t pid, void *arg);
	void *arg;
};

int crew_init(struct crew *crew, struct err *err);
/* Ends everybody and waits for them. */
void crew_deinit(struct crew *crew);

/* Forks a judge to CREW_NEXT; an unfinished one that is there ends. */
int crew_fork_judge(struct crew *crew, struct err *err);
/* CREW_NEXT judges from now on, and CREW_JUDGE leaves. */
void crew_change(struct crew *crew);
/* Starts the looker unless it lives, or has just been started. */
void crew_need_looker(struct crew *crew, uint64_t now_ns);
/* Waits for who has ended; `ended` is called for each judge. */
void crew_reap(struct crew *crew,
	       void (*ended)(enum crew_place place, int wait_status, void *arg),
	       void *arg);
/* What is held up to that id was let go of. */
void crew_released(struct crew *crew, uint32_t id);

/* The judge is there and its rules are loaded. */
bool crew_judging(const struct crew *crew);

#endif
