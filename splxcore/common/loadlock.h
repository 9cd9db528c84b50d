/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_LOADLOCK_H
#define SPLX_COMMON_LOADLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "lib/err.h"
#include "lib/str.h"

/*
 * The load lock: a machine that goes down again and again while our kernel
 * module is in use comes up without it. paths()->load_lock holds a line
 *   start  for the boot in which the module is in use now, or is just being
 *          loaded; whoever ends cleanly removes it;
 *   crash  for each boot that left such a line behind;
 *   cleared  when crashes were removed by hand and no service ran to make an
 *          event of it.
 * What the lines look like is told in splxctl(8).
 *
 * Time is kept as an age. In memory an entry lies on the axis of this boot's
 * CLOCK_BOOTTIME, which nobody can set; what an earlier boot saw lies before
 * its zero. In the file stands the wall time too, by which the next boot finds
 * its place; settling brings that up to date when the clock was set.
 */
#define LOADLOCK_BOOT 40    /* a boot id, terminated */
#define LOADLOCK_KERNEL 72  /* a kernel release, cut */
#define LOADLOCK_MAX 64	    /* entries; the newest are kept */
#define LOADLOCK_SIZE 65536 /* a longer file is none of ours */

/* Where and when we are; tests give their own. Seconds. */
struct loadlock_now {
	char boot[LOADLOCK_BOOT]; /* "": it cannot be told */
	char kernel[LOADLOCK_KERNEL];
	int64_t real; /* CLOCK_REALTIME */
	int64_t up;   /* CLOCK_BOOTTIME */
};
void loadlock_now(struct loadlock_now *now_r);

/* When it locks. */
struct loadlock_policy {
	int64_t window;	  /* seconds */
	unsigned int max; /* crashes within it; 0: never */
};
void loadlock_policy(const struct conf *conf, struct loadlock_policy *policy_r);

enum loadlock_kind { LOADLOCK_START, LOADLOCK_CRASH, LOADLOCK_CLEARED };
/* Whose start it is: one may load the module while another starts to use it,
 * and each ends its own. */
enum loadlock_by { LOADLOCK_BY_LOAD, LOADLOCK_BY_SERVICE, LOADLOCK_BY_ANY };

struct loadlock_entry {
	enum loadlock_kind kind;
	enum loadlock_by by;	  /* START */
	char boot[LOADLOCK_BOOT]; /* START, CRASH: the one that it is of */
	char kernel[LOADLOCK_KERNEL];
	int64_t at;	    /* on this boot's CLOCK_BOOTTIME, seconds */
	int64_t time;	    /* wall time as it stands in the file */
	bool told;	    /* CRASH: the service has made an event of it */
	unsigned int count; /* CLEARED: how many crashes */
};

struct loadlock {
	struct loadlock_entry entries[LOADLOCK_MAX]; /* oldest first */
	unsigned int n;
	unsigned int voids; /* lines that were not whole, or not ours */
	char void_line[80]; /* the first of them, cut */
};

/* ---- pure ---- */

/* Reads a file's text; what is not whole is counted and left out. */
void loadlock_parse(struct loadlock *lock_r, const char *text,
		    const struct loadlock_now *now);
/* The file's text; "" when it should not exist. */
void loadlock_format(const struct loadlock *lock,
		     const struct loadlock_now *now, struct str *text_r);
/*
 * Open starts of other boots become crashes, noticed now: their time is this
 * boot's start. Crashes that are older than the window go.
 */
void loadlock_settle(struct loadlock *lock, const struct loadlock_now *now,
		     int64_t window);
/* Crashes within the window of a settled one. */
unsigned int loadlock_crashes(const struct loadlock *lock);
/* Whether it locks, and in how many seconds it will not any more (0: it does
 * not). A boot that has a start was let in, and stays so. */
bool loadlock_locks(const struct loadlock *lock, const struct loadlock_now *now,
		    const struct loadlock_policy *policy, int64_t *free_in_r);

/* ---- the file ---- */

/* What a look at the file, or a change of it, came to. */
struct loadlock_state {
	bool locked;
	bool known; /* false: the file could not be read, or written as it
		       should be; `why` tells. It is judged by what is known. */
	struct err why;
	int64_t free_in; /* seconds until it locks no more; 0: it does not */
	/* For an event, once; of what the service itself does alone: */
	unsigned int noticed; /* crashes that it is told of */
	unsigned int cleared; /* of CLEARED lines that were taken out */
	struct loadlock lock; /* settled */
};

/* Changes nothing. */
void loadlock_look(const struct loadlock_now *now,
		   const struct loadlock_policy *policy,
		   struct loadlock_state *state_r);
/*
 * Before the module is loaded (BY_LOAD), or is let in to be armed
 * (BY_SERVICE): judges, and unless it is locked writes the start. When that
 * cannot be written `known` is false, and the module is let in all the same.
 */
void loadlock_begin(const struct loadlock_now *now,
		    const struct loadlock_policy *policy, enum loadlock_by by,
		    struct loadlock_state *state_r);
/* The service's: brings the file up to date, as when the clock was set; adds
 * no start. Does nothing where there is no file. */
void loadlock_keep(const struct loadlock_now *now,
		   const struct loadlock_policy *policy,
		   struct loadlock_state *state_r);
/*
 * A clean end: this boot's starts of that kind go. Works on a full file
 * system too. -1 and *err when it cannot be written; the next boot will take
 * this one for a crash then.
 */
int loadlock_end(const struct loadlock_now *now, enum loadlock_by by,
		 struct err *err);
/*
 * Removes the crashes, and open starts of other boots; *cleared_r tells how
 * many. With `note` a CLEARED line stands for them. -1 and *err.
 */
int loadlock_clear(const struct loadlock_now *now, bool note,
		   unsigned int *cleared_r, struct err *err);

/* "the machine went down 2 times within 1h …", for people. Returns out. */
char *loadlock_text(const struct loadlock_state *state,
		    const struct loadlock_now *now,
		    const struct loadlock_policy *policy, char *out,
		    size_t size);

#endif
