/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * After a crash: every intent in the journal is finished or undone by what is
 * found. The tables of states stand in quarantine.c and quarantine_restore.c;
 * DELETE and RENAME (action.c) go on when the file is in the private
 * directory, else there is nothing to do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "quarantine_impl.h"

#define INTENT_MAX_AGE_NS (30ll * 24 * 3600 * (long long)CLOCK_NS_PER_S)

struct recovery {
	struct quarantine *q;
	struct holding h;
	int left;
	int done;
};

static bool has_sealed(struct quarantine *q, int64_t id)
{
	char name[QUARANTINE_NAME_MAX];
	struct stat st;

	return fstatat(q->dir, quarantine_name(name, id, "q"), &st,
		       AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_sealed(struct quarantine *q, int64_t id, const char *end)
{
	char name[QUARANTINE_NAME_MAX];

	unlinkat(q->dir, quarantine_name(name, id, end), 0);
}

static int end_intent(struct recovery *r, const struct intent *intent,
		      const char *what)
{
	struct err err;

	if (store_intent_end(r->q->setup.store, intent->id, &err) < 0) {
		log_error("recovery: intent %lld: %s", (long long)intent->id,
			  err.text);
		return -1;
	}
	log_info("recovery: intent %lld of %s/%s: %s", (long long)intent->id,
		 intent->dir, intent->name, what);
	return 0;
}

/* Puts what lies in the private directory back to its name. */
static int put_back(struct recovery *r, const struct intent *intent)
{
	struct err err;
	int rc = holding_back(&r->h, &err);

	if (rc != 0)
		log_error("recovery: %s/%s: %s", intent->dir, intent->name,
			  err.text);
	return rc < 0 ? -1 : 0;
}

static bool is_damaged(const struct err *err)
{
	return err->code == EBADMSG;
}

/* The item from what the sealed file tells; 0, 1 when it is damaged, -1. */
static int index_sealed(struct recovery *r, int64_t id)
{
	struct item *item = xmalloc(sizeof(*item));
	struct err err;
	int rc = quarantine_item_of(r->q, id, item, NULL, &err);

	if (rc < 0 && is_damaged(&err))
		rc = 1;
	else if (rc == 0)
		rc = store_item_sealed(r->q->setup.store, item, &err);
	if (rc != 0)
		log_error("recovery: %s/%lld.q: %s", paths()->quarantine_dir,
			  (long long)id, err.text);
	free(item);
	return rc;
}

/* SEALED: the item stands, or should, and the original has to go. */
static int put_sealed(struct recovery *r, const struct intent *intent, int in)
{
	struct quarantine *q = r->q;
	struct err err;
	int64_t drop;

	if (!has_sealed(q, intent->id)) {
		/* A commit that was reported as failed and was not. */
		if (in == 1 && put_back(r, intent) < 0)
			return -1;
		holding_clean(&r->h);
		if (store_item_drop(q->setup.store, intent->id, intent->id,
				    NULL, &drop, &err) < 0)
			return -1;
		return quarantine_finish_drop(q, intent->id, drop, &err);
	}
	if (in == 1 && holding_drop(&r->h, &err) < 0) {
		log_error("recovery: %s", err.text);
		return -1;
	}
	holding_clean(&r->h);
	return end_intent(r, intent, "the file is in quarantine");
}

static int put_begun(struct recovery *r, const struct intent *intent, int in)
{
	struct quarantine *q = r->q;
	int rc;

	remove_sealed(q, intent->id, "tmp");
	if (has_sealed(q, intent->id) &&
	    holding_look(&r->h, intent, true) != 1) {
		rc = index_sealed(r, intent->id);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return put_sealed(r, intent, in);
	}
	/* Back first, then the sealed one goes: never less than one copy. */
	if (in == 1 && put_back(r, intent) < 0)
		return -1;
	holding_clean(&r->h);
	remove_sealed(q, intent->id, "q");
	return end_intent(r, intent,
			  in == 1 ? "undone, the file is back"
				  : "nothing to do");
}

static int remove_held(struct recovery *r, const struct intent *intent, int in)
{
	struct err err;

	if (in == 1 && holding_drop(&r->h, &err) < 0) {
		log_error("recovery: %s", err.text);
		return -1;
	}
	holding_clean(&r->h);
	return end_intent(r, intent, in == 1 ? "deleted" : "nothing to do");
}

static int rename_held(struct recovery *r, const struct intent *intent, int in)
{
	if (in == 1) {
		str_copy(r->h.name, sizeof(r->h.name), intent->new_name);
		if (put_back(r, intent) < 0)
			return -1;
	}
	holding_clean(&r->h);
	return end_intent(r, intent, in == 1 ? "renamed" : "nothing to do");
}

/* WRITTEN and in place: the restore is finished. */
static int restore_done(struct recovery *r, const struct intent *intent)
{
	struct quarantine *q = r->q;
	struct item *item = xmalloc(sizeof(*item));
	struct pass *pass = xcalloc(1, sizeof(*pass));
	int fd = openat(r->h.dir, r->h.name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	struct err err;
	int64_t drop;
	int rc = -1;

	if (fd < 0 || file_key_get(fd, &pass->key, &st) < 0 ||
	    (uint64_t)st.st_ino != intent->ino ||
	    store_item_get(q->setup.store, intent->item, item, &err) <= 0)
		goto out;
	holding_join(pass->path, sizeof(pass->path), intent->dir, intent->name);
	str_copy(pass->sha256, sizeof(pass->sha256), item->sha256);
	str_copy(pass->virus, sizeof(pass->virus), item->virus);
	pass->when_ns = clock_real_ns();
	quarantine_pass_give(q, &pass->key);
	if (store_item_drop(q->setup.store, intent->item, intent->id, pass,
			    &drop, &err) == 0)
		rc = quarantine_finish_drop(q, intent->item, drop, &err);
	log_info("recovery: item %lld is restored", (long long)intent->item);
out:
	fd_close(&fd);
	free(item);
	free(pass);
	return rc;
}

static int restore_held(struct recovery *r, const struct intent *intent, int in)
{
	struct err err;

	/* Only ours can lie there, whatever its inode. */
	if (in && holding_drop(&r->h, &err) < 0) {
		log_error("recovery: %s", err.text);
		return -1;
	}
	holding_clean(&r->h);
	if (!in && intent->state == INTENT_WRITTEN &&
	    holding_look(&r->h, intent, true) == 1)
		return restore_done(r, intent);
	return end_intent(r, intent, "not restored, it is in quarantine");
}

static int recover_held(struct recovery *r, const struct intent *intent)
{
	int in = holding_look(&r->h, intent, false);

	if (in == 2 && intent->kind != INTENT_RESTORE) {
		/* Killed before we saw that it was another file. */
		if (put_back(r, intent) < 0)
			return -1;
		in = 0;
	}
	switch (intent->kind) {
	case INTENT_PUT:
		return intent->state == INTENT_SEALED
			       ? put_sealed(r, intent, in)
			       : put_begun(r, intent, in);
	case INTENT_DELETE:
		return remove_held(r, intent, in);
	case INTENT_RENAME:
		return rename_held(r, intent, in);
	default:
		return restore_held(r, intent, in);
	}
}

static int recover_unreachable(struct recovery *r, const struct intent *intent)
{
	if (clock_real_ns() - intent->when_ns < INTENT_MAX_AGE_NS) {
		log_warn("recovery: intent %lld: %s cannot be reached now",
			 (long long)intent->id, intent->dir);
		return -1;
	}
	/* What is sealed stays and is taken into the index as an orphan. */
	remove_sealed(r->q, intent->id, "tmp");
	log_error("recovery: %s/%s/%s is given up: its directory could not be "
		  "reached for 30 days",
		  intent->dir, intent->hold, HOLDING_FILE);
	return end_intent(r, intent, "given up");
}

static void recover_one(const struct intent *intent, void *arg)
{
	struct recovery *r = arg;
	struct err err;
	int rc;

	if (quarantine_busy(r->q, intent->id) ||
	    (intent->item && quarantine_busy(r->q, intent->item)))
		return;
	if (intent->kind == INTENT_DROP) {
		rc = quarantine_finish_drop(r->q, intent->item, intent->id,
					    &err);
	} else if (holding_from_intent(&r->h, intent)) {
		rc = recover_held(r, intent);
		holding_close(&r->h);
	} else {
		rc = recover_unreachable(r, intent);
	}
	if (rc < 0)
		r->left++;
	else
		r->done++;
}

/* ---- files that nobody knows ---- */

struct orphan_search {
	int64_t id;
	bool known;
};

static void is_intent_of(const struct intent *intent, void *arg)
{
	struct orphan_search *s = arg;

	if (intent->id == s->id || intent->item == s->id)
		s->known = true;
}

/* 1 when the store knows the number, 0 not, -1 when it cannot be asked. */
static int is_known(struct quarantine *q, int64_t id)
{
	struct orphan_search s = {.id = id};
	struct item *item = xmalloc(sizeof(*item));
	struct err err;
	int rc = store_item_get(q->setup.store, id, item, &err);

	free(item);
	if (rc != 0)
		return rc;
	if (store_intents(q->setup.store, is_intent_of, &s, &err) < 0)
		return -1;
	return s.known;
}

static void adopt(struct recovery *r, const char *name)
{
	struct quarantine *q = r->q;
	struct err err;
	long long id;
	char *end;
	int rc;

	id = strtoll(name, &end, 10);
	if (id <= 0 || quarantine_busy(q, id))
		return;
	/* A number that was given once is not given again, or a new file
	 * would meet an old one. */
	if (store_intent_reserve(q->setup.store, id, &err) < 0)
		return;
	rc = is_known(q, id);
	if (rc != 0)
		return;
	if (!strcmp(end, ".tmp")) {
		remove_sealed(q, id, "tmp");
		return;
	}
	if (!strcmp(end, ".q") && index_sealed(r, id) == 0)
		log_warn("recovery: %s was not in the index and is again",
			 name);
}

static void adopt_orphans(struct recovery *r)
{
	int fd = openat(r->q->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!dir) {
		fd_close(&fd);
		return;
	}
	while ((de = readdir(dir)))
		adopt(r, de->d_name);
	closedir(dir);
}

int quarantine_recover(struct quarantine *q, struct err *err)
{
	struct recovery *r = xcalloc(1, sizeof(*r));
	int rc = -1;

	r->q = q;

	if (quarantine_ready(q, err) == 0 &&
	    store_intents(q->setup.store, recover_one, r, err) == 0) {
		adopt_orphans(r);
		quarantine_passes_set(q);
		rc = r->left;
	}
	free(r);
	return rc;
}
