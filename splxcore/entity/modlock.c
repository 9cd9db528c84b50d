/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "modlock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/khm.h"
#include "common/loadlock_json.h"
#include "common/paths.h"
#include "dispatch.h"
#include "health_check.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "store.h"

/* The clock was set when the two clocks drift apart by more than this. */
#define SET_S 2
/* What could not be written is tried again so often. */
#define RETRY_S 60

enum modlock_state {
	MODLOCK_UNUSED, /* no module, or it is not wanted */
	MODLOCK_OPEN,	/* let in; the start is written, or cannot be */
	MODLOCK_HOLDS,
};

struct modlock {
	enum modlock_state state;
	struct loadlock_state st; /* of the last change of the file */
	int64_t offset;		  /* of the two clocks, then */
	int64_t tried;		  /* CLOCK_BOOTTIME, seconds */
};

static struct loadlock_policy policy_of(const struct core *core)
{
	struct loadlock_policy policy;

	loadlock_policy(core_conf(core), &policy);
	return policy;
}

/* ---- what it tells ---- */

static void tell_crashes(struct core *core, const struct loadlock_now *now)
{
	const struct loadlock_policy policy = policy_of(core);
	const struct loadlock_state *st = &core->modlock->st;
	char text[400];

	if (st->noticed)
		core_event(core, "high", "interceptor", STATUS_OK,
			   "%s; LoadLockMaxCrashes is %u",
			   loadlock_text(st, now, &policy, text, sizeof(text)),
			   policy.max);
}

static void tell_cleared(struct core *core)
{
	unsigned int n = core->modlock->st.cleared;

	if (!n)
		return;
	log_info("audit module.unlock crashes=%u while the service did not run",
		 n);
	store_event(core->store, EVENT_audit, EVENT_SEVERITY_INFO,
		    json_pack("{s:i, s:s, s:s, s:s}", "uid", 0, "verb",
			      "module.unlock", "args", "{}", "result", "ok"),
		    "module.unlock while the service did not run: %u crash%s "
		    "cleared",
		    n, n == 1 ? "" : "es");
}

static void tell_fault(struct core *core)
{
	const struct loadlock_state *st = &core->modlock->st;

	if (st->known)
		core_well(core, STATUS_LOCK_UNKNOWN);
	else
		core_fault(core, STATUS_LOCK_UNKNOWN,
			   st->locked ? "the load lock: %s: crashes of the "
					"machine are kept as they were noticed "
					"before"
				      : "the load lock: %s: crashes of the "
					"machine by the kernel module would "
					"not be noticed",
			   st->why.text);
}

/* After the file was looked at or changed. */
static void tell_news(struct core *core, const struct loadlock_now *now)
{
	struct modlock *ml = core->modlock;

	ml->offset = now->real - now->up;
	ml->tried = now->up;
	if (ml->st.lock.voids)
		log_warn("load lock lines=%u are not whole, or not ours, and "
			 "are left out: %s",
			 ml->st.lock.voids, ml->st.lock.void_line);
	tell_crashes(core, now);
	tell_cleared(core);
}

static void publish(struct core *core, enum module_lock lock)
{
	atomic_store(&core->sb->module_lock, lock);
}

static void enter(struct core *core, enum modlock_state state,
		  const struct loadlock_now *now)
{
	static const enum module_lock told[] = {
		[MODLOCK_UNUSED] = MODULE_LOCK_UNJUDGED,
		[MODLOCK_OPEN] = MODULE_LOCK_OPEN,
		[MODLOCK_HOLDS] = MODULE_LOCK_LOCKED,
	};
	const struct loadlock_policy policy = policy_of(core);
	struct modlock *ml = core->modlock;
	enum modlock_state before = ml->state;
	char text[400];

	ml->state = state;
	publish(core, told[state]);
	if (state == before)
		return;
	if (state == MODLOCK_HOLDS) {
		core_event(core, "high", "interceptor", STATUS_LOCKED,
			   "the kernel module is held back: %s",
			   loadlock_text(&ml->st, now, &policy, text,
					 sizeof(text)));
	} else if (before == MODLOCK_HOLDS) {
		khm_unlocked();
		core_event(core, "info", "interceptor", STATUS_OK,
			   "the kernel module is not held back any more");
	}
}

/* ---- the file ---- */

/* The module is there, or as good as: is it let in? */
static void judge(struct core *core, const struct modlock_sight *sight)
{
	const struct loadlock_policy policy = policy_of(core);
	struct modlock *ml = core->modlock;
	enum modlock_state state = MODLOCK_OPEN;

	/* What is armed already was let in, by a core before us. */
	if (sight->there)
		loadlock_begin(&sight->now, &policy, LOADLOCK_BY_SERVICE,
			       &ml->st);
	else
		loadlock_keep(&sight->now, &policy, &ml->st);
	if (ml->st.locked && !sight->in_use)
		state = MODLOCK_HOLDS;
	else if (!sight->there)
		state = MODLOCK_UNUSED;
	tell_news(core, &sight->now);
	if (sight->there || ml->st.locked)
		tell_fault(core);
	enter(core, state, &sight->now);
}

/* It is not wanted, or gone: nothing of it can bring the machine down. */
static void leave(struct core *core, const struct modlock_sight *sight)
{
	struct modlock *ml = core->modlock;
	struct err err;

	if (ml->state == MODLOCK_OPEN &&
	    loadlock_end(&sight->now, LOADLOCK_BY_SERVICE, &err))
		log_warn("load lock: %s", err.text);
	core_well(core, STATUS_LOCK_UNKNOWN);
	enter(core, MODLOCK_UNUSED, &sight->now);
}

static bool clock_was_set(const struct modlock *ml,
			  const struct loadlock_now *now)
{
	return llabs(now->real - now->up - ml->offset) > SET_S;
}

/* Keeps the file as it should be. */
static void tend(struct core *core, const struct modlock_sight *sight)
{
	const struct loadlock_policy policy = policy_of(core);
	struct modlock *ml = core->modlock;
	const struct loadlock_now *now = &sight->now;
	bool gone = ml->state == MODLOCK_OPEN &&
		    access(paths()->load_lock, F_OK) && errno == ENOENT;

	if (!clock_was_set(ml, now) && !(gone && ml->st.known) &&
	    !(!ml->st.known && now->up - ml->tried >= RETRY_S))
		return;
	if (ml->state == MODLOCK_OPEN)
		loadlock_begin(now, &policy, LOADLOCK_BY_SERVICE, &ml->st);
	else
		loadlock_keep(now, &policy, &ml->st);
	tell_news(core, now);
	if (ml->state != MODLOCK_UNUSED)
		tell_fault(core);
}

void modlock_step(struct core *core, const struct modlock_sight *sight,
		  bool anew)
{
	struct modlock *ml = core->modlock;

	switch (ml->state) {
	case MODLOCK_OPEN:
		if (!sight->in_use && (!sight->wanted || !sight->there))
			leave(core, sight);
		else
			tend(core, sight);
		return;
	case MODLOCK_HOLDS:
		if (!sight->wanted)
			leave(core, sight);
		else if (anew)
			judge(core, sight);
		else
			tend(core, sight);
		return;
	case MODLOCK_UNUSED:
		if (sight->wanted &&
		    (sight->there || (anew && sight->loadable)))
			judge(core, sight);
		else
			tend(core, sight);
		return;
	}
}

/* ---- the world ---- */

static void see(const struct core *core, bool anew, struct modlock_sight *s)
{
	const struct conf *conf = core_conf(core);
	enum status_code code;

	loadlock_now(&s->now);
	s->wanted = conf->realtime_scan != 0 &&
		    (conf->interceptor == CONF_INTERCEPTOR_AUTO ||
		     conf->interceptor == CONF_INTERCEPTOR_KHM);
	s->there = access(KHM_DEVICE, F_OK) == 0;
	s->in_use = atomic_load(&core->sb->interceptor) == INTERCEPTOR_KHM;
	s->loadable = false;
	if (!anew || s->there)
		return;
	/* Where there is none for this kernel, it is not the lock's doing. */
	code = khm_why_not(NULL);
	s->loadable = code == STATUS_LOCKED || code == STATUS_MODULE_UNLOADED;
}

void modlock_tick(struct core *core)
{
	struct modlock_sight sight;

	see(core, false, &sight);
	modlock_step(core, &sight, false);
}

void modlock_judge(struct core *core)
{
	struct modlock_sight sight;

	see(core, true, &sight);
	modlock_step(core, &sight, true);
}

void modlock_begin(struct core *core, const struct modlock_sight *sight)
{
	struct modlock *ml = core->modlock = xcalloc(1, sizeof(*ml));
	struct loadlock_policy policy = policy_of(core);

	/* What is there is told also where the module is not wanted. */
	loadlock_keep(&sight->now, &policy, &ml->st);
	tell_news(core, &sight->now);
	/* What a core before us had judged stands. */
	if (atomic_load(&core->sb->module_lock) == MODULE_LOCK_OPEN)
		ml->state = MODLOCK_OPEN;
	if (atomic_load(&core->sb->module_lock) == MODULE_LOCK_LOCKED)
		ml->state = MODLOCK_HOLDS;
	modlock_step(core, sight, ml->state == MODLOCK_UNUSED);
}

int modlock_init(struct core *core, struct err *err)
{
	struct modlock_sight sight;

	(void)err;
	see(core, true, &sight);
	modlock_begin(core, &sight);
	return 0;
}

void modlock_deinit(struct core *core)
{
	xfree(&core->modlock);
}

bool modlock_holds(const struct core *core)
{
	return core->modlock && core->modlock->state == MODLOCK_HOLDS;
}

/* ---- health ---- */

void modlock_check(const struct core *core, struct report *r)
{
	const struct loadlock_policy policy = policy_of(core);
	struct loadlock_state st;
	struct loadlock_now now;
	char text[400], when[32];
	int64_t free_in;

	if (!modlock_holds(core))
		return;
	st = core->modlock->st;
	loadlock_now(&now);
	loadlock_text(&core->modlock->st, &now, &policy, text, sizeof(text));
	loadlock_settle(&st.lock, &now, policy.window);
	if (loadlock_locks(&st.lock, &now, &policy, &free_in)) {
		str_duration(when, sizeof(when), (uint64_t)free_in * 1000);
		health_issue(r, STATUS_LOCKED, "interceptor",
			     "the kernel module is held back: %s; a start in "
			     "%s would let it in",
			     text, when);
	} else {
		health_issue(r, STATUS_LOCKED, "interceptor",
			     "the kernel module was held back: %s; that is "
			     "long ago now: splxctl module load takes it into "
			     "use",
			     text);
	}
}

json_t *modlock_json(const struct core *core)
{
	static const char *const names[] = {
		[MODLOCK_UNUSED] = "unused",
		[MODLOCK_OPEN] = "open",
		[MODLOCK_HOLDS] = "locked",
	};
	json_t *o = loadlock_json(core_conf(core));

	if (core->modlock)
		json_object_set_new(o, "state",
				    json_string(names[core->modlock->state]));
	return o;
}

/* ---- the way out ---- */

void verb_module_unlock(struct core *core, struct ipc_call *call, json_t *args)
{
	struct loadlock_now now;
	unsigned int cleared;
	struct err err;

	(void)args;
	loadlock_now(&now);
	if (loadlock_clear(&now, false, &cleared, &err)) {
		dispatch_fail(core, call, "failed", "%s", err.text);
		return;
	}
	khm_unlocked();
	modlock_judge(core);
	dispatch_reply(core, call,
		       json_pack("{s:i, s:b, s:b}", "cleared", (int)cleared,
				 "locked", (int)modlock_holds(core), "loaded",
				 access(KHM_DEVICE, F_OK) == 0));
}
