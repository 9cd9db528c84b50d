/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_INTERCEPTOR_H
#define SPLX_VSAPIAPP_INTERCEPTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "common/codes.h"
#include "common/conf.h"
#include "common/exclude.h"
#include "common/scoreboard.h"
#include "cover.h"
#include "khm_side.h"
#include "lib/err.h"
#include "marks.h"

/*
 * How opens are intercepted: one interface, and a ladder of those who
 * implement it. To add one: a file interceptor_NAME.c with its struct
 * interceptor_ops, and its place in the ladder in interceptor.c.
 */
struct interceptor;

/* What an interceptor works with. */
struct interceptor_env {
	struct scoreboard *sb;
	int group;  /* the permission group, -1 where there is none */
	int notify; /* the notify group, -1 where there is none */
	struct marks *marks;
	struct khm_side *khm;
};

/* What it is to protect. */
struct interceptor_want {
	const struct conf *conf;
	struct cover_list *plan;	 /* refusals are entered */
	uint64_t epoch;			 /* of the line that serves */
	const struct known *known;	 /* its table, or NULL */
	const struct mount_list *mounts; /* of our own namespace */
};

struct interceptor_ops {
	enum interceptor_kind kind;
	const char *name; /* as in common/state.h */
	/* Events are no questions: workers examine what is in use. */
	bool async;
	/* All it does is in env->marks, so that another such one takes over
	 * by arming alone. */
	bool by_marks;

	/* 0 when it works here, else the code that says why not, *err in
	 * detail. Asks, changes nothing. */
	enum status_code (*probe)(const struct interceptor_env *env,
				  struct err *err);
	/*
	 * Protects what is wanted, and nothing else any more. Called again at
	 * each change of mounts, settings or classes: it adds before it takes
	 * away, so nothing is unprotected meanwhile. Returns how many rows of
	 * the plan are covered, or -1, why not in *code_r and *err (then all
	 * is as it was).
	 */
	long (*arm)(const struct interceptor_env *env,
		    const struct interceptor_want *want,
		    enum status_code *code_r, struct err *err);
	/* Intercepts nothing any more; what was asked before is still
	 * answered by the workers. */
	void (*disarm)(const struct interceptor_env *env);
	/* Each tick; NULL: nothing to do. False: it has ceased to work, and
	 * has to be armed anew. */
	bool (*pump)(const struct interceptor_env *env);
	/* "hook" of common/state.h; NULL: there is nothing to tell. */
	json_t *(*tell)(const struct interceptor_env *env);
};
extern const struct interceptor_ops interceptor_khm;
extern const struct interceptor_ops interceptor_fanotify;
extern const struct interceptor_ops interceptor_async;

/* Nothing armed yet; env is copied. */
struct interceptor *interceptor_new(const struct interceptor_env *env);
/* Leaves what is armed as it is (a master that ends disarms first). */
void interceptor_free(struct interceptor **ic);

/* The kind that arming with these settings would come to. */
const struct interceptor_ops *interceptor_choose(struct interceptor *ic,
						 const struct conf *conf);
/*
 * Arms by the settings: Interceptor names where on the ladder to begin, each
 * rung left has its reason. Takes the plan over (its rows are the coverage).
 * 0, or -1 and *err when nothing could be armed; "off" is no failure.
 */
int interceptor_arm(struct interceptor *ic, const struct interceptor_want *want,
		    struct err *err);
void interceptor_disarm(struct interceptor *ic);
/* Each tick. False: what is armed does not work any more: arm anew. */
bool interceptor_pump(struct interceptor *ic);

/* NULL while nothing is armed. */
const struct interceptor_ops *interceptor_current(const struct interceptor *ic);
/* How many rows of coverage are covered. */
size_t interceptor_covered(const struct interceptor *ic);
/* "interceptor", "reasons" and "coverage" of common/state.h into *state. */
void interceptor_tell(const struct interceptor *ic, json_t *state);

#endif
