/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* quarantine.*; what they answer is told in quarantine.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsontext.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "quarantine.h"

#define LIST_DEFAULT 100
#define LIST_MAX 10000
#define BATCH_MAX 1000 /* items of one call */

static const char *code_of(const struct err *err)
{
	switch (err->code) {
	case ENOENT:
		return "not_found";
	case EEXIST:
	case EBUSY:
	case EISDIR:
		return "conflict";
	case EINVAL:
	case ELOOP:
	case ENOTDIR:
		return "invalid";
	default:
		return "failed";
	}
}

static json_t *item_to_json(const struct item *item)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", item->mode);
	return json_pack(
		"{s:I, s:I, s:o, s:o, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, "
		"s:o, s:I, s:I, s:o}",
		"id", (json_int_t)item->id, "time", (json_int_t)item->when_ns,
		"path", jsontext_new(item->path), "virus",
		jsontext_new(item->virus), "source", item->source, "size",
		(json_int_t)item->size, "sealed", (json_int_t)item->sealed,
		"sha256", item->sha256, "mode", mode, "uid",
		(json_int_t)item->uid, "gid", (json_int_t)item->gid, "mtime",
		(json_int_t)item->mtime_ns, "detail",
		jsontext_new(item->detail), "pid", (json_int_t)item->pid,
		"opener_uid", (json_int_t)item->opener_uid, "program",
		jsontext_new(item->program));
}

static void add_item(const struct item *item, void *arg)
{
	json_array_append_new(arg, item_to_json(item));
}

/* ---- list, show ---- */

void verb_quarantine_list(struct core *core, struct ipc_call *call,
			  json_t *args)
{
	struct item_query query = {
		.virus = dispatch_arg(args, "virus"),
		.path = dispatch_arg(args, "path"),
	};
	struct dispatch_page page = {.limit = LIST_DEFAULT, .max = LIST_MAX};
	int64_t total = 0;
	uint64_t bytes = 0;
	json_t *items;
	struct err err;

	if (!dispatch_page(core, call, args, "offset", &page))
		return;
	query.limit = page.limit;
	query.offset = page.from;
	items = json_array();
	if (store_items(core->store, &query, add_item, items, &err) < 0 ||
	    store_item_totals(core->store, &total, &bytes, &err) < 0) {
		json_decref(items);
		dispatch_fail(core, call, "unavailable", "%s", err.text);
		return;
	}
	dispatch_reply(core, call,
		       json_pack("{s:o, s:I, s:I}", "items", items, "total",
				 (json_int_t)total, "bytes",
				 (json_int_t)bytes));
}

void verb_quarantine_show(struct core *core, struct ipc_call *call,
			  json_t *args)
{
	struct item *item = xmalloc(sizeof(*item));
	struct err err;
	long long id;
	int rc;

	if (dispatch_arg_i64(args, "id", 0, 1, INT64_MAX, &id, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		free(item);
		return;
	}
	rc = store_item_get(core->store, id, item, &err);
	if (rc > 0)
		dispatch_reply(core, call, item_to_json(item));
	else if (rc == 0)
		dispatch_fail(core, call, "not_found", "there is no item %lld",
			      id);
	else
		dispatch_fail(core, call, "unavailable", "%s", err.text);
	free(item);
}

/* ---- several items, one after the other ---- */

struct batch {
	struct core *core;
	struct ipc_call *call;
	json_t *ids; /* what the client gave */
	size_t next;
	char *to;
	bool force;
	bool under_way; /* RESTORE: one that has not been told of yet */
	bool in_loop;	/* restore_next() runs: it goes on by itself */
	json_t *done, *failed;
	struct err last;
};

/* NULL, and the call has failed, when it is more than one call may ask for. */
static struct batch *batch_new(struct core *core, struct ipc_call *call,
			       json_t *args)
{
	const char *to = dispatch_arg(args, "to");
	json_t *ids = json_object_get(args, "id");
	struct batch *b;

	if (json_array_size(ids) > BATCH_MAX) {
		dispatch_fail(core, call, "invalid",
			      "%zu items: at most %d at once",
			      json_array_size(ids), BATCH_MAX);
		return NULL;
	}
	b = xcalloc(1, sizeof(*b));
	b->core = core;
	b->call = call;
	b->ids = json_is_array(ids) ? json_incref(ids) : json_pack("[O]", ids);
	b->to = to ? xstrdup(to) : NULL;
	b->force = json_is_true(json_object_get(args, "force"));
	b->done = json_array();
	b->failed = json_array();
	return b;
}

static void batch_free(struct batch *b)
{
	json_decref(b->ids);
	json_decref(b->done);
	json_decref(b->failed);
	free(b->to);
	free(b);
}

static json_t *batch_id(const struct batch *b)
{
	return json_array_get(b->ids, b->next - 1);
}

/* The number that the next id is; -1 when it is none (told as failed). */
static int64_t batch_next(struct batch *b)
{
	json_t *one = json_object();
	struct err err;
	long long id;

	json_object_set(one, "id", json_array_get(b->ids, b->next++));
	if (dispatch_arg_i64(one, "id", 0, 1, INT64_MAX, &id, &err) < 0)
		id = -1;
	json_decref(one);
	return id;
}

static void batch_failed(struct batch *b, const struct err *err)
{
	b->last = *err;
	json_array_append_new(b->failed,
			      json_pack("{s:O, s:o}", "id", batch_id(b),
					"error", jsontext_new(err->text)));
}

static void batch_end(struct batch *b, const char *word)
{
	if (!json_array_size(b->done))
		dispatch_fail(b->core, b->call, code_of(&b->last), "%s",
			      b->last.text);
	else
		dispatch_reply(b->core, b->call,
			       json_pack("{s:O, s:O}", word, b->done, "failed",
					 b->failed));
	batch_free(b);
}

static void restore_next(struct batch *b);

static void on_restored(const struct item *item, const struct err *err,
			void *arg)
{
	struct batch *b = arg;

	if (!item->id && err->code == ECANCELED) {
		batch_free(b); /* core ends; the call is gone already */
		return;
	}
	if (item->id)
		json_array_append_new(
			b->done,
			json_pack("{s:I, s:o, s:o}", "id", (json_int_t)item->id,
				  "path", jsontext_new(item->path), "detail",
				  jsontext_new(item->detail)));
	else
		batch_failed(b, err);
	b->under_way = false;
	/* Told at once it is restore_next() that called: no deeper. */
	if (!b->in_loop)
		restore_next(b);
}

static void restore_next(struct batch *b)
{
	struct err err;
	int64_t id;

	b->in_loop = true;
	while (b->next < json_array_size(b->ids)) {
		id = batch_next(b);
		if (id < 0) {
			err_set(&err, EINVAL, "not a number of an item");
			batch_failed(b, &err);
			continue;
		}
		b->under_way = true;
		quarantine_restore(b->core->quarantine, id, b->to, b->force,
				   on_restored, b);
		if (b->under_way) {
			b->in_loop = false;
			return;
		}
	}
	batch_end(b, "restored");
}

void verb_quarantine_restore(struct core *core, struct ipc_call *call,
			     json_t *args)
{
	struct batch *b = batch_new(core, call, args);

	if (b)
		restore_next(b);
}

void verb_quarantine_delete(struct core *core, struct ipc_call *call,
			    json_t *args)
{
	struct batch *b = batch_new(core, call, args);
	struct err err;
	int64_t id;
	int rc;

	while (b && b->next < json_array_size(b->ids)) {
		id = batch_next(b);
		if (id < 0)
			rc = err_set(&err, EINVAL, "not a number of an item");
		else
			rc = quarantine_delete(core->quarantine, id, &err);
		if (rc == 0)
			err_set(&err, ENOENT, "there is no such item");
		if (rc > 0)
			json_array_append_new(b->done, json_integer(id));
		else
			batch_failed(b, &err);
	}
	if (b)
		batch_end(b, "deleted");
}

void verb_quarantine_purge(struct core *core, struct ipc_call *call,
			   json_t *args)
{
	const char *age = dispatch_arg(args, "age");
	uint64_t age_ms = core_conf(core)->quarantine_max_age;
	int64_t total = 0;
	uint64_t bytes = 0;
	struct err err;
	long n;

	if (age && str_to_duration(age, 0, &age_ms, &err) < 0) {
		dispatch_fail(core, call, "invalid", "age: %s", err.text);
		return;
	}
	n = quarantine_purge(core->quarantine, age_ms, &err);
	if (n < 0 || store_item_totals(core->store, &total, &bytes, &err) < 0) {
		dispatch_fail(core, call, "failed", "%s", err.text);
		return;
	}
	dispatch_reply(core, call,
		       json_pack("{s:I, s:I, s:I}", "deleted", (json_int_t)n,
				 "total", (json_int_t)total, "bytes",
				 (json_int_t)bytes));
}
