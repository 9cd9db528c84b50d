/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Putting an item back. What it does, and what recovery finds when it is
 * killed before the next step:
 *
 *   step done               journal  new file         recovery
 *   1 intent written        BEGUN    -                nothing to do
 *   2 directory made        BEGUN    -                directory removed
 *   3 being written         BEGUN    in hold          deleted
 *   4 whole, its inode
 *     in the journal        WRITTEN  in hold          deleted
 *   5 renamed to its name   WRITTEN  in place         goes on with 6
 *   6 item gone, pass there DROP     in place         goes on with 7
 *   7 ID.q deleted          DROP     in place         goes on with 8
 *   8 intent gone           -        in place
 *
 * The item stands until 6, so there is always one copy to go on with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attrs.h"
#include "common/hash.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "quarantine_impl.h"

static int open_sealed(struct quarantine *q, int64_t id, struct err *err)
{
	char name[QUARANTINE_NAME_MAX];
	int fd = openat(q->dir, quarantine_name(name, id, "q"),
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, errno, "open %s/%s",
			       paths()->quarantine_dir, name);
	return fd;
}

/* ---- what a sealed file tells of itself ---- */

static void meta_text(json_t *meta, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(meta, key));
	char *raw = attrs_unescape(text ? text : "");

	str_copy(out, size, raw ? raw : "");
	free(raw);
}

static int64_t meta_int(json_t *meta, const char *key)
{
	return json_integer_value(json_object_get(meta, key));
}

static json_t *read_meta(struct quarantine *q, int sealed, struct err *err)
{
	json_t *meta;
	char *text;

	if (lseek(sealed, 0, SEEK_SET) < 0) {
		err_set(err, errno, "lseek");
		return NULL;
	}
	if (seal_read_meta(&q->key, sealed, &text, err) < 0)
		return NULL;
	meta = json_loads(text, 0, NULL);
	free(text);
	if (!json_is_object(meta)) {
		err_set(err, 0, "what it tells of itself is not whole");
		json_decref(meta);
		return NULL;
	}
	return meta;
}

int quarantine_item_of(struct quarantine *q, int64_t id, struct item *item,
		       json_t **attrs_r, struct err *err)
{
	struct seal_info info;
	int fd = open_sealed(q, id, err);
	json_t *meta;
	off_t end;

	if (fd < 0)
		return -1;
	memset(item, 0, sizeof(*item));
	meta = read_meta(q, fd, err);
	if (!meta || lseek(fd, 0, SEEK_SET) < 0 ||
	    seal_read_end(&q->key, fd, &info, err) < 0) {
		json_decref(meta);
		close(fd);
		return -1;
	}
	end = lseek(fd, 0, SEEK_END);
	close(fd);
	item->id = id;
	item->when_ns = meta_int(meta, "time");
	meta_text(meta, "path", item->path, sizeof(item->path));
	meta_text(meta, "virus", item->virus, sizeof(item->virus));
	meta_text(meta, "source", item->source, sizeof(item->source));
	meta_text(meta, "program", item->program, sizeof(item->program));
	hash_hex(item->sha256, info.sha256);
	item->size = info.size;
	item->sealed = (uint64_t)end;
	item->mode = (uint32_t)meta_int(meta, "mode");
	item->uid = (uint32_t)meta_int(meta, "uid");
	item->gid = (uint32_t)meta_int(meta, "gid");
	item->mtime_ns = meta_int(meta, "mtime_ns");
	item->pid = (int32_t)meta_int(meta, "pid");
	item->opener_uid = meta_int(meta, "opener_uid");
	if (attrs_r)
		*attrs_r = meta;
	else
		json_decref(meta);
	return 0;
}

/* ---- begin ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The directory and name that `path` means; h->dir is open afterwards. */
static int open_target(struct holding *h, const char *path, bool own,
		       const char *item_path, struct err *err)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash = strrchr(path, '/');
	const char *name;

	if (root < 0)
		return err_set(err, errno, "open /");
	if (!slash) {
		close(root);
		return err_set(err, EINVAL, "%s: not a full path", path);
	}
	str_copy(h->dir_path, sizeof(h->dir_path), path);
	name = base_name(item_path);
	h->dir = own ? -1 : holding_walk(root, path, NULL);
	if (h->dir < 0) { /* not a directory: the last part is the name */
		h->dir_path[slash == path ? 1 : slash - path] = '\0';
		h->dir = holding_walk(root, h->dir_path, err);
		name = slash + 1;
	}
	close(root);
	if (h->dir < 0)
		return -1;
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") ||
	    !str_copy(h->name, sizeof(h->name), name))
		return err_set(err, EINVAL, "%s: no name for a file", path);
	if (fstat(h->dir, &h->dir_st) < 0)
		return err_set(err, errno, "%s", h->dir_path);
	return 0;
}

static int check_target(const struct holding *h, bool force, struct err *err)
{
	struct stat st;

	if (fstatat(h->dir, h->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return err_set(err, EISDIR, "%s/%s", h->dir_path, h->name);
	if (!force)
		return err_set(err, EEXIST, "%s/%s", h->dir_path, h->name);
	return 0;
}

static int restore_locate(struct quarantine_work *w, const char *to,
			  struct err *err)
{
	json_t *meta = read_meta(w->q, w->sealed, err);
	bool foreign;

	if (!meta)
		return -1;
	foreign = json_is_true(json_object_get(meta, "foreign"));
	json_decref(meta);
	if (foreign && !to)
		return err_set(err, 0,
			       "%s was its path in another mount namespace "
			       "(a container): say where to put it",
			       w->item.path);
	if (open_target(&w->h, to ? to : w->item.path, !to, w->item.path, err) <
		    0 ||
	    check_target(&w->h, w->force, err) < 0)
		return -1;
	holding_name(&w->h);
	holding_to_intent(&w->h, &w->intent);
	return 0;
}

/* What was begun disappears; the item stands. Returns -1. */
static int restore_undo(struct quarantine_work *w)
{
	if (w->h.priv >= 0 && holding_drop(&w->h, NULL) < 0)
		return -1; /* recovery will do it */
	if (w->intent.id)
		store_intent_end(w->q->setup.store, w->intent.id, NULL);
	w->intent.id = 0;
	return -1;
}

int quarantine_restore_begin(struct quarantine_work *w, int64_t id,
			     const char *to, bool force, struct err *err)
{
	struct quarantine *q = w->q;
	int rc;

	if (quarantine_ready(q, err) < 0)
		return -1;
	if (quarantine_busy(q, id))
		return err_set(err, EBUSY, "item %lld", (long long)id);
	rc = store_item_get(q->setup.store, id, &w->item, err);
	if (rc == 0)
		err_set(err, ENOENT, "there is no item %lld", (long long)id);
	if (rc <= 0)
		return -1;
	w->item.detail[0] = '\0';
	w->force = force;
	w->intent.kind = INTENT_RESTORE;
	w->intent.item = id;
	w->sealed = open_sealed(q, id, err);
	if (w->sealed < 0 || restore_locate(w, to, err) < 0)
		return -1;
	holding_at("restore-intent");
	if (store_intent_begin(q->setup.store, &w->intent, err) < 0)
		return -1;
	if (holding_make(&w->h, err) < 0)
		return restore_undo(w);
	holding_at("restore-create");
	w->fd = openat(w->h.priv, HOLDING_FILE,
		       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	if (w->fd >= 0)
		return 0;
	err_set(err, errno, "create %s/%s", w->h.dir_path, w->h.name);
	return restore_undo(w);
}

/* ---- copy ---- */

static void restore_copy(struct quarantine_work *w, struct quarantine_copied *c)
{
	holding_at("restore-copy");
	c->rc = -1;
	if (lseek(w->sealed, 0, SEEK_SET) < 0) {
		err_set(&c->err, errno, "lseek");
		return;
	}
	if (seal_read(&w->q->key, w->sealed, w->fd, NULL, &c->info, &c->err) <
	    0)
		return;
	/* Most of it goes to the disk here, not in the loop. */
	c->rc = fsync(w->fd) < 0 ? err_set(&c->err, errno, "fsync") : 0;
}

/* ---- end ---- */

static int give_attrs(struct quarantine_work *w, struct err *err)
{
	json_t *meta = read_meta(w->q, w->sealed, err);
	struct str notes = {0};
	int rc;

	if (!meta)
		return -1;
	rc = attrs_apply(w->fd, meta, &notes);
	if (rc < 0)
		err_set(err, errno, "owner and mode");
	else if (fsync(w->fd) < 0)
		rc = err_set(err, errno, "fsync");
	str_copy(w->item.detail, sizeof(w->item.detail), str_get(&notes));
	str_free(&notes);
	json_decref(meta);
	return rc;
}

static void make_pass(struct quarantine_work *w, struct pass *pass)
{
	struct stat st;

	memset(pass, 0, sizeof(*pass));
	holding_join(pass->path, sizeof(pass->path), w->h.dir_path, w->h.name);
	str_copy(w->item.path, sizeof(w->item.path), pass->path);
	str_copy(pass->sha256, sizeof(pass->sha256), w->item.sha256);
	str_copy(pass->virus, sizeof(pass->virus), w->item.virus);
	pass->when_ns = clock_real_ns();
	file_key_get(w->fd, &pass->key, &st);
}

/* Steps 6 to 8. The file is in place: what fails now is for recovery. */
static void restore_finish(struct quarantine_work *w)
{
	struct quarantine *q = w->q;
	struct pass *pass = xmalloc(sizeof(*pass));
	struct err err;
	int64_t drop;

	make_pass(w, pass);
	/* Before the descriptor is closed: its closing makes it be examined. */
	quarantine_pass_give(q, &pass->key);
	holding_at("restore-drop");
	if (store_item_drop(q->setup.store, w->item.id, w->intent.id, pass,
			    &drop, &err) < 0 ||
	    quarantine_finish_drop(q, w->item.id, drop, &err) < 0) {
		log_error("quarantine: item %lld is restored, but still "
			  "stands in quarantine: %s",
			  (long long)w->item.id, err.text);
	}
	free(pass);
}

static int restore_end(struct quarantine_work *w,
		       const struct quarantine_copied *c, struct err *err)
{
	struct stat st;

	if (c->rc < 0) {
		*err = c->err;
		return restore_undo(w);
	}
	hash_hex(w->item.sha256, c->info.sha256);
	if (give_attrs(w, err) < 0)
		return restore_undo(w);
	holding_at("restore-written");
	if (fstat(w->fd, &st) < 0) {
		err_set(err, errno, "fstat");
		return restore_undo(w);
	}
	if (store_intent_written(w->q->setup.store, w->intent.id,
				 (uint64_t)st.st_dev, (uint64_t)st.st_ino,
				 err) < 0)
		return restore_undo(w);
	holding_at("restore-rename");
	if (holding_out(&w->h, w->h.name, w->force, err) < 0)
		return restore_undo(w);
	restore_finish(w);
	return 0;
}

static struct quarantine_work *restore_new(struct quarantine *q)
{
	struct quarantine_work *w = quarantine_work_new(q);

	w->copy = restore_copy;
	w->end = restore_end;
	return w;
}

void quarantine_restore(struct quarantine *q, int64_t id, const char *to,
			bool force, quarantine_fn fn, void *arg)
{
	struct quarantine_work *w = restore_new(q);
	struct err err;

	w->fn = fn;
	w->arg = arg;
	err_clear(&err);
	if (quarantine_restore_begin(w, id, to, force, &err) == 0) {
		quarantine_work_go(w);
		return;
	}
	w->item.id = 0;
	fn(&w->item, &err, arg);
	quarantine_work_free(&w);
}

int quarantine_restore_now(struct quarantine *q, int64_t id, const char *to,
			   bool force, struct item *item_r, struct err *err)
{
	struct quarantine_work *w = restore_new(q);

	err_clear(err);
	if (quarantine_restore_begin(w, id, to, force, err) == 0)
		return quarantine_work_now(w, item_r, err);
	quarantine_work_free(&w);
	return -1;
}
