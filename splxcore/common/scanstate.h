/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCANSTATE_H
#define SPLX_COMMON_SCANSTATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * What entity and a scanning splxctl share about a scan as a job: its state,
 * its numbers, what it is told to do, and where it stands.
 */

enum scan_state {
	SCAN_RUNNING,
	SCAN_PAUSED,
	SCAN_INTERRUPTED, /* may be gone on with */
	SCAN_CANCELLED,
	SCAN_DONE,
	SCAN_FAILED, /* it never came to scanning */
	SCAN_STATES
};
const char *scan_state_name(enum scan_state s);
/* The state of that name, or -1. */
int scan_state_parse(const char *name);

enum scan_order { SCAN_GO, SCAN_PAUSE, SCAN_CANCEL, SCAN_ORDERS };
const char *scan_order_name(enum scan_order o);
int scan_order_parse(const char *name);

/* What is counted; the names are those of the verbs' arguments, of the store
 * and of JSON. */
enum scan_number {
	SCAN_FILES, /* answered */
	SCAN_BYTES,
	SCAN_KNOWN, /* of the files: known clean, not scanned again */
	SCAN_INFECTED,
	SCAN_PARTLY,   /* too large, or encrypted: not seen in full */
	SCAN_ERRORS,   /* could not be examined */
	SCAN_EXCLUDED, /* files and directories left out */
	SCAN_SKIPPED,  /* file systems left out */
	SCAN_NUMBERS
};
const char *scan_number_name(enum scan_number n);

/*
 * A path as a word of printable ASCII, for JSON and the store, which hold no
 * other bytes: what is not of letters, digits and punctuation is %XX. The
 * caller frees it.
 */
char *scan_path_encode(const char *path);
/* The path into out; -1 and *err when it is none, or too long. */
int scan_path_decode(const char *word, char out[PATH_MAX], struct err *err);

/*
 * How far a scan has come: all that the walk came by before this entry was
 * examined. `time_ns` (CLOCK_REALTIME) is when that was so: what has changed
 * since may stand in another place now.
 */
struct scan_position {
	int64_t time_ns;
	char path[PATH_MAX];
};
/* As a word; the caller frees it. */
char *scan_position_text(const struct scan_position *pos);
int scan_position_parse(const char *text, struct scan_position *pos_r,
			struct err *err);

/* The longest name of a schedule. */
#define SCAN_NAME_MAX 32
/*
 * Whether it can name a schedule: it begins with a letter and has letters,
 * digits, _ and - alone, for it stands in a crontab and in names of files.
 */
bool scan_name_valid(const char *name);

#endif
