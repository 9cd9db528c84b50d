/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Store, quarantine and findings as parts of core: their X_init() and
 * X_deinit() (store.h, quarantine.h, findings.h), and what is to be done now
 * and then: trying again what failed, purging by age and size.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "common/control.h"
#include "common/paths.h"
#include "core.h"
#include "findings.h"
#include "holders.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "quarantine.h"
#include "scans.h"
#include "store.h"

#define TICK_MS 5000
#define CHORES_MS (15 * 60 * 1000)
#define CHORES_FIRST_MS (30 * 1000)
#define PURGE_PAUSE_MS 100

/* One core a process; what belongs to the timers of its keepers. */
static struct {
	struct loop_event *tick;
	struct loop_event *chores;
	struct loop_event *purge;
} timers;

/* ---- store ---- */

static void on_store_health(bool healthy, const char *why, void *arg)
{
	struct core *core = arg;

	if (healthy)
		core_well(core, STATUS_STORE_FAILED);
	else
		core_fault(core, STATUS_STORE_FAILED, "%s", why);
}

static void purge_events(void *arg)
{
	struct core *core = arg;
	const struct conf *conf = core_conf(core);
	struct err err;
	int rc = store_events_purge(core->store, conf->event_max_age,
				    conf->event_max_count, NULL, &err);

	loop_cancel(&timers.purge);
	if (rc < 0)
		log_warn("events could not be purged: %s", err.text);
	if (rc > 0) /* the rest in small steps */
		timers.purge = loop_timer(core->loop, PURGE_PAUSE_MS, false,
					  purge_events, core);
}

static void configure(struct core *core)
{
	const struct conf *conf = core_conf(core);

	if (core->quarantine)
		quarantine_configure(core->quarantine, conf->quarantine_max_age,
				     conf->quarantine_max_size);
}

static void on_tick(void *arg)
{
	struct core *core = arg;

	configure(core);
	if (!store_healthy(core->store, NULL))
		store_retry(core->store, NULL);
}

static void on_chores(void *arg)
{
	struct core *core = arg;
	struct err err;

	loop_cancel(&timers.chores);
	timers.chores =
		loop_timer(core->loop, CHORES_MS, false, on_chores, core);
	if (!store_healthy(core->store, NULL))
		return;
	purge_events(core);
	if (core->scans)
		scans_purge(core);
	if (!core->quarantine)
		return;
	if (quarantine_recover(core->quarantine, &err) < 0 ||
	    quarantine_purge(core->quarantine,
			     core_conf(core)->quarantine_max_age, &err) < 0)
		log_warn("%s", err.text);
}

int store_init(struct core *core, struct err *err)
{
	struct err why;

	if (fd_mkdirs(paths()->lib_dir, 0700, &why) < 0)
		log_error("%s", why.text); /* the store will tell health */
	core->store = store_new(paths()->store);
	store_on_health(core->store, on_store_health, core);
	if (!store_healthy(core->store, &why))
		on_store_health(false, why.text, core);
	timers.tick = loop_timer(core->loop, TICK_MS, true, on_tick, core);
	timers.chores =
		loop_timer(core->loop, CHORES_FIRST_MS, false, on_chores, core);
	return 0;
}

void store_deinit(struct core *core)
{
	loop_cancel(&timers.tick);
	loop_cancel(&timers.chores);
	loop_cancel(&timers.purge);
	if (core->store)
		store_on_health(core->store, NULL, NULL);
	store_free(&core->store);
}

/* ---- quarantine ---- */

static void on_quarantine_health(bool healthy, const char *why, void *arg)
{
	struct core *core = arg;

	if (healthy)
		core_well(core, STATUS_QUARANTINE_FAILED);
	else
		core_fault(core, STATUS_QUARANTINE_FAILED, "%s", why);
}

int quarantine_init(struct core *core, struct err *err)
{
	struct quarantine_setup setup = {
		.loop = core->loop,
		.store = core->store,
		.sb = core->sb,
		.on_health = on_quarantine_health,
		.arg = core,
	};
	struct err why;

	core->quarantine = quarantine_new(&setup);
	configure(core);
	if (quarantine_recover(core->quarantine, &why) < 0)
		log_error("recovery of the quarantine: %s", why.text);
	return 0;
}

void quarantine_deinit(struct core *core)
{
	quarantine_free(&core->quarantine);
}

/* ---- findings ---- */

static const struct conf *conf_of(void *arg)
{
	return core_conf(arg);
}

/*
 * A core before us may have exempted scanning clients that it can no longer
 * take out: all that are not programs of ours, or scan on, go.
 */
static void drop_old_exemptions(struct core *core)
{
	struct scoreboard *sb = core->sb;
	pid_t pid;

	for (int i = 0; i < SCOREBOARD_EXEMPT; i++) {
		pid = atomic_load(&sb->exempt[i]);
		if (pid > 0 && pid != getpid() && pid != getppid() &&
		    pid != atomic_load(&sb->supervisor.pid) &&
		    pid != atomic_load(&sb->master.pid) &&
		    !scans_has(core, pid) && !holders_is_ours(pid))
			scoreboard_unexempt(sb, pid);
	}
}

int findings_init(struct core *core, struct err *err)
{
	struct findings_setup setup = {
		.loop = core->loop,
		.store = core->store,
		.quarantine = core->quarantine,
		.sb = core->sb,
		.sock = INHERIT_FINDING_RX,
		.conf = conf_of,
		.arg = core,
	};

	drop_old_exemptions(core);
	core->findings = findings_new(&setup);
	return 0;
}

void findings_deinit(struct core *core)
{
	findings_free(&core->findings);
}
