/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "takeover.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/state.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "modlock.h"

#define LOOK_MS 30

struct takeover {
	struct takeover *next;
	struct core *core;
	enum takeover_what what;
	takeover_fn fn;
	void *arg;
	struct loop_event *timer;
	uint64_t before; /* the generation that served */
	uint64_t timeout_ms;
	uint64_t begun_ns;
	struct proc_id master;
	bool told;
	json_t *errors; /* that were there before */
};

static uint64_t generation(const struct takeover *t)
{
	return atomic_load(t->what == TAKEOVER_SETTINGS
				   ? &t->core->sb->policy_generation
				   : &t->core->sb->generation);
}

static json_t *state_errors(void)
{
	json_t *state = state_read(NULL), *errors;

	errors = json_incref(json_object_get(state, "errors"));
	json_decref(state);
	return errors;
}

/* An error that came up since; its text into out. */
static bool new_error(struct takeover *t, char *out, size_t size)
{
	json_t *errors = state_errors(), *e;
	const char *text;
	bool found = false;
	size_t i;

	json_array_foreach (errors, i, e) {
		if (state_told_before(t->errors, e))
			continue;
		text = json_string_value(json_object_get(e, "text"));
		snprintf(out, size, "%s", text ? text : "error");
		found = true;
		break;
	}
	json_decref(errors);
	return found;
}

static void finish(struct takeover *t, enum takeover_result result,
		   const char *note)
{
	takeover_fn fn = t->fn;
	void *arg = t->arg;

	takeover_free(&t);
	fn(result, note, arg);
}

/* Signals the master, once; `told` when an answer can be expected. */
static void tell(struct takeover *t)
{
	const struct scoreboard *sb = t->core->sb;
	int sig = t->what == TAKEOVER_SETTINGS ? SIGHUP : SIGUSR1;
	int pidfd, rc;

	t->master.pid = atomic_load(&sb->master.pid);
	t->master.start = atomic_load(&sb->master.start);
	/* Workers can write the scoreboard; these signals end who does not
	 * expect them. */
	if (!proc_runs(&t->master, "vsapiapp"))
		return;
	pidfd = proc_pidfd(&t->master);
	if (pidfd < 0)
		return;
	t->errors = state_errors();
	t->before = generation(t);
	rc = proc_signal(pidfd, sig);
	fd_close(&pidfd);
	/* While it starts the signal sees to it that nothing is missed. */
	t->told = rc == 0 && atomic_load(&sb->master_state) == MASTER_READY;
}

static void look(void *arg)
{
	struct takeover *t = arg;
	char text[512];
	uint64_t ms;

	if (!t->told) {
		finish(t, TAKEOVER_LATER,
		       "vsapiapp does not run; it takes over when it starts");
		return;
	}
	if (generation(t) != t->before) {
		finish(t, TAKEOVER_DONE, "");
		return;
	}
	if (new_error(t, text, sizeof(text))) {
		finish(t, TAKEOVER_FAILED, text);
		return;
	}
	if (!proc_alive(&t->master)) {
		finish(t, TAKEOVER_LATER,
		       "vsapiapp ended; it takes over when it starts again");
		return;
	}
	ms = (clock_mono_ns() - t->begun_ns) / CLOCK_NS_PER_MS;
	if (ms < t->timeout_ms)
		return;
	snprintf(text, sizeof(text),
		 "vsapiapp has not taken it over within %llu s",
		 (unsigned long long)(t->timeout_ms / 1000));
	finish(t, TAKEOVER_SILENT, text);
}

struct takeover *takeover_new(struct core *core, enum takeover_what what,
			      uint64_t timeout_ms, takeover_fn fn, void *arg)
{
	struct takeover *t = xcalloc(1, sizeof(*t));

	t->core = core;
	t->what = what;
	t->fn = fn;
	t->arg = arg;
	t->timeout_ms = timeout_ms;
	t->begun_ns = clock_mono_ns();
	modlock_judge(core);
	t->next = core->takeovers;
	core->takeovers = t;
	tell(t);
	t->timer = loop_timer(core->loop, t->told ? LOOK_MS : 0, true, look, t);
	return t;
}

void takeover_free(struct takeover **tp)
{
	struct takeover *t = *tp, **p;

	if (!t)
		return;
	for (p = &t->core->takeovers; *p != t; p = &(*p)->next)
		;
	*p = t->next;
	loop_cancel(&t->timer);
	json_decref(t->errors);
	xfree(tp);
}

void takeover_end_all(struct core *core)
{
	/* Each takes itself out of the list. */
	while (core->takeovers)
		// NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
		finish(core->takeovers, TAKEOVER_SILENT, "entity ends");
}
