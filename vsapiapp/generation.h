/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_GENERATION_H
#define SPLX_VSAPIAPP_GENERATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/scoreboard.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "link.h"

/* The process that holds an engine and forks the workers that share it. */

/* What it is started with; all borrowed. */
struct generation_setup {
	uint64_t number;
	struct scoreboard *sb;
	const struct conf *conf;
	/* why nothing but the built-in patterns is to be loaded, or NULL */
	const char *only_builtin;
	int notify; /* the notify group, -1 */
	int known;  /* the table of known files, read-only, -1 */
	int sock;   /* SEQPACKET to the master */
};

/*
 * The child's side (generation.c): puts up what walls need root, becomes the
 * scan user, loads the engine, serves the master until that goes; exits.
 */
void generation_run(const struct generation_setup *setup)
	__attribute__((noreturn));

/*
 * The walls that need root (jail.c): namespaces of its own, in which nothing
 * can be seen but what loading an engine takes, and a private tmpfs for each
 * slot. Goes there. -1 and *err.
 */
int jail_enter(const struct conf *conf, uid_t uid, gid_t gid, struct err *err);
/* The private tmpfs of a slot, as seen inside. */
void jail_scratch(int slot, char *out, size_t size);
/* Empties it; what is in it was written by somebody hostile. */
void jail_clean(int slot);

/*
 * The master's side (genctl.c). All callbacks come from the loop; after
 * `gone` (the process has ended) only gen_free() may be called.
 */
struct gen;
struct gen_events {
	void (*ready)(struct gen *gen, void *arg);
	void (*failed)(struct gen *gen, const char *why, void *arg);
	/* pidfd is the callee's; pid is what the kernel says of it. pid 0:
	 * it could not be forked, `why` */
	void (*forked)(struct gen *gen, int slot, pid_t pid, int pidfd,
		       const char *why, void *arg);
	void (*died)(struct gen *gen, int slot, pid_t pid, int status,
		     void *arg);
	/* why is NULL when they were taken over */
	void (*settings_done)(struct gen *gen, const char *why, void *arg);
	void (*gone)(struct gen *gen, void *arg);
};

/* Starts one; setup->sock is not looked at. NULL and *err. */
struct gen *gen_start(struct loop *loop, const struct generation_setup *setup,
		      const struct gen_events *events, void *arg,
		      struct err *err);
/* Ends it if it still lives; its workers do not need it. */
void gen_free(struct gen **gen);

/* Asks for a worker; `sock` is its end, `khm` its reader of the kernel module
 * (-1: none); both stay the caller's. -1 (errno). */
int gen_fork(struct gen *gen, int slot, enum slot_role role, int sock, int khm,
	     bool async, uint64_t policy_generation, uint64_t epoch);
/* Hands over settings for the workers to come, and the table (-1: none). */
int gen_settings(struct gen *gen, const struct conf *conf, int known,
		 struct err *err);

uint64_t gen_number(const struct gen *gen);
pid_t gen_pid(const struct gen *gen);
bool gen_alive(const struct gen *gen);
bool gen_is_ready(const struct gen *gen);
/* What engine_describe() says; NULL before it is ready. Borrowed. */
const json_t *gen_describe(const struct gen *gen);
/* Its "pattern_id"; 0 before it is ready. */
uint64_t gen_pattern_id(const struct gen *gen);
/* Nanoseconds (monotonic) since which it owes an answer; 0: it owes none. */
uint64_t gen_waiting_since(const struct gen *gen);
/* Kills it: it has gone astray. */
void gen_kill(struct gen *gen);

#endif
