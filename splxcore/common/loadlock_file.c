/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The load lock's file: one who changes it at a time, and always whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "loadlock.h"
#include "paths.h"

/* Whoever else changes it is done by then, or does not move. */
#define TURN_MS 2000
#define STEP_MS 20
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* The same for as long as we live. */
static const char *boot_id(void)
{
	static char id[LOADLOCK_BOOT];
	char *text;
	size_t len;

	if (!id[0] && !fd_read_file(BOOT_ID, 256, &text, &len, NULL)) {
		str_copy(id, sizeof(id), str_trim(text));
		free(text);
	}
	return id;
}

void loadlock_now(struct loadlock_now *now_r)
{
	struct timespec ts;
	struct utsname uts;

	memset(now_r, 0, sizeof(*now_r));
	str_copy(now_r->boot, sizeof(now_r->boot), boot_id());
	uname(&uts);
	for (size_t i = 0; i < sizeof(now_r->kernel) - 1 && uts.release[i]; i++)
		now_r->kernel[i] = uts.release[i] > ' ' && uts.release[i] < 0x7f
					   ? uts.release[i]
					   : '_';
	now_r->real = clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	now_r->up = ts.tv_sec;
}

/* ---- one at a time ---- */

/*
 * The directory, locked; the descriptor holds the lock. Only root can open it,
 * so nobody else holds us up. -1 and *err.
 */
static int take_turn(struct err *err)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	int dir;

	if (mkdir(paths()->km_dir, 0700) && errno != EEXIST)
		return err_set(err, errno, "mkdir(%s)", paths()->km_dir);
	dir = open(paths()->km_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(err, errno, "open(%s)", paths()->km_dir);
	for (int ms = 0; flock(dir, LOCK_EX | LOCK_NB); ms += STEP_MS) {
		if (ms >= TURN_MS || (errno != EWOULDBLOCK && errno != EINTR)) {
			err_set(err, errno, "flock(%s)", paths()->km_dir);
			fd_close(&dir);
			return -1;
		}
		nanosleep(&step, NULL);
	}
	return dir;
}

/* The file's text, which the caller frees; "" when there is none. NULL and
 * *err when it cannot be read. */
static char *read_text(struct err *err)
{
	struct err why;
	char *text;
	size_t len;

	if (!fd_read_file(paths()->load_lock, LOADLOCK_SIZE, &text, &len,
			  &why)) {
		/* A file system that lost power may leave zeros. */
		for (size_t i = 0; i < len; i++)
			if (!text[i])
				text[i] = '?';
		return text;
	}
	if (why.code == ENOENT || why.code == ENOTDIR)
		return strdup("");
	if (err)
		*err = why;
	return NULL;
}

static int write_text(int dir, const char *text, struct err *err)
{
	if (*text)
		return fd_replace_file(paths()->load_lock, text, strlen(text),
				       0600, err);
	if (unlink(paths()->load_lock) && errno != ENOENT)
		return err_set(err, errno, "unlink(%s)", paths()->load_lock);
	if (fsync(dir))
		return err_set(err, errno, "fsync(%s)", paths()->km_dir);
	return 0;
}

/* Writes the lock unless the file says just that already. */
static int save(int dir, const struct loadlock *lock,
		const struct loadlock_now *now, const char *before,
		struct err *err)
{
	struct str text = {0};
	int rc = 0;

	loadlock_format(lock, now, &text);
	if (strcmp(str_get(&text), before) != 0)
		rc = write_text(dir, str_get(&text), err);
	str_free(&text);
	return rc;
}

/* ---- looking and changing ---- */

static void judge(const struct loadlock_now *now,
		  const struct loadlock_policy *policy,
		  struct loadlock_state *st)
{
	st->locked = loadlock_locks(&st->lock, now, policy, &st->free_in);
}

/* What the file says, settled; its text, or NULL. */
static char *take_in(const struct loadlock_now *now,
		     const struct loadlock_policy *policy,
		     struct loadlock_state *st)
{
	char *text = read_text(&st->why);

	st->known = text != NULL;
	loadlock_parse(&st->lock, text ? text : "", now);
	if (!text) {
		st->lock.voids = 1;
		str_copy(st->lock.void_line, sizeof(st->lock.void_line),
			 st->why.text);
	}
	loadlock_settle(&st->lock, now, policy->window);
	return text;
}

void loadlock_look(const struct loadlock_now *now,
		   const struct loadlock_policy *policy,
		   struct loadlock_state *state_r)
{
	memset(state_r, 0, sizeof(*state_r));
	free(take_in(now, policy, state_r));
	judge(now, policy, state_r);
}

/* What the service has not been told yet; now it is. */
static void take_news(struct loadlock_state *st)
{
	struct loadlock *lock = &st->lock;
	unsigned int i, n = 0;

	for (i = 0; i < lock->n; i++) {
		struct loadlock_entry *e = &lock->entries[i];

		if (e->kind == LOADLOCK_CLEARED) {
			st->cleared += e->count;
			continue;
		}
		st->noticed += e->kind == LOADLOCK_CRASH && !e->told;
		e->told = e->kind == LOADLOCK_CRASH;
		lock->entries[n++] = *e;
	}
	lock->n = n;
}

static void add_start(struct loadlock *lock, const struct loadlock_now *now,
		      enum loadlock_by by)
{
	struct loadlock_entry *e;

	for (unsigned int i = 0; i < lock->n; i++)
		if (lock->entries[i].kind == LOADLOCK_START &&
		    lock->entries[i].by == by)
			return;
	/* It is the newest; crashes that many lock without the oldest too. */
	if (lock->n == LOADLOCK_MAX)
		memmove(lock->entries, lock->entries + 1,
			--lock->n * sizeof(*e));
	e = &lock->entries[lock->n++];
	memset(e, 0, sizeof(*e));
	e->kind = LOADLOCK_START;
	e->by = by;
	memcpy(e->boot, now->boot, sizeof(e->boot));
	memcpy(e->kernel, now->kernel, sizeof(e->kernel));
	e->at = now->up;
	e->time = now->real;
}

static void not_known(struct loadlock_state *st, const struct err *why)
{
	st->known = false;
	st->why = *why;
}

/* loadlock_begin() and loadlock_keep(): by is LOADLOCK_BY_ANY for the latter.
 */
static void change(const struct loadlock_now *now,
		   const struct loadlock_policy *policy, enum loadlock_by by,
		   struct loadlock_state *st)
{
	const struct err unnamed = {.text = BOOT_ID
				    " cannot be read: one boot "
				    "cannot be told from another"};
	struct err why = {0};
	int dir = take_turn(&why);
	char *before;

	memset(st, 0, sizeof(*st));
	before = take_in(now, policy, st);
	judge(now, policy, st);
	if (by != LOADLOCK_BY_LOAD)
		take_news(st);
	if (by != LOADLOCK_BY_ANY && !st->locked && now->boot[0])
		add_start(&st->lock, now, by);
	if (dir < 0)
		not_known(st, &why);
	else if (!now->boot[0])
		not_known(st, &unnamed);
	else if (save(dir, &st->lock, now, before ? before : "#", &why))
		not_known(st, &why);
	else
		st->known = true; /* one that could not be read is replaced */
	free(before);
	fd_close(&dir);
}

void loadlock_begin(const struct loadlock_now *now,
		    const struct loadlock_policy *policy, enum loadlock_by by,
		    struct loadlock_state *state_r)
{
	change(now, policy, by, state_r);
}

void loadlock_keep(const struct loadlock_now *now,
		   const struct loadlock_policy *policy,
		   struct loadlock_state *state_r)
{
	if (access(paths()->load_lock, F_OK) && errno == ENOENT)
		loadlock_look(now, policy, state_r);
	else
		change(now, policy, LOADLOCK_BY_ANY, state_r);
}

/* ---- a clean end ---- */

static bool is_own_start(const struct loadlock_entry *e,
			 const struct loadlock_now *now, enum loadlock_by by)
{
	return e->kind == LOADLOCK_START && now->boot[0] &&
	       !strcmp(e->boot, now->boot) &&
	       (by == LOADLOCK_BY_ANY || e->by == by);
}

static bool line_is_own_start(const char *line, size_t len,
			      const struct loadlock_now *now,
			      enum loadlock_by by)
{
	char *copy = strndup(line, len + 1); /* with its newline */
	struct loadlock lock;
	bool own;

	loadlock_parse(&lock, copy ? copy : "", now);
	own = lock.n == 1 && is_own_start(&lock.entries[0], now, by);
	free(copy);
	return own;
}

/*
 * Where nothing can be written anew, as on a full file system: the lines are
 * made comments where they stand. One byte is written whole or not at all.
 */
static int strike_out(const char *text, const struct loadlock_now *now,
		      enum loadlock_by by, struct err *err)
{
	int fd = open(paths()->load_lock, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	const char *at, *end;
	int rc = 0;

	if (fd < 0)
		return err_set(err, errno, "open(%s)", paths()->load_lock);
	for (at = text; *at && !rc; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		if (line_is_own_start(at, (size_t)(end - at), now, by) &&
		    pwrite(fd, "#", 1, at - text) != 1)
			rc = -1;
	}
	if (rc || fdatasync(fd))
		rc = err_set(err, errno, "write(%s)", paths()->load_lock);
	fd_close(&fd);
	return rc;
}

int loadlock_end(const struct loadlock_now *now, enum loadlock_by by,
		 struct err *err)
{
	struct loadlock lock;
	struct err why;
	unsigned int i, n = 0;
	char *before;
	int dir, rc = 0;

	/* Nothing to end is no reason to make the directory. */
	if (access(paths()->load_lock, F_OK) && errno == ENOENT)
		return 0;
	dir = take_turn(err);
	if (dir < 0)
		return -1;
	before = read_text(err);
	if (!before) {
		fd_close(&dir);
		return -1;
	}
	loadlock_parse(&lock, before, now);
	for (i = 0; i < lock.n; i++)
		if (!is_own_start(&lock.entries[i], now, by))
			lock.entries[n++] = lock.entries[i];
	if (n < lock.n) {
		lock.n = n;
		rc = save(dir, &lock, now, before, &why);
		if (rc)
			rc = strike_out(before, now, by, err);
	}
	free(before);
	fd_close(&dir);
	return rc;
}

/* ---- unlocking ---- */

static void add_cleared(struct loadlock *lock, const struct loadlock_now *now,
			unsigned int count)
{
	struct loadlock_entry *e = &lock->entries[lock->n++];

	memset(e, 0, sizeof(*e));
	e->kind = LOADLOCK_CLEARED;
	e->at = now->up;
	e->time = now->real;
	e->count = count;
}

int loadlock_clear(const struct loadlock_now *now, bool note,
		   unsigned int *cleared_r, struct err *err)
{
	struct loadlock lock, kept = {0};
	char *before;
	int dir, rc;

	*cleared_r = 0;
	if (access(paths()->load_lock, F_OK) && errno == ENOENT)
		return 0;
	dir = take_turn(err);
	if (dir < 0)
		return -1;
	/* What cannot be read is no reason to keep it. */
	before = read_text(NULL);
	loadlock_parse(&lock, before ? before : "", now);
	/* All that is not of this boot, of whatever age. */
	loadlock_settle(&lock, now, INT64_MAX);
	*cleared_r = loadlock_crashes(&lock);
	for (unsigned int i = 0; i < lock.n; i++)
		if (lock.entries[i].kind != LOADLOCK_CRASH)
			kept.entries[kept.n++] = lock.entries[i];
	if (note && *cleared_r)
		add_cleared(&kept, now, *cleared_r);
	rc = save(dir, &kept, now, before ? before : "#", err);
	free(before);
	fd_close(&dir);
	return rc;
}
