/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "store_console.h"

#include <errno.h>
#include <string.h>

#include "lib/str.h"
#include "store_impl.h"

static int run(struct store *store, struct stmt *st, struct err *err)
{
	if (stmt_run(&st, err) == 0)
		return 0;
	if (store_refused(store) && err) {
		err_set(err, 0, "the name is taken");
		err->code = EEXIST;
	}
	return -1;
}

int store_console_begin(struct store *store, struct err *err)
{
	return store_begin(store, true, err);
}

int store_console_commit(struct store *store, struct err *err)
{
	return store_commit(store, err);
}

void store_console_rollback(struct store *store)
{
	store_rollback(store);
}

/* ---- accounts ---- */

#define ACCOUNT                                                                \
	"id,name,role,disabled,hash,once_until,once_used,lang,theme,created,"  \
	"changed,login,login_from,login_before"

static void read_account(struct stmt *st, struct account *a)
{
	memset(a, 0, sizeof(*a));
	a->id = stmt_get_int(st, 0);
	stmt_copy_text(st, 1, a->name, sizeof(a->name));
	a->role = (int)stmt_get_int(st, 2);
	a->disabled = stmt_get_int(st, 3);
	stmt_copy_text(st, 4, a->hash, sizeof(a->hash));
	a->once_until_ns = stmt_get_int(st, 5);
	a->once_used = stmt_get_int(st, 6);
	stmt_copy_text(st, 7, a->lang, sizeof(a->lang));
	stmt_copy_text(st, 8, a->theme, sizeof(a->theme));
	a->created_ns = stmt_get_int(st, 9);
	a->changed_ns = stmt_get_int(st, 10);
	a->login_ns = stmt_get_int(st, 11);
	stmt_copy_text(st, 12, a->login_from, sizeof(a->login_from));
	a->before_ns = stmt_get_int(st, 13);
}

int store_account_get(struct store *store, const char *name, int64_t id,
		      struct account *a_r, struct err *err)
{
	static const char by_name[] =
		"SELECT " ACCOUNT " FROM account WHERE name=?1";
	static const char by_id[] =
		"SELECT " ACCOUNT " FROM account WHERE id=?1";
	struct stmt *st = stmt_get(store, name ? by_name : by_id, err);
	int rc;

	if (!st)
		return -1;
	if (name)
		stmt_text(st, 1, name);
	else
		stmt_int(st, 1, id);
	rc = stmt_step(st, err);
	if (rc > 0)
		read_account(st, a_r);
	stmt_done(&st);
	return rc;
}

int store_account_save(struct store *store, struct account *a, struct err *err)
{
	static const char sql_new[] =
		"INSERT INTO account(name,role,disabled,hash,once_until,"
		"once_used,lang,theme,created,changed,login,login_from,"
		"login_before) VALUES(?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,"
		"?14)";
	static const char sql_old[] =
		"UPDATE account SET name=?2,role=?3,disabled=?4,hash=?5,"
		"once_until=?6,once_used=?7,lang=?8,theme=?9,created=?10,"
		"changed=?11,login=?12,login_from=?13,login_before=?14 "
		"WHERE id=?1";
	struct stmt *st = stmt_get(store, a->id ? sql_old : sql_new, err);

	if (!st)
		return -1;
	if (a->id)
		stmt_int(st, 1, a->id);
	stmt_text(st, 2, a->name);
	stmt_int(st, 3, a->role);
	stmt_int(st, 4, a->disabled);
	stmt_text(st, 5, a->hash);
	stmt_int(st, 6, a->once_until_ns);
	stmt_int(st, 7, a->once_used);
	stmt_text(st, 8, a->lang);
	stmt_text(st, 9, a->theme);
	stmt_int(st, 10, a->created_ns);
	stmt_int(st, 11, a->changed_ns);
	stmt_int(st, 12, a->login_ns);
	stmt_text(st, 13, a->login_from);
	stmt_int(st, 14, a->before_ns);
	if (run(store, st, err) < 0)
		return -1;
	if (!a->id)
		a->id = store_rowid(store);
	return 0;
}

int store_account_remove(struct store *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM account WHERE id=?1";
	struct stmt *st;

	if (store_session_end(store, 0, id, 0, err) < 0)
		return -1;
	st = stmt_get(store, sql, err);
	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return run(store, st, err);
}

int store_accounts(struct store *store, store_account_fn fn, void *arg,
		   struct err *err)
{
	static const char sql[] =
		"SELECT " ACCOUNT " FROM account ORDER BY name";
	struct stmt *st = stmt_get(store, sql, err);
	struct account a;
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		read_account(st, &a);
		fn(&a, arg);
	}
	stmt_done(&st);
	return rc;
}

/* The single number that a statement gives. */
static int64_t number(struct stmt *st, struct err *err)
{
	int64_t n = -1;

	if (!st)
		return -1;
	if (stmt_step(st, err) > 0)
		n = stmt_get_int(st, 0);
	stmt_done(&st);
	return n;
}

int64_t store_account_count(struct store *store, bool admins, struct err *err)
{
	static const char sql_all[] = "SELECT count(*) FROM account";
	static const char sql_admins[] =
		"SELECT count(*) FROM account WHERE role=?1 AND disabled=0 AND "
		"once_until=0";
	struct stmt *st = stmt_get(store, admins ? sql_admins : sql_all, err);

	if (st && admins)
		stmt_int(st, 1, VERB_ADMIN);
	return number(st, err);
}

/* ---- sessions ---- */

#define SESSION "id,hash,account,created,seen,address,agent,must_change"

static void read_session(struct stmt *st, struct session *s)
{
	memset(s, 0, sizeof(*s));
	s->id = stmt_get_int(st, 0);
	stmt_copy_text(st, 1, s->hash, sizeof(s->hash));
	s->account = stmt_get_int(st, 2);
	s->created_ns = stmt_get_int(st, 3);
	s->seen_ns = stmt_get_int(st, 4);
	stmt_copy_text(st, 5, s->from, sizeof(s->from));
	stmt_copy_text(st, 6, s->agent, sizeof(s->agent));
	s->must_change = stmt_get_int(st, 7);
}

int store_session_add(struct store *store, struct session *s, struct err *err)
{
	static const char sql[] =
		"INSERT INTO session(hash,account,created,seen,address,agent,"
		"must_change) VALUES(?1,?2,?3,?4,?5,?6,?7)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_text(st, 1, s->hash);
	stmt_int(st, 2, s->account);
	stmt_int(st, 3, s->created_ns);
	stmt_int(st, 4, s->seen_ns);
	stmt_text(st, 5, s->from);
	stmt_text(st, 6, s->agent);
	stmt_int(st, 7, s->must_change);
	if (run(store, st, err) < 0)
		return -1;
	s->id = store_rowid(store);
	return 0;
}

int store_session_get(struct store *store, const char *hash,
		      struct session *s_r, struct err *err)
{
	static const char sql[] =
		"SELECT " SESSION " FROM session WHERE hash=?1";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	stmt_text(st, 1, hash);
	rc = stmt_step(st, err);
	if (rc > 0)
		read_session(st, s_r);
	stmt_done(&st);
	return rc;
}

int store_session_seen(struct store *store, int64_t id, int64_t seen_ns,
		       struct err *err)
{
	static const char sql[] = "UPDATE session SET seen=?2 WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	stmt_int(st, 2, seen_ns);
	return run(store, st, err);
}

int store_session_end(struct store *store, int64_t id, int64_t account,
		      int64_t keep, struct err *err)
{
	static const char sql[] =
		"DELETE FROM session WHERE (?1=0 OR id=?1) AND (?2=0 OR "
		"account=?2) AND id<>?3";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	stmt_int(st, 2, account);
	stmt_int(st, 3, keep);
	if (run(store, st, err) < 0)
		return -1;
	return (int)store_changes(store);
}

int store_session_purge(struct store *store, int64_t created_ns,
			int64_t seen_ns, struct err *err)
{
	static const char sql[] =
		"DELETE FROM session WHERE created<?1 OR seen<?2 OR account "
		"NOT IN (SELECT id FROM account)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, created_ns);
	stmt_int(st, 2, seen_ns);
	return run(store, st, err);
}

int store_session_bound(struct store *store, int64_t account, int per_account,
			int all, struct err *err)
{
	static const char sql[] =
		"DELETE FROM session WHERE id IN (SELECT id FROM session WHERE "
		"account=?1 ORDER BY id DESC LIMIT -1 OFFSET ?2) OR id IN "
		"(SELECT id FROM session ORDER BY id DESC LIMIT -1 OFFSET ?3)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, account);
	stmt_int(st, 2, per_account);
	stmt_int(st, 3, all);
	return run(store, st, err);
}

int store_sessions(struct store *store, store_session_fn fn, void *arg,
		   struct err *err)
{
	static const char sql[] =
		"SELECT " SESSION " FROM session ORDER BY id DESC";
	struct stmt *st = stmt_get(store, sql, err);
	struct session s;
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		read_session(st, &s);
		fn(&s, arg);
	}
	stmt_done(&st);
	return rc;
}

/* ---- tokens ---- */

#define TOKEN "id,name,hash,role,created,expires,used,used_from,made_by"

static void read_token(struct stmt *st, struct token *t)
{
	memset(t, 0, sizeof(*t));
	t->id = stmt_get_int(st, 0);
	stmt_copy_text(st, 1, t->name, sizeof(t->name));
	stmt_copy_text(st, 2, t->hash, sizeof(t->hash));
	t->role = (int)stmt_get_int(st, 3);
	t->created_ns = stmt_get_int(st, 4);
	t->expires_ns = stmt_get_int(st, 5);
	t->used_ns = stmt_get_int(st, 6);
	stmt_copy_text(st, 7, t->used_from, sizeof(t->used_from));
	stmt_copy_text(st, 8, t->by, sizeof(t->by));
}

int store_token_add(struct store *store, struct token *t, struct err *err)
{
	static const char sql[] =
		"INSERT INTO token(name,hash,role,created,expires,used,"
		"used_from,made_by) VALUES(?1,?2,?3,?4,?5,0,'',?6)";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_text(st, 1, t->name);
	stmt_text(st, 2, t->hash);
	stmt_int(st, 3, t->role);
	stmt_int(st, 4, t->created_ns);
	stmt_int(st, 5, t->expires_ns);
	stmt_text(st, 6, t->by);
	if (run(store, st, err) < 0)
		return -1;
	t->id = store_rowid(store);
	return 0;
}

int store_token_get(struct store *store, const char *hash, struct token *t_r,
		    struct err *err)
{
	static const char sql[] = "SELECT " TOKEN " FROM token WHERE hash=?1";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	stmt_text(st, 1, hash);
	rc = stmt_step(st, err);
	if (rc > 0)
		read_token(st, t_r);
	stmt_done(&st);
	return rc;
}

int store_token_used(struct store *store, const struct token *t,
		     struct err *err)
{
	static const char sql[] =
		"UPDATE token SET used=?2,used_from=?3 WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, t->id);
	stmt_int(st, 2, t->used_ns);
	stmt_text(st, 3, t->used_from);
	return run(store, st, err);
}

int store_token_end(struct store *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM token WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	if (run(store, st, err) < 0)
		return -1;
	return store_changes(store) > 0;
}

int64_t store_token_count(struct store *store, struct err *err)
{
	static const char sql[] = "SELECT count(*) FROM token";

	return number(stmt_get(store, sql, err), err);
}

int store_tokens(struct store *store, store_token_fn fn, void *arg,
		 struct err *err)
{
	static const char sql[] = "SELECT " TOKEN " FROM token ORDER BY name";
	struct stmt *st = stmt_get(store, sql, err);
	struct token t;
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		read_token(st, &t);
		fn(&t, arg);
	}
	stmt_done(&st);
	return rc;
}
