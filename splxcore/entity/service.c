/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "service.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/control.h"
#include "common/paths.h"
#include "common/state.h"
#include "health.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "modlock.h"
#include "part.h"
#include "statistics.h"
#include "store.h"

#define RECENT_NS (60 * CLOCK_NS_PER_S)
#define RECENT_MAX 16
/* The codes are reckoned once a second. */
#define WATCH_LOOKS (1000 / SERVICE_LOOK_MS)

struct service {
	struct loop_event *timer;
	unsigned int looks;
	/* As they were at the last look. */
	struct proc_id supervisor;
	struct proc_id master;
	uint32_t master_restarts;
	uint32_t master_state;
	uint32_t interceptor;
	uint32_t breaker;
	uint64_t generation;
	uint64_t crashes, killed, overflows, lost;
	uint64_t overflow_ns;
	bool supervisor_stale, master_stale;
	uint64_t recent[RECENT_MAX]; /* ends of vsapiapp, a ring */
	unsigned int ends;

	json_t *state;
	struct timespec state_time; /* of the file */
	ino_t state_ino;
};

json_t *service_state(const struct core *core)
{
	return core->service->state;
}

uint64_t service_events_lost_ns(const struct core *core)
{
	return core->service->overflow_ns;
}

unsigned int service_restarts(const struct core *core)
{
	const struct service *sv = core->service;
	uint64_t now = clock_mono_ns();
	unsigned int i, n = 0;

	for (i = 0; i < sv->ends && i < RECENT_MAX; i++)
		if (now - sv->recent[i] < RECENT_NS)
			n++;
	return n;
}

static const char *interceptor_name(uint32_t kind)
{
	static const char *const names[] = {
		[INTERCEPTOR_NONE] = "none",
		[INTERCEPTOR_KHM] = "khm",
		[INTERCEPTOR_FANOTIFY] = "fanotify",
		[INTERCEPTOR_ASYNC] = "async",
		[INTERCEPTOR_OFF] = "off",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

/* ---- processes ---- */

/* A process that lives but does not beat: stopped, or short of CPU. */
static void look_stale(struct core *core, const struct proc_id *id,
		       uint64_t beat_ns, bool *was, const char *part,
		       enum status_code code)
{
	uint64_t now = clock_mono_ns();
	bool stale =
		beat_ns && now > beat_ns + SERVICE_STALE_NS && proc_alive(id);

	if (stale == *was)
		return;
	*was = stale;
	if (stale)
		core_event(core, "medium", part, code, "%s does not answer: %s",
			   part,
			   proc_stopped(id) ? "it was stopped by a signal"
					    : "it gets no processor, or hangs");
	else
		core_event(core, "info", part, STATUS_OK, "%s answers again",
			   part);
}

static void look_supervisor(struct core *core)
{
	struct service *sv = core->service;
	struct proc_id now = {
		.pid = atomic_load(&core->sb->supervisor.pid),
		.start = atomic_load(&core->sb->supervisor.start),
	};

	look_stale(core, &sv->supervisor,
		   atomic_load(&core->sb->supervisor.beat_ns),
		   &sv->supervisor_stale, "supervisor", STATUS_SUPERVISOR_GONE);
	if (now.pid == sv->supervisor.pid && now.start == sv->supervisor.start)
		return;
	core_event(core, "medium", "supervisor", STATUS_SUPERVISOR_GONE,
		   "the supervisor had ended; process %d took over",
		   (int)now.pid);
	sv->supervisor = now;
}

/*
 * Supervisor and master both answer for openers whom no worker serves. When
 * both were stopped nobody does, and opens would wait without end.
 */
static void wake_supervisor(struct core *core)
{
	struct service *sv = core->service;
	int pidfd;

	if (!sv->supervisor_stale || !sv->master_stale ||
	    !proc_stopped(&sv->supervisor) ||
	    !proc_runs(&sv->supervisor, "entity"))
		return;
	pidfd = proc_pidfd(&sv->supervisor);
	if (pidfd >= 0 && proc_signal(pidfd, SIGCONT) == 0)
		core_event(core, "medium", "supervisor", STATUS_SUPERVISOR_GONE,
			   "supervisor and vsapiapp were stopped, so nobody "
			   "saw to openers that wait: the supervisor is "
			   "continued");
	fd_close(&pidfd);
}

static void look_master_ends(struct core *core)
{
	struct service *sv = core->service;
	uint32_t restarts = atomic_load(&core->sb->master.restarts);
	char text[64];

	if (restarts == sv->master_restarts)
		return;
	sv->master_restarts = restarts;
	sv->recent[sv->ends++ % RECENT_MAX] = clock_mono_ns();
	part_status_text(atomic_load(&core->sb->master.last_status), text,
			 sizeof(text));
	core_event(core, "medium", "vsapiapp", STATUS_SCANNER_GONE,
		   "vsapiapp ended unasked: %s; it is started again", text);
}

static void look_master(struct core *core)
{
	struct service *sv = core->service;
	struct proc_id now = {
		.pid = atomic_load(&core->sb->master.pid),
		.start = atomic_load(&core->sb->master.start),
	};
	uint32_t state = atomic_load(&core->sb->master_state);

	look_master_ends(core);
	look_stale(core, &sv->master, atomic_load(&core->sb->master.beat_ns),
		   &sv->master_stale, "vsapiapp", STATUS_SCANNER_STALLED);
	if (now.pid != sv->master.pid || now.start != sv->master.start) {
		core_event(core, "info", "vsapiapp", STATUS_OK,
			   "vsapiapp was started, process %d", (int)now.pid);
		sv->master = now;
	}
	if (state == sv->master_state)
		return;
	sv->master_state = state;
	if (state == MASTER_READY)
		core_event(core, "info", "vsapiapp", STATUS_OK,
			   "real-time scanning works");
	else if (state == MASTER_NONE)
		core_event(core, "medium", "vsapiapp", STATUS_STOPPED,
			   "vsapiapp was stopped");
}

/* ---- the verdict path ---- */

static void look_interceptor(struct core *core)
{
	struct service *sv = core->service;
	uint32_t now = atomic_load(&core->sb->interceptor);

	if (now == sv->interceptor)
		return;
	core_event(core, now == INTERCEPTOR_FANOTIFY ? "info" : "medium",
		   "interceptor",
		   now == INTERCEPTOR_OFF     ? STATUS_SWITCHED_OFF
		   : modlock_holds(core)      ? STATUS_LOCKED
		   : now == INTERCEPTOR_ASYNC ? STATUS_ASYNC
					      : STATUS_OK,
		   "interceptor: %s (was %s)", interceptor_name(now),
		   interceptor_name(sv->interceptor));
	sv->interceptor = now;
}

static void look_breaker(struct core *core)
{
	struct service *sv = core->service;
	uint32_t now = atomic_load(&core->sb->breaker_open) != 0;
	uint64_t since = atomic_load(&core->sb->breaker_since_ns);

	if (now == sv->breaker)
		return;
	sv->breaker = now;
	if (now)
		core_event(core, "high", "interceptor", STATUS_BREAKER_OPEN,
			   "the breaker opened: nobody waits for a verdict, "
			   "OnTimeout decides");
	else
		core_event(core, "medium", "interceptor", STATUS_OK,
			   "the breaker closed after %llu s",
			   (unsigned long long)((clock_mono_ns() - since) /
						CLOCK_NS_PER_S));
}

/* How much a counter grew since the last look. */
static uint64_t growth(struct core *core, enum counter_id id, uint64_t *last)
{
	uint64_t now = scoreboard_count(core->sb, id);
	uint64_t n = now > *last ? now - *last : 0;

	*last = now;
	return n;
}

static void look_counters(struct core *core)
{
	struct service *sv = core->service;
	unsigned long long n;

	n = growth(core, COUNTER_WORKER_CRASHES, &sv->crashes);
	if (n)
		core_event(core, "medium", "worker", STATUS_WORKERS_FEW,
			   "%llu scan worker%s ended unasked", n,
			   n > 1 ? "s" : "");
	n = growth(core, COUNTER_WORKER_KILLED, &sv->killed);
	if (n)
		core_event(core, "medium", "worker", STATUS_WORKERS_FEW,
			   "%llu scan%s ended, gone on beyond ScanTimeout", n,
			   n > 1 ? "s" : "");
	n = growth(core, COUNTER_FINDINGS_LOST, &sv->lost);
	if (n)
		core_fault(core, STATUS_FINDINGS_WAIT,
			   "findings that could not be delivered: %llu",
			   (unsigned long long)sv->lost);
	n = growth(core, COUNTER_OVERFLOWS, &sv->overflows);
	if (!n)
		return;
	/* It may go on for long: one event a minute is enough. */
	if (!sv->overflow_ns || clock_mono_ns() - sv->overflow_ns > RECENT_NS)
		core_event(core, "medium", "interceptor", STATUS_EVENTS_LOST,
			   "the kernel lost events");
	sv->overflow_ns = clock_mono_ns();
}

/* ---- what vsapiapp tells ---- */

static void new_errors(struct core *core, json_t *old, json_t *now)
{
	json_t *e, *before = json_object_get(old, "errors");
	const char *text;
	size_t i;
	int code;

	json_array_foreach (json_object_get(now, "errors"), i, e) {
		if (state_told_before(before, e))
			continue;
		text = json_string_value(json_object_get(e, "text"));
		code = (int)json_integer_value(json_object_get(e, "code"));
		core_event(core, "medium", "vsapiapp", (enum status_code)code,
			   "%s", text ? text : status_text(code));
	}
}

static void look_state(struct core *core)
{
	struct service *sv = core->service;
	json_t *state;
	struct stat st;

	if (stat(paths()->state_file, &st))
		return;
	if (st.st_ino == sv->state_ino &&
	    st.st_mtim.tv_sec == sv->state_time.tv_sec &&
	    st.st_mtim.tv_nsec == sv->state_time.tv_nsec)
		return;
	state = state_read(NULL);
	if (!state)
		return;
	sv->state_ino = st.st_ino;
	sv->state_time = st.st_mtim;
	new_errors(core, sv->state, state);
	json_decref(sv->state);
	sv->state = state;
}

static void look_patterns(struct core *core)
{
	struct service *sv = core->service;
	uint64_t now = atomic_load(&core->sb->generation);
	json_int_t signatures, told;
	const char *engine;

	if (now == sv->generation || !now)
		return;
	/* Told a moment later than entered, perhaps. */
	told = json_integer_value(json_object_get(sv->state, "generation"));
	if ((uint64_t)told != now)
		return;
	sv->generation = now;
	signatures =
		json_integer_value(json_object_get(sv->state, "signatures"));
	engine = json_string_value(json_object_get(sv->state, "engine"));
	store_event(core->store, EVENT_update, EVENT_SEVERITY_INFO,
		    json_pack("{s:I, s:I, s:s}", "generation", (json_int_t)now,
			      "signatures", signatures, "source", "local"),
		    "patterns loaded: %lld signatures, engine %s",
		    (long long)signatures, engine ? engine : "?");
	log_info("patterns loaded generation=%llu signatures=%lld",
		 (unsigned long long)now, (long long)signatures);
}

void service_look(struct core *core)
{
	look_supervisor(core);
	look_state(core);
	look_master(core);
	wake_supervisor(core);
	look_interceptor(core);
	look_breaker(core);
	look_patterns(core);
	look_counters(core);
	modlock_tick(core);
}

static void look(void *arg)
{
	struct core *core = arg;

	service_look(core);
	if (core->service->looks++ % WATCH_LOOKS == 0)
		health_watch(core);
}

static void told_start(struct core *core)
{
	const struct scoreboard *sb = core->sb;
	char text[64];

	if (!atomic_load(&sb->core.restarts)) {
		core_event(core, "info", "entity", STATUS_OK,
			   "entity was started");
		return;
	}
	part_status_text(atomic_load(&sb->core.last_status), text,
			 sizeof(text));
	core_event(core, "medium", "entity", STATUS_ENTITY_GONE,
		   "entity was started again after it ended unasked: %s", text);
}

int service_init(struct core *core, struct err *err)
{
	struct service *sv = xcalloc(1, sizeof(*sv));
	struct scoreboard *sb = core->sb;

	(void)err;
	core->service = sv;
	sv->supervisor.pid = atomic_load(&sb->supervisor.pid);
	sv->supervisor.start = atomic_load(&sb->supervisor.start);
	sv->master.pid = atomic_load(&sb->master.pid);
	sv->master.start = atomic_load(&sb->master.start);
	sv->master_restarts = atomic_load(&sb->master.restarts);
	sv->master_state = atomic_load(&sb->master_state);
	sv->interceptor = atomic_load(&sb->interceptor);
	sv->breaker = atomic_load(&sb->breaker_open) != 0;
	sv->generation = atomic_load(&sb->generation);
	growth(core, COUNTER_WORKER_CRASHES, &sv->crashes);
	growth(core, COUNTER_WORKER_KILLED, &sv->killed);
	growth(core, COUNTER_FINDINGS_LOST, &sv->lost);
	growth(core, COUNTER_OVERFLOWS, &sv->overflows);
	look_state(core);
	told_start(core);
	sv->timer = loop_timer(core->loop, SERVICE_LOOK_MS, true, look, core);
	return 0;
}

void service_deinit(struct core *core)
{
	if (!core->service)
		return;
	loop_cancel(&core->service->timer);
	json_decref(core->service->state);
	xfree(&core->service);
}
