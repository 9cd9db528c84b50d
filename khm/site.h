/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_SITE_H
#define SPLXMOD_SITE_H

#include <linux/types.h>

/*
 * A function of the kernel that can be hooked, and what its first bytes say
 * about who hooks it. Known on x86-64 alone.
 */
struct splxmod_site {
	const char *name;
	unsigned long entry;  /* 0: there is none */
	unsigned long fentry; /* of the five bytes that ftrace changes */
};

/* Finds both addresses: -ENOENT no such symbol, -EOPNOTSUPP not traceable. */
int splxmod_site_find(struct splxmod_site *site, const char *name);

enum splxmod_site_state {
	SPLXMOD_SITE_IDLE,    /* the NOP: nobody */
	SPLXMOD_SITE_KERNEL,  /* a call or jump to the kernel's own tracing:
			       * ftrace's code, or a BPF trampoline */
	SPLXMOD_SITE_FOREIGN, /* a call or jump into a module */
	SPLXMOD_SITE_UNKNOWN, /* other bytes: patched by somebody */
};
#define SPLXMOD_SITE_TEXT 128
/*
 * Looks at the bytes now. Where it is a call or a jump, *target_r gets its
 * target (else 0), and text_r (SPLXMOD_SITE_TEXT bytes) its symbol, or
 * the bytes.
 */
enum splxmod_site_state splxmod_site_look(const struct splxmod_site *site,
					  unsigned long *target_r,
					  char *text_r);

#endif
