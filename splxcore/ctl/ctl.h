/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_CTL_H
#define SPLX_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/verbs.h"
#include "lib/err.h"

/* What the parts of splxctl share: one command, its options, its exit. */

/* How splxctl ends. `scan` uses OK, NO and ERROR alone. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_NO = 1,	     /* infected; not healthy */
	CTL_ERROR = 2,	     /* usage, refused, failed */
	CTL_UNREACHABLE = 3, /* the service does not answer */
};

enum ctl_output { CTL_TABLE, CTL_JSON };

struct ctl {
	enum ctl_output output;
	int timeout_ms; /* how long one answer may take */
	const struct verb *verb;
	json_t *args; /* as verbs_parse() made them */
};

/* The string argument of that name, or NULL. */
const char *ctl_arg(const struct ctl *ctl, const char *name);
/* True when the flag of that name was given. */
bool ctl_flag(const struct ctl *ctl, const char *name);

/* One line on standard error, "splxctl: ...", made safe for a terminal. */
void ctl_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says why a call came to `rc`, which is not CTL_OK; returns rc. */
int ctl_failed(int rc, const struct err *err);

/*
 * Sends `verb` (wire name) with args (borrowed, NULL: none) to entity.
 * CTL_OK and *data_r, a new reference; else the exit code, with the reason in
 * *err: CTL_UNREACHABLE when there is no answer, CTL_ERROR when it is "no".
 */
int ctl_call(const struct ctl *ctl, const char *verb, json_t *args,
	     json_t **data_r, struct err *err);
/*
 * The same for a streaming verb; `fn` sees each part and ends the stream with
 * non-zero, which is then no error.
 */
int ctl_stream(const struct ctl *ctl, const char *verb, json_t *args,
	       int (*fn)(json_t *part, void *arg), void *arg, json_t **data_r,
	       struct err *err);

/* Runs one command line; returns the exit code. argv[0] is the program. */
int ctl_main(int argc, char **argv);

#endif
