/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "khm_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/control.h"
#include "common/jsontext.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define TICK_NS (500 * CLOCK_NS_PER_MS)
/* How long those who were asked about already may still get their verdict
 * before the rest gets its policy. */
#define LAST_ANSWERS_MS 300
#define STEP_MS 5
/* No file system has this number: with it alone nothing is asked about. */
#define NO_DEVICE 0xffffffffu

struct devs {
	VEC(uint64_t);
};

struct khm_side {
	struct scoreboard *sb;
	bool there; /* INHERIT_KHM is the device */
	int lock;   /* khm_lock(), where the supervisor does not have it */
	bool readers;
	bool coming;
	enum status_code code; /* why it is not there */
	struct err why;
	bool armed;
	uint64_t known_epoch; /* of the known files that it was told last */
	struct khm_report report;
	struct splxmod_status last;
	uint64_t ticked_ns;
	struct proc_id exempted[2]; /* supervisor, core */
	struct devs devs;	    /* of the last plan */
	khm_fresh_fn fresh;
	void *fresh_arg;
	struct log_limit limit;
};

/* --- the device ---------------------------------------------------------- */

static void take_device(struct khm_side *side, int fd)
{
	struct err err;

	if (fd != INHERIT_KHM) {
		int rc = dup2(fd, INHERIT_KHM);

		fd_close(&fd);
		if (rc < 0)
			return;
	}
	fd_set_cloexec(INHERIT_KHM, true);
	side->there = true;
	side->code = STATUS_OK;
	if (khm_exempt(INHERIT_KHM, 0, true, &err))
		log_warn("kernel module: %s", err.text);
	memset(side->exempted, 0, sizeof(side->exempted));
}

static enum status_code missing_code(int code, enum status_code before)
{
	if (code == EPROTO)
		return STATUS_MODULE_OTHER;
	if (code != ENOENT)
		return STATUS_MODULE_FAILED;
	/* it was there, and is not any more */
	return before == STATUS_OK || before == STATUS_MODULE_BLOCKED
		       ? STATUS_MODULE_UNLOADED
		       : before;
}

static void look(struct khm_side *side)
{
	int fd;

	if (khm_is_device(INHERIT_KHM)) {
		take_device(side, INHERIT_KHM);
		return;
	}
	side->there = false;
	fd = khm_open(&side->why);
	if (fd < 0) {
		side->code = missing_code(side->why.code, side->code);
		return;
	}
	if (!atomic_load(&side->sb->module_ours) && side->lock < 0)
		side->lock = khm_lock(&side->why);
	if (!atomic_load(&side->sb->module_ours) && side->lock < 0) {
		side->code = STATUS_MODULE_BLOCKED;
		fd_close(&fd);
		return;
	}
	take_device(side, fd);
}

struct khm_side *khm_side_new(struct scoreboard *sb)
{
	struct khm_side *side = xcalloc(1, sizeof(*side));
	struct err why = {0};

	side->sb = sb;
	side->lock = -1;
	look(side);
	if (!side->there && side->why.code == ENOENT) {
		side->code = khm_why_not(&why);
		if (side->code == STATUS_OK) /* just loaded */
			look(side);
		else
			side->why = why;
	}
	/* That was the last try. Whether it holds now the scoreboard says. */
	if (side->code == STATUS_LOCKED) {
		side->code = STATUS_MODULE_UNLOADED;
		err_set(&side->why, 0, "the module is not loaded");
	}
	return side;
}

void khm_side_free(struct khm_side **side)
{
	if (!*side)
		return;
	vec_free(&(*side)->devs);
	fd_close(&(*side)->lock);
	xfree(side);
}

void khm_side_exempt(struct khm_side *side, pid_t pid)
{
	struct err err;

	if (side->there && khm_exempt(INHERIT_KHM, pid, true, &err))
		log_debug("kernel module: %s", err.text);
}

void khm_side_attach(struct khm_side *side)
{
	struct err before = side->why;

	if (side->there && khm_is_device(INHERIT_KHM))
		return;
	look(side);
	/* the reason that was found at the start says more */
	if (!side->there && side->why.code == ENOENT && before.text[0])
		side->why = before;
}

void khm_side_detach(struct khm_side *side)
{
	/* Something has to stand there, and nothing need be opened for it. */
	if (!side->there || side->coming || dup2(STDIN_FILENO, INHERIT_KHM) < 0)
		return;
	side->there = false;
	side->armed = false;
	side->code = STATUS_MODULE_UNLOADED;
	err_set(&side->why, 0, "the module is not in use");
}

int khm_side_device(const struct khm_side *side, enum status_code *code_r,
		    struct err *err)
{
	*code_r = side->there ? STATUS_OK : side->code;
	if (side->there)
		return INHERIT_KHM;
	*err = side->why;
	return -1;
}

void khm_side_coming(struct khm_side *side, bool comes)
{
	side->coming = comes;
}

void khm_side_readers(struct khm_side *side, bool have)
{
	side->readers = have;
}

bool khm_side_has_readers(const struct khm_side *side)
{
	return side->readers;
}

int khm_side_reader(enum slot_role role)
{
	static struct log_limit limit;
	uint32_t classes = role == SLOT_FRONT ? SPLXMOD_OPEN | SPLXMOD_EXEC
					      : SPLXMOD_CLOSE;
	struct err err;
	int fd = khm_reader(classes, &err);

	if (fd < 0)
		log_limited(&limit, 3, 60000, LOG_LVL_WARN, "%s", err.text);
	return fd;
}

void khm_side_on_fresh(struct khm_side *side, khm_fresh_fn fn, void *arg)
{
	side->fresh = fn;
	side->fresh_arg = arg;
}

/* --- arming -------------------------------------------------------------- */

static bool has_covered(const struct cover_list *plan, dev_t dev)
{
	const struct cover_row *row;

	vec_each (row, plan) {
		if (row->mount && row->covered && row->mount->dev == dev)
			return true;
	}
	return false;
}

/* Is all that is covered of this file system in directories on it? */
static bool is_covered_in_part(const struct cover_list *plan, dev_t dev)
{
	const struct cover_row *row;

	vec_each (row, plan)
		if (row->mount && row->covered && row->mount->dev == dev &&
		    !row->within.len)
			return false;
	return true;
}

/* False when one of them cannot be said: then none may be. */
static bool add_directories(const struct cover_list *plan,
			    struct khm_rules *rules)
{
	const struct cover_row *row;
	char *const *dir;

	vec_each (row, plan) {
		if (!row->mount || !row->covered || !row->within.len ||
		    !is_covered_in_part(plan, row->mount->dev))
			continue;
		vec_each (dir, &row->within)
			if (!khm_rules_add_below(rules, *dir, row->mount))
				return false;
	}
	return true;
}

void khm_side_plan_rules(const struct conf *conf, const struct cover_list *plan,
			 struct khm_rules *rules)
{
	const struct cover_row *row;

	/* Without any such rule everything would be asked about. */
	if (conf->include.len)
		khm_rules_add(rules, SPLXMOD_RULE_ONLY_DEV, NO_DEVICE, 0, NULL);
	vec_each (row, plan) {
		if (!row->mount)
			continue;
		if (conf->include.len && row->covered)
			khm_rules_add(rules, SPLXMOD_RULE_ONLY_DEV,
				      row->mount->dev, 0, NULL);
		/* A type with a dot is one to users, not to the kernel. */
		else if (!conf->include.len && !row->covered &&
			 strchr(row->fstype, '.') &&
			 !has_covered(plan, row->mount->dev))
			khm_rules_add(rules, SPLXMOD_RULE_DEV, row->mount->dev,
				      0, NULL);
	}
	if (!add_directories(plan, rules))
		khm_rules_drop_below(rules);
}

static int send_rules(const struct khm_want *want, struct err *err)
{
	struct khm_rules rules = {0};
	int rc;

	khm_rules_from(want->conf, want->mounts, &rules);
	khm_side_plan_rules(want->conf, want->plan, &rules);
	if (rules.left_out)
		log_warn("kernel module: %zu rules are left to the workers",
			 rules.left_out);
	rc = khm_rules_send(INHERIT_KHM, &rules, err);
	/* A module of before does not know such rules, and there are places
	 * that it cannot tell: then all is asked about. */
	if (rc && khm_rules_drop_below(&rules)) {
		log_info("kernel module: Include is left to the workers: %s",
			 err->text);
		rc = khm_rules_send(INHERIT_KHM, &rules, err);
	}
	khm_rules_free(&rules);
	return rc;
}

static bool has_dev(const struct devs *devs, uint64_t dev)
{
	const uint64_t *d;

	vec_each (d, devs) {
		if (*d == dev)
			return true;
	}
	return false;
}

/*
 * A file system that is new to us may have been changed elsewhere while it was
 * not mounted, under the same number: what is known of it is void.
 */
static void forget_new(struct khm_side *side, const struct cover_list *plan)
{
	const struct cover_row *row;
	bool first = side->devs.len == 0;
	struct devs now = {0};

	vec_each (row, plan) {
		if (!row->mount || has_dev(&now, row->mount->dev))
			continue;
		vec_push(&now, row->mount->dev);
		if (has_dev(&side->devs, row->mount->dev))
			continue;
		if (side->fresh)
			side->fresh(row->mount->dev, side->fresh_arg);
		if (!first) {
			khm_flush(INHERIT_KHM, NULL);
			side->known_epoch = 0;
		}
	}
	vec_free(&side->devs);
	side->devs = now;
}

static void send_known(struct khm_side *side, const struct khm_want *want)
{
	struct err err;
	long n;

	if (!want->known || side->known_epoch == want->epoch ||
	    want->conf->known_clean == CONF_KNOWN_OFF)
		return;
	side->known_epoch = want->epoch;
	n = khm_send_known(INHERIT_KHM, want->known, want->epoch, &err);
	if (n < 0)
		log_warn("kernel module: %s", err.text);
	else if (n > 0)
		log_info("kernel module knows files=%ld", n);
}

void khm_side_known(struct khm_side *side, const struct known *known,
		    uint64_t epoch)
{
	static struct log_limit limit;
	struct err err;

	if (side->armed && side->known_epoch == epoch &&
	    khm_send_known(INHERIT_KHM, known, epoch, &err) < 0)
		log_limited(&limit, 1, 60000, LOG_LVL_WARN, "kernel module: %s",
			    err.text);
}

static enum status_code arm_code(int code)
{
	switch (code) {
	case EBUSY:
		return STATUS_MODULE_BLOCKED;
	case EOPNOTSUPP:
		return STATUS_MODULE_MISFIT;
	default:
		return STATUS_MODULE_FAILED;
	}
}

enum status_code khm_side_arm(struct khm_side *side,
			      const struct khm_want *want, struct err *err)
{
	struct splxmod_config config;
	struct khm_report report;

	khm_config_from(want->conf, want->epoch, &config);
	/* The rules stand before anything is asked by them. */
	if (send_rules(want, err) || khm_configure(INHERIT_KHM, &config, err))
		return STATUS_MODULE_FAILED;
	forget_new(side, want->plan);
	send_known(side, want);
	if (khm_arm(INHERIT_KHM, &report, err))
		return arm_code(err->code);
	if (!side->armed)
		log_info("kernel module armed method=%s%s%s",
			 khm_method_name(report.method),
			 report.text[0] ? ": " : "", report.text);
	side->report = report;
	side->armed = true;
	side->ticked_ns = 0;
	khm_side_tick(side);
	return STATUS_OK;
}

bool khm_side_other_method(const struct khm_side *side, const struct conf *conf)
{
	unsigned int now = side->last.method;

	return side->armed && conf->hook_method != CONF_HOOK_AUTO &&
	       (unsigned int)conf->hook_method != now;
}

/* --- disarming ----------------------------------------------------------- */

static void await_answers(void)
{
	struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	struct splxmod_status status;

	for (int ms = 0; ms < LAST_ANSWERS_MS; ms += STEP_MS) {
		if (khm_status(INHERIT_KHM, &status, NULL) || !status.pending)
			return;
		nanosleep(&step, NULL);
	}
}

void khm_side_disarm(struct khm_side *side)
{
	struct khm_rules nothing = {0};
	struct splxmod_status status;
	struct khm_report report;
	struct err err;

	if (!side->there || khm_status(INHERIT_KHM, &status, NULL) ||
	    status.state == SPLXMOD_IDLE)
		return;
	khm_rules_add(&nothing, SPLXMOD_RULE_ONLY_DEV, NO_DEVICE, 0, NULL);
	if (!khm_rules_send(INHERIT_KHM, &nothing, &err))
		await_answers();
	khm_rules_free(&nothing);
	if (khm_disarm(INHERIT_KHM, false, &report, &err)) {
		log_warn("%s; it stays loaded and lets all pass", err.text);
		if (khm_disarm(INHERIT_KHM, true, &report, &err))
			log_error("kernel module: %s", err.text);
	} else {
		log_info("kernel module disarmed");
	}
	side->armed = false;
}

/* --- now and then -------------------------------------------------------- */

/* Supervisor and core may be new ones. They are known from where others may
 * write: it has to be our program. */
static void exempt_ours(struct khm_side *side)
{
	const struct proc_id now[2] = {
		{atomic_load(&side->sb->supervisor.pid),
		 atomic_load(&side->sb->supervisor.start)},
		{atomic_load(&side->sb->core.pid),
		 atomic_load(&side->sb->core.start)},
	};
	const uint64_t beats[2] = {
		atomic_load(&side->sb->supervisor.beat_ns),
		atomic_load(&side->sb->core.beat_ns),
	};

	for (int i = 0; i < 2; i++) {
		struct proc_id *old = &side->exempted[i];

		/* Before its first beat it may still execute its program. */
		if (!beats[i] ||
		    (old->pid == now[i].pid && old->start == now[i].start))
			continue;
		*old = now[i];
		if (now[i].pid > 1 && proc_runs(&now[i], "entity"))
			khm_exempt(INHERIT_KHM, now[i].pid, true, NULL);
	}
}

/* Which counter of ours tells of which of the module's. Verdicts are counted
 * by the workers who gave them, also those about files that could not be
 * opened for them. */
static const struct {
	enum splxmod_counter theirs;
	enum counter_id ours;
} counted[] = {
	{SPLXMOD_COUNT_CALLS, COUNTER_MODULE_CALLS},
	{SPLXMOD_COUNT_KNOWN, COUNTER_MODULE_KNOWN},
	{SPLXMOD_COUNT_EXEMPT, COUNTER_MODULE_PASSED},
	{SPLXMOD_COUNT_EXCLUDED, COUNTER_MODULE_PASSED},
	{SPLXMOD_COUNT_EMPTY, COUNTER_MODULE_PASSED},
	{SPLXMOD_COUNT_JOINED, COUNTER_COALESCED},
	{SPLXMOD_COUNT_TIMEOUT, COUNTER_POLICY_TIMEOUT},
	{SPLXMOD_COUNT_BREAKER, COUNTER_POLICY_BREAKER},
	{SPLXMOD_COUNT_FULL, COUNTER_POLICY_FULL},
	{SPLXMOD_COUNT_NO_READER, COUNTER_POLICY_GONE},
	{SPLXMOD_COUNT_UNATTENDED, COUNTER_POLICY_GONE},
	{SPLXMOD_COUNT_RELEASED, COUNTER_POLICY_GONE},
	{SPLXMOD_COUNT_GAVE_UP, COUNTER_POLICY_CRASH},
	{SPLXMOD_COUNT_CLOSES_LOST, COUNTER_OVERFLOWS},
};

static void count(struct khm_side *side, const struct splxmod_status *now)
{
	struct scoreboard *sb = side->sb;
	size_t i;

	for (i = 0; i < sizeof(counted) / sizeof(*counted); i++) {
		unsigned int id = counted[i].theirs;
		uint64_t n = now->counter[id], before = sb->module_counted[id];

		if (n < before) /* it was loaded anew */
			before = 0;
		if (sb->module_seen && id < now->counters)
			atomic_fetch_add(&sb->counters[counted[i].ours],
					 n - before);
	}
	/* What it had counted before this suite began is not ours. */
	memcpy(sb->module_counted, now->counter, sizeof(sb->module_counted));
	sb->module_seen = 1;
}

static void watch_breaker(struct khm_side *side,
			  const struct splxmod_status *now)
{
	uint32_t was =
		atomic_exchange(&side->sb->module_breaker, now->breaker != 0);

	if (was == (now->breaker != 0))
		return;
	if (now->breaker)
		log_warn("kernel module breaker opens: no opener waits");
	else
		log_info("kernel module breaker closes: the scanner answers");
}

bool khm_side_tick(struct khm_side *side)
{
	struct splxmod_status now;
	uint64_t ns = clock_mono_ns();

	if (!side->armed || ns - side->ticked_ns < TICK_NS)
		return true;
	side->ticked_ns = ns;
	if (khm_status(INHERIT_KHM, &now, NULL)) {
		log_limited(&side->limit, 1, 60000, LOG_LVL_ERROR,
			    "kernel module is gone: %m");
		side->there = side->armed = false;
		side->code = STATUS_MODULE_UNLOADED;
		err_set(&side->why, 0, "the module was taken out by force");
		return false;
	}
	count(side, &now);
	watch_breaker(side, &now);
	exempt_ours(side);
	side->last = now;
	side->armed = now.state == SPLXMOD_ARMED;
	return side->armed;
}

/* --- what it tells ------------------------------------------------------- */

const char *khm_side_unseen(const struct khm_side *side)
{
	return side->armed && side->last.method == SPLXMOD_METHOD_FSNOTIFY
		       ? "opens on a file system in the moment between its "
			 "mount and its being found"
		       : "";
}

json_t *khm_side_tell(const struct khm_side *side)
{
	char why[512] = "";

	if (!side->armed)
		return NULL;
	/* Why it is not the first choice. */
	if (side->last.method == SPLXMOD_METHOD_FSNOTIFY)
		khm_report_method(side->report.text, "ftrace", why,
				  sizeof(why));
	return json_pack("{s:s,s:s,s:s,s:o,s:s,s:i}", "method",
			 khm_method_name(side->last.method), "state",
			 khm_state_name(side->last.state), "version",
			 side->last.version, "why", jsontext_new(why), "unseen",
			 khm_side_unseen(side), "file_systems",
			 (int)side->last.marked);
}
