/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_REPORT_H
#define SPLXMOD_REPORT_H

#include "splxmod.h"

/* Lines for people and programs: why something cannot be done, and who stands
 * in the way. What does not fit is left out, and the last line says so. */
struct splxmod_report {
	u32 rivals; /* that block */
	size_t len;
	char text[sizeof(((struct splxmod_arming *)0)->report)];
};

enum splxmod_effect {
	SPLXMOD_SAFE,
	SPLXMOD_BLOCKS_ARM,
	SPLXMOD_BLOCKS_UNLOAD,
};
/*
 * "kind module symbol effect", spaces in a word become '_', an unknown word
 * is "-". kind: ftrace-ipmodify ftrace kprobe livepatch bpf inline-patch
 * file-operations syscall-table pointer.
 */
void splxmod_report_rival(struct splxmod_report *r, const char *kind,
			  const char *module, const char *symbol,
			  enum splxmod_effect effect);
void splxmod_report_line(struct splxmod_report *r, const char *fmt, ...)
	__printf(2, 3);

#endif
