/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_QUARANTINE_H
#define SPLX_ENTITY_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/scoreboard.h"
#include "common/verdict.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "store.h"

/*
 * The quarantine: paths()->quarantine_dir with a sealed file ID.q for each
 * item, and the store's index of them. Files go in by descriptor and identity
 * (hold.h) and every step is in the store's journal before it is done, so a
 * kill at any instant leaves exactly one copy, in its place or sealed; what
 * was begun is finished or undone by quarantine_recover(). The table of
 * states stands in quarantine.c.
 *
 * Reading and writing whole files is done by child processes (childjob.h),
 * so the loop goes on; the small steps before and after are done in it.
 */
struct holding_place;
struct quarantine;

struct quarantine_setup {
	struct loop *loop; /* NULL: only the functions ending in _now */
	struct store *store;
	struct scoreboard *sb; /* for passes; NULL: none */
	/* Told when putting files away does not work, or works again. */
	void (*on_health)(bool healthy, const char *why, void *arg);
	void *arg;
};
/* Never NULL; opens its directory and key at first need. */
struct quarantine *quarantine_new(const struct quarantine_setup *setup);
/* What is under way is cut off and told so (ECANCELED); the journal knows. */
void quarantine_free(struct quarantine **q);
/* Limits: 0 is none. */
void quarantine_configure(struct quarantine *q, uint64_t max_age_ms,
			  uint64_t max_size);

/*
 * Finishes or undoes what was begun before a crash, takes sealed files that
 * the index has lost back into it, and sets the passes up again. Once at the
 * start, and now and then for what could not be reached. Returns how many
 * intents are left, or -1 and *err.
 */
int quarantine_recover(struct quarantine *q, struct err *err);

/* What is to be put away. */
struct quarantine_file {
	int fd;	   /* the file, readable; stays the caller's */
	pid_t pid; /* whose view the path is of; 0: ours */
	enum scan_source source;
	const char *virus;
	int64_t opener_uid;  /* -1 unknown */
	const char *program; /* "" unknown */
	/* Where it is, when that was found out beforehand; NULL: find it. */
	const struct holding_place *place;
};
/*
 * The result: item.id is 0 when it failed, and the file is where it was (or,
 * should its name be taken meanwhile, beside it; then err says where).
 * item.detail: what is to be told besides ("2 links left").
 */
typedef void (*quarantine_fn)(const struct item *item, const struct err *err,
			      void *arg);
/* `fn` may be called before it returns. */
void quarantine_put(struct quarantine *q, const struct quarantine_file *file,
		    quarantine_fn fn, void *arg);
/* The same without a loop, in this process. 0, or -1 and *err. */
int quarantine_put_now(struct quarantine *q, const struct quarantine_file *file,
		       struct item *item_r, struct err *err);

/*
 * Puts an item back, to its path or to `to` (a full path; NULL: its own; a
 * directory: its name in it). A file that stands there is an error (EEXIST)
 * unless `force`. The file passes from then on while it stays the same.
 * item->detail: attributes that could not be set.
 */
void quarantine_restore(struct quarantine *q, int64_t id, const char *to,
			bool force, quarantine_fn fn, void *arg);
int quarantine_restore_now(struct quarantine *q, int64_t id, const char *to,
			   bool force, struct item *item_r, struct err *err);

/* For good. 1, 0 when there is no such item, -1 and *err. */
int quarantine_delete(struct quarantine *q, int64_t id, struct err *err);
/*
 * Deletes items older than max_age_ms (0: none) and the oldest while all are
 * more than the configured size. Returns how many, or -1 and *err.
 */
long quarantine_purge(struct quarantine *q, uint64_t max_age_ms,
		      struct err *err);

/*
 * Is this file one that was restored and has not changed? 1 (and it is in the
 * shared table, pass.h), 0, -1. By its key at once; `sha256` (hex) may be
 * NULL when it is not known: then 0 with *ask_r true means that the answer
 * depends on it.
 */
int quarantine_passed(struct quarantine *q, const struct file_key *key,
		      const char *path, const char *sha256, bool *ask_r);

/* ---- as a part of core ---- */
int quarantine_init(struct core *core, struct err *err);
void quarantine_deinit(struct core *core);

/*
 * What the verbs answer (verbs_quarantine.c).
 *
 * ITEM: id, time (ns since 1970), path, virus, source, size, sealed (bytes in
 *   quarantine), sha256, mode (octal text), uid, gid, mtime (ns), detail, pid,
 *   opener_uid, program
 * quarantine.list {"items":[ITEM...], "total": how many there are in all,
 *   "bytes": sealed bytes of all}; newest first, at most 100 without --limit
 * quarantine.show ITEM
 * quarantine.restore {"restored":[{"id","path","detail"}],
 *   "failed":[{"id","error"}]}; an error as a whole when none was restored
 * quarantine.delete {"deleted":[id...],"failed":[{"id","error"}]}; likewise
 * quarantine.purge {"deleted": how many, "total", "bytes": what is left}
 */

#endif
