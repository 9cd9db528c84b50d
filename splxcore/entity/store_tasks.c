/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "store_impl.h"
#include "tasks.h"

#define COLUMNS                                                                \
	"id,verb,args,made_by,state,code,started,ended,output,pid,pid_start"

static void read_row(struct stmt *st, struct task_row *row)
{
	row->id = stmt_get_int(st, 0);
	row->verb = stmt_get_text(st, 1);
	row->args = stmt_get_text(st, 2);
	row->by = stmt_get_text(st, 3);
	row->state = (int)stmt_get_int(st, 4);
	row->code = (int)stmt_get_int(st, 5);
	row->started_ns = stmt_get_int(st, 6);
	row->ended_ns = stmt_get_int(st, 7);
	row->output = stmt_get_text(st, 8);
	row->proc.pid = (pid_t)stmt_get_int(st, 9);
	row->proc.start = (uint64_t)stmt_get_int(st, 10);
}

static void bind(struct stmt *st, const struct task_row *row)
{
	stmt_text(st, 2, row->verb);
	stmt_text(st, 3, row->args);
	stmt_text(st, 4, row->by);
	stmt_int(st, 5, row->state);
	stmt_int(st, 6, row->code);
	stmt_int(st, 7, row->started_ns);
	stmt_int(st, 8, row->ended_ns);
	stmt_text(st, 9, row->output);
	stmt_int(st, 10, row->proc.pid);
	stmt_int(st, 11, (int64_t)row->proc.start);
}

int store_task_add(struct store *store, struct task_row *row, struct err *err)
{
	static const char sql[] =
		"INSERT INTO task(verb,args,made_by,state,code,started,ended,"
		"output,pid,pid_start) VALUES(?2,?3,?4,?5,?6,?7,?8,?9,?10,"
		"?11)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	bind(st, row);
	if (stmt_run(&st, err) < 0)
		return -1;
	row->id = store_rowid(store);
	return 0;
}

int store_task_save(struct store *store, const struct task_row *row,
		    struct err *err)
{
	static const char sql[] =
		"UPDATE task SET verb=?2,args=?3,made_by=?4,state=?5,code=?6,"
		"started=?7,ended=?8,output=?9,pid=?10,pid_start=?11 "
		"WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, row->id);
	bind(st, row);
	return stmt_run(&st, err);
}

static int each(struct stmt *st, store_task_fn fn, void *arg, struct err *err)
{
	struct task_row row;
	int rc, n = 0;

	while ((rc = stmt_step(st, err)) > 0) {
		read_row(st, &row);
		fn(&row, arg);
		n++;
	}
	stmt_done(&st);
	return rc < 0 ? -1 : n;
}

int store_tasks(struct store *store, int limit, store_task_fn fn, void *arg,
		struct err *err)
{
	static const char sql[] =
		"SELECT " COLUMNS " FROM task ORDER BY id DESC LIMIT ?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, limit);
	return each(st, fn, arg, err) < 0 ? -1 : 0;
}

int store_task_get(struct store *store, int64_t id, store_task_fn fn, void *arg,
		   struct err *err)
{
	static const char sql[] = "SELECT " COLUMNS " FROM task WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return each(st, fn, arg, err);
}

int store_tasks_trim(struct store *store, int keep, struct err *err)
{
	static const char sql[] =
		"DELETE FROM task WHERE id<=(SELECT id FROM task ORDER BY id "
		"DESC LIMIT 1 OFFSET ?1) AND state<>?2";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, keep);
	stmt_int(st, 2, TASK_RUNNING);
	return stmt_run(&st, err);
}
