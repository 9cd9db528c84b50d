/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_ARGS_H
#define SPLX_COMMON_ARGS_H

/*
 * The end of a daemon's command line, where it is not started: c is 'V' (its
 * version), 'h' (its usage), or anything that it does not know. Prints what
 * belongs there; the exit code.
 */
int args_told(int c, const char *name, const char *usage);

#endif
