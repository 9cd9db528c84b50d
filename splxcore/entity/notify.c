/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "notify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jsontext.h"
#include "common/paths.h"
#include "common/version.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/filemark.h"
#include "lib/log.h"
#include "lib/str.h"
#include "notify_impl.h"

#define TICK_MS 1000
#define SOON_MS 20 /* between looks at a long log, for others' sake */
#define RETRY_MIN_S 5
#define RETRY_MAX_S 300
#define REFUSALS_MAX 3 /* of one message; then the others have their turn */
#define SAVE_EVERY 1000
#define HOUR_S 3600
#define DROPS_TOLD_S 86400

struct channel {
	struct notify *notify;
	char name[SCAN_NAME_MAX + 1];
	const struct notify_channel *conf; /* NULL: the entry is gone */
	struct notify_mark mark;
	int64_t saved_told;
	bool known; /* the mark was read */
	struct gather g;
	unsigned long seen; /* of the log's turns */
	double tokens;	    /* messages that may go now */
	uint64_t tokens_ns;

	struct notify_child *child;
	json_t *sending; /* its messages */
	int failures;	 /* in a row */
	int64_t failing_ns;
	uint64_t failing_mono_ns, next_ns;
	bool late;  /* it was told that it fails */
	bool stale; /* other settings since it began to send */
	int refusals;
	int64_t refused_told;
	char *error;
};

/* One that somebody asked for. */
struct trial {
	struct notify *notify;
	struct notify_child *child;
	notify_child_fn fn;
	void *arg;
};

struct notify {
	struct core *core;
	struct trial trials[NOTIFY_TESTS_MAX];
	struct notify_conf *conf;
	struct filemark mark;
	struct store_follower *follower;
	struct loop_event *tick, *soon;
	unsigned long turns; /* the log got longer so often */
	struct {
		VEC(struct channel *);
	} channels;
};

/* ---- marks ---- */

static void save(struct channel *c)
{
	struct err err;

	if (store_notify_save(c->notify->core->store, c->name, &c->mark,
			      &err) == 0)
		c->saved_told = c->mark.told;
}

static void drop(struct channel *c, int64_t events)
{
	if (events <= 0)
		return;
	c->mark.dropped += events;
	c->mark.dropped_ns = clock_real_ns();
	log_warn("notify %s: %lld events are dropped", c->name,
		 (long long)events);
}

/* A new channel is told of what comes from now on. */
static bool load(struct channel *c)
{
	struct store *store = c->notify->core->store;
	struct err err;
	int rc;

	if (c->known)
		return true;
	rc = store_notify_get(store, c->name, &c->mark, &err);
	if (rc < 0)
		return false;
	c->known = true;
	c->saved_told = c->mark.told;
	if (rc == 0) {
		c->mark.told = store_last_event(store);
		save(c);
	}
	return true;
}

/* From the mark on. What is no more in the log cannot be told. */
static void begin_anew(struct channel *c)
{
	struct store *store = c->notify->core->store;
	int64_t first = store_first_event(store);

	/* Another store than before: it was damaged and put aside. */
	if (c->mark.told > store_last_event(store))
		c->mark.told = 0;
	if (first > c->mark.told + 1 && c->mark.told > 0) {
		drop(c, first - c->mark.told - 1);
		c->mark.told = first - 1;
	}
	gather_begin(&c->g, c->mark.told);
}

/* Up to that event nothing waits any more. */
static void move_on(struct channel *c, int64_t told)
{
	bool dropped = c->g.dropped > 0;

	drop(c, c->g.dropped);
	c->g.dropped = 0;
	c->mark.told = told;
	if (dropped || told - c->saved_told > SAVE_EVERY)
		save(c);
}

/* ---- sending ---- */

static json_t *job_for(const struct notify_channel *conf, json_t *messages)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	return json_pack("{s:o, s:o, s:s, s:O}", "channel", notify_job(conf),
			 "host", jsontext_new(host), "version", SPLX_VERSION,
			 "messages", messages);
}

struct notify_child *notify_send(struct core *core,
				 const struct notify_channel *conf,
				 json_t *messages, notify_child_fn fn,
				 void *arg, struct err *err)
{
	json_t *job = job_for(conf, messages);
	struct notify_child *child =
		notify_child_start(core, job, fn, arg, err);

	json_decref(job);
	return child;
}

static uint64_t backoff_s(int failures)
{
	uint64_t s = RETRY_MIN_S;

	while (--failures > 0 && s < RETRY_MAX_S)
		s *= 2;
	return s < RETRY_MAX_S ? s : RETRY_MAX_S;
}

static void failed(struct channel *c, const char *why, uint64_t wait_s)
{
	uint64_t now = clock_mono_ns(), s = backoff_s(++c->failures);

	if (c->failures == 1) {
		c->failing_ns = clock_real_ns();
		c->failing_mono_ns = now;
		log_warn("notify %s: %s", c->name, why);
	}
	xfree(&c->error);
	c->error = xstrdup(why);
	c->next_ns = now + (wait_s > s ? wait_s : s) * CLOCK_NS_PER_S;
}

static void went_well(struct channel *c)
{
	if (c->late)
		core_event(c->notify->core, "info", "entity", STATUS_OK,
			   "channel %s: others can be told again", c->name);
	else if (c->failures)
		log_info("notify %s: well again", c->name);
	c->late = false;
	c->failures = c->refusals = 0;
	c->next_ns = 0;
	c->mark.ok_ns = clock_real_ns();
	xfree(&c->error);
}

/* The first n of the messages arrived, or (dropped) need not any more. */
static void done_with(struct channel *c, size_t n, bool dropped)
{
	json_t *first = json_array_get(c->sending, 0);
	int64_t events = 0, told;

	if (json_object_get(first, "digest")) {
		events = c->g.count;
		told = c->g.read;
	} else {
		told = gather_last_id(c->sending, n, &events);
		/* What comes after them is not for this channel. */
		if (events == c->g.count && !c->g.more)
			told = c->g.read;
	}
	if (dropped)
		drop(c, events);
	else
		c->mark.sent += events;
	move_on(c, told);
	save(c);
	begin_anew(c);
}

/* A server that understands a message and does not want it would not want it
 * tomorrow. */
static bool gives_up(struct channel *c)
{
	if (c->refused_told != c->mark.told)
		c->refusals = 0;
	c->refused_told = c->mark.told;
	return ++c->refusals >= REFUSALS_MAX;
}

static void on_answer(json_t *answer, void *arg)
{
	struct channel *c = arg;
	size_t n = (size_t)json_integer_value(json_object_get(answer, "sent"));
	const char *why = json_string_value(json_object_get(answer, "why"));
	json_int_t wait =
		json_integer_value(json_object_get(answer, "retry_after"));
	bool refused = json_is_true(json_object_get(answer, "refused"));

	c->child = NULL;
	if (n > json_array_size(c->sending))
		n = 0;
	if (n > 0) {
		c->tokens -= (double)n;
		went_well(c);
		done_with(c, n, false);
	}
	if (!json_is_true(json_object_get(answer, "ok"))) {
		failed(c, why ? why : "no answer",
		       wait > 0 ? (uint64_t)wait : 0);
		if (n == 0 && refused && gives_up(c))
			done_with(c, 1, true);
	}
	json_decref(c->sending);
	c->sending = NULL;
	if (c->stale)
		gather_free(&c->g);
	c->stale = false;
}

static void refill(struct channel *c)
{
	double rate = (double)c->conf->rate;
	uint64_t now = clock_mono_ns();

	if (c->tokens_ns)
		c->tokens += (double)(now - c->tokens_ns) * rate / HOUR_S /
			     (double)CLOCK_NS_PER_S;
	else
		c->tokens = rate;
	c->tokens_ns = now;
	if (c->tokens > rate)
		c->tokens = rate;
}

static void send(struct channel *c)
{
	size_t max = c->conf->rate ? (size_t)c->tokens : GATHER_EVENTS;
	struct err err;

	if (c->conf->digest && c->g.count > c->conf->digest)
		c->sending = gather_digest(&c->g);
	else
		c->sending = gather_messages(&c->g, c->conf, max);
	c->child = notify_send(c->notify->core, c->conf, c->sending, on_answer,
			       c, &err);
	if (c->child)
		return;
	json_decref(c->sending);
	c->sending = NULL;
	failed(c, err.text, 0);
}

static bool is_ready(struct channel *c)
{
	int64_t age = clock_real_ns() - c->g.first_ns;

	if (c->conf->rate)
		refill(c);
	/* A clock that was set back is no reason to wait. */
	return clock_mono_ns() >= c->next_ns &&
	       (!c->conf->rate || c->tokens >= 1) &&
	       (age < 0 ||
		age >= (int64_t)(c->conf->collect_ms * CLOCK_NS_PER_MS));
}

/* ---- trials ---- */

static void on_tried(json_t *answer, void *arg)
{
	struct trial *t = arg;

	t->child = NULL;
	t->fn(answer, t->arg);
}

bool notify_test(struct core *core, const struct notify_channel *conf,
		 json_t *messages, notify_child_fn fn, void *arg,
		 struct err *err)
{
	struct trial *t = core->notify->trials;

	while (t < core->notify->trials + NOTIFY_TESTS_MAX && t->child)
		t++;
	if (t == core->notify->trials + NOTIFY_TESTS_MAX) {
		err_set(err, 0, "%d tests are under way already",
			NOTIFY_TESTS_MAX);
		return false;
	}
	t->fn = fn;
	t->arg = arg;
	t->child = notify_send(core, conf, messages, on_tried, t, err);
	return t->child != NULL;
}

static void end_trials(struct notify *n)
{
	for (int i = 0; i < NOTIFY_TESTS_MAX; i++) {
		if (!n->trials[i].child)
			continue;
		notify_child_cancel(&n->trials[i].child);
		free(n->trials[i].arg);
	}
}

/* ---- looking ---- */

static void tell_late(struct channel *c)
{
	uint64_t for_ms =
		(clock_mono_ns() - c->failing_mono_ns) / CLOCK_NS_PER_MS;

	if (!c->failures || c->late || for_ms < NOTIFY_LATE_S * 1000ull)
		return;
	c->late = true;
	core_event(c->notify->core, "medium", "entity", STATUS_NOTIFY_FAILED,
		   "channel %s: nobody can be told: %s", c->name,
		   c->error ? c->error : "");
}

/* True when there is more to look at. */
static bool look(struct channel *c)
{
	struct notify *n = c->notify;
	struct err err;
	int rc;

	if (!c->conf || c->child || !load(c))
		return false;
	if (!c->conf->enabled) {
		c->mark.told = store_last_event(n->core->store);
		gather_free(&c->g);
		return false;
	}
	if (!c->g.events)
		begin_anew(c);
	if (c->seen != n->turns) {
		c->seen = n->turns;
		c->g.more = true;
	}
	rc = gather_step(&c->g, n->core->store, c->conf, &err);
	if (rc != 0)
		return rc > 0;
	if (c->g.count == 0)
		move_on(c, c->g.read);
	else if (is_ready(c))
		send(c);
	return false;
}

static void look_at_all(void *arg)
{
	struct notify *n = arg;
	bool more = false;

	for (size_t i = 0; i < n->channels.len; i++)
		more |= look(n->channels.items[i]);
	loop_cancel(&n->soon);
	if (more)
		n->soon = loop_timer(n->core->loop, SOON_MS, false, look_at_all,
				     n);
}

static void on_tick(void *arg)
{
	struct notify *n = arg;

	if (filemark_changed(&n->mark, paths()->notify))
		notify_reload(n->core);
	look_at_all(n);
	for (size_t i = 0; i < n->channels.len; i++)
		tell_late(n->channels.items[i]);
}

static void on_event(int64_t id, void *arg)
{
	struct notify *n = arg;

	(void)id;
	n->turns++;
}

/* ---- channels ---- */

static struct channel *find(const struct notify *n, const char *name)
{
	struct channel **c;

	vec_each (c, &n->channels)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static void channel_free(struct channel *c)
{
	notify_child_cancel(&c->child);
	json_decref(c->sending);
	gather_free(&c->g);
	free(c->error);
	free(c);
}

/* What a change of settings may have bettered is tried at once. */
static void retry_now(struct channel *c)
{
	c->next_ns = 0;
	c->refusals = 0;
}

static bool is_same(const struct notify_channel *a,
		    const struct notify_channel *b)
{
	json_t *of_a[] = {notify_json(a), notify_job(a)};
	json_t *of_b[] = {notify_json(b), notify_job(b)};
	bool same = true;

	for (int i = 0; i < 2; i++) {
		same &= json_equal(of_a[i], of_b[i]);
		json_decref(of_a[i]);
		json_decref(of_b[i]);
	}
	return same;
}

static void take_over(struct notify *n, const struct notify_channel *conf,
		      const struct notify_conf *old)
{
	const struct notify_channel *was =
		old ? notify_conf_find(old, conf->name) : NULL;
	struct channel *c = find(n, conf->name);

	if (!c) {
		c = xcalloc(1, sizeof(*c));
		c->notify = n;
		str_copy(c->name, sizeof(c->name), conf->name);
		vec_push(&n->channels, c);
	}
	c->conf = conf;
	/* From now on, not from the next look on. */
	load(c);
	if (was && is_same(was, conf))
		return;
	retry_now(c);
	/* Which events it wants may be another question now. */
	c->stale = c->child;
	if (!c->child)
		gather_free(&c->g);
}

static void tell_problems(struct core *core, const struct notify_conf *conf)
{
	if (!conf->problems.len)
		core_well(core, STATUS_NOTIFY_ENTRY);
	else if (conf->problems.len == 1)
		core_fault(core, STATUS_NOTIFY_ENTRY, "%s",
			   conf->problems.items[0].text);
	else
		core_fault(core, STATUS_NOTIFY_ENTRY, "%s (and %zu more)",
			   conf->problems.items[0].text,
			   conf->problems.len - 1);
}

void notify_reload(struct core *core)
{
	struct notify *n = core->notify;
	struct notify_conf *old = n->conf;
	const struct notify_channel *conf;

	filemark_changed(&n->mark, paths()->notify);
	n->conf = notify_conf_read();
	for (size_t i = 0; i < n->channels.len; i++)
		n->channels.items[i]->conf = NULL;
	vec_each (conf, &n->conf->entries)
		take_over(n, conf, old);
	for (size_t i = n->channels.len; i-- > 0;) {
		struct channel *c = n->channels.items[i];

		if (c->conf)
			continue;
		save(c);
		channel_free(c);
		vec_remove(&n->channels, i);
	}
	notify_conf_free(&old);
	tell_problems(core, n->conf);
}

int notify_init(struct core *core, struct err *err)
{
	struct notify *n = xcalloc(1, sizeof(*n));

	(void)err;
	core->notify = n;
	n->core = core;
	notify_reload(core);
	n->follower = store_follow(core->store, on_event, n);
	n->tick = loop_timer(core->loop, TICK_MS, true, on_tick, n);
	return 0;
}

void notify_deinit(struct core *core)
{
	struct notify *n = core->notify;

	if (!n)
		return;
	end_trials(n);
	loop_cancel(&n->tick);
	loop_cancel(&n->soon);
	store_unfollow(&n->follower);
	for (size_t i = 0; i < n->channels.len; i++) {
		struct channel *c = n->channels.items[i];

		if (c->known && c->saved_told != c->mark.told)
			save(c);
		channel_free(c);
	}
	vec_free(&n->channels);
	notify_conf_free(&n->conf);
	xfree(&core->notify);
}

/* ---- how they are doing ---- */

static const char *state_of(const struct channel *c)
{
	if (!c->conf->enabled)
		return "off";
	if (c->failures)
		return "failing";
	if (c->child)
		return "sending";
	return c->g.count ? "waiting" : "idle";
}

static json_t *time_or_null(int64_t ns)
{
	return ns ? json_integer(ns) : json_null();
}

static json_t *status_of(const struct channel *c)
{
	uint64_t now = clock_mono_ns();
	char *target = notify_target(c->conf);
	json_t *o = json_pack(
		"{s:s, s:s, s:o, s:b, s:s, s:I, s:b, s:o, s:I, s:I, s:o, s:o, "
		"s:i, s:o, s:I, s:o}",
		"name", c->name, "type", notify_type_name(c->conf->type),
		"target", jsontext_new(target), "enabled", c->conf->enabled,
		"state", state_of(c), "waiting", (json_int_t)c->g.count, "more",
		c->g.more, "oldest",
		time_or_null(c->g.count ? c->g.first_ns : 0), "sent",
		(json_int_t)c->mark.sent, "dropped",
		(json_int_t)c->mark.dropped, "dropped_at",
		time_or_null(c->mark.dropped_ns), "ok_at",
		time_or_null(c->mark.ok_ns), "failures", c->failures,
		"failing_since", time_or_null(c->failures ? c->failing_ns : 0),
		"next_try_s",
		(json_int_t)(c->next_ns > now
				     ? (c->next_ns - now) / CLOCK_NS_PER_S
				     : 0),
		"error", c->error ? jsontext_new(c->error) : json_null());

	free(target);
	return o;
}

json_t *notify_status(const struct core *core, const char *name)
{
	const struct channel *c = find(core->notify, name);

	return c ? status_of(c) : NULL;
}

json_t *notify_status_all(const struct core *core)
{
	const struct notify *n = core->notify;
	json_t *rows = json_array();

	for (size_t i = 0; i < n->channels.len; i++)
		json_array_append_new(rows, status_of(n->channels.items[i]));
	return rows;
}

json_t *notify_queue(const struct core *core, const char *name)
{
	const struct channel *c = find(core->notify, name);

	if (!c)
		return NULL;
	return json_pack("{s:s, s:I, s:b, s:o}", "name", name, "waiting",
			 (json_int_t)c->g.count, "more", c->g.more, "events",
			 c->g.events ? json_incref(c->g.events) : json_array());
}

void notify_check(const struct core *core, struct report *r)
{
	const struct notify *n = core->notify;
	int64_t day = (int64_t)DROPS_TOLD_S * (int64_t)CLOCK_NS_PER_S;
	char since[32];

	for (size_t i = 0; n && i < n->channels.len; i++) {
		const struct channel *c = n->channels.items[i];
		uint64_t ms = (clock_mono_ns() - c->failing_mono_ns) /
			      CLOCK_NS_PER_MS;

		if (c->late)
			health_issue(r, STATUS_NOTIFY_FAILED, "entity",
				     "channel %s fails for %s, %lld%s events "
				     "wait: %s",
				     c->name,
				     str_duration(since, sizeof(since), ms),
				     (long long)c->g.count,
				     c->g.more ? " or more" : "",
				     c->error ? c->error : "");
		if (c->mark.dropped_ns &&
		    clock_real_ns() - c->mark.dropped_ns < day)
			health_issue(r, STATUS_NOTIFY_DROPPED, "entity",
				     "channel %s: within the last day events "
				     "were dropped (%lld in all)",
				     c->name, (long long)c->mark.dropped);
	}
}

int64_t notify_drop(struct core *core, const char *name)
{
	struct channel *c = find(core->notify, name);
	int64_t count;

	if (!c || !load(c))
		return -1;
	notify_child_cancel(&c->child);
	json_decref(c->sending);
	c->sending = NULL;
	count = c->g.count;
	drop(c, count);
	c->g.dropped = 0;
	c->mark.told = store_last_event(core->store);
	save(c);
	begin_anew(c);
	return count;
}

void notify_nudge(struct core *core, const char *name)
{
	struct channel *c = find(core->notify, name);

	if (c)
		retry_now(c);
}

void notify_forget(struct core *core, const char *name)
{
	struct err err;

	store_notify_remove(core->store, name, &err);
}
