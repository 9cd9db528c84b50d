/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_BOOTDEPS_H
#define SPLX_COMMON_BOOTDEPS_H

#include <stdbool.h>
#include <stddef.h>

#include "boot.h"

/*
 * Who has to start before whom in a runlevel, by the scripts' headers, and
 * (where startpar starts things side by side) by the file that it follows.
 */
struct bootdeps;

/*
 * Of what is started in a runlevel or before all of them, and splx. `own`
 * stands for the header of splx; NULL: its own. The boot is borrowed.
 */
struct bootdeps *bootdeps_new(const struct boot *boot, char level,
			      const struct inithdr *own);
void bootdeps_free(struct bootdeps **deps);

/*
 * Whether `from` has to start after `to`, by headers alone; why_r gets each
 * header on the way: "abc: Required-Start: cron, splx: X-Start-Before: cron".
 */
bool bootdeps_needs(const struct bootdeps *deps, const char *from,
		    const char *to, char *why_r, size_t size);
/* True for a service whose header has $all: it starts after everything. */
bool bootdeps_is_last(const struct bootdeps *deps, const char *service);
/* Whether a word of a header (a service, or a facility with $) means the
 * service, or something that it has to start after. */
bool bootdeps_word_needed(const struct bootdeps *deps, const char *service,
			  const char *word);

/* Where a service starts, seen from splx. */
enum boot_place {
	BOOT_ABSENT, /* not at all in this runlevel */
	BOOT_BEFORE,
	BOOT_WITH, /* nothing orders the two: either may be first */
	BOOT_AFTER,
};
struct boot_placing {
	enum boot_place place;
	bool firm;     /* not only by a number that insserv gives as it likes */
	char why[256]; /* one line */
};
/* splx itself has to have a link in the runlevel. */
void bootdeps_place(const struct bootdeps *deps, const char *service,
		    struct boot_placing *placing_r);
/* "before", "after", "with", "absent". */
const char *boot_place_name(enum boot_place place);

#endif
