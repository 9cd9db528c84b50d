/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * console.setup, user.*, session.*, token.*; times in ns since 1970.
 * user.list [{"user", "role", "disabled", "password": own, once, expired,
 *   "created", "last_login" or null, "last_from", "sessions"}]
 * user.add, user.reset, console.setup {"user", "role", "secret", "valid_s"}
 * user.set {"user", "role", "disabled"}; user.remove null
 * session.list [{"id", "user", "role", "created", "seen", "expires", "from",
 *   "agent", "must_change", "own": by which it is asked}]; session.end null
 * token.list [{"id", "name", "role", "created", "expires", "used" or null,
 *   "used_from", "by"}]; token.add {"id", "name", "role", "token", "expires"};
 *   token.revoke null
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "common/jsontext.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "lib/vec.h"

#define FIRST_ACCOUNT "admin"
#define TOKEN_DEFAULT "90d"
#define TOKEN_LEAST_MS 1000
#define TOKEN_MOST_MS (3650ull * 86400 * 1000)
#define MS_NS ((int64_t)CLOCK_NS_PER_MS)

struct accounts_list {
	VEC(struct account);
};
struct sessions_list {
	VEC(struct session);
};

static void on_account(const struct account *a, void *arg)
{
	struct accounts_list *list = arg;

	vec_push(list, *a);
}

static void on_session(const struct session *s, void *arg)
{
	struct sessions_list *list = arg;

	vec_push(list, *s);
}

static json_t *time_json(int64_t ns)
{
	return ns ? json_integer(ns) : json_null();
}

static const char *code_of(const struct err *err)
{
	return err->code == 0	     ? "invalid"
	       : err->code == EEXIST ? "conflict"
				     : "unavailable";
}

static void fail(struct core *core, struct ipc_call *call,
		 const struct err *err)
{
	dispatch_fail(core, call, code_of(err), "%s", err->text);
}

/* ---- the lists ---- */

static const char *password_state(const struct account *a)
{
	if (!a->once_until_ns)
		return "own";
	return a->once_used || clock_real_ns() >= a->once_until_ns ? "expired"
								   : "once";
}

static json_t *user_json(const struct account *a,
			 const struct sessions_list *sessions)
{
	const struct session *s;
	int n = 0;

	vec_each (s, sessions)
		n += s->account == a->id;
	return json_pack(
		"{s:s, s:s, s:b, s:s, s:I, s:o, s:s, s:i}", "user", a->name,
		"role", verbs_role_name((enum verb_role)a->role), "disabled",
		a->disabled, "password", password_state(a), "created",
		(json_int_t)a->created_ns, "last_login", time_json(a->login_ns),
		"last_from", a->login_from, "sessions", n);
}

static const struct account *find(const struct accounts_list *list, int64_t id)
{
	const struct account *a;

	vec_each (a, list)
		if (a->id == id)
			return a;
	return NULL;
}

static json_t *row_json(struct core *core, const struct session *s,
			const struct account *a, bool own)
{
	int64_t idle = s->seen_ns + accounts_idle_ns(core);
	int64_t end =
		s->created_ns + accounts_absolute_ns(core, s->must_change);

	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:b, s:b}",
			 "id", (json_int_t)s->id, "user", a->name, "role",
			 verbs_role_name((enum verb_role)a->role), "created",
			 (json_int_t)s->created_ns, "seen",
			 (json_int_t)s->seen_ns, "expires",
			 (json_int_t)(idle < end ? idle : end), "from", s->from,
			 "agent", jsontext_new(s->agent), "must_change",
			 s->must_change, "own", own);
}

/* Users, or with `sessions` what they have open. */
static void answer_list(struct core *core, struct ipc_call *call,
			bool want_sessions)
{
	struct accounts_list accounts = {0};
	struct sessions_list sessions = {0};
	json_t *out = json_array();
	const struct account *a;
	const struct session *s;
	const char *code;
	struct caller who = {0};
	struct err err;

	/* Not by a session: none is the caller's own. */
	(void)accounts_caller(core, call, &who, &code, &err);
	if (store_accounts(core->store, on_account, &accounts, &err) < 0 ||
	    store_sessions(core->store, on_session, &sessions, &err) < 0) {
		fail(core, call, &err);
		json_decref(out);
	} else {
		if (want_sessions)
			vec_each (s, &sessions) {
				a = find(&accounts, s->account);
				if (a)
					json_array_append_new(
						out,
						row_json(core, s, a,
							 who.session == s->id));
			}
		else
			vec_each (a, &accounts)
				json_array_append_new(out,
						      user_json(a, &sessions));
		dispatch_reply(core, call, out);
	}
	vec_free(&accounts);
	vec_free(&sessions);
}

void verb_user_list(struct core *core, struct ipc_call *call, json_t *args)
{
	(void)args;
	answer_list(core, call, false);
}

void verb_session_list(struct core *core, struct ipc_call *call, json_t *args)
{
	(void)args;
	answer_list(core, call, true);
}

/* ---- accounts ---- */

/* The account that is named: 1, 0 when there is none, -1 and *err. */
static int get(struct core *core, json_t *args, const char *arg,
	       struct account *a, struct err *err)
{
	const char *given = dispatch_arg(args, arg);
	char name[ACCOUNT_NAME];

	memset(a, 0, sizeof(*a));
	if (accounts_name(given ? given : FIRST_ACCOUNT, name, err) < 0)
		return -1;
	str_copy(a->name, sizeof(a->name), name);
	return store_account_get(core->store, name, 0, a, err);
}

/* The same; false, and the call has failed, where there is none. */
static bool get_known(struct core *core, struct ipc_call *call, json_t *args,
		      struct account *a)
{
	struct err err;
	int rc = get(core, args, "name", a, &err);

	if (rc < 0)
		fail(core, call, &err);
	else if (rc == 0)
		dispatch_fail(core, call, "not_found", "there is no account %s",
			      a->name);
	return rc > 0;
}

/* A role by its word; -1, and the call has failed. */
static int read_role(struct core *core, struct ipc_call *call, const char *word)
{
	int role = word ? verbs_role_parse(word) : -1;

	if (role < 0)
		dispatch_fail(core, call, "invalid",
			      "--role=viewer, operator or admin is wanted");
	return role;
}

/* Would the console be without an administrator who can log in? */
static bool is_last_admin(struct core *core, const struct account *a)
{
	return a->role == VERB_ADMIN && !a->disabled && !a->once_until_ns &&
	       store_account_count(core->store, true, NULL) <= 1;
}

static json_t *audit_user(const struct account *a)
{
	return json_pack("{s:s, s:s, s:b}", "user", a->name, "role",
			 verbs_role_name((enum verb_role)a->role), "disabled",
			 a->disabled);
}

/* Saves it, and puts out who is logged in with it. */
static int save(struct core *core, struct account *a, bool put_out,
		struct err *err)
{
	if (store_console_begin(core->store, err) == 0 &&
	    store_account_save(core->store, a, err) == 0 &&
	    (!put_out ||
	     store_session_end(core->store, 0, a->id, 0, err) >= 0) &&
	    store_console_commit(core->store, err) == 0)
		return 0;
	store_console_rollback(core->store);
	return -1;
}

/* ---- one-time passwords ---- */

struct once {
	struct core *core;
	struct ipc_call *call;
	struct account account; /* id 0: a new one */
	char secret[SECRET_ONCE];
	bool enable; /* by root himself: it may log in from now on */
};

static int once_save(struct once *o, const char *made, struct err *err)
{
	struct account *a = &o->account, now;
	int rc;

	/* It may have changed or gone meanwhile. */
	rc = store_account_get(o->core->store, a->name, 0, &now, err);
	if (rc < 0)
		return -1;
	if ((rc > 0) != (a->id != 0))
		return err_set(
			err, 0,
			a->id ? "%s: somebody else has removed it meanwhile"
			      : "%s: somebody else has made it meanwhile",
			a->name);
	if (rc > 0)
		*a = now;
	if (o->enable)
		a->disabled = false;
	str_copy(a->hash, sizeof(a->hash), made);
	a->changed_ns = clock_real_ns();
	if (!a->created_ns)
		a->created_ns = a->changed_ns;
	a->once_until_ns = a->changed_ns + ONCE_S * (int64_t)CLOCK_NS_PER_S;
	a->once_used = false;
	a->login_from[0] = '\0';
	return save(o->core, a, true, err);
}

static void once_done(const struct passwords_result *result, void *arg)
{
	struct once *o = arg;
	struct core *core = o->core;
	struct account *a = &o->account;
	struct err err;

	if (!result) {
		dispatch_fail(core, o->call, "unavailable",
			      "no password could be made");
	} else if (once_save(o, result->made, &err) < 0) {
		fail(core, o->call, &err);
	} else {
		lockout_right(core->accounts->lockout, a->name, "");
		dispatch_audit_change(core, o->call, NULL, audit_user(a));
		dispatch_reply(
			core, o->call,
			json_pack("{s:s, s:s, s:s, s:i}", "user", a->name,
				  "role",
				  verbs_role_name((enum verb_role)a->role),
				  "secret", o->secret, "valid_s", ONCE_S));
	}
	explicit_bzero(o, sizeof(*o));
	free(o);
}

static void give_once(struct core *core, struct ipc_call *call,
		      const struct account *a, bool enable)
{
	struct passwords_work work = {0};
	struct once *o = xcalloc(1, sizeof(*o));
	struct err err;

	o->core = core;
	o->call = call;
	o->account = *a;
	o->enable = enable;
	secret_once(o->secret);
	work.make = xstrdup(o->secret);
	if (passwords_begin(core->accounts->passwords, &work, once_done, o,
			    &err) == 0)
		return;
	dispatch_fail(core, call, "unavailable", "%s", err.text);
	free(o);
}

/* False, and the call has failed, where there are as many as there may be. */
static bool has_room(struct core *core, struct ipc_call *call)
{
	struct err err;
	int64_t n = store_account_count(core->store, false, &err);

	if (n < 0)
		dispatch_fail(core, call, "unavailable", "%s", err.text);
	else if (n >= ACCOUNTS_MAX)
		dispatch_fail(core, call, "conflict",
			      "there are %d accounts already", ACCOUNTS_MAX);
	return n >= 0 && n < ACCOUNTS_MAX;
}

void verb_console_setup(struct core *core, struct ipc_call *call, json_t *args)
{
	struct account a;
	struct caller who;
	const char *code;
	struct err err;
	int rc;

	if (accounts_caller(core, call, &who, &code, &err) < 0 || !who.local) {
		dispatch_fail(core, call, "denied",
			      "this is done on the machine itself: splxctl "
			      "console setup");
		return;
	}
	rc = get(core, args, "user", &a, &err);
	if (rc < 0) {
		fail(core, call, &err);
		return;
	}
	if (rc == 0) {
		a.role = VERB_ADMIN;
		if (!has_room(core, call))
			return;
	}
	give_once(core, call, &a, true);
}

void verb_user_add(struct core *core, struct ipc_call *call, json_t *args)
{
	int role = read_role(core, call, dispatch_arg(args, "role"));
	struct account a;
	struct err err;
	int rc;

	if (role < 0)
		return;
	rc = get(core, args, "name", &a, &err);
	if (rc < 0)
		fail(core, call, &err);
	else if (rc > 0)
		dispatch_fail(core, call, "conflict",
			      "there is an account %s already", a.name);
	else if (has_room(core, call)) {
		a.role = role;
		give_once(core, call, &a, false);
	}
}

void verb_user_reset(struct core *core, struct ipc_call *call, json_t *args)
{
	struct account a;

	if (get_known(core, call, args, &a))
		give_once(core, call, &a, false);
}

/* ---- changes ---- */

void verb_user_set(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *disabled = dispatch_arg(args, "disabled");
	const char *word = dispatch_arg(args, "role");
	struct account a, before;
	struct err err;
	int role = -1;

	if (word && (role = read_role(core, call, word)) < 0)
		return;
	if (disabled && strcmp(disabled, "yes") != 0 &&
	    strcmp(disabled, "no") != 0) {
		dispatch_fail(core, call, "invalid",
			      "--disabled=yes or no is wanted");
		return;
	}
	if (!get_known(core, call, args, &a))
		return;
	before = a;
	if (word)
		a.role = role;
	if (disabled)
		a.disabled = !strcmp(disabled, "yes");
	if ((a.role != VERB_ADMIN || a.disabled) &&
	    is_last_admin(core, &before)) {
		dispatch_fail(core, call, "conflict",
			      "%s is the last administrator", a.name);
		return;
	}
	if (save(core, &a, a.disabled, &err) < 0) {
		fail(core, call, &err);
		return;
	}
	dispatch_audit_change(core, call, audit_user(&before), audit_user(&a));
	dispatch_reply(core, call, audit_user(&a));
}

void verb_user_remove(struct core *core, struct ipc_call *call, json_t *args)
{
	struct account a;
	struct err err;

	if (!get_known(core, call, args, &a))
		return;
	if (is_last_admin(core, &a)) {
		dispatch_fail(core, call, "conflict",
			      "%s is the last administrator", a.name);
		return;
	}
	if (store_console_begin(core->store, &err) < 0 ||
	    store_account_remove(core->store, a.id, &err) < 0 ||
	    store_console_commit(core->store, &err) < 0) {
		store_console_rollback(core->store);
		fail(core, call, &err);
		return;
	}
	dispatch_audit_change(core, call, audit_user(&a), NULL);
	dispatch_reply(core, call, NULL);
}

/* ---- sessions and tokens ---- */

/* Ends the one of that id by `end`. */
static void end_one(struct core *core, struct ipc_call *call, json_t *args,
		    int (*end)(struct store *store, int64_t id,
			       struct err *err),
		    const char *what)
{
	long long id;
	struct err err;
	int n;

	if (dispatch_arg_i64(args, "id", 0, 1, INT64_MAX, &id, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	n = store_console_begin(core->store, &err);
	if (n == 0)
		n = end(core->store, id, &err);
	if (n < 0 || store_console_commit(core->store, &err) < 0) {
		store_console_rollback(core->store);
		fail(core, call, &err);
	} else if (n == 0) {
		dispatch_fail(core, call, "not_found", "there is no %s %lld",
			      what, id);
	} else {
		dispatch_reply(core, call, NULL);
	}
}

static int end_session(struct store *store, int64_t id, struct err *err)
{
	return store_session_end(store, id, 0, 0, err);
}

void verb_session_end(struct core *core, struct ipc_call *call, json_t *args)
{
	end_one(core, call, args, end_session, "session");
}

void verb_token_revoke(struct core *core, struct ipc_call *call, json_t *args)
{
	end_one(core, call, args, store_token_end, "token");
}

static void on_token(const struct token *t, void *arg)
{
	json_array_append_new(
		arg, json_pack("{s:I, s:s, s:s, s:I, s:I, s:o, s:s, s:o}", "id",
			       (json_int_t)t->id, "name", t->name, "role",
			       verbs_role_name((enum verb_role)t->role),
			       "created", (json_int_t)t->created_ns, "expires",
			       (json_int_t)t->expires_ns, "used",
			       time_json(t->used_ns), "used_from", t->used_from,
			       "by", jsontext_new(t->by)));
}

void verb_token_list(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *out = json_array();
	struct err err;

	(void)args;
	if (store_tokens(core->store, on_token, out, &err) == 0) {
		dispatch_reply(core, call, out);
		return;
	}
	json_decref(out);
	fail(core, call, &err);
}

/* What is asked for; -1 and *err. */
static int read_token(json_t *args, struct token *t, struct err *err)
{
	const char *expires = dispatch_arg(args, "expires");
	const char *role = dispatch_arg(args, "role");
	uint64_t ms;

	if (accounts_name(dispatch_arg(args, "name"), t->name, err) < 0)
		return -1;
	t->role = verbs_role_parse(role ? role : "viewer");
	if (t->role < 0)
		return err_set(err, 0,
			       "--role=viewer, operator or admin is wanted");
	if (str_to_duration(expires ? expires : TOKEN_DEFAULT, 1000, &ms, err) <
		    0 ||
	    ms < TOKEN_LEAST_MS || ms > TOKEN_MOST_MS)
		return err_set(err, 0,
			       "--expires: a duration up to 3650d is wanted, "
			       "such as 90d");
	t->created_ns = clock_real_ns();
	t->expires_ns = t->created_ns + (int64_t)ms * MS_NS;
	return 0;
}

void verb_token_add(struct core *core, struct ipc_call *call, json_t *args)
{
	char token[SECRET_TOKEN];
	struct token t = {0};
	struct caller who;
	const char *code;
	struct err err;
	int64_t n;

	if (accounts_caller(core, call, &who, &code, &err) < 0) {
		dispatch_fail(core, call, code, "%s", err.text);
		return;
	}
	if (read_token(args, &t, &err) < 0) {
		fail(core, call, &err);
		return;
	}
	n = store_token_count(core->store, &err);
	if (n >= TOKENS_MAX) {
		dispatch_fail(core, call, "conflict",
			      "there are %d tokens already", TOKENS_MAX);
		return;
	}
	str_copy(t.by, sizeof(t.by), who.name);
	secret_hash(secret_token(token), t.hash);
	if (n < 0 || store_token_add(core->store, &t, &err) < 0) {
		fail(core, call, &err);
		return;
	}
	dispatch_reply(core, call,
		       json_pack("{s:I, s:s, s:s, s:s, s:I}", "id",
				 (json_int_t)t.id, "name", t.name, "role",
				 verbs_role_name((enum verb_role)t.role),
				 "token", token, "expires",
				 (json_int_t)t.expires_ns));
}
