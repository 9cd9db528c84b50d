/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_SHOW_H
#define SPLX_CTL_SCAN_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/scanjob.h"
#include "scan_count.h"

/* What a scan has come to. */
struct scan_tally {
	uint64_t sent;	     /* files handed to the workers */
	uint64_t sent_bytes; /* by their sizes */
	uint64_t files;	     /* answered */
	uint64_t bytes;	     /* of the files answered */
	uint64_t known;	     /* of them: known clean, not scanned again */
	uint64_t infected;
	uint64_t partly;   /* too large, or encrypted: not seen in full */
	uint64_t errors;   /* could not be examined */
	uint64_t excluded; /* files and directories left out */
	uint64_t skipped;  /* file systems left out */
	uint64_t job;
	bool interrupted;
};

/* How it is shown: findings and the summary on standard output, errors and
 * the progress line on standard error. */
struct scan_show {
	bool json;
	bool quiet;		     /* no summary */
	bool no_errors, no_findings; /* none of these lines */
	bool progress;		     /* standard error is a terminal */
	bool drawn;		     /* a progress line stands there */
	uint64_t began_ns;
	uint64_t drawn_ns;
	struct scan_count *count; /* borrowed; NULL: no estimate */
};

void scan_show_begin(struct scan_show *show, bool json, bool quiet);
/* A line for a finding; `action` is the one that was asked for. */
void scan_show_finding(struct scan_show *show,
		       const struct scanjob_reply *reply, const char *path,
		       const char *action);
/* A line on standard error. */
void scan_show_error(struct scan_show *show, const char *path,
		     const char *reason);
/* Draws the progress line anew, at most five times a second. */
void scan_show_progress(struct scan_show *show, const struct scan_tally *t);
void scan_show_summary(struct scan_show *show, const struct scan_tally *t);

/*
 * The seconds left, from what has been done in `elapsed_ns` of a work of
 * all_files and all_bytes; -1 when it cannot be told yet. A file costs time
 * by its bytes and by itself.
 */
int64_t scan_show_eta(const struct scan_tally *t, uint64_t all_files,
		      uint64_t all_bytes, uint64_t elapsed_ns);

#endif
