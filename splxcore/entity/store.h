/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_STORE_H
#define SPLX_ENTITY_STORE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/events.h"
#include "common/verdict.h"
#include "lib/err.h"

struct core;

/*
 * Everything that core remembers: events, the index of the quarantine, the
 * journal of what it is about to do to files, and the passes of restored
 * files. One SQLite database, one writer; store.c is the only file that knows
 * sqlite3.h.
 *
 * A store that cannot be opened or written (full disk, read-only, newer
 * schema) is an object like any other: every function fails with *err, tries
 * again by itself (at most once a second), and store_healthy() tells. Events
 * wait in memory meanwhile. A database that is damaged is put aside as
 * FILE.broken-TIME and a new one begun.
 */
struct store;

/* Never NULL. The path is copied. */
struct store *store_new(const char *path);
void store_free(struct store **store);

/* False when the last thing tried did not work; *why_r (may be NULL) says. */
bool store_healthy(const struct store *store, struct err *why_r);
/* Tries to open, and to write what waits in memory. 0, or -1 and *err. */
int store_retry(struct store *store, struct err *err);
/* `fn` is told when healthy becomes false or true again. */
void store_on_health(struct store *store,
		     void (*fn)(bool healthy, const char *why, void *arg),
		     void *arg);

/* ---- events (events.def) ---- */

/*
 * Adds an event. `columns` is an object of the kind's own columns (taken
 * over; NULL: none; an unknown name is a bug and panics; null values are
 * left out; json_string_nocheck() for text that may not be UTF-8). All text is
 * kept as log_escape() writes it. Never fails for the caller: what cannot be
 * written now waits in memory (up to 1000, the oldest go first and are counted)
 * and is written when it can be.
 */
void store_event(struct store *store, enum event_kind_id kind,
		 enum event_severity severity, json_t *columns, const char *fmt,
		 ...) __attribute__((format(printf, 5, 6)));

/*
 * Column number i of all kinds together, those of events.def without the
 * common ones; a name that several kinds share stands once. NULL past the
 * last.
 */
const struct event_column *store_event_column(size_t i);

/*
 * A question for events. Answered in slices, so that a million rows never
 * hold up the loop: each call looks at a bounded number of rows, hands what
 * matches to `fn` and moves `cursor`; call again until it returns 0.
 */
struct event_query {
	int kind;	  /* enum event_kind_id, or -1 for all */
	int64_t since_ns; /* 0: no limit */
	int64_t until_ns; /* 0: no limit; that instant itself is not in */
	const char *text; /* a part of any text column; NULL: any. Borrowed */
	bool newest_first;
	int64_t cursor;	   /* begin after this id (newest_first: before);
			      0: at the beginning */
	int limit;	   /* at most so many matches a call; at least 1 */
	int64_t low, high; /* store_events()'s own; zero them */
};
/*
 * Each match: an object with id, time (ns since 1970), kind, severity,
 * message and the columns of its kind, null where it has none. Borrowed.
 */
typedef void (*store_event_fn)(json_t *event, void *arg);
/* 1: there may be more, from query->cursor on; 0: that was all; -1, *err. */
int store_events(struct store *store, struct event_query *query,
		 store_event_fn fn, void *arg, struct err *err);

/* `fn` is called after each event was written, with its id. One observer
 * more for each call; store_unfollow() ends it. */
struct store_follower;
struct store_follower *store_follow(struct store *store,
				    void (*fn)(int64_t id, void *arg),
				    void *arg);
void store_unfollow(struct store_follower **follower);

/* The highest id so far, 0 when there is none. */
int64_t store_last_event(struct store *store);
int64_t store_event_count(const struct store *store);
/*
 * Deletes events older than max_age_ms and the oldest beyond max_count
 * (0: no limit), at most a few thousand a call. 1: there is more to delete,
 * 0: done, -1 and *err. *deleted_r (may be NULL) is added to.
 */
int store_events_purge(struct store *store, uint64_t max_age_ms,
		       int64_t max_count, int64_t *deleted_r, struct err *err);

/* ---- the index of the quarantine ---- */

struct item {
	int64_t id; /* the intent's that made it */
	int64_t when_ns;
	char path[PATH_MAX]; /* raw bytes, where the file was */
	char virus[256];
	char source[16]; /* source_name() */
	char sha256[65];
	char detail[512];
	uint64_t size;	 /* of the file */
	uint64_t sealed; /* bytes in quarantine */
	uint32_t mode, uid, gid;
	int64_t mtime_ns;
	int32_t pid; /* who opened it, and its user; -1 unknown */
	int64_t opener_uid;
	char program[PATH_MAX];
};
struct item_query {
	const char *virus; /* part of it; NULL: any */
	const char *path;  /* part of it; NULL: any */
	int64_t limit, offset;
};
typedef void (*store_item_fn)(const struct item *item, void *arg);
/* Newest first. */
int store_items(struct store *store, const struct item_query *query,
		store_item_fn fn, void *arg, struct err *err);
/* 1, 0 when there is none, -1 and *err. */
int store_item_get(struct store *store, int64_t id, struct item *item_r,
		   struct err *err);
/* How many items and how many sealed bytes there are. */
int store_item_totals(struct store *store, int64_t *count_r, uint64_t *bytes_r,
		      struct err *err);
/*
 * The oldest item if it is older than before_ns, or if all of them together
 * are more than max_bytes (each 0: no limit; a single one may be). 1, 0, -1.
 */
int store_item_oldest(struct store *store, int64_t before_ns,
		      uint64_t max_bytes, struct item *item_r, struct err *err);

/* ---- the journal: what is about to be done to a file ---- */

enum intent_kind {
	INTENT_PUT,	/* into quarantine */
	INTENT_DELETE,	/* the file, by action delete */
	INTENT_RENAME,	/* the file, by action rename */
	INTENT_RESTORE, /* out of quarantine */
	INTENT_DROP,	/* remove a sealed file that has no item any more */
};
enum intent_state {
	INTENT_BEGUN,
	INTENT_SEALED,	/* PUT: the item stands, the original has to go */
	INTENT_WRITTEN, /* RESTORE: the new file is whole, its ino is known */
};
struct intent {
	int64_t id;
	enum intent_kind kind;
	enum intent_state state;
	int64_t when_ns;
	int64_t item;		   /* RESTORE, DROP: the item */
	char dir[PATH_MAX];	   /* the directory, by path … */
	uint64_t dir_dev, dir_ino; /* … and identity */
	int32_t pid; /* whose root directory dir is seen from; 0: ours */
	char name[NAME_MAX + 1];
	char new_name[NAME_MAX + 1]; /* RENAME: what it becomes */
	char hold[64];		     /* the private directory beside it */
	uint64_t dev, ino;	     /* the file */
	char boot[40]; /* boot id: dev numbers hold within one boot */
};
typedef void (*store_intent_fn)(const struct intent *intent, void *arg);

/*
 * Each of these is on the disk when it returns 0 (synchronous=FULL), and is
 * done whole or not at all.
 */
/* Sets id and boot. */
int store_intent_begin(struct store *store, struct intent *intent,
		       struct err *err);
int store_intent_end(struct store *store, int64_t id, struct err *err);
/* RESTORE becomes WRITTEN. */
int store_intent_written(struct store *store, int64_t id, uint64_t dev,
			 uint64_t ino, struct err *err);
/* The item is there, and intent item->id is SEALED (none: for an orphan). */
int store_item_sealed(struct store *store, const struct item *item,
		      struct err *err);
/*
 * The item is gone. Instead of `intent` (0: of a new one) there stands a DROP
 * for it; its id goes to *drop_r. With `pass` that pass is added too.
 */
struct pass;
int store_item_drop(struct store *store, int64_t item, int64_t intent,
		    const struct pass *pass, int64_t *drop_r, struct err *err);
/* All that stand, oldest first; read before `fn` is called for any. */
int store_intents(struct store *store, store_intent_fn fn, void *arg,
		  struct err *err);
/* Ids given from now on are above this one. */
int store_intent_reserve(struct store *store, int64_t id, struct err *err);

/* ---- findings under way ---- */

/*
 * Findings that core has taken and not finished, as bytes that the store does
 * not look into: they outlive a core that is killed. *id_r is 0 when it could
 * not be written (no error of the caller's).
 */
void store_spool_add(struct store *store, const void *data, size_t len,
		     int64_t *id_r);
void store_spool_drop(struct store *store, int64_t id);
/* `tries`: how often it was read back before this time. */
typedef void (*store_spool_fn)(int64_t id, int tries, const void *data,
			       size_t len, void *arg);
/* All that stand, oldest first; read before `fn` is called for any. */
int store_spool(struct store *store, store_spool_fn fn, void *arg,
		struct err *err);

/* ---- scans (scans.h) ---- */

/* A scan as a job; what `data` holds is known to scans.c alone. */
struct scan_row {
	int64_t id;	  /* above 0, never used again */
	int state;	  /* enum scan_state */
	const char *name; /* of its schedule; "": none */
	int64_t begun_ns;
	const char *data;
};
typedef void (*store_scan_fn)(const struct scan_row *row, void *arg);
/* Writes a new one; sets row->id. 0, or -1 and *err. */
int store_scan_add(struct store *store, struct scan_row *row, struct err *err);
/* state and data are others now. */
int store_scan_save(struct store *store, const struct scan_row *row,
		    struct err *err);
/*
 * Newest first, at most `limit`, those with lower ids than `before` (0: all);
 * of that name alone (NULL: all). The strings live until fn returns, which
 * must not call the store.
 */
int store_scans(struct store *store, const char *name, int64_t before,
		int limit, store_scan_fn fn, void *arg, struct err *err);
/* Those that are running or paused, oldest first. */
int store_scans_alive(struct store *store, store_scan_fn fn, void *arg,
		      struct err *err);
/* fn is called for it. 1, 0 when there is none, -1 and *err. */
int store_scan_get(struct store *store, int64_t id, store_scan_fn fn, void *arg,
		   struct err *err);
/* Deletes the oldest that are over, beyond so many. */
int store_scans_purge(struct store *store, int64_t keep, struct err *err);
/*
 * The findings of a scan: events of kind virus, oldest first, at most `limit`.
 */
int store_scan_findings(struct store *store, int64_t id, int limit,
			store_event_fn fn, void *arg, struct err *err);

/* ---- passes of restored files ---- */

struct pass {
	int64_t id;
	char sha256[65];
	char path[PATH_MAX];
	char virus[256];
	struct file_key key;
	int64_t when_ns;
};
typedef void (*store_pass_fn)(const struct pass *pass, void *arg);
/* Newest first; with size >= 0 those of that size alone. */
int store_passes(struct store *store, int64_t size, store_pass_fn fn, void *arg,
		 struct err *err);
/* The file is known under another key now (touched, or copied back). */
int store_pass_key(struct store *store, int64_t id, const struct file_key *key,
		   struct err *err);
int store_pass_delete(struct store *store, int64_t id, struct err *err);

/* ---- as a part of core ---- */

int store_init(struct core *core, struct err *err);
void store_deinit(struct core *core);

/*
 * What the verbs answer (verbs_events.c).
 *
 * events.list {"events":[EVENT...], "next": id or null}; next is what to give
 *   as --before to go on. EVENT: id, time (ns since 1970), kind, severity,
 *   message and the columns of its kind (null where it has none).
 * events.follow: a stream, each part an EVENT; ends with the client.
 * events.export: a stream, each part {"text": "..."}: whole lines to be
 *   written as they are; the answer is {"events": count}. csv (RFC 4180, CRLF,
 *   a header) or jsonl (an EVENT a line); "time" is written as
 *   2026-11-21T20:47:59.123Z there.
 * --since, --until: ns since 1970, "2026-11-21", "2026-11-21 20:47[:59]"
 *   (local time) with a T or a blank between, with Z for UTC, or a duration
 *   before now such as "2h".
 */

#endif
