/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* network.*, what changes something. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsontext.h"
#include "common/netconf.h"
#include "common/paths.h"
#include "dispatch.h"
#include "entries.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "network.h"
#include "verbs_network.h"

#define MODE 0640

/* A rule as it stands; NULL when there is none. */
static json_t *settings_now(const char *name)
{
	struct netconf *conf = netconf_read();
	const struct netrule *r = netconf_find(conf, name);
	json_t *out = r ? netrule_json(r) : NULL;

	netconf_free(&conf);
	return out;
}

/* Writes the rules, and has the monitor take them over. */
static int put(struct core *core, const char *text, struct err *err)
{
	if (entries_write(paths()->network, text, MODE, err) < 0)
		return -1;
	network_look(core);
	return 0;
}

/* The text must read as what was meant. */
static int check(const char *old, const char *text, const char *name,
		 struct err *err)
{
	struct netconf *before = netconf_parse(old, "");
	struct netconf *after = netconf_parse(text, "");
	const char *wrong =
		entries_new_problem(&before->problems, &after->problems);
	int rc = 0;

	if (wrong)
		rc = err_set(err, EINVAL, "%s", wrong);
	else if (name && !netconf_find(after, name))
		rc = err_set(err, EINVAL,
			     "%s is void, as it stands in the file: splxctl "
			     "network rules",
			     name);
	netconf_free(&before);
	netconf_free(&after);
	return rc;
}

/* Takes *text's next state over; NULL is a failure. */
static int replace(char **text, char *next)
{
	if (!next)
		return -1;
	free(*text);
	*text = next;
	return 0;
}

/* What the caller should know: NULL: nothing. The caller frees it. */
static char *note(const char *name)
{
	struct netconf *conf = netconf_read();
	const struct netrule *r = netconf_find(conf, name);
	struct netnames names;
	json_t *missing;
	struct str out = {0};
	struct err err;

	netnames_read(&names);
	missing = r ? netnames_missing(&names, r) : json_array();
	if (netconf_check(conf, &err) < 0)
		str_addf(&out,
			 "the rules are not in force until this is mended: %s",
			 err.text);
	else if (json_array_size(missing))
		str_addf(&out,
			 "there is no list %s yet: it comes with the patterns "
			 "(splxctl network lists)",
			 json_string_value(json_array_get(missing, 0)));
	json_decref(missing);
	netnames_free(&names);
	netconf_free(&conf);
	return out.len ? str_take(&out) : NULL;
}

static json_t *describe(const char *name)
{
	char *said = note(name);
	json_t *settings = settings_now(name);
	json_t *out = json_pack("{s:s, s:o, s:o}", "name", name, "settings",
				settings ? settings : json_array(), "note",
				said ? jsontext_new(said) : json_null());

	free(said);
	return out;
}

static int set(char **text, const char *old, json_t *args, struct err *err)
{
	const char *name = dispatch_arg(args, "name");
	const char *before = dispatch_arg(args, "before");

	if (entries_set_all(text, name, json_object_get(args, "setting"),
			    netconf_edit, err) < 0)
		return -1;
	if (before && replace(text, netconf_move(*text, name, before, err)) < 0)
		return -1;
	return check(old, *text, name, err);
}

void verb_network_set(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	json_t *was = settings_now(name);
	struct err err = {0};
	char *old = entries_read(paths()->network, NETCONF_FILE_MAX, &err);
	char *text = old ? xstrdup(old) : NULL;

	if (!old || set(&text, old, args, &err) < 0 ||
	    put(core, text, &err) < 0) {
		dispatch_fail(core, call, entries_code(&err), "%s", err.text);
	} else {
		dispatch_audit_change(core, call, json_incref(was),
				      settings_now(name));
		dispatch_reply(core, call, describe(name));
	}
	json_decref(was);
	free(old);
	free(text);
}

/* The file as it is without, or with the order changed. */
static void rewrite(struct core *core, struct ipc_call *call, char *old,
		    char *text, struct err *err)
{
	if (!text || check(old, text, NULL, err) < 0 ||
	    put(core, text, err) < 0)
		dispatch_fail(core, call, entries_code(err), "%s", err->text);
	else
		dispatch_reply(core, call, NULL);
	free(old);
	free(text);
}

void verb_network_move(struct core *core, struct ipc_call *call, json_t *args)
{
	struct err err = {0};
	char *old = entries_read(paths()->network, NETCONF_FILE_MAX, &err);

	rewrite(core, call, old,
		old ? netconf_move(old, dispatch_arg(args, "name"),
				   dispatch_arg(args, "before"), &err)
		    : NULL,
		&err);
}

void verb_network_remove(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct err err = {0};
	char *old = entries_read(paths()->network, NETCONF_FILE_MAX, &err);

	dispatch_audit_change(core, call, settings_now(name), NULL);
	rewrite(core, call, old,
		old ? netconf_edit(old, name, NULL, NULL, &err) : NULL, &err);
}

/* ---- the model ---- */

void verb_network_learn(struct core *core, struct ipc_call *call, json_t *args)
{
	(void)args;
	network_model_learn(core);
	dispatch_reply(core, call, NULL);
}

void verb_network_forget(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *ids = json_object_get(args, "id"), *item;
	int forgotten = 0;
	struct err err;
	int64_t id;
	size_t i;

	json_array_foreach (ids, i, item)
		if (str_to_i64(json_string_value(item), 1, INT64_MAX, &id,
			       &err) < 0) {
			dispatch_fail(core, call, "bad_request", "ID: %s",
				      err.text);
			return;
		}
	json_array_foreach (ids, i, item) {
		str_to_i64(json_string_value(item), 1, INT64_MAX, &id, NULL);
		forgotten += network_model_forget(core, id);
	}
	if (forgotten)
		dispatch_reply(core, call,
			       json_pack("{s:i}", "forgotten", forgotten));
	else
		dispatch_fail(core, call, "not_found",
			      "the model has no such entry: splxctl network "
			      "model");
}
