/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "interceptor.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"

/* Best first. */
static const struct interceptor_ops *const ladder[] = {
	&interceptor_khm,
	&interceptor_fanotify,
	&interceptor_async,
};
#define RUNGS (sizeof(ladder) / sizeof(ladder[0]))

struct reason {
	enum status_code code;
	char text[sizeof(((struct err *)0)->text)];
};

struct interceptor {
	struct interceptor_env env;
	const struct interceptor_ops *current;
	bool off;   /* by the settings */
	bool began; /* armed, or left off, for the first time */
	struct cover_list coverage;
	size_t covered;
	struct reason reasons[RUNGS];
	size_t nreasons;
};

struct interceptor *interceptor_new(const struct interceptor_env *env)
{
	struct interceptor *ic = xcalloc(1, sizeof(*ic));

	ic->env = *env;
	return ic;
}

void interceptor_free(struct interceptor **ic)
{
	if (!*ic)
		return;
	cover_list_free(&(*ic)->coverage);
	xfree(ic);
}

/* The rung to begin at; RUNGS: off. */
static size_t first_rung(const struct conf *conf)
{
	switch ((enum conf_interceptor)conf->interceptor) {
	case CONF_INTERCEPTOR_AUTO:
	case CONF_INTERCEPTOR_KHM:
		return 0;
	case CONF_INTERCEPTOR_FANOTIFY:
		return 1;
	case CONF_INTERCEPTOR_ASYNC:
		return 2;
	case CONF_INTERCEPTOR_OFF:
		break;
	}
	return RUNGS;
}

/* The next rung; below a module that the load lock holds back the settings
 * have their word. */
static size_t next_rung(size_t i, enum status_code left,
			const struct conf *conf)
{
	if (left != STATUS_LOCKED)
		return i + 1;
	switch ((enum conf_when_locked)conf->when_locked) {
	case CONF_LOCKED_FANOTIFY:
		return 1;
	case CONF_LOCKED_ASYNC:
		return 2;
	case CONF_LOCKED_OFF:
		break;
	}
	return RUNGS;
}

static void add_reason(struct interceptor *ic, enum status_code code,
		       const struct err *err)
{
	struct reason *r = &ic->reasons[ic->nreasons++];
	const char *detail = err->text[0] ? err->text : status_text(code);

	r->code = code;
	memcpy(r->text, detail, strlen(detail) + 1);
}

/* Goes down the ladder until `try` works; NULL when nothing does. */
static const struct interceptor_ops *descend(
	struct interceptor *ic, const struct conf *conf,
	const struct interceptor_want *want, long *covered_r)
{
	enum status_code code = STATUS_OK;
	size_t i;

	ic->nreasons = 0;
	for (i = first_rung(conf); i < RUNGS; i = next_rung(i, code, conf)) {
		struct err err = {0};

		code = ladder[i]->probe(&ic->env, &err);
		if (!code && want)
			*covered_r =
				ladder[i]->arm(&ic->env, want, &code, &err);
		if (!code)
			return ladder[i];
		add_reason(ic, code, &err);
	}
	return NULL;
}

const struct interceptor_ops *interceptor_choose(struct interceptor *ic,
						 const struct conf *conf)
{
	struct interceptor scratch = {.env = ic->env};
	bool readers = khm_side_has_readers(ic->env.khm);
	const struct interceptor_ops *kind;

	/* The workers to come will have what it takes. */
	khm_side_readers(ic->env.khm, true);
	kind = descend(&scratch, conf, NULL, NULL);
	khm_side_readers(ic->env.khm, readers);
	return kind;
}

/*
 * Ends what others than `now` have armed: after it, so that there is no gap.
 * At first that is also what an earlier master may have left.
 */
static void disarm_others(struct interceptor *ic,
			  const struct interceptor_ops *now)
{
	size_t i;

	for (i = 0; i < RUNGS; i++) {
		const struct interceptor_ops *other = ladder[i];

		if (other == now || (ic->began && other != ic->current) ||
		    (now && other->by_marks && now->by_marks))
			continue;
		other->disarm(&ic->env);
	}
	ic->began = true;
}

static void entered(struct interceptor *ic, const struct interceptor_ops *now)
{
	const struct interceptor_ops *old = ic->current;
	size_t i;

	disarm_others(ic, now);
	ic->current = now;
	atomic_store(&ic->env.sb->interceptor, now	 ? now->kind
					       : ic->off ? INTERCEPTOR_OFF
							 : INTERCEPTOR_NONE);
	if (old == now)
		return;
	log_info("interceptor armed name=%s covered=%zu",
		 now ? now->name : "off", ic->covered);
	for (i = 0; i < ic->nreasons; i++)
		log_info("interceptor rung left code=%d reason=%s",
			 ic->reasons[i].code, ic->reasons[i].text);
}

static void all_off(struct cover_list *plan, const char *why)
{
	struct cover_row *row;

	vec_each (row, plan) {
		if (row->covered)
			cover_set_reason(row, "%s", why);
	}
}

static bool is_held_back(const struct interceptor *ic)
{
	for (size_t i = 0; i < ic->nreasons; i++)
		if (ic->reasons[i].code == STATUS_LOCKED)
			return true;
	return false;
}

/* Why nothing serves, as the settings want it; NULL: they want something. */
static const char *why_off(const struct interceptor *ic,
			   const struct conf *conf)
{
	if (conf->interceptor == CONF_INTERCEPTOR_OFF ||
	    conf->realtime_scan == 0)
		return "real-time scanning is off";
	if (is_held_back(ic) && conf->when_locked == CONF_LOCKED_OFF)
		return "the kernel module is held back, and WhenLocked is off";
	return NULL;
}

int interceptor_arm(struct interceptor *ic, const struct interceptor_want *want,
		    struct err *err)
{
	const struct conf *conf = want->conf;
	struct cover_list *plan = want->plan;
	const struct interceptor_ops *now = NULL;
	long covered = 0;
	const char *off;

	ic->nreasons = 0;
	if (!why_off(ic, conf))
		now = descend(ic, conf, want, &covered);
	off = now ? NULL : why_off(ic, conf);
	ic->off = off != NULL;
	if (!now)
		all_off(plan, off ? off : "no interceptor works here");
	cover_list_free(&ic->coverage);
	ic->coverage = *plan;
	memset(plan, 0, sizeof(*plan));
	ic->covered = (size_t)covered;
	entered(ic, now);
	/* Where it is not wanted, or not let in, whoever wants to unload it
	 * may; where it only does not go it is tried again. */
	if (ic->off || first_rung(conf) > 0 || is_held_back(ic))
		khm_side_detach(ic->env.khm);
	if (!now && !ic->off)
		return err_set(err, 0, "no interceptor works here: %s",
			       ic->nreasons ? ic->reasons[ic->nreasons - 1].text
					    : "");
	return 0;
}

void interceptor_disarm(struct interceptor *ic)
{
	if (ic->current)
		ic->current->disarm(&ic->env);
	ic->current = NULL;
	atomic_store(&ic->env.sb->interceptor, INTERCEPTOR_NONE);
}

bool interceptor_pump(struct interceptor *ic)
{
	return !ic->current || !ic->current->pump ||
	       ic->current->pump(&ic->env);
}

const struct interceptor_ops *interceptor_current(const struct interceptor *ic)
{
	return ic->current;
}

size_t interceptor_covered(const struct interceptor *ic)
{
	return ic->covered;
}

void interceptor_tell(const struct interceptor *ic, json_t *state)
{
	json_t *reasons = json_array();
	size_t i;

	for (i = 0; i < ic->nreasons; i++)
		json_array_append_new(reasons,
				      json_pack("{s:i,s:s}", "code",
						(int)ic->reasons[i].code,
						"text", ic->reasons[i].text));
	json_object_set_new(
		state, "interceptor",
		json_string(ic->current ? ic->current->name : "off"));
	json_object_set_new(state, "reasons", reasons);
	if (ic->current && ic->current->tell)
		json_object_set_new(state, "hook", ic->current->tell(&ic->env));
	json_object_set_new(state, "coverage", cover_json(&ic->coverage));
}
