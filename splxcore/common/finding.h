/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_FINDING_H
#define SPLX_COMMON_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "verdict.h"

/*
 * A finding on its way from a worker to entity: one record of a
 * SOCK_SEQPACKET pair that the supervisor made and everybody inherits, with
 * the opened file beside it. While entity is away records wait in the
 * socket; a worker keeps those for which it has no room and tries again.
 */
#define FINDING_MAGIC 0x53504c46u /* "SPLF" */
#define FINDING_VERSION 2

/* Nothing waits that long. */
#define FINDING_EXPOSED_MAX (30ull * 86400 * 1000000000)

/* How a file was used that nobody waited for. */
enum finding_use { USE_NONE, USE_OPENED, USE_EXECUTED, USE_WRITTEN };

struct finding {
	uint32_t magic;
	uint32_t version;
	uint32_t source;	/* enum scan_source */
	uint32_t verdict;	/* enum verdict */
	uint32_t denied;	/* the opener was refused */
	uint32_t late;		/* the opener had gone on before */
	int32_t pid;		/* the opener, 0 unknown */
	uint32_t first_action;	/* enum action */
	uint32_t second_action; /* enum action */
	uint32_t use;		/* enum finding_use; async alone */
	uint64_t job;		/* manual and scheduled scans */
	struct file_key key;
	int64_t when_ns; /* CLOCK_REALTIME */
	uint64_t wait_ns;
	uint64_t scan_ns;
	uint64_t exposed_ns; /* async: from the use seen to the verdict */
	uint64_t generation;
	char virus[256];
	char path[4096]; /* as the kernel tells it; for people */
};

/* Sends without waiting; 0, 1 when there is no room now, -1 and *err. */
int finding_send(int sock, const struct finding *f, int fd, struct err *err);
/*
 * Receives one: 1, 0 when there is none, -1 and *err. Everything in it is
 * checked (the sender is not trusted): enums in range, strings terminated.
 * *fd_r is the caller's, or -1. err->code is EBADMSG (or EMSGSIZE) for a bad
 * record, which is gone then; EPIPE when no sender is left.
 */
int finding_recv(int sock, struct finding *f_r, int *fd_r, struct err *err);

#endif
