/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_STORE_CONSOLE_H
#define SPLX_ENTITY_STORE_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/verbs.h"
#include "secret.h"
#include "store.h"

/*
 * The console's accounts, sessions and tokens in the store. Times are ns since
 * 1970; 0: never. Functions return 0, or -1 and *err (in its code EEXIST: the
 * name is taken); those that get something 1, 0 when there is none, -1.
 */
#define ACCOUNT_NAME 65
#define ADDRESS_SIZE 46
#define AGENT_SIZE 160
#define WORD_SIZE 16

struct account {
	int64_t id;
	char name[ACCOUNT_NAME];
	int role; /* enum verb_role */
	bool disabled;
	char hash[SECRET_SCRYPT];
	int64_t once_until_ns; /* 0: the password is the owner's own */
	bool once_used;
	char lang[WORD_SIZE], theme[WORD_SIZE];
	int64_t created_ns, changed_ns, login_ns;
	char login_from[ADDRESS_SIZE];
	int64_t before_ns; /* the login before the last */
};

struct session {
	int64_t id;
	char hash[SECRET_HASH];
	int64_t account;
	int64_t created_ns, seen_ns;
	char from[ADDRESS_SIZE];
	char agent[AGENT_SIZE];
	bool must_change;
};

struct token {
	int64_t id;
	char name[ACCOUNT_NAME];
	char hash[SECRET_HASH];
	int role;
	int64_t created_ns, expires_ns, used_ns;
	char used_from[ADDRESS_SIZE];
	char by[ACCOUNT_NAME];
};

typedef void (*store_account_fn)(const struct account *a, void *arg);
typedef void (*store_session_fn)(const struct session *s, void *arg);
typedef void (*store_token_fn)(const struct token *t, void *arg);

/*
 * Around what has to be done as a whole, and to be on the disk when it is
 * told: who was put out stays out, also after a power cut.
 */
int store_console_begin(struct store *store, struct err *err);
int store_console_commit(struct store *store, struct err *err);
void store_console_rollback(struct store *store);

/* By name, or by id when name is NULL. */
int store_account_get(struct store *store, const char *name, int64_t id,
		      struct account *a_r, struct err *err);
/* id 0: a new one (id is set). */
int store_account_save(struct store *store, struct account *a, struct err *err);
/* With its sessions. */
int store_account_remove(struct store *store, int64_t id, struct err *err);
/* fn must not call the store, here and below. */
int store_accounts(struct store *store, store_account_fn fn, void *arg,
		   struct err *err);
/* How many; with `admins` those that can log in as admin by a password of
 * their own. -1 and *err. */
int64_t store_account_count(struct store *store, bool admins, struct err *err);

int store_session_add(struct store *store, struct session *s, struct err *err);
int store_session_get(struct store *store, const char *hash,
		      struct session *s_r, struct err *err);
int store_session_seen(struct store *store, int64_t id, int64_t seen_ns,
		       struct err *err);
/* The one of that id (0: any), of that account (0: any), but not `keep`. How
 * many ended, or -1. */
int store_session_end(struct store *store, int64_t id, int64_t account,
		      int64_t keep, struct err *err);
/* Those begun before, or not seen since; and of what is left the oldest beyond
 * so many of an account, and of all. */
int store_session_purge(struct store *store, int64_t created_ns,
			int64_t seen_ns, struct err *err);
int store_session_bound(struct store *store, int64_t account, int per_account,
			int all, struct err *err);
int store_sessions(struct store *store, store_session_fn fn, void *arg,
		   struct err *err);

int store_token_add(struct store *store, struct token *t, struct err *err);
int store_token_get(struct store *store, const char *hash, struct token *t_r,
		    struct err *err);
int store_token_used(struct store *store, const struct token *t,
		     struct err *err);
/* 1, 0 when there is none, -1. */
int store_token_end(struct store *store, int64_t id, struct err *err);
int64_t store_token_count(struct store *store, struct err *err);
int store_tokens(struct store *store, store_token_fn fn, void *arg,
		 struct err *err);

#endif
