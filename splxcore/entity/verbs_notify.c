/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * notify.*.
 * notify.list {"channels": [as notify_status()], "problems": [text]}
 * notify.show, notify.set {"name", "settings": [{"key","value"}], "status"};
 *   secrets are "set" or ""
 * notify.remove null; notify.drop {"dropped": events}
 * notify.queue {"name", "waiting", "more", "events": [the first of them]}
 * notify.test {"answer": what the server said}
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "dispatch.h"
#include "entries.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "notify_impl.h"

#define MODE 0600 /* it holds secrets */

static json_t *describe(struct core *core, const struct notify_channel *c)
{
	json_t *status = notify_status(core, c->name);

	return json_pack("{s:s, s:o, s:o}", "name", c->name, "settings",
			 notify_json(c), "status",
			 status ? status : json_null());
}

void verb_notify_list(struct core *core, struct ipc_call *call, json_t *args)
{
	struct notify_conf *conf = notify_conf_read();
	json_t *problems = json_array();
	const struct entryfile_problem *p;

	(void)args;
	vec_each (p, &conf->problems)
		json_array_append_new(problems, jsontext_new(p->text));
	notify_conf_free(&conf);
	dispatch_reply(core, call,
		       json_pack("{s:o, s:o}", "channels",
				 notify_status_all(core), "problems",
				 problems));
}

static void no_such(struct core *core, struct ipc_call *call, const char *name)
{
	dispatch_fail(core, call, "not_found",
		      "there is no channel %s, or it is void", name);
}

void verb_notify_show(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct notify_conf *conf = notify_conf_read();
	const struct notify_channel *c = notify_conf_find(conf, name);

	if (c)
		dispatch_reply(core, call, describe(core, c));
	else
		no_such(core, call, name);
	notify_conf_free(&conf);
}

void verb_notify_queue(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	json_t *queue = notify_queue(core, name);

	if (queue)
		dispatch_reply(core, call, queue);
	else
		no_such(core, call, name);
}

/* ---- changes ---- */

/* An address that was shown may come back. */
static char *edit_plain(const char *old_text, const char *name, const char *key,
			const char *value, struct err *err)
{
	struct notify_conf *conf = notify_conf_parse(old_text, "");
	const struct notify_channel *c = notify_conf_find(conf, name);
	char *old = xasprintf("%s %s", c && c->server ? c->server : "",
			      c && c->proxy ? c->proxy : "");
	char *full = address_fill(value, old, err), *text = NULL;

	if (full)
		text = notify_conf_edit(old_text, name, key, full, false, err);
	notify_conf_free(&conf);
	free(full);
	free(old);
	return text;
}

static char *edit(const char *old_text, const char *name, const char *key,
		  const char *value, struct err *err)
{
	if (!notify_key_secret(key))
		return edit_plain(old_text, name, key, value, err);
	/* An empty one takes it out. */
	if (!*value)
		return notify_conf_edit(old_text, name, key, "", false, err);
	err_set(err, 0,
		"%s: a secret does not belong on a command line: "
		"--password=FILE, --key=FILE",
		key);
	err->code = EINVAL;
	return NULL;
}

/* What the audit log may have: secrets that stand where they should not are
 * left out there, too. */
static json_t *shown_args(json_t *args)
{
	json_t *out = json_deep_copy(args), *list, *item;
	size_t i;

	list = json_object_get(out, "setting");
	json_array_foreach (list, i, item) {
		char *text = xstrdup(json_string_value(item));
		char *eq = strchr(text, '=');

		if (eq) {
			*eq = '\0';
			if (notify_key_secret(str_trim(text)) && eq[1])
				json_array_set_new(
					list, i, json_sprintf("%s=***", text));
		}
		free(text);
	}
	if (json_object_get(out, "password"))
		json_object_set_new(out, "password", json_string("***"));
	if (json_object_get(out, "key"))
		json_object_set_new(out, "key", json_string("***"));
	return out;
}

static int set_secret(char **text, const char *name, const char *key,
		      const char *value, struct err *err)
{
	char *next;

	if (!value)
		return 0;
	next = notify_conf_edit(*text, name, key, value, true, err);
	if (!next)
		return -1;
	explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = next;
	return 0;
}

static int set_all(char **text, const char *name, json_t *args, struct err *err)
{
	const char *password = dispatch_arg(args, "password");
	const char *key = dispatch_arg(args, "key");
	json_t *settings = json_object_get(args, "setting");

	if (!password && !key && json_array_size(settings) == 0) {
		err_set(err, 0, "SETTING is wanted: Key=value");
		err->code = EINVAL;
		return -1;
	}
	return entries_set_all(text, name, settings, edit, err) < 0 ||
			       set_secret(text, name, "Password", password,
					  err) < 0 ||
			       set_secret(text, name, "Key", key, err) < 0
		       ? -1
		       : 0;
}

/* The text must read as what was meant. */
static int check(const char *old, const char *text, const char *name,
		 struct err *err)
{
	struct notify_conf *before = notify_conf_parse(old, "");
	struct notify_conf *after = notify_conf_parse(text, "");
	const char *wrong =
		entries_new_problem(&before->problems, &after->problems);
	int rc = 0;

	if (wrong)
		rc = err_set(err, 0, "%s", wrong);
	else if (!notify_conf_find(after, name))
		rc = err_set(err, 0,
			     "%s is void, as it stands in the file: splxctl "
			     "notify list",
			     name);
	if (rc < 0)
		err->code = EINVAL;
	notify_conf_free(&before);
	notify_conf_free(&after);
	return rc;
}

static json_t *settings_now(const char *name)
{
	struct notify_conf *conf = notify_conf_read();
	const struct notify_channel *c = notify_conf_find(conf, name);
	json_t *out = c ? notify_json(c) : NULL;

	notify_conf_free(&conf);
	return out;
}

static void forget_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void verb_notify_set(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	json_t *before = settings_now(name);
	struct notify_conf *conf;
	struct err err = {0};
	char *old = entries_read(paths()->notify, NOTIFY_FILE_MAX, &err);
	char *text = old ? xstrdup(old) : NULL;

	dispatch_audit_args(core, call, shown_args(args));
	if (!old || set_all(&text, name, args, &err) < 0 ||
	    check(old, text, name, &err) < 0 ||
	    entries_write(paths()->notify, text, MODE, &err) < 0) {
		dispatch_fail(core, call, entries_code(&err), "%s", err.text);
	} else {
		notify_reload(core);
		dispatch_audit_change(core, call, json_incref(before),
				      settings_now(name));
		conf = notify_conf_read();
		dispatch_reply(core, call,
			       describe(core, notify_conf_find(conf, name)));
		notify_conf_free(&conf);
	}
	json_decref(before);
	forget_text(old);
	forget_text(text);
}

void verb_notify_remove(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct err err = {0};
	char *old = entries_read(paths()->notify, NOTIFY_FILE_MAX, &err);
	char *text = NULL;

	dispatch_audit_change(core, call, settings_now(name), NULL);
	if (old)
		text = notify_conf_edit(old, name, NULL, NULL, false, &err);
	if (!text || entries_write(paths()->notify, text, MODE, &err) < 0) {
		dispatch_fail(core, call, entries_code(&err), "%s", err.text);
	} else {
		notify_reload(core);
		notify_forget(core, name);
		dispatch_reply(core, call, NULL);
	}
	forget_text(old);
	forget_text(text);
}

void verb_notify_drop(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	int64_t n = notify_drop(core, name);

	if (n < 0)
		no_such(core, call, name);
	else
		dispatch_reply(core, call,
			       json_pack("{s:I}", "dropped", (json_int_t)n));
}

/* ---- a test ---- */

struct test {
	struct core *core;
	struct ipc_call *call;
	char name[SCAN_NAME_MAX + 1];
};

static void on_tested(json_t *answer, void *arg)
{
	const char *why = json_string_value(json_object_get(answer, "why"));
	json_t *said = json_object_get(answer, "answer");
	struct test *t = arg;

	if (json_is_true(json_object_get(answer, "ok"))) {
		notify_nudge(t->core, t->name);
		dispatch_reply(t->core, t->call,
			       json_pack("{s:O}", "answer", said));
	} else {
		dispatch_fail(t->core, t->call, "failed", "%s",
			      why && *why ? why : "no answer");
	}
	free(t);
}

void verb_notify_test(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct notify_conf *conf = notify_conf_read();
	const struct notify_channel *c = notify_conf_find(conf, name);
	struct test *t = xcalloc(1, sizeof(*t));
	json_t *messages;
	struct err err;

	t->core = core;
	t->call = call;
	str_copy(t->name, sizeof(t->name), name);
	messages = json_pack("[{s:{s:I, s:s}}]", "test", "time",
			     (json_int_t)clock_real_ns(), "message",
			     "This is a test: events are told by this way.");
	if (!c) {
		no_such(core, call, name);
		free(t);
	} else if (!notify_test(core, c, messages, on_tested, t, &err)) {
		dispatch_fail(core, call, "unavailable", "%s", err.text);
		free(t);
	}
	json_decref(messages);
	notify_conf_free(&conf);
}
