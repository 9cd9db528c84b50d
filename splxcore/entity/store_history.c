/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <string.h>

#include "history.h"
#include "store_impl.h"

/* A bucket of a histogram that is not empty: 2 bytes number, 4 bytes count. */
#define PAIR 6
#define BLOB_MAX (HIST_BUCKETS * PAIR)

static size_t pack(const struct hist *h, uint8_t out[BLOB_MAX])
{
	uint8_t *p = out;

	for (int i = 0; i < HIST_BUCKETS; i++) {
		uint64_t n = atomic_load(&h->bucket[i]);

		if (!n)
			continue;
		if (n > UINT32_MAX)
			n = UINT32_MAX;
		*p++ = (uint8_t)i;
		*p++ = (uint8_t)(i >> 8);
		for (int b = 0; b < 4; b++)
			*p++ = (uint8_t)(n >> (8 * b));
	}
	return (size_t)(p - out);
}

/* Adds what is in there; what makes no sense is passed over. */
static void unpack(const uint8_t *p, size_t len, struct hist *h)
{
	for (; len >= PAIR; p += PAIR, len -= PAIR) {
		int i = p[0] | p[1] << 8;
		uint64_t n = (uint64_t)p[2] | (uint64_t)p[3] << 8 |
			     (uint64_t)p[4] << 16 | (uint64_t)p[5] << 24;

		if (i < HIST_BUCKETS)
			atomic_fetch_add(&h->bucket[i], n);
	}
}

#define COLUMNS "opens,asked,scans,hits,findings,timeouts,waits"

static void read_row(struct stmt *st, struct history_row *row)
{
	const void *blob;
	size_t len;

	for (int i = 0; i < HISTORY_COUNTS; i++)
		row->count[i] += (uint64_t)stmt_get_int(st, i);
	blob = stmt_get_bytes(st, HISTORY_COUNTS, &len);
	unpack(blob, len, &row->waits);
}

static int add_former(struct store *store, struct history_row *row,
		      struct err *err)
{
	static const char sql[] =
		"SELECT " COLUMNS " FROM history WHERE level=?1 AND time=?2";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	stmt_int(st, 1, row->level);
	stmt_int(st, 2, row->time_s);
	rc = stmt_step(st, err);
	if (rc > 0)
		read_row(st, row);
	stmt_done(&st);
	return rc < 0 ? -1 : 0;
}

int store_history_add(struct store *store, const struct history_row *row,
		      struct err *err)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO history(level,time," COLUMNS
		") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)";
	struct history_row all = *row;
	uint8_t blob[BLOB_MAX];
	struct stmt *st;

	if (add_former(store, &all, err) < 0)
		return -1;
	st = stmt_get(store, sql, err);
	if (!st)
		return -1;
	stmt_int(st, 1, all.level);
	stmt_int(st, 2, all.time_s);
	for (int i = 0; i < HISTORY_COUNTS; i++)
		stmt_int(st, 3 + i, (int64_t)all.count[i]);
	stmt_bytes(st, 3 + HISTORY_COUNTS, blob, pack(&all.waits, blob));
	return stmt_run(&st, err);
}

int store_history(struct store *store, int level, int64_t from_s,
		  int64_t until_s, store_history_fn fn, void *arg,
		  struct err *err)
{
	static const char sql[] =
		"SELECT " COLUMNS ",time FROM history WHERE level=?1 AND "
		"time>=?2 AND time<?3 ORDER BY time";
	struct stmt *st = stmt_get(store, sql, err);
	struct history_row row;
	int rc;

	if (!st)
		return -1;
	stmt_int(st, 1, level);
	stmt_int(st, 2, from_s);
	stmt_int(st, 3, until_s);
	while ((rc = stmt_step(st, err)) > 0) {
		memset(&row, 0, sizeof(row));
		row.level = level;
		row.time_s = stmt_get_int(st, HISTORY_COUNTS + 1);
		read_row(st, &row);
		fn(&row, arg);
	}
	stmt_done(&st);
	return rc;
}

int store_history_trim(struct store *store, int level, int64_t keep,
		       int64_t until_s, struct err *err)
{
	static const char sql[] =
		"DELETE FROM history WHERE level=?1 AND (time>?3 OR time<="
		"(SELECT time FROM history WHERE level=?1 AND time<=?3 ORDER "
		"BY time DESC LIMIT 1 OFFSET ?2))";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, level);
	stmt_int(st, 2, keep);
	stmt_int(st, 3, until_s);
	return stmt_run(&st, err);
}
