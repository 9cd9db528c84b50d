/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "dispatch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/jsontext.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "store.h"

/* Arguments of a verb are short; the audit event need not hold a novel. */
#define AUDIT_TEXT_MAX 2000

/* A call that changes something, under way: what its audit event will say. */
struct audit {
	struct audit *next;
	const struct ipc_call *call;
	const struct verb *verb;
	struct caller who;
	struct ipc_peer peer;
	char *args;
	json_t *before, *after;
};

struct dispatch {
	struct audit *audits;
	struct log_limit denied_limit;
};

static const dispatch_fn handlers[VERB_COUNT] = {
#define HANDLER_ENTITY(id) [VERB_ID_##id] = verb_##id,
#define HANDLER_HIDDEN(id) HANDLER_ENTITY(id)
#define HANDLER_LOCAL(id)
#define VERB(id, noun, verb, role, where, does, grammar, text)                 \
	HANDLER_##where(id)
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
	json_decref(a->before);
	json_decref(a->after);
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

int dispatch_role(struct core *core, const struct ipc_call *call)
{
	struct caller who;
	const char *code;
	struct err err;

	return accounts_caller(core, call, &who, &code, &err) < 0 ? -1
								  : who.role;
}

/* ---- audit ---- */

static char *audit_text(json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS |
						       JSON_ENCODE_ANY)
			   : NULL;
	char *masked = text ? address_mask(text) : NULL;

	free(text);
	text = masked;
	if (text && strlen(text) > AUDIT_TEXT_MAX)
		memcpy(text + AUDIT_TEXT_MAX - 3, "...", 4);
	return text;
}

static json_t *audit_json(json_t *value)
{
	char *text = audit_text(value);
	json_t *out = text ? jsontext_new(text) : NULL;

	free(text);
	return out;
}

static void audit_event(struct core *core, const struct audit *a,
			const char *result)
{
	char wire[64];

	verbs_wire(a->verb, wire, sizeof(wire));
	store_event(
		core->store, EVENT_audit,
		strcmp(result, "ok") ? EVENT_SEVERITY_LOW : EVENT_SEVERITY_INFO,
		json_pack("{s:o, s:s*, s:I, s:s, s:o, s:o, s:o*, s:o*}", "user",
			  jsontext_new(a->who.name), "from",
			  a->who.from[0] ? a->who.from : NULL, "uid",
			  (json_int_t)a->peer.uid, "verb", wire, "args",
			  jsontext_new(a->args), "result", jsontext_new(result),
			  "before", audit_json(a->before), "after",
			  audit_json(a->after)),
		"%s by %s%s%s: %s", wire, a->who.name,
		a->who.from[0] ? " from " : "", a->who.from, result);
	log_info("audit %s user=%s from=%s uid=%u pid=%d args=%s result=%s",
		 wire, a->who.name, a->who.from[0] ? a->who.from : "-",
		 (unsigned int)a->peer.uid, (int)a->peer.pid, a->args, result);
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

	char *told = address_mask(result);

	if (a)
		audit_event(core, a, told);
	free(told);
	if (!a)
		return;
	audit_free(core->dispatch, a);
}

static void audit_begin(struct core *core, struct ipc_call *call,
			const struct verb *verb, const struct caller *who,
			json_t *args)
{
	struct audit *a = xcalloc(1, sizeof(*a));
	json_t *shown = verbs_masked(verb, args);

	a->call = call;
	a->verb = verb;
	a->who = *who;
	a->peer = *ipc_call_peer(call);
	a->args = audit_text(shown);
	if (!a->args)
		a->args = xstrdup("{}");
	json_decref(shown);
	a->next = core->dispatch->audits;
	core->dispatch->audits = a;
}

void dispatch_audit_change(struct core *core, const struct ipc_call *call,
			   json_t *before, json_t *after)
{
	struct audit *a = audit_find(core, call);

	if (!a) {
		json_decref(before);
		json_decref(after);
		return;
	}
	json_decref(a->before);
	json_decref(a->after);
	a->before = before;
	a->after = after;
}

void dispatch_audit_user(struct core *core, const struct ipc_call *call,
			 const char *user)
{
	struct audit *a = audit_find(core, call);

	if (a)
		str_copy(a->who.name, sizeof(a->who.name), user);
}

void dispatch_audit_args(struct core *core, const struct ipc_call *call,
			 json_t *args)
{
	struct audit *a = audit_find(core, call);

	if (a) {
		free(a->args);
		a->args = args ? audit_text(args) : xstrdup("{}");
	}
	json_decref(args);
}

void dispatch_audit_skip(struct core *core, const struct ipc_call *call)
{
	struct audit *a = audit_find(core, call);

	if (a)
		audit_free(core->dispatch, a);
}

void dispatch_audit_now(struct core *core, struct ipc_call *call,
			enum verb_id id, json_t *args)
{
	struct caller who;
	const char *code;
	struct err err;

	if (accounts_caller(core, call, &who, &code, &err) < 0)
		return;
	audit_begin(core, call, &verbs[id], &who, args);
	audit_end(core, call, "ok");
}

/* ---- requests ---- */

static bool is_audited(const struct verb *verb)
{
	return verb->does == VERB_CHANGES || verb->does == VERB_TASK;
}

static void refuse(struct core *core, struct ipc_call *call,
		   const struct verb *verb, const struct caller *who,
		   json_t *args)
{
	const struct ipc_peer *peer = ipc_call_peer(call);

	log_limited(&core->dispatch->denied_limit, 10, 60000, LOG_LVL_WARN,
		    "verb refused user=%s uid=%u pid=%d verb=%s %s", who->name,
		    (unsigned int)peer->uid, (int)peer->pid, verb->noun,
		    verb->verb);
	if (is_audited(verb) && verb->role == VERB_ADMIN) {
		audit_begin(core, call, verb, who, args);
		audit_end(core, call, "denied");
	}
	if (verb->role == VERB_CONSOLE)
		ipc_fail(&call, "denied", "this is for the web console alone");
	else
		ipc_fail(&call, "denied",
			 "this needs the role %s, see splx.conf(5)",
			 verbs_role_name(verb->role));
}

/* What a session may before its owner has set a password. */
static bool is_for_all(const struct verb *verb)
{
	return verb->role == VERB_CONSOLE ||
	       verb->id == VERB_ID_console_whoami ||
	       verb->id == VERB_ID_console_password ||
	       verb->id == VERB_ID_console_logout;
}

/*
 * Hidden verbs are the suite's parts talking to each other (and name their
 * caller by its process), so the console has no part in them but in its own.
 */
static bool may(const struct core *core, const struct ipc_call *call,
		const struct verb *verb, const struct caller *who)
{
	uid_t uid = ipc_call_peer(call)->uid;

	if (verb->role == VERB_CONSOLE)
		return uid == 0 || accounts_is_console(core, uid);
	if (who->console && verb->where == VERB_HIDDEN &&
	    strcmp(verb->noun, "console") != 0)
		return false;
	if (verb->id == VERB_ID_metrics && accounts_metrics_allowed(core, who))
		return true;
	return who->role >= (int)verb->role;
}

/* Who asks; false, and the call has failed. */
static bool caller_ok(struct core *core, struct ipc_call *call,
		      const struct verb *verb, struct caller *who)
{
	const char *code;
	struct err err;

	if (accounts_caller(core, call, who, &code, &err) < 0) {
		log_limited(&core->dispatch->denied_limit, 10, 60000,
			    LOG_LVL_WARN, "verb refused user=%s verb=%s %s: %s",
			    who->name, verb->noun, verb->verb, err.text);
		ipc_fail(&call, code, "%s", err.text);
		return false;
	}
	if (who->must_change && !is_for_all(verb)) {
		ipc_fail(&call, "must_change",
			 "a password has to be set before anything else");
		return false;
	}
	return true;
}

void dispatch_request(struct ipc_call *call, const char *name, json_t *args,
		      void *arg)
{
	const struct verb *verb = verbs_find(name);
	struct core *core = arg;
	struct caller who;
	struct err err;

	if (!verb || !handlers[verb->id]) {
		ipc_fail(&call, "unknown_verb", "there is no such verb");
		return;
	}
	if (!caller_ok(core, call, verb, &who))
		return;
	if (!may(core, call, verb, &who)) {
		refuse(core, call, verb, &who, args);
		return;
	}
	if (verbs_check(verb, args, &err)) {
		ipc_fail(&call, "bad_request", "%s", err.text);
		return;
	}
	if (is_audited(verb))
		audit_begin(core, call, verb, &who, args);
	handlers[verb->id](core, call, args);
}

void dispatch_reply(struct core *core, struct ipc_call *call, json_t *data)
{
	audit_end(core, call, "ok");
	ipc_reply(&call, data);
}

static void fail(struct core *core, struct ipc_call *call, const char *code,
		 json_t *data, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	audit_end(core, call, text);
	ipc_fail_data(&call, code, data, "%s", text);
}

void dispatch_fail(struct core *core, struct ipc_call *call, const char *code,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(core, call, code, NULL, fmt, ap);
	va_end(ap);
}

void dispatch_fail_data(struct core *core, struct ipc_call *call,
			const char *code, json_t *data, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(core, call, code, data, fmt, ap);
	va_end(ap);
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

bool dispatch_page(struct core *core, struct ipc_call *call, json_t *args,
		   const char *from, struct dispatch_page *page)
{
	struct err err;

	if (dispatch_arg_i64(args, "limit", page->limit, 1, page->max,
			     &page->limit, &err) == 0 &&
	    dispatch_arg_i64(args, from, 0, 0, INT64_MAX, &page->from, &err) ==
		    0)
		return true;
	dispatch_fail(core, call, "invalid", "%s", err.text);
	return false;
}
