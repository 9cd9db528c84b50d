/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_MARKS_H
#define SPLX_VSAPIAPP_MARKS_H

#include <stdint.h>
#include <sys/types.h>

#include "cover.h"
#include "lib/err.h"

/*
 * The marks of the two fanotify groups: the permission group (the suite's,
 * it outlives the master) and the master's own notify group. Knows what is
 * marked, so that a change first adds what is missing and then takes away
 * what is too much: there is no gap.
 */
struct marks;

/* What is wanted in each group, FANGROUP_* (0: nothing there). */
struct marks_want {
	uint32_t perm;
	uint32_t notify;
};

/*
 * Either group may be -1. The marks that an earlier master left in the
 * permission group are learnt from the kernel (/proc/self/fdinfo).
 */
struct marks *marks_new(int group, int notify);
/*
 * Called before a device gets its first mark, by which it is known for newly
 * mounted: the kernel drops a mark with the file system that it is on.
 */
typedef void (*marks_fresh_fn)(dev_t dev, void *arg);
void marks_on_fresh(struct marks *marks, marks_fresh_fn fn, void *arg);
/* Forgets; the marks stay where they are. */
void marks_free(struct marks **marks);

/*
 * Brings the marks to what the plan says, always anew (a device number or
 * mount id may meanwhile name something else). Rows that the kernel refused
 * become uncovered with its reason; rows of mounts that nobody can reach by a
 * path are taken out. Returns how many rows are covered.
 */
size_t marks_apply(struct marks *marks, struct cover_list *plan,
		   const struct marks_want *want);
/* Takes all marks away, those of single files too. */
void marks_clear(struct marks *marks);
/* Drops the ignore marks of single files. */
void marks_flush_ignored(struct marks *marks);

#endif
