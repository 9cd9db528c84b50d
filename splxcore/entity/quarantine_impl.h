/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_QUARANTINE_IMPL_H
#define SPLX_ENTITY_QUARANTINE_IMPL_H

#include <jansson.h>
#include <stdbool.h>

#include "childjob.h"
#include "holding.h"
#include "lib/vec.h"
#include "quarantine.h"
#include "seal.h"

/* What the quarantine_*.c share. */

struct quarantine_work; /* one put or restore under way */

struct quarantine {
	struct quarantine_setup setup;
	int dir; /* its directory, locked; -1 until the first need */
	struct seal_key key;
	uint64_t max_age_ms;
	uint64_t max_size;
	bool healthy;
	bool passes_set;	/* those of the store are in the scoreboard */
	unsigned int forgotten; /* passes that found no place any more */
	uint64_t forgotten_told_ns;
	struct {
		VEC(struct quarantine_work *);
	} works;
	struct childjob *hashing; /* of a pass */
	struct pass_hash *hash;
	struct {
		VEC(struct pass *);
	} to_hash;
};

#define QUARANTINE_NAME_MAX 40
/* "12.q", "12.tmp" */
char *quarantine_name(char out[QUARANTINE_NAME_MAX], int64_t id,
		      const char *end);

/* Directory, lock and key are there. 0, or -1 and *err. */
int quarantine_ready(struct quarantine *q, struct err *err);
/* Tells on_health. quarantine_fault() returns -1. */
int quarantine_fault(struct quarantine *q, const struct err *err);
void quarantine_well(struct quarantine *q);

/* Is the intent, or the item, one that is being worked on? */
bool quarantine_busy(const struct quarantine *q, int64_t id);

/*
 * One put or restore: begin (in the loop), copy (in a child, or here without
 * a loop), end (in the loop). Each step that fails undoes what was done.
 */
struct quarantine_copied {
	int rc;
	struct err err;
	struct seal_info info;
	bool changed; /* the file, while it was read */
};
struct quarantine_work {
	struct quarantine *q;
	struct item item;
	struct intent intent;
	struct holding h;
	int fd;	    /* PUT: the file; RESTORE: the new file */
	int sealed; /* the sealed file */
	char *meta; /* PUT: what is known of the file */
	bool force; /* RESTORE: replace what stands there */
	struct childjob *job;
	quarantine_fn fn;
	void *arg;
	void (*copy)(struct quarantine_work *w, struct quarantine_copied *c);
	int (*end)(struct quarantine_work *w, const struct quarantine_copied *c,
		   struct err *err);
};
struct quarantine_work *quarantine_work_new(struct quarantine *q);
void quarantine_work_free(struct quarantine_work **w);
/* The rest of a work whose begin went well: in a child if there is a loop. */
void quarantine_work_go(struct quarantine_work *w);
/* The same here and now; frees the work. */
int quarantine_work_now(struct quarantine_work *w, struct item *item_r,
			struct err *err);

/* begin of the two; 0, or -1 and *err with everything undone. */
int quarantine_put_begin(struct quarantine_work *w,
			 const struct quarantine_file *file, struct err *err);
int quarantine_restore_begin(struct quarantine_work *w, int64_t id,
			     const char *to, bool force, struct err *err);

/* What a sealed file tells of itself, to an item. -1 and *err. */
int quarantine_item_of(struct quarantine *q, int64_t id, struct item *item_r,
		       json_t **attrs_r, struct err *err);
/* Removes ID.q and the DROP intent that stands for it. */
int quarantine_finish_drop(struct quarantine *q, int64_t item, int64_t drop,
			   struct err *err);

/* quarantine_pass.c: sets the passes of the store up in the scoreboard. */
void quarantine_passes_set(struct quarantine *q);
/* Gives a file its pass in the scoreboard; tells when another one's had to go
 * for it. */
void quarantine_pass_give(struct quarantine *q, const struct file_key *key);
void quarantine_passes_stop(struct quarantine *q);

#endif
