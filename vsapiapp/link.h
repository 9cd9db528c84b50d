/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_LINK_H
#define SPLX_VSAPIAPP_LINK_H

#include <stdint.h>

#include "common/known.h"
#include "common/verdict.h"

/*
 * Records between the processes of vsapiapp (SOCK_SEQPACKET, fd_send() and
 * fd_recv()). A record whose length or kind is not right is dropped and
 * counted; the master trusts no worker.
 */

/* master <-> generation */
enum gen_kind {
	GEN_READY,    /* <- engine works; text = JSON of engine_describe() */
	GEN_FAILED,   /* <- text = why; the process exits */
	GEN_FORK,     /* -> role, slot, flags, policy_generation, epoch; 1 or
			 2 fds: the worker's end of its socket, its reader of
			 the kernel module */
	GEN_FORKED,   /* <- slot, pid, 1 fd: pidfd; pid 0 = it failed, text */
	GEN_DIED,     /* <- slot, pid, status as of waitpid(2) */
	GEN_SETTINGS, /* -> 1 or 2 fds: settings as text, the known table */
	GEN_SETTINGS_DONE, /* <- text = "" or why not */
};
#define GEN_FLAG_ASYNC 1u /* GEN_FORK: worker_setup.async */

struct gen_msg {
	uint32_t kind;
	int32_t slot;
	uint32_t role;
	int32_t pid;
	int32_t status;
	uint32_t flags; /* GEN_FLAG_* */
	uint64_t policy_generation;
	uint64_t epoch;
	char text[16384];
};

/* master <-> worker */
enum work_kind {
	WORK_REMEMBER, /* <- key, trace, epoch, ino (the scoreboard's `forgets`
			  when the first was seen), job (how many keys): was
			  clean; no answer. As struct work_keys for several */
	WORK_MARK,     /* <- key, 1 fd: put an ignore mark (the worker may
			  not), and take it off again if the file's key is not
			  this one afterwards; no answer */
	WORK_ASK_EXE,  /* <- pid; answered by WORK_EXE (executable exclusion) */
	WORK_EXE,      /* -> pid; dev, ino (both 0 when it cannot be told);
			  job: 1 when an ExcludeExecutable names that file,
			  which a worker in its jail cannot look up itself */
	WORK_CLIENT, /* -> BACK, LOW: job, 1 fd: a client's connection to serve;
			ino: the sources that it may name, a bit each */
	WORK_DRAIN,  /* -> finish and exit (also set in the slot) */
	WORK_BUSY,   /* <- a scan goes on for long: master may lower its
			priority and fork another worker */
	WORK_NICE,   /* <- asks for normal priority; -> when done */
	WORK_UNMARK, /* <- 1 fd: it is not clean; an ignore mark that it may
			still have is to be taken off; no answer */
};
struct work_msg {
	uint32_t kind;
	int32_t pid;
	uint64_t job;
	uint64_t epoch;
	uint64_t dev;
	uint64_t ino;
	struct file_key key;
	struct known_trace trace;
};

/* WORK_REMEMBER of several: only those that are used are sent. */
#define WORK_KEYS_MAX 32
struct work_key {
	struct file_key key;
	struct known_trace trace;
};
struct work_keys {
	struct work_msg first; /* and its key */
	struct work_key more[WORK_KEYS_MAX - 1];
};

#endif
