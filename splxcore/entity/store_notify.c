/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify_impl.h"
#include "store_impl.h"

int store_notify_get(struct store *store, const char *name,
		     struct notify_mark *mark_r, struct err *err)
{
	static const char sql[] =
		"SELECT told,sent,dropped,dropped_at,ok_at FROM notify WHERE "
		"name=?1";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	stmt_text(st, 1, name);
	rc = stmt_step(st, err);
	if (rc > 0) {
		mark_r->told = stmt_get_int(st, 0);
		mark_r->sent = stmt_get_int(st, 1);
		mark_r->dropped = stmt_get_int(st, 2);
		mark_r->dropped_ns = stmt_get_int(st, 3);
		mark_r->ok_ns = stmt_get_int(st, 4);
	}
	stmt_done(&st);
	return rc;
}

int store_notify_save(struct store *store, const char *name,
		      const struct notify_mark *mark, struct err *err)
{
	static const char sql[] =
		"INSERT INTO notify(name,told,sent,dropped,dropped_at,ok_at) "
		"VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(name) DO UPDATE SET "
		"told=?2,sent=?3,dropped=?4,dropped_at=?5,ok_at=?6";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_text(st, 1, name);
	stmt_int(st, 2, mark->told);
	stmt_int(st, 3, mark->sent);
	stmt_int(st, 4, mark->dropped);
	stmt_int(st, 5, mark->dropped_ns);
	stmt_int(st, 6, mark->ok_ns);
	return stmt_run(&st, err);
}

int store_notify_remove(struct store *store, const char *name, struct err *err)
{
	static const char sql[] = "DELETE FROM notify WHERE name=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_text(st, 1, name);
	return stmt_run(&st, err);
}

int64_t store_first_event(struct store *store)
{
	static const char sql[] = "SELECT min(id) FROM event";
	struct stmt *st = stmt_get(store, sql, NULL);
	int64_t id = 0;

	if (!st)
		return 0;
	if (stmt_step(st, NULL) > 0)
		id = stmt_get_int(st, 0);
	stmt_done(&st);
	return id;
}
