/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * console.*, for the web console's process and whoever is logged in there.
 * console.settings {"enabled", "addresses", "https_port", "http_port",
 *   "idle_s", "absolute_s", "max_connections", "metrics_allow", "title_host",
 *   "certificate", "key", "setup_needed", "generation": text, another when
 *   any of these (but setup_needed) or the certificate changed}
 * console.health {"overall", "operational", "setup_needed"}
 * console.login, console.password {"session", "csrf", "user", "role",
 *   "must_change", "idle_s", "absolute_s"}; error denied, with data
 *   {"retry_s"} where there were too many
 * console.whoami {"user", "role", "via": session, token or local,
 *   "must_change", "csrf" or null, "lang", "theme", "expires_s" or null,
 *   "last_login": ns since 1970 or null: the login before this one}
 * console.logout, console.preferences null
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounts.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "dispatch.h"
#include "health.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define HEALTH_NS (CLOCK_NS_PER_S / 2)
#define SEEN_NS (15 * (int64_t)CLOCK_NS_PER_S)
/* Failed logins told one by one in a minute; the others by their number, so
 * that they wash away no other event. */
#define FAILED_TOLD 30
#define NOT_RIGHT "user name or password is not right"

/* ---- settings, health ---- */

static json_t *list_json(const struct conf_list *list)
{
	json_t *out = json_array();
	char **item;

	vec_each (item, list)
		json_array_append_new(out, jsontext_new(*item));
	return out;
}

static bool setup_needed(struct core *core)
{
	return store_account_count(core->store, true, NULL) == 0;
}

static uint64_t mix(uint64_t h, const char *text)
{
	while (*text)
		h = (h ^ (unsigned char)*text++) *
		    1099511628211ull; /* FNV-1a */
	return h;
}

static json_t *generation_of(json_t *settings)
{
	char *text = json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS);
	char *link = xasprintf("%s/current", paths()->console_dir);
	char set[256] = "", out[20];
	ssize_t n = readlink(link, set, sizeof(set) - 1);

	if (n < 0)
		n = 0;
	set[n] = '\0';
	snprintf(out, sizeof(out), "%016llx",
		 (unsigned long long)mix(mix(14695981039346656037ull, text),
					 set));
	free(link);
	free(text);
	return json_string(out);
}

void verb_console_settings(struct core *core, struct ipc_call *call,
			   json_t *args)
{
	const struct conf *conf = core_conf(core);
	char host[256] = "";
	json_t *data, *generation;

	(void)args;
	gethostname(host, sizeof(host) - 1);
	data = json_pack(
		"{s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
		"enabled", conf->console_enabled, "addresses",
		list_json(&conf->console_address), "https_port",
		(json_int_t)conf->console_https_port, "http_port",
		(json_int_t)conf->console_http_port, "idle_s",
		(json_int_t)(conf->console_idle_timeout / 1000), "absolute_s",
		(json_int_t)(conf->console_session_max / 1000),
		"max_connections", (json_int_t)conf->console_max_connections,
		"metrics_allow", list_json(&conf->console_metrics_allow),
		"title_host", jsontext_new(host), "certificate",
		jsontext_new(paths()->console_cert), "key",
		jsontext_new(paths()->console_key));
	generation = generation_of(data);
	json_object_set_new(data, "generation", generation);
	json_object_set_new(data, "setup_needed",
			    json_boolean(setup_needed(core)));
	dispatch_reply(core, call, data);
}

void verb_console_health(struct core *core, struct ipc_call *call, json_t *args)
{
	struct accounts *a = core->accounts;
	uint64_t now = clock_mono_ns();
	json_t *all;

	(void)args;
	if (accounts_is_console(core, ipc_call_peer(call)->uid))
		a->watch.heard_ns = now; /* it asks this again and again */
	if (!a->health || now - a->health_ns > HEALTH_NS) {
		all = health_json(core);
		json_decref(a->health);
		a->health = json_pack("{s:O, s:O, s:b}", "overall",
				      json_object_get(all, "overall"),
				      "operational",
				      json_object_get(all, "operational"),
				      "setup_needed", setup_needed(core));
		a->health_ns = now;
		json_decref(all);
	}
	dispatch_reply(core, call, json_incref(a->health));
}

/* ---- sessions ---- */

/* Who asks, with his account, when he has a session. False, and the call has
 * failed, where there is none. */
static bool session_of(struct core *core, struct ipc_call *call,
		       struct caller *who, struct account *a)
{
	const char *code;
	struct err err;
	int rc;

	if (accounts_caller(core, call, who, &code, &err) < 0) {
		dispatch_fail(core, call, code, "%s", err.text);
		return false;
	}
	if (!who->session) {
		dispatch_fail(core, call, "invalid", "this is for a session");
		return false;
	}
	rc = store_account_get(core->store, NULL, who->account, a, &err);
	if (rc > 0)
		return true;
	dispatch_fail(core, call, rc < 0 ? "unavailable" : "no_session", "%s",
		      rc < 0 ? err.text : "the account is gone");
	return false;
}

static json_t *session_json(struct core *core, const struct account *a,
			    const char *token, bool must_change)
{
	char csrf[SECRET_TOKEN];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:I, s:I}", "session", token, "csrf",
		secret_derive(token, "csrf", csrf), "user", a->name, "role",
		verbs_role_name((enum verb_role)a->role), "must_change",
		must_change, "idle_s",
		(json_int_t)(accounts_idle_ns(core) / (int64_t)CLOCK_NS_PER_S),
		"absolute_s",
		(json_int_t)(accounts_absolute_ns(core, must_change) /
			     (int64_t)CLOCK_NS_PER_S));
}

/* How long the session goes on when nothing is done; it counts as used. */
static json_t *touch(struct core *core, struct ipc_call *call)
{
	const char *token = json_string_value(
		json_object_get(ipc_call_as(call), "session"));
	int64_t now = clock_real_ns(), idle = accounts_idle_ns(core), left;
	char hash[SECRET_HASH];
	struct session s;

	if (!token || store_session_get(core->store, secret_hash(token, hash),
					&s, NULL) <= 0)
		return json_null();
	if (now - s.seen_ns > (idle / 8 < SEEN_NS ? idle / 8 : SEEN_NS))
		store_session_seen(core->store, s.id, now, NULL);
	left = s.created_ns + accounts_absolute_ns(core, s.must_change) - now;
	return json_integer((left < idle ? left : idle) /
			    (int64_t)CLOCK_NS_PER_S);
}

void verb_console_whoami(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *token = json_string_value(
		json_object_get(ipc_call_as(call), "session"));
	char csrf[SECRET_TOKEN];
	struct account a = {0};
	struct caller who;
	const char *code;
	struct err err;

	(void)args;
	if (accounts_caller(core, call, &who, &code, &err) < 0) {
		dispatch_fail(core, call, code, "%s", err.text);
		return;
	}
	if (who.account)
		store_account_get(core->store, NULL, who.account, &a, NULL);
	dispatch_reply(
		core, call,
		json_pack(
			"{s:o, s:s, s:s, s:b, s:s?, s:s, s:s, s:o, s:o}",
			"user", jsontext_new(who.name), "role",
			verbs_role_name((enum verb_role)who.role), "via",
			who.session ? "session"
			: who.token ? "token"
				    : "local",
			"must_change", who.must_change, "csrf",
			who.session ? secret_derive(token, "csrf", csrf) : NULL,
			"lang", a.lang, "theme", a.theme, "expires_s",
			touch(core, call), "last_login",
			a.before_ns ? json_integer(a.before_ns) : json_null()));
}

void verb_console_logout(struct core *core, struct ipc_call *call, json_t *args)
{
	struct caller who;
	struct account a;
	struct err err;

	(void)args;
	if (!session_of(core, call, &who, &a))
		return;
	if (store_console_begin(core->store, &err) < 0 ||
	    store_session_end(core->store, who.session, 0, 0, &err) < 0 ||
	    store_console_commit(core->store, &err) < 0) {
		store_console_rollback(core->store);
		dispatch_fail(core, call, "unavailable", "%s", err.text);
		return;
	}
	dispatch_reply(core, call, NULL);
}

static bool is_lang(const char *text)
{
	return !*text || (strlen(text) == 2 &&
			  strspn(text, "abcdefghijklmnopqrstuvwxyz") == 2);
}

static bool is_theme(const char *text)
{
	return !*text || !strcmp(text, "light") || !strcmp(text, "dark");
}

void verb_console_preferences(struct core *core, struct ipc_call *call,
			      json_t *args)
{
	const char *lang = dispatch_arg(args, "lang");
	const char *theme = dispatch_arg(args, "theme");
	struct caller who;
	struct account a;
	struct err err;

	if (!session_of(core, call, &who, &a))
		return;
	if ((lang && !is_lang(lang)) || (theme && !is_theme(theme))) {
		dispatch_fail(core, call, "invalid",
			      "lang: two letters; theme: light or dark; empty: "
			      "as the browser wants it");
		return;
	}
	if (lang)
		str_copy(a.lang, sizeof(a.lang), lang);
	if (theme)
		str_copy(a.theme, sizeof(a.theme), theme);
	if (store_account_save(core->store, &a, &err) < 0)
		dispatch_fail(core, call, "unavailable", "%s", err.text);
	else
		dispatch_reply(core, call, NULL);
}

/* ---- login ---- */

struct login {
	struct core *core;
	struct ipc_call *call;
	char user[ACCOUNT_NAME];
	char from[ADDRESS_SIZE];
	char agent[AGENT_SIZE];
	char hash[SECRET_SCRYPT]; /* that the password was held against */
	bool place_known;
};

/* May this failed login be told by itself? Those before that were not are
 * told here by their number. */
static bool tell_failed(struct accounts *a)
{
	uint64_t now = clock_mono_ns();

	if (!a->failed_ns || now - a->failed_ns > 60 * CLOCK_NS_PER_S) {
		if (a->held)
			store_event(a->core->store, EVENT_audit,
				    EVENT_SEVERITY_MEDIUM,
				    json_pack("{s:s, s:s}", "verb",
					      "console.login", "result",
					      "denied"),
				    "%u more logins failed within a minute",
				    a->held);
		a->failed_ns = now;
		a->failed = a->held = 0;
	}
	if (++a->failed <= FAILED_TOLD)
		return true;
	a->held++;
	return false;
}

static bool may_login(const struct account *a, const struct login *l)
{
	int64_t now = clock_real_ns();

	if (a->disabled || strcmp(a->hash, l->hash) != 0)
		return false;
	return !a->once_until_ns ||
	       (!a->once_used && now < a->once_until_ns &&
		a->once_until_ns - now <= ONCE_S * (int64_t)CLOCK_NS_PER_S);
}

static int begin_session(struct login *l, struct account *a,
			 char token[SECRET_TOKEN], struct err *err)
{
	struct store *store = l->core->store;

	a->once_used = a->once_until_ns != 0;
	a->before_ns = a->login_ns;
	a->login_ns = clock_real_ns();
	str_copy(a->login_from, sizeof(a->login_from), l->from);
	if (store_console_begin(store, err) == 0 &&
	    store_account_save(store, a, err) == 0 &&
	    accounts_session_new(l->core, a, l->from, l->agent, a->once_used,
				 token, err) == 0 &&
	    store_console_commit(store, err) == 0)
		return 0;
	store_console_rollback(store);
	return -1;
}

static void let_in(struct login *l, struct account *a)
{
	struct core *core = l->core;
	char token[SECRET_TOKEN];
	struct err err;

	if (begin_session(l, a, token, &err) < 0) {
		dispatch_fail(core, l->call, "unavailable", "%s", err.text);
		return;
	}
	lockout_right(core->accounts->lockout, l->user, l->from);
	dispatch_reply(core, l->call,
		       session_json(core, a, token, a->once_used));
}

static void login_done(const struct passwords_result *result, void *arg)
{
	struct login *l = arg;
	struct core *core = l->core;
	struct account a;
	struct err err;
	int known;

	if (!result) {
		lockout_undo(core->accounts->lockout, l->user, l->from,
			     l->place_known);
		dispatch_fail(core, l->call, "unavailable",
			      "the password could not be looked at");
		free(l);
		return;
	}
	known = store_account_get(core->store, l->user, 0, &a, &err);
	if (known > 0)
		/* Of a name that is none of ours nothing is told: people type
		 * passwords there. */
		dispatch_audit_user(core, l->call, a.name);
	if (known > 0 && result->right[0] && may_login(&a, l)) {
		let_in(l, &a);
	} else {
		if (!tell_failed(core->accounts))
			dispatch_audit_skip(core, l->call);
		dispatch_fail(core, l->call, "denied", NOT_RIGHT);
	}
	free(l);
}

static void try_password(struct login *l, const char *password)
{
	struct core *core = l->core;
	struct passwords_work work = {.checks = 1};
	struct err err;

	work.check[0].password = xstrdup(password);
	work.check[0].kept = xstrdup(l->hash);
	if (passwords_begin(core->accounts->passwords, &work, login_done, l,
			    &err) == 0)
		return;
	lockout_undo(core->accounts->lockout, l->user, l->from, l->place_known);
	dispatch_audit_skip(core, l->call);
	dispatch_fail(core, l->call, "unavailable", "%s", err.text);
	free(l);
}

/* The name as it is kept, or a stand-in for what can be none. */
static void login_name(const char *user, char out[ACCOUNT_NAME])
{
	if (accounts_name(user, out, NULL) < 0)
		str_copy(out, ACCOUNT_NAME, "?");
}

void verb_console_login(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *user = dispatch_arg(args, "user");
	const char *password = dispatch_arg(args, "password");
	const char *agent = dispatch_arg(args, "agent");
	const char *from = ipc_call_from(call);
	struct account a = {0};
	struct login *l;
	struct err err;
	int wait;

	if (!user || !password || strlen(password) > PASSWORD_MAX) {
		dispatch_audit_skip(core, call);
		dispatch_fail(core, call, "bad_request",
			      "a user and a password of up to %d bytes are "
			      "wanted",
			      PASSWORD_MAX);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->core = core;
	l->call = call;
	login_name(user, l->user);
	str_copy(l->from, sizeof(l->from), from ? from : "");
	str_copy(l->agent, sizeof(l->agent), agent ? agent : "");
	dispatch_audit_args(core, call, NULL);
	if (store_account_get(core->store, l->user, 0, &a, &err) < 0) {
		dispatch_fail(core, call, "unavailable", "%s", err.text);
		free(l);
		return;
	}
	str_copy(l->hash, sizeof(l->hash), a.hash);
	l->place_known = a.id && *l->from && !strcmp(a.login_from, l->from);
	wait = lockout_begin(core->accounts->lockout, l->user, l->from,
			     l->place_known, clock_mono_ns());
	if (!wait) {
		try_password(l, password);
		return;
	}
	dispatch_audit_skip(core, call);
	dispatch_fail_data(core, call, "denied",
			   json_pack("{s:i}", "retry_s", wait),
			   "too many wrong passwords; again in %d s", wait);
	free(l);
}

/* ---- an own password ---- */

struct renewal {
	struct core *core;
	struct ipc_call *call;
	char user[ACCOUNT_NAME];
	char from[ADDRESS_SIZE];
	char hash[SECRET_SCRYPT];
	bool needs_old;
};

static int renew(struct renewal *r, struct account *a, const char *made,
		 char token[SECRET_TOKEN], struct err *err)
{
	struct store *store = r->core->store;

	str_copy(a->hash, sizeof(a->hash), made);
	a->once_until_ns = 0;
	a->once_used = false;
	a->changed_ns = clock_real_ns();
	if (store_console_begin(store, err) == 0 &&
	    store_account_save(store, a, err) == 0 &&
	    store_session_end(store, 0, a->id, 0, err) >= 0 &&
	    accounts_session_new(r->core, a, r->from, "", false, token, err) ==
		    0 &&
	    store_console_commit(store, err) == 0)
		return 0;
	store_console_rollback(store);
	return -1;
}

static void renewed(struct renewal *r, const struct passwords_result *result)
{
	struct core *core = r->core;
	char token[SECRET_TOKEN];
	struct caller who;
	struct account a;
	struct err err;

	/* Much may have happened meanwhile. */
	if (!session_of(core, r->call, &who, &a))
		return;
	if (strcmp(a.hash, r->hash) != 0) {
		dispatch_fail(core, r->call, "conflict",
			      "the password is another one by now");
		return;
	}
	if (result->right[0]) {
		dispatch_fail(core, r->call, "invalid",
			      "the new password is the old one");
		return;
	}
	if (renew(r, &a, result->made, token, &err) < 0) {
		dispatch_fail(core, r->call, "unavailable", "%s", err.text);
		return;
	}
	dispatch_reply(core, r->call, session_json(core, &a, token, false));
}

static void renewal_done(const struct passwords_result *result, void *arg)
{
	struct renewal *r = arg;
	struct core *core = r->core;
	struct lockout *lockout = core->accounts->lockout;

	if (!result) {
		if (r->needs_old)
			lockout_undo(lockout, r->user, r->from, false);
		dispatch_fail(core, r->call, "unavailable",
			      "the password could not be looked at");
	} else if (r->needs_old && !result->right[1]) {
		dispatch_fail(core, r->call, "denied",
			      "the old password is not right");
	} else {
		if (r->needs_old)
			lockout_right(lockout, r->user, r->from);
		renewed(r, result);
	}
	free(r);
}

/* False, and the call has failed: too many wrong ones. */
static bool may_try(struct renewal *r)
{
	struct core *core = r->core;
	int wait;

	if (!r->needs_old)
		return true;
	wait = lockout_begin(core->accounts->lockout, r->user, r->from, false,
			     clock_mono_ns());
	if (wait)
		dispatch_fail_data(core, r->call, "denied",
				   json_pack("{s:i}", "retry_s", wait),
				   "too many wrong passwords; again in %d s",
				   wait);
	return !wait;
}

static void begin_renewal(struct renewal *r, const char *old, const char *new)
{
	struct core *core = r->core;
	struct passwords_work work = {.checks = 1};
	struct err err;

	if (!may_try(r)) {
		free(r);
		return;
	}
	work.check[0].password = xstrdup(new);
	work.check[0].kept = xstrdup(r->hash);
	work.make = xstrdup(new);
	if (r->needs_old) {
		work.check[1].password = xstrdup(old);
		work.check[1].kept = xstrdup(r->hash);
		work.checks = 2;
	}
	if (passwords_begin(core->accounts->passwords, &work, renewal_done, r,
			    &err) == 0)
		return;
	if (r->needs_old)
		lockout_undo(core->accounts->lockout, r->user, r->from, false);
	dispatch_fail(core, r->call, "unavailable", "%s", err.text);
	free(r);
}

void verb_console_password(struct core *core, struct ipc_call *call,
			   json_t *args)
{
	const char *old = dispatch_arg(args, "old");
	const char *new = dispatch_arg(args, "new");
	struct renewal *r;
	struct caller who;
	struct account a;
	struct err err;

	if (!session_of(core, call, &who, &a))
		return;
	if (!new || (!old && !who.must_change) ||
	    (old && strlen(old) > PASSWORD_MAX)) {
		dispatch_fail(core, call, "bad_request",
			      "the old password and a new one are wanted");
		return;
	}
	if (accounts_password_ok(a.name, new, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->core = core;
	r->call = call;
	r->needs_old = !who.must_change;
	str_copy(r->user, sizeof(r->user), a.name);
	str_copy(r->from, sizeof(r->from), who.from);
	str_copy(r->hash, sizeof(r->hash), a.hash);
	begin_renewal(r, old, new);
}
