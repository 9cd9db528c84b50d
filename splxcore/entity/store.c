/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The SQLite side of the store: opening, schema, statements, transactions,
 * and what becomes of errors. What is kept is in store_events.c and
 * store_index.c.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "store_impl.h"

#define RETRY_NS CLOCK_NS_PER_S
#define STATEMENTS_MAX 160
#define BUSY_MS 1000

struct stmt {
	struct store *store;
	const char *sql;
	sqlite3_stmt *st;
};

struct store {
	char *path;
	sqlite3 *db; /* NULL while it cannot be opened */
	dev_t dev;   /* the file that db is, to notice that it was removed */
	ino_t ino;
	struct stmt statements[STATEMENTS_MAX];
	int statement_count;
	bool in_transaction;
	bool damaged; /* found corrupt: checked when next opened */
	bool refused;
	bool schema_newer;
	bool opening;
	uint64_t next_try_ns;
	uint64_t next_look_ns;
	bool healthy;
	struct err why;
	void (*on_health)(bool healthy, const char *why, void *arg);
	void *on_health_arg;
	struct store_events_state *events;
};

/*
 * The schema. Entry n leads from version n to n + 1; versions are only ever
 * added. The columns of table event come from events.def and are added by
 * store_events_schema(), whatever the version.
 */
static const char *const migrations[] = {
	"CREATE TABLE intent ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, kind INT NOT NULL,"
	" state INT NOT NULL, time INT NOT NULL, item INT, dir BLOB,"
	" dir_dev INT, dir_ino INT, pid INT, name BLOB, new_name BLOB,"
	" hold TEXT, dev INT, ino INT, boot TEXT);"
	"CREATE TABLE item ("
	" id INTEGER PRIMARY KEY, time INT NOT NULL, path BLOB NOT NULL,"
	" virus TEXT NOT NULL, source TEXT, sha256 TEXT, detail TEXT,"
	" size INT, sealed INT, mode INT, uid INT, gid INT, mtime INT,"
	" pid INT, opener_uid INT, program BLOB);"
	"CREATE INDEX item_time ON item(time);"
	"CREATE TABLE pass ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL,"
	" path BLOB NOT NULL, virus TEXT, fsid INT, dev INT, ino INT,"
	" size INT, ctime INT, mtime INT, time INT NOT NULL);"
	"CREATE INDEX pass_size ON pass(size);",
	"CREATE TABLE spool (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" tries INT NOT NULL DEFAULT 0, data BLOB NOT NULL);",
	"CREATE TABLE scan ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, state INT NOT NULL,"
	" name TEXT NOT NULL, begun INT NOT NULL, data TEXT NOT NULL);"
	"CREATE INDEX scan_state ON scan(state);"
	"CREATE INDEX scan_name ON scan(name);",
	"CREATE TABLE account ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" role INT NOT NULL, disabled INT NOT NULL, hash TEXT NOT NULL,"
	" once_until INT NOT NULL, once_used INT NOT NULL, lang TEXT,"
	" theme TEXT, created INT, changed INT, login INT, login_from TEXT,"
	" login_before INT);"
	"CREATE TABLE session ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE,"
	" account INT NOT NULL, created INT NOT NULL, seen INT NOT NULL,"
	" address TEXT, agent TEXT, must_change INT NOT NULL);"
	"CREATE TABLE token ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" hash TEXT NOT NULL UNIQUE, role INT NOT NULL, created INT,"
	" expires INT NOT NULL, used INT, used_from TEXT, made_by TEXT);",
	"CREATE TABLE history ("
	" level INT NOT NULL, time INT NOT NULL, opens INT, asked INT,"
	" scans INT, hits INT, findings INT, timeouts INT, waits BLOB,"
	" PRIMARY KEY(level,time)) WITHOUT ROWID;",
	"CREATE TABLE task ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, args TEXT,"
	" made_by TEXT, state INT NOT NULL, code INT, started INT, ended INT,"
	" output TEXT, pid INT, pid_start INT);",
	"CREATE TABLE notify ("
	" name TEXT PRIMARY KEY, told INT NOT NULL, sent INT NOT NULL,"
	" dropped INT NOT NULL, dropped_at INT NOT NULL, ok_at INT NOT NULL)"
	" WITHOUT ROWID;",
	"CREATE TABLE netmodel ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, program TEXT NOT NULL,"
	" network TEXT NOT NULL, port INT NOT NULL, first INT NOT NULL,"
	" last INT NOT NULL, times INT NOT NULL, alerted INT NOT NULL);"
	"CREATE TABLE netlearnt (id INTEGER PRIMARY KEY, ms INT NOT NULL);",
};
#define SCHEMA_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

/* ---- health ---- */

static void set_health(struct store *store, bool healthy, const struct err *why)
{
	bool changed = store->healthy != healthy;

	store->healthy = healthy;
	if (healthy)
		err_clear(&store->why);
	else
		store->why = *why;
	if (changed && store->on_health)
		store->on_health(healthy, store->why.text,
				 store->on_health_arg);
}

static bool is_damage(int rc)
{
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

/* What is wrong with the data, not with the place where it is put. */
static bool is_refusal(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return true;
	default:
		return false;
	}
}

static int errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_NOMEM:
		return ENOMEM;
	default:
		return EIO;
	}
}

/* Describes a failure of SQLite and draws the conclusions. Returns -1. */
static int failed(struct store *store, const char *what, int rc,
		  struct err *err)
{
	struct err mine;

	/* SQLite's words are more exact than an errno's text. */
	err_set(&mine, 0, "store %s: %s: %s", store->path, what,
		store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
	mine.code = errno_of(rc);
	store->refused = is_refusal(rc);
	if (is_damage(rc))
		store->damaged = true;
	if (!store->refused)
		set_health(store, false, &mine);
	if (err)
		*err = mine;
	return -1;
}

bool store_healthy(const struct store *store, struct err *why_r)
{
	if (why_r)
		*why_r = store->why;
	return store->healthy;
}

void store_on_health(struct store *store,
		     void (*fn)(bool healthy, const char *why, void *arg),
		     void *arg)
{
	store->on_health = fn;
	store->on_health_arg = arg;
}

bool store_refused(const struct store *store)
{
	return store->refused;
}

/* ---- opening ---- */

static int ready(struct store *store, struct err *err);

static void close_db(struct store *store)
{
	for (int i = 0; i < store->statement_count; i++)
		sqlite3_finalize(store->statements[i].st);
	store->statement_count = 0;
	store->in_transaction = false;
	if (store->db)
		sqlite3_close_v2(store->db);
	store->db = NULL;
}

int store_exec(struct store *store, const char *sql, struct err *err)
{
	int rc;

	if (ready(store, err) < 0)
		return -1;
	rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return failed(store, "exec", rc, err);
	return 0;
}

/* The single number that a statement gives; -1 when it fails. */
static int64_t ask_number(struct store *store, const char *sql)
{
	sqlite3_stmt *st;
	int64_t n = -1;

	if (sqlite3_prepare_v2(store->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static bool check_passes(struct store *store)
{
	sqlite3_stmt *st;
	bool ok = false;

	if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &st,
			       NULL) != SQLITE_OK)
		return false;
	if (sqlite3_step(st) == SQLITE_ROW)
		ok = !strcmp((const char *)sqlite3_column_text(st, 0), "ok");
	sqlite3_finalize(st);
	return ok;
}

static int migrate(struct store *store, struct err *err)
{
	int version = (int)ask_number(store, "PRAGMA user_version");
	char pragma[64];

	if (version < 0)
		return failed(store, "read schema version",
			      sqlite3_errcode(store->db), err);
	if (version > SCHEMA_VERSION) {
		store->schema_newer = true;
		err_set(err, 0,
			"store %s: it is of schema version %d, this program "
			"knows %d: install the newer version again, or put "
			"the file aside",
			store->path, version, SCHEMA_VERSION);
		set_health(store, false, err);
		return -1;
	}
	if (store_exec(store, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	while (version < SCHEMA_VERSION) {
		if (store_exec(store, migrations[version], err) < 0)
			return -1;
		version++;
	}
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
	if (store_events_schema(store, err) < 0 ||
	    store_exec(store, pragma, err) < 0)
		return -1;
	return store_exec(store, "COMMIT", err);
}

/* Makes the file with the mode that it shall have; SQLite takes it over. */
static int make_file(struct store *store, struct err *err)
{
	struct stat st;
	int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      0600);

	if (fd < 0)
		return err_set(err, errno, "store %s: open", store->path);
	if (fstat(fd, &st) < 0) {
		err_set(err, errno, "store %s: fstat", store->path);
		close(fd);
		return -1;
	}
	store->dev = st.st_dev;
	store->ino = st.st_ino;
	close(fd);
	return 0;
}

static int open_once(struct store *store, struct err *err)
{
	int rc;

	if (make_file(store, err) < 0) {
		set_health(store, false, err);
		return -1;
	}
	rc = sqlite3_open_v2(store->path, &store->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW,
			     NULL);
	if (rc != SQLITE_OK)
		return failed(store, "open", rc, err);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	/*
	 * Exclusive: one writer, and the WAL index is in our own memory, so
	 * that a full disk cannot end us by SIGBUS in a mapping.
	 */
	if (store_exec(store,
		       "PRAGMA locking_mode=EXCLUSIVE;"
		       "PRAGMA auto_vacuum=INCREMENTAL;"
		       "PRAGMA journal_mode=WAL;"
		       "PRAGMA synchronous=NORMAL;"
		       "PRAGMA temp_store=MEMORY;"
		       "PRAGMA trusted_schema=OFF;"
		       "PRAGMA cell_size_check=ON;"
		       "PRAGMA journal_size_limit=16777216",
		       err) < 0)
		return -1;
	if (store->damaged && !check_passes(store))
		return failed(store, "check", SQLITE_CORRUPT, err);
	store->damaged = false;
	if (migrate(store, err) < 0)
		return -1;
	return store_events_opened(store, err);
}

/* Keeps a damaged database for whoever wants to look, out of the way. */
static int put_aside(struct store *store, struct err *err)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	long long now = clock_real_ns() / (long long)CLOCK_NS_PER_S;
	struct str from = {0}, to = {0};
	int rc = 0;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		str_clear(&from);
		str_clear(&to);
		str_addf(&from, "%s%s", store->path, ends[i]);
		str_addf(&to, "%s.broken-%lld%s", store->path, now, ends[i]);
		if (rename(str_get(&from), str_get(&to)) < 0 && errno != ENOENT)
			rc = err_set(err, errno, "store: rename %s",
				     str_get(&from));
		else if (i == 0)
			log_error("store %s is damaged; it was put aside as "
				  "%s and a new one begun",
				  store->path, str_get(&to));
	}
	str_free(&from);
	str_free(&to);
	return rc;
}

static int open_db(struct store *store, struct err *err)
{
	int rc;

	store->opening = true;
	rc = open_once(store, err);
	if (rc < 0 && store->damaged && !store->schema_newer) {
		close_db(store);
		if (put_aside(store, err) == 0) {
			store->damaged = false;
			rc = open_once(store, err);
		}
	}
	if (rc < 0)
		close_db(store);
	store->opening = false;
	return rc;
}

/* The file was removed or replaced below us: what we write would be lost. */
static bool file_moved(struct store *store, uint64_t now)
{
	struct stat st;

	if (now < store->next_look_ns || store->in_transaction)
		return false;
	store->next_look_ns = now + RETRY_NS;
	return stat(store->path, &st) < 0 || st.st_dev != store->dev ||
	       st.st_ino != store->ino;
}

static int ready(struct store *store, struct err *err)
{
	uint64_t now = clock_mono_ns();

	if (store->opening)
		return 0;
	if (store->db && !store->in_transaction &&
	    (store->damaged || file_moved(store, now)))
		close_db(store);
	if (store->db)
		return 0;
	if (now < store->next_try_ns) {
		if (err)
			*err = store->why;
		return -1;
	}
	store->next_try_ns = now + RETRY_NS;
	if (open_db(store, err) < 0)
		return -1;
	store->next_try_ns = 0;
	set_health(store, true, NULL);
	return 0;
}

struct store *store_new(const char *path)
{
	struct store *store = xcalloc(1, sizeof(*store));
	struct err err;

	store->path = xstrdup(path);
	store->healthy = true;
	store->events = store_events_new();
	ready(store, &err);
	return store;
}

void store_free(struct store **store)
{
	struct store *s = *store;

	if (!s)
		return;
	if (s->db)
		store_events_flush(s, NULL);
	close_db(s);
	store_events_free(&s->events);
	free(s->path);
	xfree(store);
}

struct store_events_state *store_events_of(struct store *store)
{
	return store->events;
}

int store_retry(struct store *store, struct err *err)
{
	if (ready(store, err) < 0)
		return -1;
	/* Whether it can be written only a write tells. */
	if (!store->healthy &&
	    (store_begin(store, false, err) < 0 ||
	     store_exec(store, "UPDATE sqlite_sequence SET seq=seq", err) < 0 ||
	     store_commit(store, err) < 0)) {
		store_rollback(store);
		return -1;
	}
	return store_events_flush(store, err);
}

/* ---- statements ---- */

struct stmt *stmt_get(struct store *store, const char *sql, struct err *err)
{
	struct stmt *st;
	int rc;

	if (ready(store, err) < 0)
		return NULL;
	for (int i = 0; i < store->statement_count; i++)
		if (store->statements[i].sql == sql)
			return &store->statements[i];
	if (store->statement_count == STATEMENTS_MAX)
		panic("store: more than %d statements", STATEMENTS_MAX);
	st = &store->statements[store->statement_count];
	st->store = store;
	st->sql = sql;
	rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
				&st->st, NULL);
	if (rc != SQLITE_OK) {
		failed(store, "prepare", rc, err);
		if ((rc & 0xff) == SQLITE_ERROR)
			panic("store: %s: %s", store->why.text, sql);
		return NULL;
	}
	store->statement_count++;
	return st;
}

void stmt_int(struct stmt *st, int at, int64_t value)
{
	sqlite3_bind_int64(st->st, at, value);
}

void stmt_text(struct stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st->st, at, text, -1, SQLITE_TRANSIENT);
}

void stmt_bytes(struct stmt *st, int at, const void *data, size_t len)
{
	sqlite3_bind_blob64(st->st, at, data, len, SQLITE_TRANSIENT);
}

int stmt_step(struct stmt *st, struct err *err)
{
	struct store *store = st->store;
	bool reads = sqlite3_stmt_readonly(st->st);
	int rc = sqlite3_step(st->st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		return failed(store, "step", rc, err);
	/* A write that went through by itself: the disk takes it again. */
	if (!reads && !store->in_transaction && !store->healthy)
		set_health(store, true, NULL);
	return 0;
}

int64_t stmt_get_int(struct stmt *st, int at)
{
	return sqlite3_column_int64(st->st, at);
}

bool stmt_is_null(struct stmt *st, int at)
{
	return sqlite3_column_type(st->st, at) == SQLITE_NULL;
}

const char *stmt_get_text(struct stmt *st, int at)
{
	const unsigned char *text = sqlite3_column_text(st->st, at);

	return text ? (const char *)text : "";
}

void stmt_copy_text(struct stmt *st, int at, char *out, size_t size)
{
	str_copy(out, size, stmt_get_text(st, at));
}

const void *stmt_get_bytes(struct stmt *st, int at, size_t *len_r)
{
	*len_r = (size_t)sqlite3_column_bytes(st->st, at);
	return sqlite3_column_blob(st->st, at);
}

void stmt_done(struct stmt **st)
{
	if (!*st)
		return;
	sqlite3_reset((*st)->st);
	sqlite3_clear_bindings((*st)->st);
	*st = NULL;
}

int stmt_run(struct stmt **st, struct err *err)
{
	int rc;

	while ((rc = stmt_step(*st, err)) > 0)
		;
	stmt_done(st);
	return rc;
}

int64_t store_rowid(const struct store *store)
{
	return sqlite3_last_insert_rowid(store->db);
}

int64_t store_changes(const struct store *store)
{
	return sqlite3_changes64(store->db);
}

/* ---- transactions ---- */

int store_begin(struct store *store, bool durable, struct err *err)
{
	if (ready(store, err) < 0)
		return -1;
	if (store->in_transaction)
		panic("store: transaction within a transaction");
	if (store_exec(store,
		       durable ? "PRAGMA synchronous=FULL"
			       : "PRAGMA synchronous=NORMAL",
		       err) < 0 ||
	    store_exec(store, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	store->in_transaction = true;
	return 0;
}

int store_commit(struct store *store, struct err *err)
{
	if (store_exec(store, "COMMIT", err) < 0)
		return -1;
	store->in_transaction = false;
	if (!store->healthy)
		set_health(store, true, NULL);
	return 0;
}

void store_rollback(struct store *store)
{
	if (!store->db || !store->in_transaction)
		return;
	store->in_transaction = false;
	/* Some failures have rolled back already; then this is no use, and
	 * no harm. */
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}
