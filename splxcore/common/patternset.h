/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PATTERNSET_H
#define SPLX_COMMON_PATTERNSET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/proc.h"
#include "lib/vec.h"
#include "manifest.h"

/*
 * The patterns that updates brought, below paths()->pattern_dir:
 *
 *   sets/12/set.json        which parts the set has, and where they came from
 *   sets/12/PART/…          the files of a part, with its manifest (and the
 *                           signature, when it came with one)
 *   current -> sets/12      the set that is loaded; replaced by rename(2)
 *   state.json              what must not come back
 *   last.json               how the last update went
 *   room                    some room, for the three above on a full disk
 *   lock                    held (flock) by who changes anything, who names
 *                           himself there
 *
 * A set is complete and is never changed: an update makes a new one, in which
 * the files of all other parts are links to the former's. So at any instant,
 * also of a power cut, `current` is one whole set. A part is a bundle (by the
 * manifest's name), "clamav-NAME" (ClamAV's own database NAME, in one file) or
 * "local" (files by hand). All is root's, readable for all.
 */
#define PATTERNSET_CLAMAV "clamav"
#define PATTERNSET_LOCAL "local"
#define PATTERNSET_PARTS_MAX 64
#define PATTERNSET_ORIGIN_MAX 500

struct patternset_part {
	struct manifest m; /* its name is the part's */
	char origin[PATTERNSET_ORIGIN_MAX +
		    1];			    /* "file …", a URL, for people */
	char signed_by[SIGNING_ID_LEN + 1]; /* "" when nobody signed it */
};
struct patternset {
	uint64_t number; /* 0: there is none */
	int64_t created; /* seconds since 1970 */
	bool current;
	VEC(struct patternset_part);
};
struct patternset_list {
	VEC(struct patternset);
};

/* ---- reading; no lock is needed ---- */

/* A set by its number; -1 and *err when it is not there or not whole (its
 * files are not looked into). patternset_free() afterwards. */
int patternset_read(uint64_t number, struct patternset *set_r, struct err *err);
/* The current one: 1, 0 when there is none, -1 and *err. */
int patternset_current(struct patternset *set_r, struct err *err);
void patternset_free(struct patternset *set);
/* All sets, oldest first; those that cannot be read are left out and told in
 * *err (first one), which is empty otherwise. */
void patternset_list(struct patternset_list *list_r, struct err *err);
void patternset_list_free(struct patternset_list *list);

/* Whether every file is what its manifest says; reads all of them. */
int patternset_verify(const struct patternset *set, struct err *err);
/* The two for a set that lies in that directory, whatever its name. */
int patternset_read_dir(const char *dir, struct patternset *set_r,
			struct err *err);
int patternset_verify_in(const struct patternset *set, const char *dir,
			 struct err *err);
const struct patternset_part *patternset_part(const struct patternset *set,
					      const char *name);
/*
 * What can be loaded: the current set when all its files are what they were,
 * else the newest one before it that is sound. 1, and *err is empty, or says
 * why it is not the current one; 0 when there is no current one; -1 and *err
 * when none is sound.
 */
int patternset_sound(struct patternset *set_r, struct err *err);
/* Where a part of a set lies; the caller frees it. */
char *patternset_path(uint64_t number, const char *part);

/* ---- changing ---- */

/*
 * The lock, with all directories made: a descriptor, or -1 and *err (EBUSY:
 * another update is under way; it is told whose). patternset_unlock() gives it
 * back, and so does the process's end.
 */
int patternset_lock(struct err *err);
void patternset_unlock(int *fd);

/* Who has it, and for how long. */
struct patternset_holder {
	struct proc_id id;
	uint64_t held_ms;
	bool stopped; /* by SIGSTOP, or by a debugger */
};
/* 1; 0 when nobody has it, or it is not known who. Needs root. */
int patternset_holder(struct patternset_holder *holder_r);
/* Whether somebody should see to it: no other update can begin. */
bool patternset_holder_hangs(const struct patternset_holder *holder);
/* ": process 12, for 3s"; returns text. */
#define PATTERNSET_HOLDER_TEXT 160
const char *patternset_holder_text(const struct patternset_holder *holder,
				   char text[PATTERNSET_HOLDER_TEXT]);

/*
 * A new set that is being made, from the current one (or from nothing when
 * there is none). patternset_stage_end() removes what was not installed.
 */
struct patternset_stage {
	char *dir;
	struct patternset set;
};
int patternset_stage_begin(struct patternset_stage *stage_r, struct err *err);
void patternset_stage_end(struct patternset_stage *stage);
/* Takes a part out; false when there was none. */
bool patternset_stage_drop(struct patternset_stage *stage, const char *name);
/*
 * A new part in the place of the one of that name. Its files come from the
 * directory `from` (its manifest is m, which is taken over; the signature file
 * is copied where there is one): copied and then compared with the manifest,
 * so that what others can still write to never counts. What the current set's
 * part has with equal name, size and hash is linked instead.
 */
int patternset_stage_part(struct patternset_stage *stage, struct manifest *m,
			  const char *from, const char *origin,
			  const char *signed_by, struct err *err);
/* Completes it, so that patternset_read_dir() reads it and it can be tried. */
int patternset_stage_seal(const struct patternset_stage *stage,
			  struct err *err);
/* Completes it and puts the set into its place under the next number, whole and
 * on disk. It is not current yet. */
int patternset_install(struct patternset_stage *stage, uint64_t *number_r,
		       struct err *err);
/* Makes a set the current one; 0: none. */
int patternset_switch(uint64_t number, struct err *err);
/* Removes the oldest sets but `keep` before the current one, all that were
 * never finished, and those behind the current one. */
void patternset_prune(unsigned int keep);

/* ---- what must not come back ---- */

/*
 * Whether a part may come in that version: not one that was taken back, nor
 * one older than what was installed once. -1 and *err say which and what helps.
 */
int patternset_may(const char *part, uint64_t version, struct err *err);
/* After an update: versions up to these are old. */
int patternset_saw(const struct patternset *set, struct err *err);
/* Before a rollback: what the set `bad` has and `good` has not, or in another
 * version, is held back until a newer one comes. */
int patternset_hold(const struct patternset *bad, const struct patternset *good,
		    struct err *err);

/* ---- how the last update went ---- */

/* err NULL: well. */
void patternset_tell(const char *source, const struct err *err);
/* 1 and *err when it failed, with its time (seconds since 1970); 0 when it went
 * well, or there was none. */
int patternset_told(int64_t *when_r, struct err *err);
/* The file in which that stands; the caller frees it. */
char *patternset_told_path(void);

#endif
