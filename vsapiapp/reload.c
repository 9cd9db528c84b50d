/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * From one line of workers to the next, without an instant in which nobody
 * serves: the new generation is loaded (or the one there is takes over new
 * settings), its workers are forked and have shown life; only then the old
 * ones are told to finish. Whatever fails on the way leaves the old line as
 * it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "common/known.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "master.h"
#include "poison.h"

#define LOAD_LIMIT_MS 900000
#define TAKE_LIMIT_MS 15000
#define FORK_LIMIT_MS 15000
#define FILL_LIMIT_MS 30000
#define READ_LIMIT_MS 30000
#define PAUSE_FIRST_MS 500
#define PAUSE_MAX_MS 30000
#define STOPPED_MS 20000
#define MAKESHIFT_MS 300000 /* and then all is tried again */

static const struct gen_events gen_events;

static void enter(struct master *m, enum reload_phase phase)
{
	m->phase = phase;
	m->phase_ns = clock_mono_ns();
}

static const struct conf *next_conf(const struct master *m)
{
	return m->incoming ? m->incoming->conf : m->settings->conf;
}

static void apply_limits(struct master *m, const struct conf *conf, bool khm)
{
	struct slots_limits limits;

	slots_limits_from(&limits, conf, m->group >= 0 || khm);
	slots_limit(m->slots, &limits);
}

static void pause_more(struct master *m)
{
	m->pause_ms = m->pause_ms ? m->pause_ms * 2 : PAUSE_FIRST_MS;
	if (m->pause_ms > PAUSE_MAX_MS)
		m->pause_ms = PAUSE_MAX_MS;
	m->not_before_ns = clock_mono_ns() + m->pause_ms * CLOCK_NS_PER_MS;
}

/* Back to the line and the settings that are in force. */
static void abandon(struct master *m)
{
	struct gen *gen = m->next.gen;

	m->next.gen = NULL;
	khm_side_coming(m->khm, false);
	settings_free(&m->incoming);
	apply_limits(m, m->settings->conf, m->line.khm);
	remember_configure(m->remember, m->settings->conf);
	enter(m, RELOAD_IDLE);
	if (m->line.gen)
		slots_drain_others(m->slots, &m->line);
	if (gen && gen != m->line.gen)
		gen_kill(gen);
	if (gen && gen == m->line.gen && gen_alive(gen)) {
		int known = remember_fd(m->remember);

		gen_settings(gen, m->settings->conf, known, NULL);
		fd_close(&known);
	}
}

/* --- better than nothing ------------------------------------------------ */

/* Nobody serves, and nobody of before does. */
static bool is_empty(const struct master *m)
{
	return !m->line.gen ||
	       (!gen_alive(m->line.gen) && !slots_any(m->slots, m->line.gen));
}

/* What serves is what is built in, for want of the rest. */
static bool is_makeshift(const struct master *m)
{
	const json_t *about = m->line.gen ? gen_describe(m->line.gen) : NULL;

	return json_is_true(json_object_get(about, "builtin_only")) &&
	       json_is_string(json_object_get(about, "set_fault"));
}

/*
 * When nothing serves and what there should be cannot be loaded, what is built
 * in is, at the second try: who asked for the first one learns that it failed,
 * and can put others in their place. When not even that can be, all is tried
 * again.
 */
static void note_load_fault(struct master *m, const char *why)
{
	bool first = why && is_empty(m) && !m->load_fault;

	xfree(&m->load_fault);
	if (first)
		m->load_fault = xstrdup(why);
}

static void try_again(struct master *m)
{
	bool gone = !m->line.gen || !gen_alive(m->line.gen);

	if (!gone && !is_makeshift(m))
		return;
	m->want_patterns = true;
	if (gone)
		pause_more(m);
	else
		m->not_before_ns =
			clock_mono_ns() + MAKESHIFT_MS * CLOCK_NS_PER_MS;
}

/* What was under way does not come about. */
static void give_up(struct master *m, enum status_code code, const char *why)
{
	status_fault(m->status, code, "%s", why);
	abandon(m);
	note_load_fault(m, code == STATUS_PATTERNS_BROKEN ? why : NULL);
	try_again(m);
	status_tick(m->status);
}

/* --- a new generation --------------------------------------------------- */

static void start_generation(struct master *m)
{
	struct generation_setup setup = {
		.number = ++m->last_number,
		.sb = m->sb,
		.conf = next_conf(m),
		.only_builtin = is_empty(m) ? m->load_fault : NULL,
		.notify = m->notify,
	};
	struct err err;

	m->want_patterns = false;
	slots_user(m->slots,
		   m->incoming ? m->incoming->scan_uid : m->settings->scan_uid);
	remember_configure(m->remember, setup.conf);
	setup.known = remember_fd(m->remember);
	m->next.gen = gen_start(m->loop, &setup, &gen_events, m, &err);
	fd_close(&setup.known);
	if (!m->next.gen) {
		give_up(m, STATUS_PATTERNS_BROKEN, err.text);
		return;
	}
	vec_push(&m->gens, m->next.gen);
	khm_side_exempt(m->khm, gen_pid(m->next.gen));
	enter(m, RELOAD_LOADING);
}

static uint64_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (s && *s)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return h;
}

static uint64_t epoch_of(const struct master *m, const struct gen *gen)
{
	const char *engine =
		json_string_value(json_object_get(gen_describe(gen), "engine"));

	return known_epoch(gen_pattern_id(gen) ^ hash_of(engine),
			   settings_policy_id(next_conf(m)));
}

/* The engine is there and right: now its workers. */
static void start_filling(struct master *m)
{
	const struct interceptor_ops *kind;
	struct gen **gen;

	khm_side_attach(m->khm);
	vec_each (gen, &m->gens) {
		if (gen_alive(*gen))
			khm_side_exempt(m->khm, gen_pid(*gen));
	}
	kind = interceptor_choose(m->ic, next_conf(m));
	m->next.policy_generation = atomic_load(&m->sb->policy_generation);
	/* A first line follows settings that may have changed meanwhile. */
	if (m->incoming || !m->line.gen)
		m->next.policy_generation++;
	m->next.epoch = epoch_of(m, m->next.gen);
	m->next.async = kind && kind->async;
	m->next.khm = kind == &interceptor_khm;
	khm_side_coming(m->khm, m->next.khm);
	apply_limits(m, next_conf(m), m->next.khm);
	enter(m, RELOAD_FILLING);
	slots_fill(m->slots, &m->next);
}

static void on_ready(struct gen *gen, void *arg)
{
	struct master *m = arg;

	if (gen == m->next.gen && m->phase == RELOAD_LOADING)
		start_filling(m);
}

static void on_failed(struct gen *gen, const char *why, void *arg)
{
	struct master *m = arg;

	if (gen == m->next.gen && !m->stopping)
		give_up(m, STATUS_PATTERNS_BROKEN, why);
}

static void on_gone(struct gen *gen, void *arg)
{
	struct master *m = arg;

	scoreboard_unexempt(m->sb, gen_pid(gen));
	if (m->stopping)
		return;
	if (gen == m->next.gen && gen != m->line.gen) {
		give_up(m, STATUS_PATTERNS_BROKEN,
			"the process that loads them ended");
	} else if (gen == m->line.gen) {
		if (gen == m->next.gen) {
			m->want_settings = true;
			abandon(m);
		}
		/* its workers go on; more can only come from a new one */
		m->want_patterns = true;
		pause_more(m);
	}
}

/* --- settings ----------------------------------------------------------- */

static int read_settings(int out, void *arg)
{
	struct err err;
	struct settings *s = settings_load(false, &err);

	if (!s) {
		dprintf(out, "%s", err.text);
		return 1;
	}
	return settings_write(out, s) ? 2 : 0;
}

static void take_settings(struct master *m)
{
	struct err err;
	int known;

	if (!m->line.gen || !gen_alive(m->line.gen) ||
	    settings_need_engine(m->settings->conf, m->incoming->conf)) {
		start_generation(m);
		return;
	}
	m->next.gen = m->line.gen;
	remember_configure(m->remember, m->incoming->conf);
	known = remember_fd(m->remember);
	enter(m, RELOAD_TAKING);
	if (gen_settings(m->line.gen, m->incoming->conf, known, &err))
		give_up(m, STATUS_CONF_BROKEN, err.text);
	fd_close(&known);
}

static void settings_read(int status, const char *data, size_t len, void *arg)
{
	struct master *m = arg;
	struct err err = {0};

	m->reading = NULL;
	if (m->stopping)
		return;
	if (status == 0)
		m->incoming = settings_parse(data, &err);
	else
		err_set(&err, 0, "%s",
			len ? data : "settings could not be read in time");
	if (!m->incoming) {
		status_fault(m->status, STATUS_CONF_BROKEN, "%s", err.text);
		status_tick(m->status);
		return;
	}
	take_settings(m);
}

static void on_settings_done(struct gen *gen, const char *why, void *arg)
{
	struct master *m = arg;

	if (gen != m->next.gen || m->phase != RELOAD_TAKING)
		return;
	if (why)
		give_up(m, STATUS_CONF_BROKEN, why);
	else
		start_filling(m);
}

void reload_compile(struct master *m)
{
	struct exclude_problems problems = {0};
	struct exclude_problem *p;

	exclude_free(&m->exclude);
	m->exclude = exclude_new(m->settings->conf, &problems);
	json_decref(m->void_entries);
	m->void_entries = json_array();
	vec_each (p, &problems)
		json_array_append_new(m->void_entries,
				      json_pack("{s:s,s:s,s:s}", "key", p->key,
						"entry", p->entry, "reason",
						p->reason));
	exclude_problems_free(&problems);
}

/* --- the change --------------------------------------------------------- */

static void switch_over(struct master *m)
{
	bool new_engine = m->line.gen != m->next.gen;
	bool armed;

	m->line = m->next;
	m->next.gen = NULL;
	enter(m, RELOAD_IDLE);
	if (m->incoming) {
		settings_free(&m->settings);
		m->settings = m->incoming;
		m->incoming = NULL;
		reload_compile(m);
		jobs_allow(m->jobs, &m->settings->users);
		status_well(m->status, STATUS_CONF_BROKEN);
	}
	status_well(m->status, STATUS_WORKERS_FEW);
	settings_publish(m->sb, m->settings->conf);
	remember_epoch(m->remember, m->line.epoch);
	/* The numbers tell whoever asked for the change that it holds: so what
	 * it protects is marked by then, and nobody judges by the old. */
	khm_side_readers(m->khm, m->line.khm);
	khm_side_coming(m->khm, false);
	armed = master_arm(m) == 0;
	slots_drain_others(m->slots, &m->line);
	atomic_store(&m->sb->pattern_id, gen_pattern_id(m->line.gen));
	atomic_store(&m->sb->generation, gen_number(m->line.gen));
	atomic_store(&m->sb->policy_generation, m->line.policy_generation);
	if (new_engine) {
		poison_clear(m->sb);
		status_well(m->status, STATUS_PATTERNS_BROKEN);
		m->pause_ms = 0;
		xfree(&m->load_fault);
		try_again(m);
	}
	if (armed)
		atomic_store(&m->sb->master_state, MASTER_READY);
	/* Behind the new numbers: what a worker of the old line still marks it
	 * takes back by itself. */
	marks_flush_ignored(m->marks);
	refresh_begin(m->refresh);
	log_info("generation %llu serves policy=%llu",
		 (unsigned long long)gen_number(m->line.gen),
		 (unsigned long long)m->line.policy_generation);
	status_changed(m->status);
	status_tick(m->status);
}

static void on_forked(struct gen *gen, int slot, pid_t pid, int pidfd,
		      const char *why, void *arg)
{
	struct master *m = arg;

	slots_forked(m->slots, gen, slot, pid, pidfd, why);
}

static void on_died(struct gen *gen, int slot, pid_t pid, int status, void *arg)
{
	struct master *m = arg;

	slots_died(m->slots, gen, slot, pid, status);
}

static const struct gen_events gen_events = {
	.ready = on_ready,
	.failed = on_failed,
	.forked = on_forked,
	.died = on_died,
	.settings_done = on_settings_done,
	.gone = on_gone,
};

void reload_patterns(struct master *m)
{
	m->want_patterns = true;
	m->not_before_ns = 0;
	xfree(&m->load_fault);
}

void reload_settings(struct master *m)
{
	m->want_settings = true;
}

/* Those that nothing needs any more. */
static void free_gens(struct master *m)
{
	size_t i;

	for (i = m->gens.len; i-- > 0;) {
		struct gen *gen = m->gens.items[i];

		if (gen == m->line.gen || gen == m->next.gen ||
		    slots_any(m->slots, gen))
			continue;
		vec_remove(&m->gens, i);
		scoreboard_unexempt(m->sb, gen_pid(gen));
		gen_free(&gen);
	}
}

static void check_waiting(struct master *m, uint64_t now)
{
	struct gen **gen;

	vec_each (gen, &m->gens) {
		uint64_t since = gen_waiting_since(*gen);
		uint64_t limit =
			gen_is_ready(*gen) ? FORK_LIMIT_MS : LOAD_LIMIT_MS;

		if (!since || now < since ||
		    now - since < limit * CLOCK_NS_PER_MS)
			continue;
		log_error("generation %llu does not answer: killed",
			  (unsigned long long)gen_number(*gen));
		gen_kill(*gen);
	}
}

/* --- one at a time ------------------------------------------------------ */

static bool is_held_off(struct master *m)
{
	struct proc_id id = {
		.pid = atomic_load(&m->sb->unload.pid),
		.start = atomic_load(&m->sb->unload.start),
	};

	if (id.pid <= 0 || !proc_alive(&id))
		return false;
	if (!proc_stopped(&id))
		m->held_stopped_ns = 0;
	else if (!m->held_stopped_ns)
		m->held_stopped_ns = clock_mono_ns();
	/* Nobody is without protection for somebody's sake who sleeps. */
	else
		return clock_mono_ns() - m->held_stopped_ns <
		       STOPPED_MS * CLOCK_NS_PER_MS;
	return true;
}

/*
 * Nothing is loaded as long as somebody needs the memory to try other
 * patterns; true meanwhile. Who opens is answered as when no worker lives.
 */
static bool hold_off(struct master *m)
{
	if (is_held_off(m)) {
		if (m->line.gen) {
			log_warn("the patterns are unloaded");
			memset(&m->line, 0, sizeof(m->line));
			slots_drain_others(m->slots, &m->line);
		}
		if (!m->gens.len)
			atomic_store(&m->sb->unload.done, 1);
		return true;
	}
	if (atomic_exchange(&m->sb->unload.pid, 0))
		log_warn("who had the patterns unloaded does not go on");
	if (atomic_exchange(&m->sb->unload.done, 0) || !m->line.gen)
		m->want_patterns = true;
	return false;
}

static void start_next(struct master *m, uint64_t now)
{
	struct err err;

	if (m->want_settings && !m->reading) {
		m->want_settings = false;
		m->reading = hand_start(m->loop, m->sb, READ_LIMIT_MS,
					read_settings, settings_read, m, &err);
		if (!m->reading)
			status_fault(m->status, STATUS_CONF_BROKEN, "%s",
				     err.text);
	} else if (m->want_patterns && !m->reading && now >= m->not_before_ns) {
		start_generation(m);
	}
}

void reload_tick(struct master *m)
{
	uint64_t now = clock_mono_ns();

	check_waiting(m, now);
	free_gens(m);
	if (m->stopping)
		return;
	if (m->phase == RELOAD_IDLE && !hold_off(m))
		start_next(m, now);
	if (m->phase != RELOAD_FILLING)
		return;
	slots_fill(m->slots, &m->next);
	if (slots_filled(m->slots, &m->next))
		switch_over(m);
	else if (m->line.gen &&
		 now - m->phase_ns > FILL_LIMIT_MS * CLOCK_NS_PER_MS)
		give_up(m, STATUS_WORKERS_FEW, "the new workers do not start");
}

void reload_stop(struct master *m)
{
	struct gen **gen;

	hand_cancel(&m->reading);
	settings_free(&m->incoming);
	xfree(&m->load_fault);
	m->line.gen = m->next.gen = NULL;
	vec_each (gen, &m->gens)
		gen_free(gen);
	vec_free(&m->gens);
}
