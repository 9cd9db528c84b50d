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

#include "common/hash.h"
#include "common/pass.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "look.h"
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
	int rc;		     /* -1: it is not there now */
	bool same;	     /* as the pass knows it: it was not read */
	struct file_key key; /* before and after it was read */
	uint8_t sha256[32];
};
struct pass_hash {
	struct quarantine *q;
	struct pass *pass;
};

static void hash_next(struct quarantine *q);

static void pass_hash_free(struct pass_hash *w)
{
	free(w->pass);
	free(w);
}

static int hash_open(struct pass_hash *w)
{
	struct scoreboard *sb = w->q->setup.sb;
	bool was = scoreboard_is_exempt(sb, getpid());
	int fd;

	/* A child is not exempt as core is, and the file is infected. */
	scoreboard_exempt(sb, getpid());
	fd = look_open(w->pass->path);
	if (!was)
		scoreboard_unexempt(sb, getpid());
	return fd;
}

/* All that its file system may let wait: in a child. */
static void hash_run(void *arg, void *result)
{
	struct pass_hash *w = arg;
	struct hashed *h = result;
	struct file_key after;
	struct stat st;
	int fd = hash_open(w);

	h->rc = -1;
	if (fd < 0)
		return; /* maybe its file system is not mounted */
	if (file_key_get(fd, &h->key, &st) < 0 || !S_ISREG(st.st_mode))
		goto out;
	h->same = file_key_same(&h->key, &w->pass->key);
	if (h->same || (hash_fd(fd, h->key.size, h->sha256, NULL, NULL) == 0 &&
			file_key_get(fd, &after, &st) == 0 &&
			file_key_same(&after, &h->key)))
		h->rc = 0;
out:
	close(fd);
}

static void hash_take(struct pass_hash *w, const struct hashed *h)
{
	struct quarantine *q = w->q;
	char hex[65];

	if (h->same) {
		quarantine_pass_give(q, &h->key);
	} else if (!strcmp(hash_hex(hex, h->sha256), w->pass->sha256)) {
		pass_drop(q->setup.sb, &w->pass->key);
		store_pass_key(q->setup.store, w->pass->id, &h->key, NULL);
		quarantine_pass_give(q, &h->key);
	} else {
		/* Another content: the pass is over. */
		store_pass_delete(q->setup.store, w->pass->id, NULL);
	}
}

static void hash_done(void *arg, const void *result)
{
	struct pass_hash *w = arg;
	struct quarantine *q = w->q;
	const struct hashed *h = result;

	q->hashing = NULL;
	q->hash = NULL;
	if (h && h->rc == 0)
		hash_take(w, h);
	pass_hash_free(w);
	hash_next(q);
}

static void hash_start(struct quarantine *q, struct pass *pass)
{
	struct pass_hash *w = xcalloc(1, sizeof(*w));
	struct childjob_work work = {
		.run = hash_run,
		.done = hash_done,
		.arg = w,
		.result_size = sizeof(struct hashed),
		.timeout_ms = HASH_TIMEOUT_MS,
	};

	w->q = q;
	w->pass = pass;
	q->hashing = childjob_start(q->setup.loop, &work, NULL);
	if (q->hashing)
		q->hash = w;
	else
		pass_hash_free(w);
}

static void hash_now(struct quarantine *q, struct pass *pass)
{
	struct pass_hash w = {.q = q, .pass = pass};
	struct hashed h = {.rc = -1};

	hash_run(&w, &h);
	if (h.rc == 0)
		hash_take(&w, &h);
	free(pass);
}

/* One after the other, so that a start with many stays quiet. */
static void hash_next(struct quarantine *q)
{
	struct pass *pass;

	while (q->to_hash.len && !q->hashing) {
		pass = q->to_hash.items[--q->to_hash.len];
		if (q->setup.loop)
			hash_start(q, pass);
		else
			hash_now(q, pass);
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
		pass_hash_free(q->hash);
	q->hash = NULL;
	while (q->to_hash.len)
		free(q->to_hash.items[--q->to_hash.len]);
	vec_free(&q->to_hash);
}
