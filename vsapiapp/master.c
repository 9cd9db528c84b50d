/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/control.h"
#include "common/hostmounts.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"

#define GUARD_PATIENCE_MS 250
#define ADOPT_PATIENCE_MS 2000
/* An orderly stop: questions that were asked, then scans that run. */
#define STOP_QUEUE_MS 1000
#define STOP_DRAIN_MS 2000
#define STOP_GIVE_UP_MS 4000
/* Workers alone use numbers up to this, see slot_number(). */
#define DESCRIPTORS_WANTED 8192

/* --- what it tells ------------------------------------------------------ */

static bool worker_has_seccomp(const struct master *m)
{
	char path[64], line[128];
	int mode = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status",
		 slots_some_pid(m->slots));
	in = fopen(path, "re");
	if (!in)
		return false;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	fclose(in);
	return mode == 2;
}

static bool kernel_has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void fill_state(json_t *state, void *arg)
{
	struct master *m = arg;
	struct slots_limits limits;

	if (m->line.gen && gen_describe(m->line.gen))
		json_object_update(
			state, (json_t *)(uintptr_t)gen_describe(m->line.gen));
	json_object_set_new(
		state, "generation",
		json_integer((json_int_t)atomic_load(&m->sb->generation)));
	json_object_set_new(state, "policy_generation",
			    json_integer((json_int_t)atomic_load(
				    &m->sb->policy_generation)));
	interceptor_tell(m->ic, state);
	slots_limits_from(&limits, m->settings->conf,
			  m->group >= 0 || m->line.khm);
	json_object_set_new(
		state, "workers",
		json_pack("{s:i,s:i,s:i}", "front",
			  slots_count(m->slots, NULL, SLOT_FRONT, false),
			  "back", slots_count(m->slots, NULL, SLOT_BACK, false),
			  "wanted", limits.front_min + limits.back));
	json_object_set_new(state, "sandbox",
			    json_pack("{s:b,s:b,s:b}", "seccomp",
				      worker_has_seccomp(m), "landlock",
				      kernel_has_landlock(), "namespaces", 1));
	json_object_set(state, "void_entries", m->void_entries);
	refresh_tell(m->refresh, state);
}

/* --- coverage ----------------------------------------------------------- */

/* Tells workers which mounts are seen under the paths of our settings. */
static void publish_mounts(struct master *m, const struct follow_ns *own)
{
	static struct log_limit limit;
	struct {
		VEC(uint32_t);
	} ids = {0};
	const struct mount *mount;

	vec_each (mount, &own->mounts)
		vec_push(&ids, (uint32_t)mount->id);
	if (!hostmounts_publish(m->sb, ids.items, ids.len))
		log_limited(&limit, 1, 3600000, LOG_LVL_WARN,
			    "mounts=%zu are more than %d: exclusions do not "
			    "hold on the rest",
			    ids.len, SCOREBOARD_MOUNTS);
	vec_free(&ids);
}

/* One that can be carried to another machine, or is a file, may come back
 * changed under the same number. */
static bool is_portable(dev_t dev)
{
	static const char *const tells[] = {"removable", "../removable",
					    "loop/backing_file",
					    "../loop/backing_file"};
	char path[96], text[8];
	bool yes = false;
	FILE *in;

	for (size_t i = 0; i < sizeof(tells) / sizeof(tells[0]) && !yes; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s",
			 major(dev), minor(dev), tells[i]);
		in = fopen(path, "re");
		if (!in)
			continue;
		yes = fgets(text, sizeof(text), in) && text[0] != '0';
		fclose(in);
	}
	return yes;
}

/*
 * Whether it is mounted since the suite ended cannot be told of what is there
 * at the start: the fixed disks are trusted not to be.
 */
static void newly_mounted(dev_t dev, void *arg)
{
	struct master *m = arg;

	if (m->armed || is_portable(dev))
		remember_forget(m->remember, dev);
}

/* Mounts that are wanted each by itself. */
static bool has_lone_mounts(const struct cover_list *plan)
{
	const struct cover_row *row;

	vec_each (row, plan) {
		if (row->covered && row->scope == FANGROUP_MOUNT)
			return true;
	}
	return false;
}

int master_arm(struct master *m)
{
	struct cover_list plan = {0};
	struct err err = {0};
	size_t n;
	const struct follow_ns *const *ns = follow_list(m->follow, &n);
	struct interceptor_want want = {
		.conf = m->settings->conf,
		.plan = &plan,
		.epoch = remember_current(m->remember),
		.known = remember_known(m->remember),
		.mounts = &ns[0]->mounts,
	};
	bool filter, lone;
	int rc;

	publish_mounts(m, ns[0]);
	cover_plan(m->cover, ns, n, m->settings->conf, m->exclude, &plan);
	filter = cover_needs_filter(m->cover);
	/* While marks change rather too much is scanned than too little. */
	if (!filter)
		atomic_store(&m->sb->path_filter, 0);
	lone = has_lone_mounts(&plan);
	rc = interceptor_arm(m->ic, &want, &err);
	m->armed = true;
	/* The module knows file systems, not mounts. */
	filter = filter ||
		 (lone && interceptor_current(m->ic) == &interceptor_khm);
	if (filter)
		atomic_store(&m->sb->path_filter, 1);
	if (rc)
		status_fault(m->status, STATUS_NO_FANOTIFY, "%s", err.text);
	else
		status_well(m->status, STATUS_NO_FANOTIFY);
	if (!rc && interceptor_current(m->ic) && !interceptor_covered(m->ic))
		status_fault(m->status, STATUS_NOT_COVERED,
			     "no file system is covered");
	else
		status_well(m->status, STATUS_NOT_COVERED);
	status_changed(m->status);
	return rc;
}

static void mounts_changed(void *arg)
{
	struct master *m = arg;

	/* Before the first line serves nothing may be held. */
	if (m->line.gen && !m->stopping)
		master_arm(m);
}

/* The parent of a process, 0 when it is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64], line[128];
	pid_t parent = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	if (!in)
		return 0;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	fclose(in);
	return parent;
}

/* What generations and workers see is theirs alone. */
static bool skip_namespace(pid_t pid, ino_t ns, void *arg)
{
	struct master *m = arg;
	struct gen **gen;
	pid_t parent;

	if (slots_owns_pid(m->slots, pid))
		return true;
	if (!m->gens.len)
		return false;
	parent = parent_of(pid);
	vec_each (gen, &m->gens) {
		if (gen_alive(*gen) &&
		    (gen_pid(*gen) == pid || gen_pid(*gen) == parent))
			return true;
	}
	return false;
}

/* --- workers ------------------------------------------------------------ */

static void answer_exe(struct master *m, struct slots_worker *w,
		       const struct work_msg *msg)
{
	struct work_msg reply = {.kind = WORK_EXE, .pid = msg->pid};
	char path[256];
	dev_t dev;
	ino_t ino;

	if (msg->pid > 0 &&
	    !proc_exe(msg->pid, path, sizeof(path), &dev, &ino)) {
		reply.dev = dev;
		reply.ino = ino;
		reply.job = exclude_executable(m->exclude, dev, ino);
	}
	slots_send(w, &reply, -1);
}

static void worker_message(struct slots_worker *w, const struct work_msg *msg,
			   const int *fds, int nfds, void *arg)
{
	struct work_msg done = {.kind = WORK_NICE};
	struct master *m = arg;

	switch ((enum work_kind)msg->kind) {
	case WORK_REMEMBER:
		if (slots_in_line(w, &m->line))
			remember_put(m->remember, msg);
		break;
	case WORK_MARK:
		if (slots_in_line(w, &m->line) && nfds == 1)
			remember_mark(m->remember, msg, fds[0]);
		break;
	case WORK_UNMARK:
		if (nfds == 1)
			remember_unmark(m->remember, fds[0]);
		break;
	case WORK_ASK_EXE:
		answer_exe(m, w, msg);
		break;
	case WORK_BUSY:
		slots_tick(m->slots, m->line.gen ? &m->line : NULL);
		break;
	case WORK_NICE:
		slots_restore_priority(w);
		slots_send(w, &done, -1);
		break;
	default:
		break;
	}
}

static void worker_serving(struct slots_worker *w, void *arg)
{
	struct master *m = arg;

	if (w->role != SLOT_FRONT)
		jobs_worker_serving(m->jobs, w);
	status_changed(m->status);
}

static void worker_gone(struct slots_worker *w, void *arg)
{
	struct master *m = arg;

	/* At the start workers of an earlier master are buried before there
	 * are any jobs. */
	if (w->role != SLOT_FRONT && m->jobs)
		jobs_worker_gone(m->jobs, w, &m->sb->slots[w->slot]);
	if (m->status)
		status_changed(m->status);
}

static const struct slots_events slots_events = {
	.message = worker_message,
	.serving = worker_serving,
	.gone = worker_gone,
};

/* --- the end ------------------------------------------------------------ */

static void stop(struct master *m, const char *why)
{
	if (m->stopping)
		return;
	log_info("master stops: %s", why);
	m->stopping = true;
	m->stop_ns = clock_mono_ns();
	atomic_store(&m->sb->master_state, MASTER_STOPPING);
	refresh_end(m->refresh);
	interceptor_disarm(m->ic);
	/* those of an earlier master, if nothing was armed yet */
	marks_clear(m->marks);
	khm_side_disarm(m->khm);
}

/* Nothing asks any more: what was asked is answered, then all may go. */
static void stop_tick(struct master *m)
{
	uint64_t ms = (clock_mono_ns() - m->stop_ns) / CLOCK_NS_PER_MS;

	if (!m->drained && (m->group < 0 || ms > STOP_QUEUE_MS ||
			    fangroup_pending(m->group) == 0)) {
		m->drained = true;
		slots_drain_others(m->slots, NULL);
	}
	if (ms > STOP_DRAIN_MS)
		slots_kill_all(m->slots);
	if ((m->drained && !slots_any(m->slots, NULL)) || ms > STOP_GIVE_UP_MS)
		loop_stop(m->loop);
}

static void suite_ends(void *arg)
{
	stop(arg, "the suite ends");
}

static void on_signal(int sig, void *arg)
{
	struct master *m = arg;

	switch (sig) {
	case SIGHUP:
		reload_settings(m);
		break;
	case SIGUSR1:
		reload_patterns(m);
		break;
	default:
		stop(m, sig == SIGTERM ? "SIGTERM" : "SIGINT");
		break;
	}
}

static void on_tick(void *arg)
{
	struct master *m = arg;

	scoreboard_beat(m->sb, master);
	if (m->guard)
		guard_tick(m->guard);
	slots_tick(m->slots, m->line.gen && !m->stopping ? &m->line : NULL);
	jobs_tick(m->jobs);
	reload_tick(m);
	if (m->stopping) {
		stop_tick(m);
		return;
	}
	if (!interceptor_pump(m->ic))
		master_arm(m);
	remember_tick(m->remember);
	refresh_tick(m->refresh);
	status_tick(m->status);
}

/* --- the beginning ------------------------------------------------------ */

static void raise_descriptor_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	if (lim.rlim_cur < DESCRIPTORS_WANTED) {
		lim.rlim_cur = lim.rlim_max < DESCRIPTORS_WANTED
				       ? lim.rlim_max
				       : DESCRIPTORS_WANTED;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	if (lim.rlim_cur <=
	    (rlim_t)slot_number(SCOREBOARD_SLOTS - 1) + SLOT_NUMBERS + 64)
		log_warn("only %llu descriptors are allowed: the last workers "
			 "cannot start",
			 (unsigned long long)lim.rlim_cur);
}

static void open_groups(struct master *m)
{
	struct err err;

	m->group = fangroup_pending(INHERIT_GROUP) >= 0 ? INHERIT_GROUP : -1;
	m->notify = fangroup_new(false, &err);
	if (m->notify < 0)
		log_warn("closes after writing are not seen: %s", err.text);
}

static int begin_settings(struct master *m)
{
	struct err err;

	m->settings = settings_load(true, &err);
	if (!m->settings) {
		log_error("vsapiapp cannot start: %s", err.text);
		return LSB_NOT_CONFIGURED;
	}
	log_info("settings from %s", m->settings->from);
	settings_publish(m->sb, m->settings->conf);
	reload_compile(m);
	return LSB_OK;
}

static int begin_parts(struct master *m)
{
	struct interceptor_env env;
	struct slots_limits limits;
	struct err err;

	m->marks = marks_new(m->group, m->notify);
	marks_on_fresh(m->marks, newly_mounted, m);
	m->khm = khm_side_new(m->sb);
	khm_side_on_fresh(m->khm, newly_mounted, m);
	env = (struct interceptor_env){m->sb, m->group, m->notify, m->marks,
				       m->khm};
	m->ic = interceptor_new(&env);
	m->cover = cover_new();
	m->status = status_new(m->loop, m->sb, fill_state, m);
	m->remember = remember_new(m->loop, m->sb, m->group);
	m->refresh = refresh_new(m);
	m->slots =
		slots_new(m->loop, m->sb, m->group, m->start, &slots_events, m);
	slots_user(m->slots, m->settings->scan_uid);
	/* Workers of an earlier master are under them from the first tick on,
	 * long before there is a line of ours. */
	slots_limits_from(&limits, m->settings->conf, m->group >= 0);
	slots_limit(m->slots, &limits);
	m->jobs = jobs_new(m->loop, paths()->scan_sock, paths()->low_sock,
			   m->slots, &err);
	if (!m->jobs) {
		log_error("vsapiapp cannot start: %s", err.text);
		return LSB_FAILED;
	}
	jobs_allow(m->jobs, &m->settings->users);
	slots_adopt(m->slots);
	m->follow =
		follow_new(m->loop, skip_namespace, mounts_changed, m, &err);
	if (!m->follow) {
		log_error("vsapiapp cannot start: %s", err.text);
		return LSB_FAILED;
	}
	if (m->group >= 0)
		m->guard = guard_new(m->sb, m->group, false, GUARD_PATIENCE_MS);
	m->adopt =
		adopt_watch(m->loop, m->sb, ADOPT_PATIENCE_MS, suite_ends, m);
	return LSB_OK;
}

static void begin_signals(struct master *m)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* What is in force again when the loop lets go of it: nobody
		 * who asks twice ends us in the middle of our end. */
		signal(signals[i], SIG_IGN);
		m->signals[i] = loop_signal(m->loop, signals[i], on_signal, m);
	}
}

static void end_parts(struct master *m)
{
	size_t i;

	loop_cancel(&m->tick);
	for (i = 0; i < sizeof(m->signals) / sizeof(m->signals[0]); i++)
		loop_cancel(&m->signals[i]);
	adopt_free(&m->adopt);
	guard_free(&m->guard);
	follow_free(&m->follow);
	if (m->slots)
		slots_free(&m->slots);
	reload_stop(m);
	refresh_free(&m->refresh);
	if (m->remember)
		remember_save(m->remember);
	remember_free(&m->remember);
	if (m->jobs) {
		jobs_free(&m->jobs);
		unlink(paths()->scan_sock);
		unlink(paths()->low_sock);
	}
	status_free(&m->status);
	cover_free(&m->cover);
	interceptor_free(&m->ic);
	khm_side_free(&m->khm);
	marks_free(&m->marks);
	exclude_free(&m->exclude);
	json_decref(m->void_entries);
	settings_free(&m->settings);
	fd_close(&m->notify);
	loop_free(&m->loop);
}

int master_run(bool foreground)
{
	struct master *m = xcalloc(1, sizeof(*m));
	struct proc_id self;
	struct err err;
	int status;

	m->sb = scoreboard_map(INHERIT_SCOREBOARD, &err);
	if (!m->sb) {
		log_error("vsapiapp cannot start: %s", err.text);
		free(m);
		return LSB_FAILED;
	}
	scoreboard_enter(m->sb, master);
	scoreboard_exempt(m->sb, getpid());
	atomic_store(&m->sb->master_state, MASTER_STARTING);
	if (!proc_identify(getpid(), &self))
		m->start = self.start;
	m->last_number = atomic_load(&m->sb->generation);
	raise_descriptor_limit();
	open_groups(m);
	m->loop = loop_new();
	status = begin_settings(m);
	if (!status)
		status = begin_parts(m);
	if (!status) {
		begin_signals(m);
		m->tick = loop_timer(m->loop, MASTER_TICK_MS, true, on_tick, m);
		reload_patterns(m);
		on_tick(m);
		loop_run(m->loop);
		slots_kill_all(m->slots);
		status_write(m->status);
	}
	end_parts(m);
	scoreboard_unexempt(m->sb, getpid());
	if (!status)
		log_info("master ended");
	free(m);
	return status;
}
