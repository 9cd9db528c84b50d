/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_LINK_H
#define SPLX_CTL_SCAN_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc.h"
#include "common/scanstate.h"
#include "scan_show.h"

/*
 * A scan's line to entity, which keeps it as a job and exempts us: else
 * real-time protection would examine each file a first time when we open it,
 * and deny us the infected ones. About once a second entity is told how far
 * the scan has come, and says whether it goes on. A scan does not need it: when
 * entity is away nothing waits, and it is told again when it is there.
 */
struct scan_link {
	struct ipc_client *client; /* NULL: entity is away */
	json_t *begin;		   /* what scan.begin was told */
	int64_t id;		   /* of the job; 0: there is none */
	bool wanted;		   /* scan.begin went well once */
	enum scan_order order;
	uint64_t next_ns;
};

/* How far it has come. */
struct scan_told {
	const struct scan_tally *tally;
	bool paused;
	const char *path;    /* that all before is done; NULL: not known */
	uint64_t elapsed_ns; /* pauses left out */
	uint64_t all_files;  /* 0: not counted */
	uint64_t all_bytes;
};

/*
 * Tells entity of the scan by scan.begin; args are taken over. *data_r (may be
 * NULL) is a new reference to what it answers (entity/scans.h). -1 and *err,
 * and in code[32] its word, "" when it did not answer; the scan may go on
 * without. The link is to be zeroed before, and freed in both cases.
 */
int scan_link_begin(struct scan_link *link, json_t *args, int timeout_ms,
		    json_t **data_r, char code[32], struct err *err);
/* Tells it, at most once a second, and returns what is to be done. */
enum scan_order scan_link_tell(struct scan_link *link,
			       const struct scan_told *told);
/* Tells the end. `why` (NULL: none) is for people. */
void scan_link_end(struct scan_link *link, const struct scan_told *told,
		   enum scan_state state, const char *why);
void scan_link_free(struct scan_link *link);

#endif
