/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "action.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attrs.h"
#include "common/paths.h"
#include "holding.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"

#define INFECTED ".infected"
#define NAMES_MAX 100

struct run {
	struct quarantine *q;
	struct store *store;
	struct action_request request;
	char *virus, *program; /* the request's, copied */
	int fd;
	bool second; /* the second action is being tried */
	struct str why;
	struct action_result result;
	action_fn fn;
	void *arg;
};

/* ---- delete, rename ---- */

/* The file is back in its place; the intent goes when nothing is held. */
static int undo(struct store *store, struct holding *h, struct intent *intent,
		struct err *err)
{
	struct err back;

	if (h->priv >= 0 && holding_back(h, &back) != 0)
		err_add(err, "%s", back.text);
	if (h->priv < 0 && intent->id)
		store_intent_end(store, intent->id, NULL);
	holding_close(h);
	return -1;
}

int action_delete(struct store *store, const struct quarantine_file *file,
		  char *detail_r, size_t size, struct err *err)
{
	struct intent intent = {.kind = INTENT_DELETE};
	struct holding h;
	struct stat st;

	detail_r[0] = '\0';
	if (holding_begin(&h, store, &intent, file->fd, file->pid, file->place,
			  err) < 0 ||
	    holding_drop(&h, err) < 0)
		return undo(store, &h, &intent, err);
	holding_close(&h);
	holding_at("delete-end");
	store_intent_end(store, intent.id, NULL);
	if (fstat(file->fd, &st) == 0 && st.st_nlink > 0)
		snprintf(detail_r, size, "%lu other links to it stay, denied",
			 (unsigned long)st.st_nlink);
	return 0;
}

/*
 * The name is settled before the intent is written: recovery goes on with it.
 * Should it be taken in between the next free one is used.
 */
static void infected_name(char out[NAME_MAX + 1], const char *name, int n)
{
	char end[32] = INFECTED;

	if (n)
		snprintf(end, sizeof(end), INFECTED ".%d", n);
	snprintf(out, NAME_MAX + 1, "%.*s%s", (int)(NAME_MAX - strlen(end)),
		 name, end);
}

static int rename_out(struct holding *h, char *detail_r, size_t size,
		      struct err *err)
{
	char name[NAME_MAX + 1];

	for (int n = 0; n < NAMES_MAX; n++) {
		infected_name(name, h->name, n);
		if (holding_out(h, name, false, err) == 0) {
			snprintf(detail_r, size, "it is %s now", name);
			return 0;
		}
		if (err->code != EEXIST)
			break;
	}
	return -1;
}

int action_rename(struct store *store, const struct quarantine_file *file,
		  char *detail_r, size_t size, struct err *err)
{
	struct intent intent = {.kind = INTENT_RENAME};
	struct holding h;
	char path[PATH_MAX];

	detail_r[0] = '\0';
	if (fd_path(file->fd, path, sizeof(path)) == 0 && strrchr(path, '/'))
		infected_name(intent.new_name, strrchr(path, '/') + 1, 0);
	if (str_ends(intent.new_name, INFECTED INFECTED))
		return err_set(err, EEXIST, "it has been renamed before");
	if (holding_begin(&h, store, &intent, file->fd, file->pid, file->place,
			  err) < 0 ||
	    rename_out(&h, detail_r, size, err) < 0)
		return undo(store, &h, &intent, err);
	holding_close(&h);
	holding_at("rename-end");
	store_intent_end(store, intent.id, NULL);
	return 0;
}

/* ---- one after the other ---- */

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return len > 1 && !strncmp(path, dir, len) &&
	       (path[len] == '/' || !path[len]);
}

bool action_is_own(const char *path)
{
	const struct paths *p = paths();

	return is_below(path, p->lib_dir) || is_below(path, p->run_dir) ||
	       is_below(path, p->conf_dir) || is_below(path, p->log_dir) ||
	       is_below(path, p->libexec_dir) || is_below(path, p->builtin_dir);
}

static void run_free(struct run *r)
{
	str_free(&r->why);
	fd_close(&r->fd);
	free(r->virus);
	free(r->program);
	free(r);
}

static void run_end(struct run *r)
{
	str_copy(r->result.detail, sizeof(r->result.detail), str_get(&r->why));
	r->fn(&r->result, r->arg);
	run_free(r);
}

static void run_done(struct run *r, enum action done, const char *detail)
{
	r->result.done = done;
	if (detail && *detail)
		attrs_note(&r->why, "%s", detail);
	run_end(r);
}

static void run_try(struct run *r, enum action action);

static void run_failed(struct run *r, enum action action, const char *reason)
{
	attrs_note(&r->why, "%s: %s", action_name(action), reason);
	if (!r->second) {
		r->second = true;
		run_try(r, r->request.second);
		return;
	}
	r->result.failed = true;
	run_done(r, ACTION_DENY, NULL);
}

/* It is not where it was looked for: another look is needed, and no second
 * action. */
static bool has_moved(struct run *r, const struct err *err)
{
	if (!r->request.file.place || err->code != EAGAIN)
		return false;
	r->result.moved = true;
	r->result.failed = true;
	attrs_note(&r->why, "%s", err->text);
	run_done(r, ACTION_DENY, NULL);
	return true;
}

static void on_put(const struct item *item, const struct err *err, void *arg)
{
	struct run *r = arg;

	if (!item->id && err->code == ECANCELED) {
		run_free(r); /* we are ending: no second action now */
		return;
	}
	if (!item->id) {
		if (!has_moved(r, err))
			run_failed(r, ACTION_QUARANTINE, err->text);
		return;
	}
	r->result.item = item->id;
	str_copy(r->result.sha256, sizeof(r->result.sha256), item->sha256);
	run_done(r, ACTION_QUARANTINE, item->detail);
}

static void run_try(struct run *r, enum action action)
{
	char detail[512] = "";
	struct err err;
	int rc;

	switch (action) {
	case ACTION_CLEAN:
		run_failed(r, action,
			   "cannot be cleaned: the engine finds, and cannot "
			   "disinfect");
		return;
	case ACTION_QUARANTINE:
		quarantine_put(r->q, &r->request.file, on_put, r);
		return;
	case ACTION_DELETE:
		rc = action_delete(r->store, &r->request.file, detail,
				   sizeof(detail), &err);
		break;
	case ACTION_RENAME:
		rc = action_rename(r->store, &r->request.file, detail,
				   sizeof(detail), &err);
		break;
	default:
		rc = 0;
		break;
	}
	if (rc == 0)
		run_done(r, action, detail);
	else if (!has_moved(r, &err))
		run_failed(r, action, err.text);
}

static bool changes_file(enum action action)
{
	return action != ACTION_DENY && action != ACTION_PASS &&
	       action != ACTION_NONE;
}

void action_run(struct quarantine *q, struct store *store,
		const struct action_request *request, action_fn fn, void *arg)
{
	struct run *r = xcalloc(1, sizeof(*r));
	char path[PATH_MAX];

	r->q = q;
	r->store = store;
	r->request = *request;
	r->virus = xstrdup(request->file.virus);
	r->program =
		xstrdup(request->file.program ? request->file.program : "");
	r->request.file.virus = r->virus;
	r->request.file.program = r->program;
	r->fn = fn;
	r->arg = arg;
	r->fd = fcntl(request->file.fd, F_DUPFD_CLOEXEC, 0);
	r->request.file.fd = r->fd;
	if (r->fd < 0) {
		r->second = true;
		run_failed(r, request->first, "out of descriptors");
		return;
	}
	if (changes_file(request->first) &&
	    fd_path(r->fd, path, sizeof(path)) == 0 && action_is_own(path)) {
		r->second = true;
		run_failed(r, request->first, "the file is one of our own");
		return;
	}
	run_try(r, request->first);
}
