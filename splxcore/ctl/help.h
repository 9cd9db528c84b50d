/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_HELP_H
#define SPLX_CTL_HELP_H

#include <stdio.h>

/* Every command in a line each. */
void help_summary(FILE *f);
/*
 * The help of the command that the words name: a verb, all of a noun, or
 * everything. Words after noun and verb are passed over. The exit code:
 * CTL_ERROR for a noun that there is not.
 */
int help_show(int count, char *const *words);

#endif
