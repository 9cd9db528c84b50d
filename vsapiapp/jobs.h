/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_JOBS_H
#define SPLX_VSAPIAPP_JOBS_H

#include <stdint.h>
#include <sys/types.h>

#include "common/scoreboard.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "slots.h"

/*
 * Scan jobs: takes connections on scan.sock and hands each to all back workers,
 * and those on scan-low.sock to the low one (common/scanjob.h). Keeps a
 * descriptor of each connection, to hand it to workers to come and to answer
 * for one that died over a request.
 */
struct jobs;

/* Who may have scans done, besides root. */
struct jobs_users {
	uid_t *uids;
	size_t n;
};

struct jobs *jobs_new(struct loop *loop, const char *path, const char *low_path,
		      struct slots *slots, struct err *err);
void jobs_free(struct jobs **jobs);
/* The list is copied. */
void jobs_allow(struct jobs *jobs, const struct jobs_users *users);

/* A back or low worker serves: it gets all connections that are for it. */
void jobs_worker_serving(struct jobs *jobs, struct slots_worker *w);
/* A back or low worker is gone; the client of what it was at gets its answer.
 */
void jobs_worker_gone(struct jobs *jobs, const struct slots_worker *w,
		      const struct slot *slot);
/* Each tick: lets go of connections whose client left. */
void jobs_tick(struct jobs *jobs);

#endif
