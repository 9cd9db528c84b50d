/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Scans as jobs, in the store. */
#include "common/scanstate.h"
#include "store_impl.h"

#define COLUMNS "id,state,name,begun,data"

static int run(struct stmt *st, struct err *err)
{
	if (stmt_run(&st, err) == 0)
		return 0;
	return err_add(err, "scan");
}

int store_scan_add(struct store *store, struct scan_row *row, struct err *err)
{
	static const char sql[] =
		"INSERT INTO scan(state,name,begun,data) VALUES(?1,?2,?3,?4)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, row->state);
	stmt_text(st, 2, row->name);
	stmt_int(st, 3, row->begun_ns);
	stmt_text(st, 4, row->data);
	if (run(st, err) < 0)
		return -1;
	row->id = store_rowid(store);
	return 0;
}

int store_scan_save(struct store *store, const struct scan_row *row,
		    struct err *err)
{
	static const char sql[] =
		"UPDATE scan SET state=?2,data=?3 WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, row->id);
	stmt_int(st, 2, row->state);
	stmt_text(st, 3, row->data);
	return run(st, err);
}

/* Steps through what `st` gives. How many, or -1. */
static int each(struct stmt *st, store_scan_fn fn, void *arg, struct err *err)
{
	struct scan_row row;
	int rc, n = 0;

	while ((rc = stmt_step(st, err)) > 0) {
		row.id = stmt_get_int(st, 0);
		row.state = (int)stmt_get_int(st, 1);
		row.name = stmt_get_text(st, 2);
		row.begun_ns = stmt_get_int(st, 3);
		row.data = stmt_get_text(st, 4);
		fn(&row, arg);
		n++;
	}
	stmt_done(&st);
	return rc < 0 ? -1 : n;
}

int store_scans(struct store *store, const char *name, int64_t before,
		int limit, store_scan_fn fn, void *arg, struct err *err)
{
	static const char sql_all[] = "SELECT " COLUMNS " FROM scan WHERE "
				      "id<?1 ORDER BY id DESC LIMIT ?2";
	static const char sql_name[] =
		"SELECT " COLUMNS " FROM scan WHERE id<?1 AND name=?3 "
		"ORDER BY id DESC LIMIT ?2";
	struct stmt *st = stmt_get(store, name ? sql_name : sql_all, err);

	if (!st)
		return -1;
	stmt_int(st, 1, before > 0 ? before : INT64_MAX);
	stmt_int(st, 2, limit);
	if (name)
		stmt_text(st, 3, name);
	return each(st, fn, arg, err) < 0 ? -1 : 0;
}

int store_scans_alive(struct store *store, store_scan_fn fn, void *arg,
		      struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS " FROM scan WHERE state "
				  "IN (?1,?2) ORDER BY id";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, SCAN_RUNNING);
	stmt_int(st, 2, SCAN_PAUSED);
	return each(st, fn, arg, err) < 0 ? -1 : 0;
}

int store_scan_get(struct store *store, int64_t id, store_scan_fn fn, void *arg,
		   struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS " FROM scan WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return each(st, fn, arg, err);
}

int store_scans_purge(struct store *store, int64_t keep, struct err *err)
{
	static const char sql[] =
		"DELETE FROM scan WHERE state NOT IN (?1,?2) AND id<=(SELECT "
		"id FROM scan WHERE state NOT IN (?1,?2) ORDER BY id DESC "
		"LIMIT 1 OFFSET ?3)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, SCAN_RUNNING);
	stmt_int(st, 2, SCAN_PAUSED);
	stmt_int(st, 3, keep);
	return run(st, err);
}
