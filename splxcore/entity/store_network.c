/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The model of what this host connects to, in the store. */
#include "network_impl.h"
#include "store_impl.h"

int store_netmodel_load(struct store *store, store_netmodel_fn fn, void *arg,
			struct err *err)
{
	static const char sql[] =
		"SELECT id,program,network,port,first,last,times,alerted FROM "
		"netmodel ORDER BY id";
	struct stmt *st = stmt_get(store, sql, err);
	struct netmodel_entry e = {0};
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		e.id = stmt_get_int(st, 0);
		e.program = (char *)stmt_get_text(st, 1);
		stmt_copy_text(st, 2, e.network, sizeof(e.network));
		e.port = (uint16_t)stmt_get_int(st, 3);
		e.first_ns = stmt_get_int(st, 4);
		e.last_ns = stmt_get_int(st, 5);
		e.times = (uint64_t)stmt_get_int(st, 6);
		e.alerted = stmt_get_int(st, 7) != 0;
		fn(&e, arg);
	}
	stmt_done(&st);
	return rc;
}

static int save_entry(struct store *store, struct netmodel_entry *e,
		      struct err *err)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO netmodel(id,program,network,port,"
		"first,last,times,alerted) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)";
	/* Else the id is SQLite's to choose. */
	static const char sql_new[] =
		"INSERT INTO netmodel(program,network,port,first,last,times,"
		"alerted) VALUES(?2,?3,?4,?5,?6,?7,?8)";
	struct stmt *st = stmt_get(store, e->id ? sql : sql_new, err);

	if (!st)
		return -1;
	if (e->id)
		stmt_int(st, 1, e->id);
	stmt_text(st, 2, e->program);
	stmt_text(st, 3, e->network);
	stmt_int(st, 4, e->port);
	stmt_int(st, 5, e->first_ns);
	stmt_int(st, 6, e->last_ns);
	stmt_int(st, 7, (int64_t)e->times);
	stmt_int(st, 8, e->alerted);
	if (stmt_run(&st, err) < 0)
		return -1;
	if (!e->id)
		e->id = store_rowid(store);
	return 0;
}

static int forget(struct store *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM netmodel WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return stmt_run(&st, err);
}

static int save_all(struct store *store, struct netmodel *m, struct err *err)
{
	struct netmodel_entry **e;
	int64_t *id;

	vec_each (id, &m->gone)
		if (forget(store, *id, err) < 0)
			return -1;
	vec_each (e, &m->entries)
		if ((*e)->dirty && save_entry(store, *e, err) < 0)
			return -1;
	return 0;
}

int store_netmodel_save(struct store *store, struct netmodel *m,
			struct err *err)
{
	struct netmodel_entry **e;
	bool any = m->gone.len > 0;

	vec_each (e, &m->entries)
		any |= (*e)->dirty;
	if (!any)
		return 0;
	if (store_begin(store, false, err) < 0)
		return -1;
	if (save_all(store, m, err) < 0 || store_commit(store, err) < 0) {
		store_rollback(store);
		return -1;
	}
	vec_each (e, &m->entries)
		(*e)->dirty = false;
	vec_free(&m->gone);
	return 0;
}

int store_netmodel_learnt(struct store *store, int64_t *ms_r, struct err *err)
{
	static const char sql[] = "SELECT ms FROM netlearnt WHERE id=1";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	*ms_r = 0;
	if (!st)
		return -1;
	rc = stmt_step(st, err);
	if (rc > 0)
		*ms_r = stmt_get_int(st, 0);
	stmt_done(&st);
	return rc < 0 ? -1 : 0;
}

int store_netmodel_set_learnt(struct store *store, int64_t ms, struct err *err)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO netlearnt(id,ms) VALUES(1,?1)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, ms);
	return stmt_run(&st, err);
}
