/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Connections as events, however many there are. */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "network_impl.h"

#define MINUTE_NS (60 * CLOCK_NS_PER_S)

/* Equal connections, told once already. */
struct fold {
	struct net_report report;
	uint64_t since_ns;
	uint64_t more; /* since it was told */
};
struct netevents {
	struct store *store;
	struct {
		VEC(struct fold *);
	} folds;
	uint64_t minute_ns; /* when this one began */
	unsigned int told;  /* in this minute */
	uint64_t rest;	    /* not told in this minute */
};

struct netevents *netevents_new(struct store *store)
{
	struct netevents *events = xcalloc(1, sizeof(*events));

	events->store = store;
	return events;
}

/* ---- writing ---- */

static json_t *text_or_null(const char *text)
{
	return *text ? json_string_nocheck(text) : json_null();
}

static json_t *columns(const struct net_report *r, uint64_t times)
{
	char remote[NETWORK_ADDRESS_MAX], local[NETWORK_ADDRESS_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "verdict",
			    json_string(network_verdict(r->answer.verdict)));
	json_object_set_new(o, "direction",
			    json_string(r->conn.in ? "in" : "out"));
	json_object_set_new(
		o, "address",
		json_string(network_address(r->conn.remote, remote)));
	json_object_set_new(o, "port", json_integer(network_port(&r->conn)));
	json_object_set_new(o, "local",
			    json_string(network_address(r->conn.local, local)));
	if (r->pid)
		json_object_set_new(o, "pid", json_integer(r->pid));
	if (r->conn.uid >= 0)
		json_object_set_new(o, "uid", json_integer(r->conn.uid));
	json_object_set_new(o, "program", text_or_null(r->program));
	json_object_set_new(o, "rule", text_or_null(r->rule));
	json_object_set_new(o, "list", text_or_null(r->list));
	json_object_set_new(o, "times", json_integer((json_int_t)times));
	return o;
}

static const char *what_happened(enum conn_verdict v)
{
	return v == CONN_DROP	 ? "dropped"
	       : v == CONN_RESET ? "refused"
				 : "alert";
}

static void write_event(struct netevents *events, const struct net_report *r,
			uint64_t times, const char *why)
{
	const char *program = *r->program ? r->program : "?";
	char remote[NETWORK_ADDRESS_MAX];
	struct str text = {0};

	network_address(r->conn.remote, remote);
	if (times > 1)
		str_addf(&text, "%llu times ", (unsigned long long)times);
	str_addf(&text, "%s: ", what_happened(r->answer.verdict));
	if (r->conn.in)
		str_addf(&text, "%s to port %d, %s", remote,
			 network_port(&r->conn), program);
	else
		str_addf(&text, "%s to %s port %d", program, remote,
			 network_port(&r->conn));
	str_addf(&text, " (%s)", why);
	store_event(events->store, EVENT_network, EVENT_SEVERITY_MEDIUM,
		    columns(r, times), "%s", str_get(&text));
	str_free(&text);
}

/* Whether there may be one more in this minute. */
static bool may_tell(struct netevents *events, uint64_t times)
{
	if (events->told < NETEVENTS_MINUTE) {
		events->told++;
		return true;
	}
	events->rest += times;
	return false;
}

static void tell(struct netevents *events, const struct net_report *r,
		 uint64_t times)
{
	struct str why = {0};

	if (!may_tell(events, times))
		return;
	str_addf(&why, "rule %s", r->rule);
	if (*r->list)
		str_addf(&why, ", list %s", r->list);
	write_event(events, r, times, str_get(&why));
	str_free(&why);
}

/* ---- what is equal ---- */

static bool is_same(const struct net_report *a, const struct net_report *b)
{
	return a->conn.in == b->conn.in &&
	       a->answer.verdict == b->answer.verdict &&
	       network_port(&a->conn) == network_port(&b->conn) &&
	       memcmp(a->conn.remote, b->conn.remote, 16) == 0 &&
	       strcmp(a->rule, b->rule) == 0 &&
	       strcmp(a->program, b->program) == 0;
}

/* What came since is told; the fold is over. */
static void end_fold(struct netevents *events, size_t i)
{
	struct fold *f = events->folds.items[i];

	if (f->more)
		tell(events, &f->report, f->more);
	free(f);
	events->folds.items[i] = events->folds.items[--events->folds.len];
}

void netevents_add(struct netevents *events, const struct net_report *report,
		   uint64_t now_ns)
{
	struct fold **at, *f;

	vec_each (at, &events->folds)
		if (is_same(&(*at)->report, report)) {
			(*at)->more += report->times;
			(*at)->report.pid = report->pid;
			return;
		}
	tell(events, report, report->times);
	if (events->folds.len == NETEVENTS_MAX)
		return;
	f = xcalloc(1, sizeof(*f));
	f->report = *report;
	f->since_ns = now_ns;
	vec_push(&events->folds, f);
}

void netevents_news(struct netevents *events, const struct net_report *report)
{
	struct net_report r = *report;

	if (!may_tell(events, r.times))
		return;
	/* It went on: that is all that the model may do. */
	r.answer = (struct conn_answer){CONN_ALERT, -1, -1};
	r.rule[0] = r.list[0] = '\0';
	write_event(events, &r, r.times,
		    "for the first time since it is known what is usual");
}

static void next_minute(struct netevents *events, uint64_t now_ns)
{
	if (events->rest)
		store_event(
			events->store, EVENT_network, EVENT_SEVERITY_MEDIUM,
			json_pack("{s:I}", "times", (json_int_t)events->rest),
			"%llu more connections were alerted or prevented "
			"within a minute: too many to tell each",
			(unsigned long long)events->rest);
	events->rest = 0;
	events->told = 0;
	events->minute_ns = now_ns;
}

void netevents_tick(struct netevents *events, uint64_t now_ns)
{
	if (now_ns >= events->minute_ns + MINUTE_NS)
		next_minute(events, now_ns);
	for (size_t i = events->folds.len; i-- > 0;)
		if (now_ns >= events->folds.items[i]->since_ns + MINUTE_NS)
			end_fold(events, i);
}

void netevents_free(struct netevents **events)
{
	if (!*events)
		return;
	next_minute(*events, 0);
	while ((*events)->folds.len)
		end_fold(*events, (*events)->folds.len - 1);
	vec_free(&(*events)->folds);
	next_minute(*events, 0);
	xfree(events);
}
