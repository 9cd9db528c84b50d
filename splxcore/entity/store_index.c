/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The index of the quarantine, the journal of intents and the passes in the
 * store. Whatever changes here is a durable transaction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "store_impl.h"

#define ITEM_COLUMNS                                                           \
	"id,time,path,virus,source,sha256,detail,size,sealed,mode,uid,gid,"    \
	"mtime,pid,opener_uid,program"
#define INTENT_COLUMNS                                                         \
	"id,kind,state,time,item,dir,dir_dev,dir_ino,pid,name,new_name,hold,"  \
	"dev,ino,boot"
#define PASS_COLUMNS "id,sha256,path,virus,fsid,dev,ino,size,ctime,mtime,time"

static void bind_name(struct stmt *st, int at, const char *name)
{
	stmt_bytes(st, at, name, strlen(name));
}

/* Runs one writing statement as the last of a durable transaction. */
static int finish(struct store *store, struct stmt *st, struct err *err)
{
	if (stmt_run(&st, err) < 0 || store_commit(store, err) < 0) {
		store_rollback(store);
		return -1;
	}
	return 0;
}

/* Begins a durable transaction and gets a statement for it. */
static struct stmt *start(struct store *store, const char *sql, struct err *err)
{
	struct stmt *st;

	if (store_begin(store, true, err) < 0) {
		store_rollback(store);
		return NULL;
	}
	st = stmt_get(store, sql, err);
	if (!st)
		store_rollback(store);
	return st;
}

/* ---- items ---- */

static void item_read(struct stmt *st, struct item *item)
{
	memset(item, 0, sizeof(*item));
	item->id = stmt_get_int(st, 0);
	item->when_ns = stmt_get_int(st, 1);
	stmt_copy_text(st, 2, item->path, sizeof(item->path));
	stmt_copy_text(st, 3, item->virus, sizeof(item->virus));
	stmt_copy_text(st, 4, item->source, sizeof(item->source));
	stmt_copy_text(st, 5, item->sha256, sizeof(item->sha256));
	stmt_copy_text(st, 6, item->detail, sizeof(item->detail));
	item->size = (uint64_t)stmt_get_int(st, 7);
	item->sealed = (uint64_t)stmt_get_int(st, 8);
	item->mode = (uint32_t)stmt_get_int(st, 9);
	item->uid = (uint32_t)stmt_get_int(st, 10);
	item->gid = (uint32_t)stmt_get_int(st, 11);
	item->mtime_ns = stmt_get_int(st, 12);
	item->pid = (int32_t)stmt_get_int(st, 13);
	item->opener_uid = stmt_get_int(st, 14);
	stmt_copy_text(st, 15, item->program, sizeof(item->program));
}

/* %part%, with LIKE's own signs escaped by '!'; "%" for NULL. Caller's. */
static char *like_part(const char *part)
{
	struct str out = {0};

	str_add(&out, "%");
	for (const char *p = part ? part : ""; *p; p++) {
		if (strchr("%_!", *p))
			str_add(&out, "!");
		str_addn(&out, p, 1);
	}
	if (part && *part)
		str_add(&out, "%");
	return str_take(&out);
}

int store_items(struct store *store, const struct item_query *query,
		store_item_fn fn, void *arg, struct err *err)
{
	static const char sql[] =
		"SELECT " ITEM_COLUMNS " FROM item WHERE virus LIKE ?1 ESCAPE "
		"'!' AND CAST(path AS TEXT) LIKE ?2 ESCAPE '!' "
		"ORDER BY id DESC LIMIT ?3 OFFSET ?4";
	struct stmt *st = stmt_get(store, sql, err);
	struct item *item;
	char *virus, *path;
	int rc;

	if (!st)
		return -1;
	virus = like_part(query->virus);
	path = like_part(query->path);
	stmt_text(st, 1, virus);
	stmt_text(st, 2, path);
	stmt_int(st, 3, query->limit > 0 ? query->limit : -1);
	stmt_int(st, 4, query->offset);
	free(virus);
	free(path);
	item = xmalloc(sizeof(*item));
	while ((rc = stmt_step(st, err)) > 0) {
		item_read(st, item);
		fn(item, arg);
	}
	free(item);
	stmt_done(&st);
	return rc;
}

static int item_one(struct stmt *st, struct item *item_r, struct err *err)
{
	int rc = stmt_step(st, err);

	if (rc > 0)
		item_read(st, item_r);
	stmt_done(&st);
	return rc;
}

int store_item_get(struct store *store, int64_t id, struct item *item_r,
		   struct err *err)
{
	static const char sql[] =
		"SELECT " ITEM_COLUMNS " FROM item WHERE id=?1";
	struct stmt *st = stmt_get(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return item_one(st, item_r, err);
}

int store_item_totals(struct store *store, int64_t *count_r, uint64_t *bytes_r,
		      struct err *err)
{
	static const char sql[] = "SELECT count(*),total(sealed) FROM item";
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	rc = stmt_step(st, err);
	if (rc > 0) {
		*count_r = stmt_get_int(st, 0);
		*bytes_r = (uint64_t)stmt_get_int(st, 1);
	}
	stmt_done(&st);
	return rc < 0 ? -1 : 0;
}

int store_item_oldest(struct store *store, int64_t before_ns,
		      uint64_t max_bytes, struct item *item_r, struct err *err)
{
	static const char sql[] =
		"SELECT " ITEM_COLUMNS " FROM item ORDER BY time,id LIMIT 1";
	struct stmt *st;
	uint64_t bytes = 0;
	int64_t count;
	int rc;

	if (store_item_totals(store, &count, &bytes, err) < 0)
		return -1;
	st = stmt_get(store, sql, err);
	if (!st)
		return -1;
	rc = item_one(st, item_r, err);
	if (rc <= 0)
		return rc;
	return (before_ns && item_r->when_ns < before_ns) ||
	       (max_bytes && bytes > max_bytes && count > 1);
}

static const char sql_item_add[] =
	"INSERT INTO item(" ITEM_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,"
	"?10,?11,?12,?13,?14,?15,?16)";

static void bind_item(struct stmt *st, const struct item *item)
{
	stmt_int(st, 1, item->id);
	stmt_int(st, 2, item->when_ns);
	bind_name(st, 3, item->path);
	stmt_text(st, 4, item->virus);
	stmt_text(st, 5, item->source);
	stmt_text(st, 6, item->sha256);
	stmt_text(st, 7, item->detail);
	stmt_int(st, 8, (int64_t)item->size);
	stmt_int(st, 9, (int64_t)item->sealed);
	stmt_int(st, 10, item->mode);
	stmt_int(st, 11, item->uid);
	stmt_int(st, 12, item->gid);
	stmt_int(st, 13, item->mtime_ns);
	stmt_int(st, 14, item->pid);
	stmt_int(st, 15, item->opener_uid);
	bind_name(st, 16, item->program);
}

int store_item_sealed(struct store *store, const struct item *item,
		      struct err *err)
{
	static const char sql_state[] = "UPDATE intent SET state=?2 WHERE "
					"id=?1 AND kind=?3";
	struct stmt *st = start(store, sql_item_add, err);

	if (!st)
		return -1;
	bind_item(st, item);
	if (stmt_run(&st, err) < 0)
		goto undo;
	st = stmt_get(store, sql_state, err);
	if (!st)
		goto undo;
	stmt_int(st, 1, item->id);
	stmt_int(st, 2, INTENT_SEALED);
	stmt_int(st, 3, INTENT_PUT);
	return finish(store, st, err);
undo:
	store_rollback(store);
	return -1;
}

/* ---- the journal ---- */

static const char sql_intent_add[] =
	"INSERT INTO intent(kind,state,time,item,dir,dir_dev,dir_ino,pid,name,"
	"new_name,hold,dev,ino,boot) "
	"VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";

static void bind_intent(struct stmt *st, const struct intent *intent)
{
	stmt_int(st, 1, intent->kind);
	stmt_int(st, 2, intent->state);
	stmt_int(st, 3, intent->when_ns);
	stmt_int(st, 4, intent->item);
	bind_name(st, 5, intent->dir);
	stmt_int(st, 6, (int64_t)intent->dir_dev);
	stmt_int(st, 7, (int64_t)intent->dir_ino);
	stmt_int(st, 8, intent->pid);
	bind_name(st, 9, intent->name);
	bind_name(st, 10, intent->new_name);
	stmt_text(st, 11, intent->hold);
	stmt_int(st, 12, (int64_t)intent->dev);
	stmt_int(st, 13, (int64_t)intent->ino);
	stmt_text(st, 14, intent->boot);
}

static void intent_read(struct stmt *st, struct intent *intent)
{
	memset(intent, 0, sizeof(*intent));
	intent->id = stmt_get_int(st, 0);
	intent->kind = (enum intent_kind)stmt_get_int(st, 1);
	intent->state = (enum intent_state)stmt_get_int(st, 2);
	intent->when_ns = stmt_get_int(st, 3);
	intent->item = stmt_get_int(st, 4);
	stmt_copy_text(st, 5, intent->dir, sizeof(intent->dir));
	intent->dir_dev = (uint64_t)stmt_get_int(st, 6);
	intent->dir_ino = (uint64_t)stmt_get_int(st, 7);
	intent->pid = (int32_t)stmt_get_int(st, 8);
	stmt_copy_text(st, 9, intent->name, sizeof(intent->name));
	stmt_copy_text(st, 10, intent->new_name, sizeof(intent->new_name));
	stmt_copy_text(st, 11, intent->hold, sizeof(intent->hold));
	intent->dev = (uint64_t)stmt_get_int(st, 12);
	intent->ino = (uint64_t)stmt_get_int(st, 13);
	stmt_copy_text(st, 14, intent->boot, sizeof(intent->boot));
}

/* Without one (a container may hide it) dev numbers are never compared. */
static const char *boot_id(void)
{
	static char id[40];
	char *text;
	size_t len;

	if (!id[0] && fd_read_file("/proc/sys/kernel/random/boot_id", 64, &text,
				   &len, NULL) == 0) {
		str_copy(id, sizeof(id), str_trim(text));
		free(text);
	}
	return id;
}

int store_intent_begin(struct store *store, struct intent *intent,
		       struct err *err)
{
	struct stmt *st = start(store, sql_intent_add, err);
	int64_t id;

	if (!st)
		return -1;
	intent->when_ns = clock_real_ns();
	str_copy(intent->boot, sizeof(intent->boot), boot_id());
	bind_intent(st, intent);
	if (stmt_run(&st, err) < 0) {
		store_rollback(store);
		return -1;
	}
	id = store_rowid(store);
	if (store_commit(store, err) < 0) {
		store_rollback(store);
		return -1;
	}
	intent->id = id;
	return 0;
}

int store_intent_end(struct store *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM intent WHERE id=?1";
	struct stmt *st = start(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return finish(store, st, err);
}

int store_intent_written(struct store *store, int64_t id, uint64_t dev,
			 uint64_t ino, struct err *err)
{
	static const char sql[] = "UPDATE intent SET state=?2,dev=?3,ino=?4 "
				  "WHERE id=?1";
	struct stmt *st = start(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	stmt_int(st, 2, INTENT_WRITTEN);
	stmt_int(st, 3, (int64_t)dev);
	stmt_int(st, 4, (int64_t)ino);
	return finish(store, st, err);
}

int store_intents(struct store *store, store_intent_fn fn, void *arg,
		  struct err *err)
{
	static const char sql[] =
		"SELECT " INTENT_COLUMNS " FROM intent ORDER BY id";
	struct {
		VEC(struct intent *);
	} all = {0};
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		struct intent *intent = xmalloc(sizeof(*intent));

		intent_read(st, intent);
		vec_push(&all, intent);
	}
	stmt_done(&st);
	for (size_t i = 0; i < all.len; i++) {
		if (rc == 0)
			fn(all.items[i], arg);
		free(all.items[i]);
	}
	vec_free(&all);
	return rc;
}

int store_intent_reserve(struct store *store, int64_t id, struct err *err)
{
	static const char sql_add[] = "INSERT INTO intent(id,kind,state,time) "
				      "VALUES(?1,0,0,0)";
	static const char sql_known[] =
		"SELECT seq FROM sqlite_sequence WHERE name='intent'";
	static const char sql_end[] = "DELETE FROM intent WHERE id=?1";
	struct stmt *st = stmt_get(store, sql_known, err);
	int64_t known = 0;
	int rc;

	if (!st)
		return -1;
	rc = stmt_step(st, err);
	if (rc > 0)
		known = stmt_get_int(st, 0);
	stmt_done(&st);
	if (rc < 0 || known >= id)
		return rc < 0 ? -1 : 0;
	/* A row made and deleted moves the sequence on. */
	st = start(store, sql_add, err);
	if (!st)
		return -1;
	stmt_int(st, 1, id);
	if (stmt_run(&st, err) < 0)
		goto undo;
	st = stmt_get(store, sql_end, err);
	if (!st)
		goto undo;
	stmt_int(st, 1, id);
	return finish(store, st, err);
undo:
	store_rollback(store);
	return -1;
}

/* ---- findings under way ---- */

void store_spool_add(struct store *store, const void *data, size_t len,
		     int64_t *id_r)
{
	static const char sql[] = "INSERT INTO spool(data) VALUES(?1)";
	struct stmt *st = stmt_get(store, sql, NULL);

	*id_r = 0;
	if (!st)
		return;
	stmt_bytes(st, 1, data, len);
	if (stmt_run(&st, NULL) == 0)
		*id_r = store_rowid(store);
}

void store_spool_drop(struct store *store, int64_t id)
{
	static const char sql[] = "DELETE FROM spool WHERE id=?1";
	struct stmt *st = id ? stmt_get(store, sql, NULL) : NULL;

	if (!st)
		return;
	stmt_int(st, 1, id);
	stmt_run(&st, NULL);
}

struct spooled {
	int64_t id;
	int tries;
	size_t len;
	char data[];
};

int store_spool(struct store *store, store_spool_fn fn, void *arg,
		struct err *err)
{
	static const char sql[] = "SELECT id,data,tries FROM spool ORDER BY id";
	struct {
		VEC(struct spooled *);
	} all = {0};
	struct stmt *st = stmt_get(store, sql, err);
	int rc;

	if (!st)
		return -1;
	while ((rc = stmt_step(st, err)) > 0) {
		size_t len;
		const void *data = stmt_get_bytes(st, 1, &len);
		struct spooled *s = xmalloc(sizeof(*s) + len);

		s->id = stmt_get_int(st, 0);
		s->tries = (int)stmt_get_int(st, 2);
		s->len = len;
		if (len)
			memcpy(s->data, data, len);
		vec_push(&all, s);
	}
	stmt_done(&st);
	/* One that ends us each time must not do so for ever. */
	if (all.len && rc == 0)
		rc = store_exec(store, "UPDATE spool SET tries=tries+1", err);
	for (size_t i = 0; i < all.len; i++) {
		if (rc == 0)
			fn(all.items[i]->id, all.items[i]->tries,
			   all.items[i]->data, all.items[i]->len, arg);
		free(all.items[i]);
	}
	vec_free(&all);
	return rc;
}

/* ---- passes ---- */

static void pass_read(struct stmt *st, struct pass *pass)
{
	memset(pass, 0, sizeof(*pass));
	pass->id = stmt_get_int(st, 0);
	stmt_copy_text(st, 1, pass->sha256, sizeof(pass->sha256));
	stmt_copy_text(st, 2, pass->path, sizeof(pass->path));
	stmt_copy_text(st, 3, pass->virus, sizeof(pass->virus));
	pass->key.fsid = (uint64_t)stmt_get_int(st, 4);
	pass->key.dev = (uint64_t)stmt_get_int(st, 5);
	pass->key.ino = (uint64_t)stmt_get_int(st, 6);
	pass->key.size = (uint64_t)stmt_get_int(st, 7);
	pass->key.ctime_ns = stmt_get_int(st, 8);
	pass->key.mtime_ns = stmt_get_int(st, 9);
	pass->when_ns = stmt_get_int(st, 10);
}

static void bind_key(struct stmt *st, int at, const struct file_key *key)
{
	stmt_int(st, at, (int64_t)key->fsid);
	stmt_int(st, at + 1, (int64_t)key->dev);
	stmt_int(st, at + 2, (int64_t)key->ino);
	stmt_int(st, at + 3, (int64_t)key->size);
	stmt_int(st, at + 4, key->ctime_ns);
	stmt_int(st, at + 5, key->mtime_ns);
}

/* Within a transaction. The path has one pass: that of its last restore. */
static int pass_add(struct store *store, const struct pass *pass,
		    struct err *err)
{
	static const char sql_old[] = "DELETE FROM pass WHERE path=?1";
	static const char sql_add[] =
		"INSERT INTO pass(sha256,path,virus,fsid,dev,ino,size,ctime,"
		"mtime,time) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)";
	struct stmt *st = stmt_get(store, sql_old, err);

	if (!st)
		return -1;
	bind_name(st, 1, pass->path);
	if (stmt_run(&st, err) < 0)
		return -1;
	st = stmt_get(store, sql_add, err);
	if (!st)
		return -1;
	stmt_text(st, 1, pass->sha256);
	bind_name(st, 2, pass->path);
	stmt_text(st, 3, pass->virus);
	bind_key(st, 4, &pass->key);
	stmt_int(st, 10, pass->when_ns);
	return stmt_run(&st, err);
}

int store_passes(struct store *store, int64_t size, store_pass_fn fn, void *arg,
		 struct err *err)
{
	static const char sql_all[] =
		"SELECT " PASS_COLUMNS " FROM pass ORDER BY id DESC";
	static const char sql_size[] =
		"SELECT " PASS_COLUMNS
		" FROM pass WHERE size=?1 ORDER BY id DESC";
	struct {
		VEC(struct pass *);
	} all = {0};
	struct stmt *st = stmt_get(store, size < 0 ? sql_all : sql_size, err);
	int rc;

	if (!st)
		return -1;
	if (size >= 0)
		stmt_int(st, 1, size);
	while ((rc = stmt_step(st, err)) > 0) {
		struct pass *pass = xmalloc(sizeof(*pass));

		pass_read(st, pass);
		vec_push(&all, pass);
	}
	stmt_done(&st);
	for (size_t i = 0; i < all.len; i++) {
		if (rc == 0)
			fn(all.items[i], arg);
		free(all.items[i]);
	}
	vec_free(&all);
	return rc;
}

int store_pass_key(struct store *store, int64_t id, const struct file_key *key,
		   struct err *err)
{
	static const char sql[] = "UPDATE pass SET fsid=?1,dev=?2,ino=?3,"
				  "size=?4,ctime=?5,mtime=?6 WHERE id=?7";
	struct stmt *st = start(store, sql, err);

	if (!st)
		return -1;
	bind_key(st, 1, key);
	stmt_int(st, 7, id);
	return finish(store, st, err);
}

int store_pass_delete(struct store *store, int64_t id, struct err *err)
{
	static const char sql[] = "DELETE FROM pass WHERE id=?1";
	struct stmt *st = start(store, sql, err);

	if (!st)
		return -1;
	stmt_int(st, 1, id);
	return finish(store, st, err);
}

/* ---- items that go ---- */

int store_item_drop(struct store *store, int64_t item, int64_t intent,
		    const struct pass *pass, int64_t *drop_r, struct err *err)
{
	static const char sql_item[] = "DELETE FROM item WHERE id=?1";
	static const char sql_intent[] = "DELETE FROM intent WHERE id=?1";
	struct intent *drop = xcalloc(1, sizeof(*drop));
	struct stmt *st = start(store, sql_item, err);
	int64_t id;

	if (!st)
		goto out;
	stmt_int(st, 1, item);
	if (stmt_run(&st, err) < 0)
		goto undo;
	st = stmt_get(store, sql_intent, err);
	if (!st)
		goto undo;
	stmt_int(st, 1, intent);
	if (stmt_run(&st, err) < 0 || (pass && pass_add(store, pass, err) < 0))
		goto undo;
	st = stmt_get(store, sql_intent_add, err);
	if (!st)
		goto undo;
	drop->kind = INTENT_DROP;
	drop->item = item;
	drop->when_ns = clock_real_ns();
	bind_intent(st, drop);
	if (stmt_run(&st, err) < 0)
		goto undo;
	id = store_rowid(store);
	if (store_commit(store, err) < 0)
		goto undo;
	*drop_r = id;
	free(drop);
	return 0;
undo:
	store_rollback(store);
out:
	free(drop);
	return -1;
}
