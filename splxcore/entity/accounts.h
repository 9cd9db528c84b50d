/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_ACCOUNTS_H
#define SPLX_ENTITY_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc.h"
#include "core.h"
#include "lockout.h"
#include "passwords.h"
#include "store_console.h"

/*
 * Who may do what. A peer of the socket is judged by its user (root,
 * AdminUsers …). The web console's process (ConsoleUser) may nothing by
 * itself: it hands on what its own client proves who he is by, a session or a
 * token, and these are looked up in the store for each request. So whoever
 * takes that process over has the sessions that pass through it, while they
 * last, and no more.
 */
#define ACCOUNTS_MAX 200
#define TOKENS_MAX 200
#define SESSIONS_MAX 1000
#define SESSIONS_ACCOUNT 20
#define PASSWORD_MIN 12
#define PASSWORD_MAX 1024
#define ONCE_S 3600
#define MUST_CHANGE_S 3600 /* how long such a session lasts at most */

/* What is known of the web console's process (health_console.c). */
struct console_watch {
	uint64_t heard_ns; /* when it asked something last */
	uint64_t since_ns; /* since when `pid` is known */
	pid_t pid;
	uint64_t certificate_ns; /* when it was looked at last */
	int64_t ends_s;		 /* its end, since 1970; 0: none */
};

struct accounts {
	struct console_watch watch;
	struct core *core;
	struct lockout *lockout;
	struct passwords *passwords;
	struct loop_event *timer;
	uint64_t health_ns; /* when `health` was reckoned */
	json_t *health;
	uint64_t failed_ns; /* a minute of failed logins that are told began */
	unsigned int failed, held;
};

int accounts_init(struct core *core, struct err *err);
void accounts_deinit(struct core *core);

/* Who asks. */
struct caller {
	int role;	  /* enum verb_role; -1: may nothing */
	bool console;	  /* the peer is ConsoleUser, or speaks for somebody */
	bool local;	  /* a user of this machine by his own right */
	bool must_change; /* the session may only set a password */
	int64_t session, account, token; /* 0: none */
	char name[ACCOUNT_NAME + 8];	 /* of the account, "token NAME", or of
					    the peer's user */
	char from[ADDRESS_SIZE];	 /* "": on this machine */
};
/*
 * 0; or -1 with the code word for the answer in *code_r and *err: as or from
 * come from somebody who may not send them, or are not valid.
 */
int accounts_caller(struct core *core, const struct ipc_call *call,
		    struct caller *who_r, const char **code_r, struct err *err);
/* May the console ask for the metrics for somebody who proves nothing, by his
 * address (ConsoleMetricsAllow)? */
bool accounts_metrics_allowed(const struct core *core,
			      const struct caller *who);
/* Is `uid` that of the web console's process? */
bool accounts_is_console(const struct core *core, uid_t uid);

/* The limits of a session, by the settings in force. */
int64_t accounts_idle_ns(const struct core *core);
int64_t accounts_absolute_ns(const struct core *core, bool must_change);

/* Begins a session of that account: the token goes to out. */
int accounts_session_new(struct core *core, const struct account *a,
			 const char *from, const char *agent, bool must_change,
			 char out[SECRET_TOKEN], struct err *err);

/* Names are lower case: letters, digits and . _ @ -, a letter or digit first.
 * Folds into out; -1 and *err. */
int accounts_name(const char *name, char out[ACCOUNT_NAME], struct err *err);
/* May it be that account's password? */
int accounts_password_ok(const char *name, const char *password,
			 struct err *err);

#endif
