/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bringup.h"
#include "common/codes.h"
#include "common/control.h"
#include "common/khm.h"
#include "common/paths.h"
#include "controlsock.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "remains.h"

#define CORE_START_NS (60 * CLOCK_NS_PER_S)
/* Workers that outlive their master may finish, but not for long. */
#define REMAINS_FINISH_NS (3 * CLOCK_NS_PER_S)
#define REMAINS_GIVE_UP_NS (8 * CLOCK_NS_PER_S)
/* While the network monitor stands still, connections that its queue holds
 * may wait for it. */
#define NETMON_PATIENCE_TICKS (500 / SUPERVISOR_TICK_MS)
/* A judge whose monitor is gone answers for one second more. */
#define NETMON_REMAINS_NS (2 * CLOCK_NS_PER_S)
/* Ticks between two sweeps of the exempt list. */
#define SWEEP_TICKS (5000 / SUPERVISOR_TICK_MS)

static void exec_core(struct supervisor *sup)
{
	const char *argv[6] = {"entity", "--core", NULL};
	int n = 2;

	if (sup->foreground)
		argv[n++] = "-f";
	if (paths()->root[0]) {
		argv[n++] = "-R";
		argv[n++] = paths()->root;
	}
	argv[n] = NULL;
	/* Core has no use for the kernel module, and whoever unloads it would
	 * have to ask core too: something else stands there. */
	dup2(STDIN_FILENO, INHERIT_KHM);
	execv("/proc/self/exe", (char *const *)argv);
}

static void exec_program(struct supervisor *sup, const char *name)
{
	const char *argv[] = {name, NULL, NULL, NULL};
	char program[PATH_MAX];

	/* It may start while we still have the terminal's descriptors to say
	 * why core does not; it logs by its socket alone. */
	if (!sup->foreground) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	snprintf(program, sizeof(program), "%s/%s", paths()->libexec_dir, name);
	if (paths()->root[0]) {
		argv[1] = "-R";
		argv[2] = paths()->root;
	}
	execv(program, (char *const *)argv);
}

static void exec_master(struct supervisor *sup)
{
	exec_program(sup, "vsapiapp");
}

static void exec_netmon(struct supervisor *sup)
{
	/* As with core: whoever unloads the module has nothing to ask it. */
	dup2(STDIN_FILENO, INHERIT_KHM);
	exec_program(sup, "splxnetmon");
}

static void fail_start(struct supervisor *sup, int status)
{
	sup->exit_status = status ? status : LSB_FAILED;
	supervisor_quit(sup);
}

/* From here on lines go to core, which may take them later. */
static void log_to_core(void)
{
	struct log_sinks sinks = {.fd = INHERIT_LOG, .file_fd = -1};

	log_init("entity", &sinks, LOG_LVL_INFO);
}

/* What hinders the start is for the log, and for whoever started us. */
static void start_error(const char *text)
{
	struct log_sinks sinks = {
		.to_stderr = true, .fd = INHERIT_LOG, .file_fd = -1};

	log_init("entity", &sinks, LOG_LVL_INFO);
	log_error("%s", text);
	log_to_core();
}

/* Core is ready for the first time: the start has succeeded. */
static void started(struct supervisor *sup)
{
	struct err err;

	sup->start_limit_ns = 0;
	log_info("supervisor %s pid=%d", sup->adopted ? "took over" : "started",
		 (int)getpid());
	bringup_detach(sup, LSB_OK);
	if (sup->start_all && supervisor_start_master(sup, &err))
		log_error("vsapiapp start: %s", err.text);
}

int supervisor_start_master(struct supervisor *sup, struct err *err)
{
	if (sup->quitting || sup->remains_ns)
		return err_set(err, 0, "vsapiapp is just being stopped");
	if (sup->master.state != PART_RUNNING)
		atomic_store(&sup->sb->master_state, MASTER_STARTING);
	return part_start(&sup->master, err);
}

int supervisor_release_module(struct supervisor *sup, struct err *err)
{
	if (sup->master.state != PART_STOPPED &&
	    atomic_load(&sup->sb->interceptor) == INTERCEPTOR_KHM)
		return err_set(err, 0,
			       "vsapiapp uses the module: splxctl service stop "
			       "vsapiapp, or config set Interceptor fanotify");
	bringup_release_module(sup);
	return 0;
}

bool supervisor_master_ready(const struct supervisor *sup)
{
	return part_ready(&sup->master) &&
	       atomic_load(&sup->sb->master.pid) == sup->master.id.pid &&
	       atomic_load(&sup->sb->master_state) == MASTER_READY;
}

bool supervisor_master_gone(const struct supervisor *sup)
{
	return sup->master.state == PART_STOPPED && !sup->remains_ns;
}

/* Ended and not to come back: nothing of it may hold an opener. */
static void master_stopped(struct supervisor *sup)
{
	sup->remains_ns = clock_mono_ns();
}

void supervisor_stop_master(struct supervisor *sup)
{
	if (sup->master.state == PART_STOPPED)
		return;
	part_stop(&sup->master);
	if (sup->master.state == PART_STOPPED)
		master_stopped(sup); /* it was between two starts */
}

/* Nobody is left to ask: an armed module would hold openers for nothing. */
static void let_all_pass(void)
{
	struct khm_report report;
	struct err err;

	if (khm_is_device(INHERIT_KHM) &&
	    khm_disarm(INHERIT_KHM, true, &report, &err))
		log_error("kernel module: %s", err.text);
}

static void tick_remains(struct supervisor *sup, uint64_t now_ns)
{
	uint64_t age = now_ns - sup->remains_ns;
	int n;

	if (!sup->remains_ns)
		return;
	n = remains_of_vsapiapp(sup->sb, age >= REMAINS_FINISH_NS);
	if (n > 0 && age < REMAINS_GIVE_UP_NS)
		return;
	if (n > 0)
		log_error("vsapiapp: %d of its processes do not end", n);
	sup->remains_ns = 0;
	atomic_store(&sup->sb->master_state, MASTER_NONE);
	/* A master that was killed has left its marks, or its hook. */
	let_all_pass();
	if (sup->guard && fangroup_flush_all(INHERIT_GROUP) < 0)
		log_error("marks could not be dropped: %m");
}

void supervisor_part_gone(struct supervisor *sup, struct part *part,
			  int wait_status)
{
	if (part == &sup->netmon) {
		/* A judge that stands still too would keep what is held; when
		 * nobody has the queue any more the kernel drops that, and it
		 * is sent again. */
		remains_of_netmon(0, true);
		sup->netmon_gone_ns = clock_mono_ns();
		return;
	}
	if (part == &sup->master) {
		if (part->state == PART_STOPPED)
			master_stopped(sup);
		else
			/* Its workers go on until the next one is ready: they
			 * must not take this one's word for that one's. */
			atomic_store(&sup->sb->master_state, MASTER_STARTING);
		return;
	}
	if (!sup->start_limit_ns || sup->adopted)
		return;
	/* Its first start: it has said why. */
	if (part->state == PART_PAUSING)
		part->state = PART_STOPPED;
	fail_start(sup, WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
					       : LSB_FAILED);
}

void supervisor_quit(struct supervisor *sup)
{
	if (sup->quitting)
		return;
	sup->quitting = true;
	atomic_store(&sup->sb->quit, 1);
	supervisor_stop_master(sup);
	part_stop(&sup->netmon);
}

/* vsapiapp first, so that core still takes its last findings. */
static void tick_quit(struct supervisor *sup)
{
	if (!sup->quitting || !supervisor_master_gone(sup) ||
	    sup->netmon.state != PART_STOPPED)
		return;
	if (sup->core.state == PART_STOPPED)
		loop_stop(sup->loop);
	else if (sup->core.state != PART_STOPPING)
		part_stop(&sup->core);
}

static void tick_start(struct supervisor *sup, uint64_t now_ns)
{
	if (!sup->start_limit_ns || sup->quitting)
		return;
	if (part_ready(&sup->core)) {
		started(sup);
	} else if (now_ns >= sup->start_limit_ns && !sup->adopted) {
		start_error("core is not ready after a minute");
		fail_start(sup, LSB_FAILED);
	}
}

/* The network monitor runs where core says so. */
static void tick_netmon(struct supervisor *sup)
{
	bool wanted = atomic_load(&sup->sb->net_wanted);
	struct err err;

	if (sup->netmon_gone_ns &&
	    clock_mono_ns() - sup->netmon_gone_ns > NETMON_REMAINS_NS) {
		remains_of_netmon(sup->netmon.id.pid, false);
		sup->netmon_gone_ns = 0;
	}
	if (sup->quitting || !part_ready(&sup->core))
		return;
	if (!wanted)
		part_stop(&sup->netmon);
	else if (sup->netmon.state == PART_STOPPED &&
		 part_start(&sup->netmon, &err))
		log_error("splxnetmon start: %s", err.text);
}

/* Pids that are no more must not exempt whoever gets their number next. */
static void sweep_exempt(struct supervisor *sup)
{
	int i;

	for (i = 0; i < SCOREBOARD_EXEMPT; i++) {
		pid_t pid = atomic_load(&sup->sb->exempt[i]);

		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
			scoreboard_unexempt(sup->sb, pid);
	}
}

static void tick(void *arg)
{
	struct supervisor *sup = arg;
	uint64_t now = clock_mono_ns();

	scoreboard_beat(sup->sb, supervisor);
	if (sup->guard)
		guard_tick(sup->guard);
	part_tick(&sup->core, now);
	part_tick(&sup->master, now);
	part_tick(&sup->netmon, now);
	tick_netmon(sup);
	tick_remains(sup, now);
	tick_start(sup, now);
	controlsock_tick(sup->control, now);
	tick_quit(sup);
	if (++sup->ticks % SWEEP_TICKS == 0)
		sweep_exempt(sup);
}

/* Ours are the parts, and what vsapiapp leaves behind. */
static void reap(struct supervisor *sup)
{
	struct part *parts[] = {&sup->core, &sup->master, &sup->netmon};
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			if (parts[i]->id.pid == pid)
				part_reaped(parts[i], status);
}

static void on_signal(int sig, void *arg)
{
	struct supervisor *sup = arg;

	switch (sig) {
	case SIGCHLD:
		reap(sup);
		break;
	case SIGTERM:
	case SIGINT:
		log_info("supervisor ends: signal %d", sig);
		supervisor_quit(sup);
		break;
	case SIGHUP:
		if (sup->terminal)
			supervisor_quit(sup);
		else
			part_signal(&sup->core, SIGHUP);
		break;
	default:
		part_signal(&sup->core, sig);
		break;
	}
}

static void watch_signals(struct supervisor *sup)
{
	static const int list[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	size_t i, n = sizeof(list) / sizeof(list[0]);

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < n; i++)
		sup->signals[i] = loop_signal_for_life(sup->loop, list[i],
						       on_signal, sup);
	sup->signals[i] = loop_signal(sup->loop, SIGCHLD, on_signal, sup);
}

#define PLACE(sb, who)                                                         \
	((struct part_place){&(sb)->who.pid, &(sb)->who.start,                 \
			     &(sb)->who.beat_ns, &(sb)->who.restarts,          \
			     &(sb)->who.last_status})

/* From here on the numbers below GUARD_NUMBER are taken for good. */
static int prepare_loop(struct supervisor *sup, struct err *err)
{
	struct stat st;

	scoreboard_exempt(sup->sb, getpid());
	scoreboard_enter(sup->sb, supervisor);
	sup->loop = loop_new();
	watch_signals(sup);
	part_init(&sup->core, sup, "entity", PLACE(sup->sb, core), exec_core);
	part_init(&sup->master, sup, "vsapiapp", PLACE(sup->sb, master),
		  exec_master);
	part_init(&sup->netmon, sup, "splxnetmon", PLACE(sup->sb, netmon),
		  exec_netmon);
	sup->netmon.patience = NETMON_PATIENCE_TICKS;
	/* /dev/null stands there where the kernel has no such group. */
	if (fstat(INHERIT_GROUP, &st) == 0 && !S_ISCHR(st.st_mode))
		sup->guard = guard_new(sup->sb, INHERIT_GROUP, true, 0);
	sup->control = controlsock_new(sup, err);
	if (!sup->control || fd_fill(GUARD_NUMBER, err))
		return LSB_FAILED;
	sup->tick = loop_timer(sup->loop, SUPERVISOR_TICK_MS, true, tick, sup);
	sup->start_limit_ns = clock_mono_ns() + CORE_START_NS;
	return 0;
}

static int take_pid_file(struct supervisor *sup, struct err *err)
{
	sup->pid_fd = proc_pidfile_take(paths()->pid_file, err);
	if (sup->pid_fd < 0 || bringup_high(&sup->pid_fd, err))
		return LSB_FAILED;
	/* Under the lock: nobody else is the supervisor now. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sup->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (sup->null_fd < 0) {
		err_set(err, errno, "open(/dev/null)");
		return LSB_FAILED;
	}
	return bringup_high(&sup->null_fd, err) ? LSB_FAILED : 0;
}

static int begin(struct supervisor *sup, struct err *err)
{
	int rc = bringup_check(err), left = 0;

	if (!rc)
		rc = bringup_descriptors(err);
	if (!rc && !sup->foreground)
		rc = bringup_daemonize(sup, err);
	if (!rc)
		rc = take_pid_file(sup, err);
	if (!rc)
		left = remains_of_before();
	if (!rc)
		rc = bringup_objects(sup, err);
	if (!rc) {
		log_to_core();
		if (sup->anew[0])
			log_warn("%s: the suite is started anew", sup->anew);
		if (left > 0)
			log_warn("%d processes of a suite that was killed "
				 "were left: ended",
				 left);
		rc = bringup_life(sup, err);
	}
	if (!rc)
		rc = prepare_loop(sup, err);
	if (!rc && part_start(&sup->core, err))
		rc = LSB_FAILED;
	return rc;
}

/*
 * What was inherited was laid out by another version (an upgrade while the
 * suite ran): nothing of it can be taken over. It is ended, and all begins
 * anew; vsapiapp's master, who asked for us, is to run again.
 */
static int begin_anew(struct supervisor *sup, struct err *err)
{
	str_copy(sup->anew, sizeof(sup->anew), err->text);
	sup->adopted = false;
	sup->start_all = true;
	return begin(sup, err);
}

static int adopt(struct supervisor *sup, struct err *err)
{
	int rc = bringup_inherit(sup, err);

	if (rc && err->code == ESTALE)
		return begin_anew(sup, err);
	if (rc)
		return rc;
	log_to_core();
	rc = take_pid_file(sup, err);
	if (!rc)
		rc = bringup_life(sup, err);
	if (!rc)
		rc = prepare_loop(sup, err);
	if (rc)
		return rc;
	atomic_fetch_add(&sup->sb->supervisor.restarts, 1);
	/* Core has none to hand on. A device is nothing to the module, but to
	 * marks it is a file like others. */
	atomic_store(&sup->sb->module_ours, 0);
	if (atomic_load(&sup->sb->interceptor) == INTERCEPTOR_KHM)
		bringup_module(sup);
	if (!part_adopt(&sup->core) && part_start(&sup->core, err))
		log_error("entity start: %s", err->text);
	part_adopt(&sup->netmon);
	if (part_adopt(&sup->master))
		return 0;
	/* The state tells whether it was to run when it ended. */
	sup->start_all = atomic_load(&sup->sb->master_state) != MASTER_NONE;
	return 0;
}

/*
 * The load lock's line for this boot: nothing is armed any more, and nothing
 * of ours is held, so files may be opened.
 */
static void end_start(struct supervisor *sup)
{
	static const struct log_sinks sinks = {
		.to_stderr = true, .to_syslog = true, .fd = -1, .file_fd = -1};
	struct loadlock_now now;
	struct err err;

	if (sup->pid_fd < 0 || !sup->quitting || !supervisor_master_gone(sup))
		return;
	loadlock_now(&now);
	if (!loadlock_end(&now, LOADLOCK_BY_ANY, &err))
		return;
	log_init("entity", &sinks, LOG_LVL_INFO); /* core is gone */
	log_warn("load lock: %s: the next boot will take this one for "
		 "a crash",
		 err.text);
}

static void end(struct supervisor *sup)
{
	size_t i;

	end_start(sup);

	if (sup->sb)
		atomic_store(&sup->sb->quit, 1);
	controlsock_free(&sup->control);
	guard_free(&sup->guard);
	if (sup->loop) {
		part_deinit(&sup->core);
		part_deinit(&sup->master);
		part_deinit(&sup->netmon);
		loop_cancel(&sup->tick);
		for (i = 0; i < sizeof(sup->signals) / sizeof(sup->signals[0]);
		     i++)
			loop_cancel(&sup->signals[i]);
		loop_free(&sup->loop);
	}
	if (sup->pid_fd >= 0) {
		unlink(paths()->entity_sock);
		unlink(paths()->scan_sock);
		unlink(paths()->low_sock);
		proc_pidfile_drop(paths()->pid_file, &sup->pid_fd);
	}
	bringup_detach(sup, sup->exit_status);
}

int supervisor_run(const struct supervisor_options *options)
{
	struct log_sinks sinks = {.to_stderr = true, .fd = -1, .file_fd = -1};
	struct supervisor sup = {
		.foreground = options->foreground,
		.start_all = options->start_all,
		.adopted = options->adopt,
		.terminal = options->foreground && isatty(STDIN_FILENO),
		.pid_fd = -1,
		.life_tx = -1,
		.null_fd = -1,
		.khm_lock_fd = -1,
		.ready_fd = -1,
	};
	struct err err;

	log_init("entity", &sinks, LOG_LVL_INFO);
	sup.exit_status =
		options->adopt ? adopt(&sup, &err) : begin(&sup, &err);
	if (sup.exit_status && options->adopt && err.code == EEXIST) {
		/* Another one was faster. */
		if (sup.sb)
			scoreboard_unexempt(sup.sb, getpid());
		return LSB_OK;
	}
	if (sup.exit_status) {
		start_error(err.text);
	} else if (loop_run(sup.loop) < 0) {
		log_error("the loop ended: %m");
		sup.exit_status = LSB_FAILED;
	}
	end(&sup);
	return sup.exit_status;
}
