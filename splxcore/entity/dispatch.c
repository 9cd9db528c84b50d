/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "dispatch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "settings.h"
#include "store.h"

/* Arguments of a verb are short; the audit event need not hold a novel. */
#define AUDIT_ARGS_MAX 2000

/* An ADMIN verb under way: what its audit event will say. */
struct audit {
	struct audit *next;
	struct ipc_call *call;
	const struct verb *verb;
	struct ipc_peer peer;
	char *args;
};

struct dispatch {
	struct audit *audits;
	struct log_limit denied_limit;
};

static const dispatch_fn handlers[VERB_COUNT] = {
#define HANDLER_ENTITY(id) [VERB_ID_##id] = verb_##id,
#define HANDLER_HIDDEN(id) HANDLER_ENTITY(id)
#define HANDLER_LOCAL(id)
#define VERB(id, noun, verb, role, where, grammar, text) HANDLER_##where(id)
#include "common/verbs.def"
#undef VERB
};

int dispatch_init(struct core *core, struct err *err)
{
	(void)err;
	core->dispatch = xcalloc(1, sizeof(*core->dispatch));
	return 0;
}

static void audit_free(struct dispatch *d, struct audit *a)
{
	struct audit **p = &d->audits;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	free(a->args);
	free(a);
}

void dispatch_deinit(struct core *core)
{
	if (!core->dispatch)
		return;
	while (core->dispatch->audits)
		audit_free(core->dispatch, core->dispatch->audits);
	xfree(&core->dispatch);
}

int dispatch_role(const struct core *core, const struct ipc_peer *peer)
{
	if (peer->uid == 0)
		return VERB_ADMIN;
	return settings_role(core->settings, peer->uid);
}

/* ---- audit ---- */

static void audit_event(struct core *core, const struct verb *verb,
			const struct ipc_peer *peer, const char *args,
			const char *result)
{
	char wire[64];

	verbs_wire(verb, wire, sizeof(wire));
	store_event(
		core->store, EVENT_audit,
		strcmp(result, "ok") ? EVENT_SEVERITY_LOW : EVENT_SEVERITY_INFO,
		json_pack("{s:I, s:s, s:s, s:s}", "uid", (json_int_t)peer->uid,
			  "verb", wire, "args", args, "result", result),
		"%s by uid %u: %s", wire, (unsigned int)peer->uid, result);
	log_info("audit %s uid=%u pid=%d args=%s result=%s", wire,
		 (unsigned int)peer->uid, (int)peer->pid, args, result);
}

static char *audit_args(json_t *args)
{
	char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return xstrdup("{}");
	if (strlen(text) > AUDIT_ARGS_MAX)
		memcpy(text + AUDIT_ARGS_MAX - 3, "...", 4);
	return text;
}

static struct audit *audit_find(const struct core *core,
				const struct ipc_call *call)
{
	struct audit *a = core->dispatch->audits;

	while (a && a->call != call)
		a = a->next;
	return a;
}

static void audit_end(struct core *core, struct ipc_call *call,
		      const char *result)
{
	struct audit *a = audit_find(core, call);

	if (!a)
		return;
	audit_event(core, a->verb, &a->peer, a->args, result);
	audit_free(core->dispatch, a);
}

static void audit_begin(struct core *core, struct ipc_call *call,
			const struct verb *verb, json_t *args)
{
	struct audit *a = xcalloc(1, sizeof(*a));

	a->call = call;
	a->verb = verb;
	a->peer = *ipc_call_peer(call);
	a->args = audit_args(args);
	a->next = core->dispatch->audits;
	core->dispatch->audits = a;
}

/* ---- requests ---- */

static void refuse(struct core *core, struct ipc_call *call,
		   const struct verb *verb, json_t *args)
{
	const struct ipc_peer *peer = ipc_call_peer(call);
	char *text;

	log_limited(&core->dispatch->denied_limit, 10, 60000, LOG_LVL_WARN,
		    "verb refused uid=%u pid=%d verb=%s %s",
		    (unsigned int)peer->uid, (int)peer->pid, verb->noun,
		    verb->verb);
	if (verb->role == VERB_ADMIN) {
		text = audit_args(args);
		audit_event(core, verb, peer, text, "denied");
		free(text);
	}
	ipc_fail(&call, "denied", "this needs the role %s, see splx.conf(5)",
		 verbs_role_name(verb->role));
}

void dispatch_request(struct ipc_call *call, const char *name, json_t *args,
		      void *arg)
{
	const struct verb *verb = verbs_find(name);
	struct core *core = arg;
	struct err err;

	if (!verb || !handlers[verb->id]) {
		ipc_fail(&call, "unknown_verb", "there is no such verb");
		return;
	}
	if (dispatch_role(core, ipc_call_peer(call)) < (int)verb->role) {
		refuse(core, call, verb, args);
		return;
	}
	if (verbs_check(verb, args, &err)) {
		ipc_fail(&call, "bad_request", "%s", err.text);
		return;
	}
	if (verb->role == VERB_ADMIN)
		audit_begin(core, call, verb, args);
	handlers[verb->id](core, call, args);
}

void dispatch_reply(struct core *core, struct ipc_call *call, json_t *data)
{
	audit_end(core, call, "ok");
	ipc_reply(&call, data);
}

void dispatch_fail(struct core *core, struct ipc_call *call, const char *code,
		   const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	audit_end(core, call, text);
	ipc_fail(&call, code, "%s", text);
}

/* ---- arguments ---- */

const char *dispatch_arg(json_t *args, const char *name)
{
	return json_string_value(json_object_get(args, name));
}

int dispatch_arg_i64(json_t *args, const char *name, long long def,
		     long long min, long long max, long long *out_r,
		     struct err *err)
{
	json_t *value = json_object_get(args, name);
	int64_t n = def;

	if (json_is_integer(value)) {
		n = json_integer_value(value);
		if (n < min || n > max)
			return err_set(err, 0,
				       "%s: %lld is not between %lld and %lld",
				       name, (long long)n, min, max);
	} else if (json_is_string(value)) {
		if (str_to_i64(json_string_value(value), min, max, &n, err))
			return err_add(err, "%s", name);
	} else if (value && !json_is_null(value)) {
		return err_set(err, 0, "%s: a number is wanted", name);
	}
	*out_r = n;
	return 0;
}
