/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_RIVALS_H
#define SPLXMOD_RIVALS_H

#include "report.h"

/*
 * Others who hook where we do, or who point into this module: found by looking
 * at what the kernel has (ftrace_ops_list, kprobes, the bytes at the site, the
 * system call table, words in other modules' data). Symbols that the kernel
 * does not export are looked up by symbols.h; one that is missing leaves its
 * kind out, and the report says so.
 */
/* At load: what in other modules' memory merely looks like a pointer into
 * ours is remembered, and no rival later. */
int splxmod_rivals_init(void);
void splxmod_rivals_exit(void);
/* All, with what each does to us: /proc/splx/rivals. */
void splxmod_rivals_all(struct splxmod_report *r);
/* Only those that stand in the way; how many. */
unsigned int splxmod_rivals_arm(struct splxmod_report *r);
unsigned int splxmod_rivals_disarm(struct splxmod_report *r);

#endif
