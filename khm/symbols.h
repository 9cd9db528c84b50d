/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_SYMBOLS_H
#define SPLXMOD_SYMBOLS_H

#include <linux/types.h>

/* Addresses of what the kernel does not export, by kallsyms_lookup_name(),
 * itself found by a kprobe that is never armed. Always 0: where it is not to be
 * had, splxmod_symbol() finds nothing. */
int splxmod_symbols_init(void);
/* 0 when there is none. */
unsigned long splxmod_symbol(const char *name);
/* Calls fn(a, b, c, d) by a return, not by an indirect call: a sealed function
 * (IBT) may not be called through a pointer. x86-64 only. */
unsigned long splxmod_icall(unsigned long fn, unsigned long a, unsigned long b,
			    unsigned long c, unsigned long d);

#endif
