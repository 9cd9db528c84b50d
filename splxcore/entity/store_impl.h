/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_STORE_IMPL_H
#define SPLX_ENTITY_STORE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/vec.h"
#include "store.h"

/* What store.c (the one that knows SQLite) offers the other store_*.c. */

struct store_events_state;
/* Made and freed with the store; store_events.c owns what is in it. */
struct store_events_state *store_events_new(void);
void store_events_free(struct store_events_state **state);
struct store_events_state *store_events_of(struct store *store);
/* The event table as events.def wants it: made, or given new columns. */
int store_events_schema(struct store *store, struct err *err);
/* Called whenever the store was opened. */
int store_events_opened(struct store *store, struct err *err);
/* Writes what waits in memory; 0 when nothing waits any more. */
int store_events_flush(struct store *store, struct err *err);

/*
 * A prepared statement. `sql` is the key under which it is kept: the pointer,
 * so it must live as long as the store. NULL and *err when the store is not
 * to be had. Bind (numbers from 1), step until it returns 0, read columns
 * (from 0) after a 1, and give it back with stmt_done() always.
 */
struct stmt;
struct stmt *stmt_get(struct store *store, const char *sql, struct err *err);
void stmt_int(struct stmt *st, int at, int64_t value);
/* Text and bytes are copied; NULL binds null. */
void stmt_text(struct stmt *st, int at, const char *text);
void stmt_bytes(struct stmt *st, int at, const void *data, size_t len);
int stmt_step(struct stmt *st, struct err *err);
int64_t stmt_get_int(struct stmt *st, int at);
bool stmt_is_null(struct stmt *st, int at);
/* Borrowed, until the next step; "" for null. */
const char *stmt_get_text(struct stmt *st, int at);
void stmt_copy_text(struct stmt *st, int at, char *out, size_t size);
const void *stmt_get_bytes(struct stmt *st, int at, size_t *len_r);
void stmt_done(struct stmt **st);
/* Get, step until done, give back: for statements without results. */
int stmt_run(struct stmt **st, struct err *err);

/* SQL that is run once, not kept. */
int store_exec(struct store *store, const char *sql, struct err *err);
int64_t store_rowid(const struct store *store);
int64_t store_changes(const struct store *store);

/*
 * One transaction; `durable`: on the disk when store_commit() returns 0.
 * After a failure inside call store_rollback(), which keeps *err.
 */
int store_begin(struct store *store, bool durable, struct err *err);
int store_commit(struct store *store, struct err *err);
void store_rollback(struct store *store);
/* True when the last failure was the data's, not the disk's. */
bool store_refused(const struct store *store);

#endif
