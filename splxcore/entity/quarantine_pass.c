/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Passes of restored files: kept in the store by SHA-256 and path, and in the
 * scoreboard by file key, where workers see them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/pass.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "quarantine_impl.h"

#define HASH_TIMEOUT_MS (5 * 60 * 1000)
#define TELL_PAUSE_NS (60 * CLOCK_NS_PER_S)

/* ---- giving ---- */

/*
 * It is no loss for good: the file is refused once, core finds its pass in the
 * store and gives it again. But nobody should have to find that out.
 */
static void tell_forgotten(struct quarantine *q, unsigned int more)
{
	uint64_t now = clock_mono_ns();

	q->forgotten += more;
	if (q->forgotten_told_ns && now - q->forgotten_told_ns < TELL_PAUSE_NS)
		return;
	log_warn("quarantine: more than %d restored files: passes forgotten=%u",
		 SCOREBOARD_PASS, q->forgotten);
	store_event(q->setup.store, EVENT_system, EVENT_SEVERITY_MEDIUM,
		    json_pack("{s:s, s:i}", "part", "entity", "code", 0),
		    "more than %d restored files: those restored first (%u so "
		    "far) are refused once before they pass again; exclude "
		    "what is to stay",
		    SCOREBOARD_PASS, q->forgotten);
	q->forgotten_told_ns = now;
}

void quarantine_pass_give(struct quarantine *q, const struct file_key *key)
{
	if (q->setup.sb && !pass_put(q->setup.sb, key))
		tell_forgotten(q, 1);
}

/* ---- asking ---- */

struct question {
	struct quarantine *q;
	const struct file_key *key;
	const char *path;
	const char *sha256;
	bool passed, ask;
};

static bool same_place(const struct pass *pass, const struct question *w)
{
	return !strcmp(pass->path, w->path) ||
	       (pass->key.dev == w->key->dev && pass->key.ino == w->key->ino);
}

static void compare(const struct pass *pass, void *arg)
{
	struct question *w = arg;

	if (w->passed)
		return;
	if (file_key_same(&pass->key, w->key)) {
		w->passed = true;
		return;
	}
	if (!same_place(pass, w))
		return;
	if (!w->sha256) {
		w->ask = true;
	} else if (!strcmp(w->sha256, pass->sha256)) {
		/* Touched, or copied back: the same file under a new key. */
		w->passed = true;
		if (w->q->setup.sb)
			pass_drop(w->q->setup.sb, &pass->key);
		store_pass_key(w->q->setup.store, pass->id, w->key, NULL);
	}
}

int quarantine_passed(struct quarantine *q, const struct file_key *key,
		      const char *path, const char *sha256, bool *ask_r)
{
	struct question w = {
		.q = q, .key = key, .path = path, .sha256 = sha256};
	struct err err;

	if (ask_r)
		*ask_r = false;
	if (q->setup.sb && pass_has(q->setup.sb, key))
		return 1;
	if (store_passes(q->setup.store, (int64_t)key->size, compare, &w,
			 &err) < 0)
		return -1;
	if (w.passed)
		quarantine_pass_give(q, key);
	if (ask_r)
		*ask_r = w.ask && !w.passed;
	return w.passed;
}

/* ---- at the start ---- */

struct hashed {
	int rc;
	uint8_t sha256[32];
};
struct pass_hash {
	struct quarantine *q;
	struct pass *pass;
	struct file_key key; /* when the hashing began */
	int fd;
};

static void hash_next(struct quarantine *q);

static int open_passed(const struct pass *pass)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash = strrchr(pass->path, '/');
	char dir_path[PATH_MAX];
	int dir, fd = -1;

	if (root < 0 || !slash) {
		fd_close(&root);
		return -1;
	}
	str_copy(dir_path, sizeof(dir_path), pass->path);
	dir_path[slash == pass->path ? 1 : slash - pass->path] = '\0';
	dir = holding_walk(root, dir_path, NULL);
	if (dir >= 0)
		fd = openat(dir, slash + 1,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME |
				    O_CLOEXEC);
	fd_close(&dir);
	fd_close(&root);
	return fd;
}

static void hash_free(struct pass_hash *w)
{
	fd_close(&w->fd);
	free(w->pass);
	free(w);
}

static void hash_run(void *arg, void *result)
{
	struct pass_hash *w = arg;
	struct hashed *h = result;

	h->rc = seal_hash(w->fd, w->key.size, h->sha256, NULL, NULL);
}

static void hash_done(void *arg, const void *result)
{
	struct pass_hash *w = arg;
	struct quarantine *q = w->q;
	const struct hashed *h = result;
	struct file_key now;
	struct stat st;
	char hex[65];

	q->hashing = NULL;
	q->hash = NULL;
	if (h && h->rc == 0 && file_key_get(w->fd, &now, &st) == 0 &&
	    file_key_same(&now, &w->key)) {
		if (!strcmp(seal_hex(hex, h->sha256), w->pass->sha256)) {
			pass_drop(q->setup.sb, &w->pass->key);
			store_pass_key(q->setup.store, w->pass->id, &now, NULL);
			quarantine_pass_give(q, &now);
		} else {
			/* Another content: the pass is over. */
			store_pass_delete(q->setup.store, w->pass->id, NULL);
		}
	}
	hash_free(w);
	hash_next(q);
}

static bool hash_start(struct quarantine *q, struct pass *pass)
{
	struct pass_hash *w = xcalloc(1, sizeof(*w));
	struct childjob_work work = {
		.run = hash_run,
		.done = hash_done,
		.arg = w,
		.result_size = sizeof(struct hashed),
		.nfds = 1,
		.timeout_ms = HASH_TIMEOUT_MS,
	};
	struct hashed h;
	struct stat st;

	w->q = q;
	w->pass = pass;
	w->fd = open_passed(pass);
	if (w->fd < 0 || file_key_get(w->fd, &w->key, &st) < 0 ||
	    !S_ISREG(st.st_mode)) {
		/* Not there now; maybe its file system is not mounted. */
		hash_free(w);
		return false;
	}
	if (file_key_same(&w->key, &pass->key)) {
		quarantine_pass_give(q, &pass->key);
		hash_free(w);
		return false;
	}
	work.fds = &w->fd;
	if (q->setup.loop)
		q->hashing = childjob_start(q->setup.loop, &work, NULL);
	if (q->hashing) {
		q->hash = w;
		return true;
	}
	hash_run(w, &h);
	hash_done(w, &h);
	return true;
}

/* One after the other, so that a start with many stays quiet. */
static void hash_next(struct quarantine *q)
{
	struct pass *pass;

	while (q->to_hash.len) {
		pass = q->to_hash.items[--q->to_hash.len];
		if (hash_start(q, pass))
			return;
	}
}

static void keep_pass(const struct pass *pass, void *arg)
{
	struct quarantine *q = arg;
	struct pass *copy;

	if (q->to_hash.len >= SCOREBOARD_PASS) {
		tell_forgotten(q, 1);
		return;
	}
	copy = xmalloc(sizeof(*copy));
	*copy = *pass;
	vec_push(&q->to_hash, copy);
}

void quarantine_passes_set(struct quarantine *q)
{
	if (q->passes_set || !q->setup.sb)
		return;
	if (store_passes(q->setup.store, -1, keep_pass, q, NULL) < 0)
		return;
	q->passes_set = true;
	hash_next(q);
}

void quarantine_passes_stop(struct quarantine *q)
{
	childjob_cancel(&q->hashing);
	if (q->hash)
		hash_free(q->hash);
	q->hash = NULL;
	while (q->to_hash.len)
		free(q->to_hash.items[--q->to_hash.len]);
	vec_free(&q->to_hash);
}
