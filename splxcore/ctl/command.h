/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_COMMAND_H
#define SPLX_CTL_COMMAND_H

#include <stdbool.h>

#include "ctl.h"
#include "lib/err.h"

/* A command line, its global options taken out. */
struct command {
	enum ctl_output output;
	int timeout_ms;	  /* 0: not given */
	const char *root; /* NULL: not given */
	bool help;
	bool version;
	int count;
	char **words; /* noun, verb and what belongs to them; not copied */
};

/*
 * Global options may stand anywhere before "--". 0, or -1 and *err with what
 * is allowed. command_free() in both cases.
 */
int command_parse(struct command *cmd, int argc, char **argv, struct err *err);
void command_free(struct command *cmd);

#endif
