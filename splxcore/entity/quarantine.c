/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The quarantine as a whole, and putting files into it.
 *
 * What a put does, and what recovery finds when it is killed before the next
 * step ("in hold": in the private directory beside its name, holding.h):
 *
 *   step done            journal  file      sealed   recovery
 *   1 intent written     BEGUN    in place  -        nothing to do
 *   2 directory made     BEGUN    in place  -        directory removed
 *   3 file taken         BEGUN    in hold   -        put back
 *     (another was)      BEGUN    in hold   -        the other put back
 *   4 being sealed       BEGUN    in hold   ID.tmp   .tmp removed, put back
 *   5 sealed, synced,
 *     renamed            BEGUN    in hold   ID.q     goes on with 6
 *   6 item and SEALED    SEALED   in hold   ID.q     goes on with 7
 *   7 file deleted       SEALED   -         ID.q     goes on with 8
 *   8 directory removed  SEALED   -         ID.q     goes on with 9
 *   9 intent gone        -        -         ID.q
 *
 *   undoing, from any of 2 to 6:
 *   a put back           BEGUN    in place  any      sealed ones removed
 *   b sealed removed     BEGUN    in place  -        nothing to do
 *
 * A file that is in neither place is kept as ID.q if that is whole. When the
 * directory cannot be reached (not mounted, its container gone) the intent
 * waits; after INTENT_MAX_AGE it is given up and told.
 */
#include "quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attrs.h"
#include "common/hash.h"
#include "common/known.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "quarantine_impl.h"

#define SEAL_ROUNDS 3
#define COPY_TIMEOUT_MS (15 * 60 * 1000)
#define PURGE_MAX 1000

char *quarantine_name(char out[QUARANTINE_NAME_MAX], int64_t id,
		      const char *end)
{
	snprintf(out, QUARANTINE_NAME_MAX, "%lld.%s", (long long)id, end);
	return out;
}

/* ---- as a whole ---- */

struct quarantine *quarantine_new(const struct quarantine_setup *setup)
{
	struct quarantine *q = xcalloc(1, sizeof(*q));

	q->setup = *setup;
	q->dir = -1;
	q->healthy = true;
	return q;
}

void quarantine_free(struct quarantine **qp)
{
	struct quarantine *q = *qp;
	struct err err;

	if (!q)
		return;
	/* What is under way stands in the journal. */
	while (q->works.len) {
		struct quarantine_work *w = q->works.items[q->works.len - 1];

		childjob_cancel(&w->job);
		err_set(&err, ECANCELED, "quarantine");
		w->item.id = 0;
		if (w->fn)
			w->fn(&w->item, &err, w->arg);
		quarantine_work_free(&w);
	}
	vec_free(&q->works);
	quarantine_passes_stop(q);
	fd_close(&q->dir);
	explicit_bzero(&q->key, sizeof(q->key));
	xfree(qp);
}

void quarantine_configure(struct quarantine *q, uint64_t max_age_ms,
			  uint64_t max_size)
{
	q->max_age_ms = max_age_ms;
	q->max_size = max_size;
}

int quarantine_fault(struct quarantine *q, const struct err *err)
{
	q->healthy = false;
	if (q->setup.on_health)
		q->setup.on_health(false, err->text, q->setup.arg);
	return -1;
}

void quarantine_well(struct quarantine *q)
{
	if (!q->healthy && q->setup.on_health)
		q->setup.on_health(true, "", q->setup.arg);
	q->healthy = true;
}

static int open_dir(struct quarantine *q, struct err *err)
{
	const char *path = paths()->quarantine_dir;
	struct stat st;

	if (fd_mkdirs(path, 0700, err) < 0)
		return -1;
	q->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (q->dir < 0)
		return err_set(err, errno, "open %s", path);
	if (fstat(q->dir, &st) < 0 || st.st_uid != geteuid())
		return err_set(err, 0, "%s does not belong to entity", path);
	if ((st.st_mode & 077) && fchmod(q->dir, 0700) < 0)
		return err_set(err, errno, "chmod %s", path);
	if (flock(q->dir, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, errno,
			       "%s is in use by another process: lock", path);
	return seal_key_load(paths()->quarantine_key, &q->key, err);
}

int quarantine_ready(struct quarantine *q, struct err *err)
{
	struct stat st;

	/* Removed below us? Then begin anew. */
	if (q->dir >= 0 && (fstat(q->dir, &st) < 0 || st.st_nlink == 0))
		fd_close(&q->dir);
	if (q->dir >= 0)
		return 0;
	if (open_dir(q, err) == 0)
		return 0;
	fd_close(&q->dir);
	err_add(err, "quarantine");
	return quarantine_fault(q, err);
}

bool quarantine_busy(const struct quarantine *q, int64_t id)
{
	for (size_t i = 0; i < q->works.len; i++)
		if (q->works.items[i]->intent.id == id ||
		    q->works.items[i]->item.id == id)
			return true;
	return false;
}

/* ---- works ---- */

struct quarantine_work *quarantine_work_new(struct quarantine *q)
{
	struct quarantine_work *w = xcalloc(1, sizeof(*w));

	w->q = q;
	w->fd = w->sealed = -1;
	w->h.dir = w->h.priv = -1;
	vec_push(&q->works, w);
	return w;
}

void quarantine_work_free(struct quarantine_work **wp)
{
	struct quarantine_work *w = *wp;
	struct quarantine *q = w->q;

	for (size_t i = 0; i < q->works.len; i++) {
		if (q->works.items[i] == w) {
			vec_remove(&q->works, i);
			break;
		}
	}
	holding_close(&w->h);
	fd_close(&w->fd);
	fd_close(&w->sealed);
	free(w->meta);
	xfree(wp);
}

static void work_copy(void *arg, void *result)
{
	struct quarantine_work *w = arg;

	w->copy(w, result);
}

static void work_done(void *arg, const void *result)
{
	struct quarantine_work *w = arg;
	struct quarantine_copied lost = {.rc = -1};
	struct err err;
	int rc;

	w->job = NULL;
	err_set(&lost.err, 0, "copying was cut off (killed, or its time over)");
	err_clear(&err);
	rc = w->end(w, result ? result : &lost, &err);
	if (rc < 0)
		w->item.id = 0;
	w->fn(&w->item, &err, w->arg);
	quarantine_work_free(&w);
}

void quarantine_work_go(struct quarantine_work *w)
{
	int fds[] = {w->fd, w->sealed};
	struct childjob_work work = {
		.run = work_copy,
		.done = work_done,
		.arg = w,
		.result_size = sizeof(struct quarantine_copied),
		.fds = fds,
		.nfds = 2,
		.timeout_ms = COPY_TIMEOUT_MS,
	};
	struct quarantine_copied c = {.rc = -1};
	struct err err;

	if (w->q->setup.loop) {
		w->job = childjob_start(w->q->setup.loop, &work, &c.err);
		if (w->job)
			return;
	} else {
		w->copy(w, &c);
	}
	err_clear(&err);
	if (w->end(w, &c, &err) < 0)
		w->item.id = 0;
	w->fn(&w->item, &err, w->arg);
	quarantine_work_free(&w);
}

int quarantine_work_now(struct quarantine_work *w, struct item *item_r,
			struct err *err)
{
	struct quarantine_copied c = {.rc = -1};
	int rc;

	w->copy(w, &c);
	rc = w->end(w, &c, err);
	if (rc == 0 && item_r)
		*item_r = w->item;
	quarantine_work_free(&w);
	return rc;
}

/* ---- putting: begin ---- */

static void fill_item(struct item *item, const struct quarantine_file *file,
		      const struct stat *st)
{
	item->when_ns = clock_real_ns();
	str_copy(item->virus, sizeof(item->virus), file->virus);
	str_copy(item->source, sizeof(item->source), source_name(file->source));
	str_copy(item->program, sizeof(item->program),
		 file->program ? file->program : "");
	item->pid = file->pid;
	item->opener_uid = file->opener_uid;
	item->size = (uint64_t)st->st_size;
	item->mode = st->st_mode & 07777;
	item->uid = st->st_uid;
	item->gid = st->st_gid;
	item->mtime_ns = clock_timespec_ns(&st->st_mtim);
}

static char *make_meta(struct quarantine_work *w, struct err *err)
{
	struct str notes = {0};
	json_t *meta = attrs_read(w->fd, &notes);
	char *path = attrs_escape(w->item.path);
	char *program = attrs_escape(w->item.program);
	char *virus = attrs_escape(w->item.virus);
	char *text = NULL;
	json_t *own;

	if (!meta) {
		err_set(err, errno, "fstat");
		goto out;
	}
	if (w->h.pid)
		attrs_note(&notes, "it lay in another mount namespace");
	own = json_pack("{s:I, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:b}", "time",
			(json_int_t)w->item.when_ns, "path", path, "virus",
			virus, "source", w->item.source, "program", program,
			"pid", (int)w->item.pid, "opener_uid",
			(json_int_t)w->item.opener_uid, "size",
			(json_int_t)w->item.size, "foreign", w->h.pid != 0);
	if (notes.len)
		str_copy(w->item.detail, sizeof(w->item.detail),
			 str_get(&notes));
	if (own)
		json_object_update(meta, own);
	json_decref(own);
	text = json_dumps(meta, JSON_COMPACT);
	if (!own || !text)
		err_set(err, 0, "its attributes cannot be told as JSON");
out:
	json_decref(meta);
	str_free(&notes);
	free(path);
	free(program);
	free(virus);
	return text;
}

/*
 * The file is back in its place, or (*err tells) beside it; then what was
 * sealed goes, and last the intent: never less than one copy.
 */
static int put_undo(struct quarantine_work *w, struct err *err)
{
	char name[QUARANTINE_NAME_MAX];
	struct err back;

	if (w->h.priv >= 0 && holding_back(&w->h, &back) != 0) {
		log_error("quarantine: %s: %s", w->item.path, back.text);
		err_add(err, "%s", back.text);
		if (w->h.priv >= 0)
			return -1; /* recovery will try again */
	}
	if (!w->intent.id)
		return -1;
	holding_at("undo-sealed");
	unlinkat(w->q->dir, quarantine_name(name, w->intent.id, "tmp"), 0);
	unlinkat(w->q->dir, quarantine_name(name, w->intent.id, "q"), 0);
	holding_at("undo-intent");
	if (store_intent_end(w->q->setup.store, w->intent.id, NULL) < 0)
		log_warn("quarantine: %s: the journal could not be written, "
			 "recovery will find nothing to do",
			 w->item.path);
	w->intent.id = 0;
	return -1;
}

/* Steps 1 to 3. */
static int put_take(struct quarantine_work *w,
		    const struct quarantine_file *file, struct err *err)
{
	int rc = holding_begin(&w->h, w->q->setup.store, &w->intent, w->fd,
			       file->pid, file->place, err);

	holding_join(w->item.path, sizeof(w->item.path), w->h.dir_path,
		     w->h.name);
	if (rc < 0 && !store_healthy(w->q->setup.store, NULL))
		quarantine_fault(w->q, err);
	return rc;
}

int quarantine_put_begin(struct quarantine_work *w,
			 const struct quarantine_file *file, struct err *err)
{
	struct quarantine *q = w->q;
	char name[QUARANTINE_NAME_MAX];
	struct stat st;

	if (quarantine_ready(q, err) < 0)
		return -1;
	w->fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	if (w->fd < 0 || fstat(w->fd, &st) < 0)
		return err_set(err, errno, "the file");
	if (q->max_size && (uint64_t)st.st_size > q->max_size)
		return err_set(err, EFBIG, "larger than QuarantineMaxSize");
	fill_item(&w->item, file, &st);
	w->intent.kind = INTENT_PUT;
	if (put_take(w, file, err) < 0)
		return put_undo(w, err);
	w->item.id = w->intent.id;
	w->meta = make_meta(w, err);
	if (!w->meta)
		return put_undo(w, err);
	holding_at("put-tmp");
	w->sealed = openat(q->dir, quarantine_name(name, w->item.id, "tmp"),
			   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			   0600);
	if (w->sealed >= 0)
		return 0;
	err_set(err, errno, "create %s/%s", paths()->quarantine_dir, name);
	quarantine_fault(q, err);
	return put_undo(w, err);
}

/* ---- putting: copy (maybe in a child) ---- */

static bool unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * What is there is sealed. Is it being written meanwhile it is tried again, a
 * few times; the last one counts and is told.
 */
static void put_copy(struct quarantine_work *w, struct quarantine_copied *c)
{
	struct stat before, after;

	holding_at("put-seal");
	for (int i = 0; i < SEAL_ROUNDS; i++) {
		c->rc = -1;
		if (lseek(w->sealed, 0, SEEK_SET) < 0 ||
		    ftruncate(w->sealed, 0) < 0 || fstat(w->fd, &before) < 0) {
			err_set(&c->err, errno, "prepare");
			return;
		}
		if (seal_write(&w->q->key, w->fd, w->sealed, w->meta,
			       strlen(w->meta), w->q->max_size, &c->info,
			       &c->err) < 0)
			return;
		if (fstat(w->fd, &after) < 0) {
			err_set(&c->err, errno, "fstat");
			return;
		}
		c->rc = 0;
		c->changed = !unchanged(&before, &after) ||
			     c->info.size != (uint64_t)after.st_size;
		if (!c->changed)
			break;
	}
	holding_at("put-fsync");
	if (fsync(w->sealed) < 0)
		c->rc = err_set(&c->err, errno, "fsync sealed file");
}

/* ---- putting: end ---- */

static void put_notes(struct quarantine_work *w,
		      const struct quarantine_copied *c)
{
	struct str notes = {0};

	str_add(&notes, w->item.detail);
	if (c->changed)
		attrs_note(&notes, "it was changed while it was sealed");
	if (known_has_writer(w->fd) == 1)
		attrs_note(&notes, "somebody has it open for writing");
	if (w->h.st.st_nlink > 1)
		attrs_note(&notes, "%lu other links to it stay, denied",
			   (unsigned long)w->h.st.st_nlink - 1);
	str_copy(w->item.detail, sizeof(w->item.detail), str_get(&notes));
	str_free(&notes);
}

/* Step 5: from here on the sealed file counts. */
static int put_publish(struct quarantine_work *w, struct err *err)
{
	char tmp[QUARANTINE_NAME_MAX], name[QUARANTINE_NAME_MAX];
	struct stat st;

	quarantine_name(tmp, w->item.id, "tmp");
	quarantine_name(name, w->item.id, "q");
	holding_at("put-publish");
	if (fstat(w->sealed, &st) < 0 ||
	    renameat(w->q->dir, tmp, w->q->dir, name) < 0)
		return err_set(err, errno, "rename %s to %s", tmp, name);
	w->item.sealed = (uint64_t)st.st_size;
	holding_at("put-sync");
	if (fsync(w->q->dir) < 0)
		return err_set(err, errno, "fsync %s", paths()->quarantine_dir);
	return 0;
}

static int put_end(struct quarantine_work *w, const struct quarantine_copied *c,
		   struct err *err)
{
	struct quarantine *q = w->q;
	struct err mine;

	if (c->rc < 0) {
		*err = c->err;
		if (err->code == ENOSPC || err->code == EDQUOT)
			quarantine_fault(q, err);
		return put_undo(w, err);
	}
	w->item.size = c->info.size;
	hash_hex(w->item.sha256, c->info.sha256);
	put_notes(w, c);
	if (put_publish(w, err) < 0) {
		quarantine_fault(q, err);
		return put_undo(w, err);
	}
	holding_at("put-item");
	if (store_item_sealed(q->setup.store, &w->item, err) < 0) {
		quarantine_fault(q, err);
		return put_undo(w, err);
	}
	/* Done as far as anybody can see; what fails now recovery does. */
	if (holding_drop(&w->h, &mine) < 0) {
		log_error("quarantine: item %lld: %s", (long long)w->item.id,
			  mine.text);
	} else {
		holding_at("put-end");
		store_intent_end(q->setup.store, w->intent.id, &mine);
	}
	quarantine_well(q);
	quarantine_purge(q, 0, &mine);
	return 0;
}

static struct quarantine_work *put_new(struct quarantine *q)
{
	struct quarantine_work *w = quarantine_work_new(q);

	w->copy = put_copy;
	w->end = put_end;
	return w;
}

void quarantine_put(struct quarantine *q, const struct quarantine_file *file,
		    quarantine_fn fn, void *arg)
{
	struct quarantine_work *w = put_new(q);
	struct err err;

	w->fn = fn;
	w->arg = arg;
	err_clear(&err);
	if (quarantine_put_begin(w, file, &err) == 0) {
		quarantine_work_go(w);
		return;
	}
	w->item.id = 0;
	fn(&w->item, &err, arg);
	quarantine_work_free(&w);
}

int quarantine_put_now(struct quarantine *q, const struct quarantine_file *file,
		       struct item *item_r, struct err *err)
{
	struct quarantine_work *w = put_new(q);

	err_clear(err);
	if (quarantine_put_begin(w, file, err) == 0)
		return quarantine_work_now(w, item_r, err);
	quarantine_work_free(&w);
	return -1;
}

/* ---- deleting ---- */

int quarantine_finish_drop(struct quarantine *q, int64_t item, int64_t drop,
			   struct err *err)
{
	char name[QUARANTINE_NAME_MAX];

	holding_at("drop-sealed");
	if (unlinkat(q->dir, quarantine_name(name, item, "q"), 0) < 0 &&
	    errno != ENOENT)
		return err_set(err, errno, "delete %s/%s",
			       paths()->quarantine_dir, name);
	fsync(q->dir);
	holding_at("drop-end");
	return store_intent_end(q->setup.store, drop, err);
}

int quarantine_delete(struct quarantine *q, int64_t id, struct err *err)
{
	struct item *item;
	int64_t drop;
	int rc;

	if (quarantine_ready(q, err) < 0)
		return -1;
	if (quarantine_busy(q, id))
		return err_set(err, EBUSY, "item %lld", (long long)id);
	item = xmalloc(sizeof(*item));
	rc = store_item_get(q->setup.store, id, item, err);
	free(item);
	if (rc <= 0)
		return rc;
	holding_at("delete-item");
	if (store_item_drop(q->setup.store, id, 0, NULL, &drop, err) < 0)
		return -1;
	return quarantine_finish_drop(q, id, drop, err) < 0 ? -1 : 1;
}

long quarantine_purge(struct quarantine *q, uint64_t max_age_ms,
		      struct err *err)
{
	struct item *item = xmalloc(sizeof(*item));
	int64_t before = 0;
	long n = 0;
	int rc = 0;

	if (max_age_ms)
		before = clock_real_ns() -
			 (int64_t)(max_age_ms * CLOCK_NS_PER_MS);
	while (n < PURGE_MAX) {
		rc = store_item_oldest(q->setup.store, before, q->max_size,
				       item, err);
		if (rc > 0)
			rc = quarantine_delete(q, item->id, err);
		if (rc <= 0)
			break;
		log_info("quarantine: item %lld deleted: too old, or over "
			 "QuarantineMaxSize",
			 (long long)item->id);
		n++;
	}
	free(item);
	return rc < 0 && !n ? -1 : n;
}
