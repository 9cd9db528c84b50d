/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Schedules that say Missed = run: cron starts nothing while the machine is
 * off or asleep. A run is missed when its time has passed, so long ago that
 * cron's own must have begun, and none has begun or ended since.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "common/paths.h"
#include "common/schedules.h"
#include "cronfile.h"
#include "lib/clock.h"
#include "lib/cron.h"
#include "lib/log.h"
#include "scans.h"

#define FIRST_MS (30 * 1000)
#define EVERY_MS (10 * 60 * 1000)
/* cron may be late, too. */
#define GRACE_S (5 * 60)

static struct loop_event *timer;

/* When a run of it was begun or ended last; else since when it may stand in
 * the file. */
static time_t last_time(struct core *core, const char *name)
{
	struct err err;
	struct scan *scan = scans_last(core, name, &err);
	struct stat st;
	int64_t ns = 0;

	if (scan)
		ns = scan->ended_ns > scan->begun_ns ? scan->ended_ns
						     : scan->begun_ns;
	scans_release(&scan);
	if (stat(paths()->scans, &st) == 0 &&
	    st.st_mtim.tv_sec > ns / (int64_t)CLOCK_NS_PER_S)
		return st.st_mtim.tv_sec;
	return (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
}

static bool is_missed(struct core *core, const struct schedule *s)
{
	uint64_t seed = schedule_seed(cronfile_seed(), s->name);
	time_t now = (time_t)(clock_real_ns() / (int64_t)CLOCK_NS_PER_S);
	time_t grace = (time_t)(core_conf(core)->scan_delay / 1000) + GRACE_S;
	struct cron cron;
	time_t due;

	if (!s->missed || cron_parse(s->when, seed, &cron, NULL) < 0 ||
	    cron.off)
		return false;
	due = cron_next(&cron, last_time(core, s->name));
	return due != (time_t)-1 && due + grace < now;
}

static void run_missed(struct core *core, const struct schedule *s)
{
	json_t *spec = schedule_spec(s, core_conf(core));
	struct err err;
	struct scan *scan = scans_scheduled(core, spec, 0, &err);

	json_decref(spec);
	/* One that runs is none that was missed. */
	if (!scan)
		return;
	log_info("schedule %s was missed and runs now", s->name);
	if (scans_start(scan, &err) < 0)
		log_error("schedule %s: %s", s->name, err.text);
}

static void look(void *arg)
{
	struct core *core = arg;
	struct schedules *list = schedules_read();
	const struct schedule *s;

	loop_cancel(&timer);
	timer = loop_timer(core->loop, EVERY_MS, false, look, core);
	/* Somebody may have changed scans.conf by hand. */
	cronfile_write(core, core_conf(core));
	vec_each (s, &list->entries)
		if (is_missed(core, s))
			run_missed(core, s);
	schedules_free(&list);
}

void scans_missed_init(struct core *core)
{
	timer = loop_timer(core->loop, FIRST_MS, false, look, core);
}

void scans_missed_deinit(void)
{
	loop_cancel(&timer);
}
