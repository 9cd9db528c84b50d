/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "accounts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/netaddr.h"
#include "lib/str.h"
#include "settings.h"

#define PURGE_MS 60000
/* A token's use is told anew after so long; so it is no write a request. */
#define USED_NS (60 * (int64_t)CLOCK_NS_PER_S)
/* A clock that was set back by more ends sessions. */
#define BACK_NS (120 * (int64_t)CLOCK_NS_PER_S)

/* ---- limits ---- */

int64_t accounts_idle_ns(const struct core *core)
{
	return (int64_t)core_conf(core)->console_idle_timeout *
	       (int64_t)CLOCK_NS_PER_MS;
}

int64_t accounts_absolute_ns(const struct core *core, bool must_change)
{
	int64_t ns = (int64_t)core_conf(core)->console_session_max *
		     (int64_t)CLOCK_NS_PER_MS;
	int64_t most = MUST_CHANGE_S * (int64_t)CLOCK_NS_PER_S;

	return must_change && ns > most ? most : ns;
}

static void purge(void *arg)
{
	struct core *core = arg;
	int64_t now = clock_real_ns();

	store_session_purge(core->store,
			    now - accounts_absolute_ns(core, false),
			    now - accounts_idle_ns(core), NULL);
}

int accounts_init(struct core *core, struct err *err)
{
	struct accounts *a = xcalloc(1, sizeof(*a));

	(void)err;
	core->accounts = a;
	a->core = core;
	a->lockout = lockout_new();
	a->passwords = passwords_new(core->loop);
	a->timer = loop_timer(core->loop, PURGE_MS, true, purge, core);
	return 0;
}

void accounts_deinit(struct core *core)
{
	if (!core->accounts)
		return;
	loop_cancel(&core->accounts->timer);
	passwords_free(&core->accounts->passwords);
	lockout_free(&core->accounts->lockout);
	json_decref(core->accounts->health);
	xfree(&core->accounts);
}

bool accounts_is_console(const struct core *core, uid_t uid)
{
	uid_t console;

	return settings_console(core->settings, &console) && uid == console;
}

bool accounts_metrics_allowed(const struct core *core, const struct caller *who)
{
	const struct conf_list *list = &core_conf(core)->console_metrics_allow;
	struct netaddr from, net;
	char **item;

	if (who->role != VERB_CONSOLE ||
	    netaddr_parse(who->from, &from, NULL) < 0)
		return false;
	vec_each (item, list)
		if (netaddr_parse(*item, &net, NULL) == 0 &&
		    netaddr_contains(&net, &from))
			return true;
	return false;
}

/* ---- who asks ---- */

static int no_session(const char **code_r, struct err *err)
{
	*code_r = "no_session";
	return err_set(err, 0, "the session or token is not valid (any more)");
}

static int no_store(const char **code_r, struct err *err)
{
	*code_r = "unavailable";
	return err_add(err, "accounts");
}

static bool session_ended(const struct core *core, const struct session *s)
{
	int64_t now = clock_real_ns();

	return now - s->created_ns >
		       accounts_absolute_ns(core, s->must_change) ||
	       now - s->seen_ns > accounts_idle_ns(core) ||
	       now < s->created_ns - BACK_NS || now < s->seen_ns - BACK_NS;
}

static int by_session(struct core *core, const char *token, struct caller *who,
		      const char **code_r, struct err *err)
{
	char hash[SECRET_HASH];
	struct session s;
	struct account a;
	int rc;

	if (!secret_is_token(token))
		return no_session(code_r, err);
	rc = store_session_get(core->store, secret_hash(token, hash), &s, err);
	if (rc > 0 && session_ended(core, &s)) {
		store_session_end(core->store, s.id, 0, 0, NULL);
		rc = 0;
	}
	if (rc > 0)
		rc = store_account_get(core->store, NULL, s.account, &a, err);
	if (rc < 0)
		return no_store(code_r, err);
	if (rc == 0 || a.disabled)
		return no_session(code_r, err);
	who->role = a.role;
	who->session = s.id;
	who->account = a.id;
	who->must_change = s.must_change;
	str_copy(who->name, sizeof(who->name), a.name);
	return 0;
}

static int by_token(struct core *core, const char *token, struct caller *who,
		    const char **code_r, struct err *err)
{
	int64_t now = clock_real_ns();
	char hash[SECRET_HASH];
	struct token t;
	int rc;

	if (!secret_is_token(token))
		return no_session(code_r, err);
	rc = store_token_get(core->store, secret_hash(token, hash), &t, err);
	if (rc < 0)
		return no_store(code_r, err);
	if (rc == 0 || now >= t.expires_ns || now < t.created_ns - BACK_NS)
		return no_session(code_r, err);
	if (now - t.used_ns > USED_NS || now < t.used_ns) {
		t.used_ns = now;
		str_copy(t.used_from, sizeof(t.used_from), who->from);
		store_token_used(core->store, &t, NULL);
	}
	who->role = t.role;
	who->token = t.id;
	snprintf(who->name, sizeof(who->name), "token %s", t.name);
	return 0;
}

static int speak_for(struct core *core, json_t *as, struct caller *who,
		     const char **code_r, struct err *err)
{
	const char *session = json_string_value(json_object_get(as, "session"));
	const char *token = json_string_value(json_object_get(as, "token"));

	if (json_object_size(as) != 1 || (!session && !token)) {
		*code_r = "bad_request";
		return err_set(err, 0, "as: a session or a token is wanted");
	}
	return session ? by_session(core, session, who, code_r, err)
		       : by_token(core, token, who, code_r, err);
}

static bool is_address(const char *text)
{
	struct in6_addr six;
	struct in_addr four;

	return inet_pton(AF_INET, text, &four) == 1 ||
	       inet_pton(AF_INET6, text, &six) == 1;
}

int accounts_caller(struct core *core, const struct ipc_call *call,
		    struct caller *who_r, const char **code_r, struct err *err)
{
	const struct ipc_peer *peer = ipc_call_peer(call);
	const char *from = ipc_call_from(call);
	json_t *as = ipc_call_as(call);
	bool console = accounts_is_console(core, peer->uid);

	memset(who_r, 0, sizeof(*who_r));
	who_r->role = -1;
	settings_user_name(core->settings, peer->uid, who_r->name,
			   sizeof(who_r->name));
	*code_r = "denied";
	if ((as || from) && peer->uid != 0 && !console)
		return err_set(err, 0,
			       "only the web console speaks for others");
	if (from && !is_address(from)) {
		*code_r = "bad_request";
		return err_set(err, 0, "from is no address");
	}
	str_copy(who_r->from, sizeof(who_r->from), from ? from : "");
	who_r->console = console || as;
	if (as)
		return speak_for(core, as, who_r, code_r, err);
	if (console) {
		who_r->role = VERB_CONSOLE;
	} else {
		who_r->local = true;
		who_r->role = peer->uid == 0 ? VERB_ADMIN
					     : settings_role(core->settings,
							     peer->uid);
	}
	return 0;
}

int accounts_session_new(struct core *core, const struct account *a,
			 const char *from, const char *agent, bool must_change,
			 char out[SECRET_TOKEN], struct err *err)
{
	struct session s = {.account = a->id, .must_change = must_change};

	secret_token(out);
	secret_hash(out, s.hash);
	s.created_ns = s.seen_ns = clock_real_ns();
	str_copy(s.from, sizeof(s.from), from);
	str_copy(s.agent, sizeof(s.agent), agent ? agent : "");
	if (store_session_add(core->store, &s, err) < 0)
		return -1;
	return store_session_bound(core->store, a->id, SESSIONS_ACCOUNT,
				   SESSIONS_MAX, err);
}

/* ---- names and passwords ---- */

int accounts_name(const char *name, char out[ACCOUNT_NAME], struct err *err)
{
	size_t i, len = strlen(name);

	if (len >= ACCOUNT_NAME || !isalnum((unsigned char)name[0]) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789._@-") != len)
		return err_set(err, 0,
			       "a name has up to %d letters, digits and . _ @ "
			       "-, a letter or digit first",
			       ACCOUNT_NAME - 1);
	for (i = 0; i <= len; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	return 0;
}

/* How many different bytes there are. */
static int variety(const char *text)
{
	bool seen[256] = {false};
	int n = 0;

	for (; *text; text++) {
		n += !seen[(unsigned char)*text];
		seen[(unsigned char)*text] = true;
	}
	return n;
}

int accounts_password_ok(const char *name, const char *password,
			 struct err *err)
{
	size_t len = strlen(password);

	if (len < PASSWORD_MIN || len > PASSWORD_MAX)
		return err_set(err, 0, "a password has %d to %d bytes",
			       PASSWORD_MIN, PASSWORD_MAX);
	if (strcasestr(password, name) && len < strlen(name) + PASSWORD_MIN / 2)
		return err_set(err, 0,
			       "the password is little more than the name");
	if (variety(password) < 5)
		return err_set(err, 0,
			       "the password consists of too few characters");
	return 0;
}
