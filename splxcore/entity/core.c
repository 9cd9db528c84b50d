/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "core.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "accounts.h"
#include "common/adopt.h"
#include "common/control.h"
#include "common/ipc.h"
#include "common/paths.h"
#include "dispatch.h"
#include "findings.h"
#include "health.h"
#include "history.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "logsink.h"
#include "network.h"
#include "modlock.h"
#include "notify.h"
#include "quarantine.h"
#include "scans.h"
#include "service.h"
#include "settings.h"
#include "statistics.h"
#include "store.h"
#include "tasks.h"

#define BEAT_MS 200

const struct conf *core_conf(const struct core *core)
{
	return settings_conf(core->settings);
}

/* ---- what parts tell ---- */

/*
 * A store that failed cannot be told so; before there is one, the faults are
 * kept and told when it is there.
 */
static void note(struct core *core, enum event_severity severity,
		 const char *part, enum status_code code, const char *text)
{
	if (core->store && code != STATUS_STORE_FAILED)
		store_event(core->store, EVENT_system, severity,
			    json_pack("{s:s, s:i}", "part", part, "code",
				      (int)code),
			    "%s", text);
}

static void tell(struct core *core, enum event_severity severity,
		 const char *part, enum status_code code, const char *text)
{
	if (severity >= EVENT_SEVERITY_MEDIUM)
		log_warn("%s part=%s code=%d", text, part, (int)code);
	else
		log_info("%s part=%s", text, part);
	note(core, severity, part, code, text);
}

void core_event(struct core *core, const char *severity, const char *part,
		enum status_code code, const char *fmt, ...)
{
	int level = events_severity_parse(severity);
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level < 0)
		panic("no such severity: %s", severity);
	tell(core, (enum event_severity)level, part, code, text);
}

void core_fault(struct core *core, enum status_code code, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (health_fault(core->health, code, text))
		tell(core, EVENT_SEVERITY_MEDIUM, "entity", code, text);
}

void core_well(struct core *core, enum status_code code)
{
	char text[128];

	if (!health_fault(core->health, code, NULL))
		return;
	snprintf(text, sizeof(text), "%s: well again", status_name(code));
	tell(core, EVENT_SEVERITY_INFO, "entity", STATUS_OK, text);
}

static void tell_early_fault(enum status_code code, const char *text, void *arg)
{
	note(arg, EVENT_SEVERITY_MEDIUM, "entity", code, text);
}

/* ---- start and end ---- */

static int verbs_init(struct core *core, struct err *err)
{
	core->ipc = ipc_listen(core->loop, paths()->entity_sock,
			       dispatch_request, core, err);
	return core->ipc ? 0 : -1;
}

static void verbs_deinit(struct core *core)
{
	ipc_server_free(&core->ipc);
}

static void on_quit(void *arg)
{
	struct core *core = arg;

	log_info("entity ends: the supervisor is gone and the suite ends");
	loop_stop(core->loop);
}

static int adopt_init(struct core *core, struct err *err)
{
	(void)err;
	core->adopt = adopt_watch(core->loop, core->sb, 0, on_quit, core);
	return 0;
}

static void adopt_deinit(struct core *core)
{
	adopt_free(&core->adopt);
}

static const struct {
	int (*init)(struct core *core, struct err *err);
	void (*deinit)(struct core *core);
} ladder[] = {
	{logsink_init, logsink_deinit},
	{health_init, health_deinit},
	{settings_init, settings_deinit},
	{store_init, store_deinit},
	{accounts_init, accounts_deinit},
	{quarantine_init, quarantine_deinit},
	{scans_init, scans_deinit},
	{findings_init, findings_deinit},
	{statistics_init, statistics_deinit},
	{history_init, history_deinit},
	{modlock_init, modlock_deinit},
	{service_init, service_deinit},
	{notify_init, notify_deinit},
	{network_init, network_deinit},
	{tasks_init, tasks_deinit},
	{dispatch_init, dispatch_deinit},
	{verbs_init, verbs_deinit},
	{adopt_init, adopt_deinit},
};
#define RUNGS (sizeof(ladder) / sizeof(ladder[0]))

static int climb(struct core *core, size_t *rung, struct err *err)
{
	for (*rung = 0; *rung < RUNGS; (*rung)++)
		if (ladder[*rung].init(core, err))
			return -1;
	return 0;
}

/* The init that failed may have begun: its deinit is for that too. */
static void descend(struct core *core, size_t rung)
{
	size_t i = rung < RUNGS ? rung + 1 : RUNGS;

	while (i-- > 0)
		ladder[i].deinit(core);
}

static void beat(void *arg)
{
	struct core *core = arg;

	scoreboard_beat(core->sb, core);
}

static void on_signal(int sig, void *arg)
{
	struct core *core = arg;

	switch (sig) {
	case SIGHUP:
		log_info("reload asked for by signal");
		settings_hangup(core);
		break;
	case SIGUSR1:
		logsink_reopen(core);
		break;
	default:
		log_info("entity ends: signal %d", sig);
		loop_stop(core->loop);
		break;
	}
}

/* Whoever started the suite waits for the end of our output. */
static void let_go_of_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void run(struct core *core)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGUSR1};
	struct loop_event *events[4];
	size_t i, n = 0;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		events[n++] = loop_signal_for_life(core->loop, signals[i],
						   on_signal, core);
	events[n++] = loop_timer(core->loop, BEAT_MS, true, beat, core);
	health_faults(core->health, tell_early_fault, core);
	if (!core->foreground)
		let_go_of_output();
	/* The first beat tells the supervisor that we are ready. */
	beat(core);
	log_info("core ready pid=%d", (int)getpid());
	if (loop_run(core->loop) < 0)
		log_error("the loop ended: %m");
	core->ending = true;
	settings_end(core);
	for (i = 0; i < n; i++)
		loop_cancel(&events[i]);
}

static int begin(struct core *core, struct err *err)
{
	int fd;

	for (fd = 0; fd < INHERIT_COUNT; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return err_set(err, 0,
				       "--core is for the suite itself: start "
				       "entity without it");
	core->sb = scoreboard_map(INHERIT_SCOREBOARD, err);
	if (!core->sb)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	proc_title_set("entity: core");
	core->loop = loop_new();
	return 0;
}

int core_main(bool foreground)
{
	struct core core = {.foreground = foreground};
	struct err err;
	size_t rung;
	int rc;

	if (begin(&core, &err)) {
		fprintf(stderr, "entity: %s\n", err.text);
		return LSB_USAGE;
	}
	rc = climb(&core, &rung, &err);
	if (rc == 0) {
		run(&core);
	} else {
		log_error("start: %s", err.text);
		if (!foreground)
			fprintf(stderr, "entity: %s\n", err.text);
	}
	descend(&core, rung);
	loop_free(&core.loop);
	if (rc == 0)
		return LSB_OK;
	/* Which rung it was tells what kind of failure it is. */
	return rung < RUNGS && ladder[rung].init == settings_init
		       ? LSB_NOT_CONFIGURED
		       : LSB_FAILED;
}
