/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* network.*, what only reads; what the answers hold stands in network.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "childjob.h"
#include "common/codes.h"
#include "common/jsontext.h"
#include "common/netrules.h"
#include "common/patternset.h"
#include "common/scoreboard.h"
#include "dispatch.h"
#include "lib/addrset.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "network.h"
#include "verbs_network.h"

#define CHILD_MS 20000
#define PEERS 60
#define SOURCES_MAX 8

static json_t *time_or_null(uint64_t ns)
{
	return ns ? json_integer((json_int_t)ns) : json_null();
}

/* ---- how it does ---- */

/* What is written meanwhile is read again. */
static json_t *board_text(const struct net_board *b, const char *text)
{
	char copy[NET_REASON_MAX];
	uint32_t before;
	int tries = 0;

	do {
		before = atomic_load(&b->text_seq);
		memcpy(copy, text, sizeof(copy));
		atomic_thread_fence(memory_order_acquire);
	} while ((before % 2 || atomic_load(&b->text_seq) != before) &&
		 tries++ < 100);
	copy[sizeof(copy) - 1] = '\0';
	return *copy ? jsontext_new(copy) : json_null();
}

static void add_counts(json_t *data, const struct net_board *b)
{
	static const struct {
		const char *name;
		size_t at;
	} counts[] = {
#define COUNT(name, field) {name, offsetof(struct net_board, field)},
		COUNT("seen", first_packets) COUNT("judged", judged) COUNT(
			"uninspected", uninspected) COUNT("alerted", alerted)
			COUNT("dropped", dropped) COUNT("reset", reset) COUNT(
				"unreported", unreported) COUNT("stalls",
								stalls)
				COUNT("released", released) COUNT("restarts",
								  deaths)
					COUNT("overruns", overruns) COUNT(
						"put_back", put_back)
						COUNT("networks", entries)
#undef COUNT
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_set_new(
			data, counts[i].name,
			json_integer((json_int_t)atomic_load(
				(const _Atomic uint64_t *)((const char *)b +
							   counts[i].at))));
}

void verb_network_status(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct net_board *b = &core->sb->net;
	bool active = atomic_load(&b->active) != 0;
	int code = atomic_load(&b->code);
	json_t *data;

	(void)args;
	data = json_pack(
		"{s:b, s:b, s:i, s:s, s:o, s:o, s:i, s:i, s:o, s:o, s:o}",
		"enabled", core_conf(core)->network_monitor, "active", active,
		"code", code, "name", status_name((enum status_code)code),
		"reason", board_text(b, b->reason), "since",
		time_or_null(atomic_load(&b->since_ns)), "rules",
		(int)atomic_load(&b->rules), "lists",
		(int)atomic_load(&b->lists), "loaded",
		time_or_null(atomic_load(&b->loaded_ns)), "broken",
		atomic_load(&b->rules_broken) ? board_text(b, b->broken)
					      : json_null(),
		"model", network_model_state(core));
	add_counts(data, b);
	dispatch_reply(core, call, data);
}

/* ---- connections ---- */

void verb_network_connections(struct core *core, struct ipc_call *call,
			      json_t *args)
{
	struct dispatch_page page = {.limit = 100, .max = NETWORK_RECENT};

	if (!dispatch_page(core, call, args, "offset", &page))
		return;
	dispatch_reply(
		core, call,
		json_pack("{s:b, s:o, s:o}", "active",
			  atomic_load(&core->sb->net.active) != 0,
			  "connections",
			  network_recent(core, dispatch_arg(args, "text"),
					 (size_t)page.limit),
			  "peers", network_peers(core, PEERS)));
}

/* ---- rules ---- */

void netnames_read(struct netnames *names)
{
	const struct patternset_part *p;
	const struct manifest_file *f;
	char name[NET_NAME_MAX + 1];
	struct patternset set;

	memset(names, 0, sizeof(*names));
	if (patternset_current(&set, NULL) <= 0)
		return;
	vec_each (p, &set)
		vec_each (f, &p->m)
			if (netlist_name(f->name, name))
				vec_push(names, xstrdup(name));
	patternset_free(&set);
}

void netnames_free(struct netnames *names)
{
	char **name;

	vec_each (name, names)
		free(*name);
	vec_free(names);
}

json_t *netnames_missing(const struct netnames *names, const struct netrule *r)
{
	json_t *missing = json_array();
	char **want, **have;

	vec_each (want, &r->list) {
		bool found = false;

		vec_each (have, names)
			found |= strcmp(*have, *want) == 0;
		if (!found)
			json_array_append_new(missing, jsontext_new(*want));
	}
	return missing;
}

static json_t *rule_row(const struct netnames *names, const struct netrule *r)
{
	char *what = netrule_summary(r);
	json_t *row =
		json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "name", r->name,
			  "action", netrule_action(r->action), "enabled",
			  r->enabled, "what", jsontext_new(what), "text",
			  r->text ? jsontext_new(r->text) : json_null(),
			  "missing", netnames_missing(names, r));

	free(what);
	return row;
}

void verb_network_rules(struct core *core, struct ipc_call *call, json_t *args)
{
	struct netconf *conf = netconf_read();
	json_t *rules = json_array(), *problems = json_array();
	const struct entryfile_problem *p;
	const struct netrule *r;
	struct netnames names;

	netnames_read(&names);
	vec_each (r, &conf->entries)
		json_array_append_new(rules, rule_row(&names, r));
	vec_each (p, &conf->problems)
		json_array_append_new(problems, jsontext_new(p->text));
	netnames_free(&names);
	netconf_free(&conf);
	dispatch_reply(
		core, call,
		json_pack("{s:o, s:o}", "rules", rules, "problems", problems));
}

void verb_network_show(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *name = dispatch_arg(args, "name");
	struct netconf *conf = netconf_read();
	const struct netrule *r = netconf_find(conf, name);

	if (r)
		dispatch_reply(core, call,
			       json_pack("{s:s, s:o, s:n}", "name", r->name,
					 "settings", netrule_json(r), "note"));
	else
		dispatch_fail(core, call, "not_found",
			      "there is no rule %s, or it is void", name);
	netconf_free(&conf);
}

/* ---- what takes long: in a child ---- */

/* A question about a connection, or (of no address) about all lists. */
struct question {
	struct core *core;
	struct ipc_call *call;
	struct conn conn;
};

static void question_fail(struct question *q, const struct err *err)
{
	if (err)
		dispatch_fail(q->core, q->call, "failed", "%s", err->text);
	else
		dispatch_fail(q->core, q->call, "unavailable",
			      "the rules and lists could not be read in time");
}

static void ask(struct question *q, struct childjob_work *work)
{
	struct err err;

	work->arg = q;
	work->timeout_ms = CHILD_MS;
	if (childjob_start(q->core->loop, work, &err))
		return;
	question_fail(q, &err);
	free(q);
}

struct test_result {
	bool done;
	struct conn_answer answer;
	char rule[NET_NAME_MAX + 1], list[NET_NAME_MAX + 1];
	struct err err;
};

static void run_test(void *arg, void *result)
{
	const struct question *q = arg;
	struct test_result *out = result;
	struct netrules *rules = netrules_load(&out->err);

	if (!rules)
		return;
	judge_conn(rules, &q->conn, &out->answer);
	str_copy(out->rule, sizeof(out->rule),
		 netrules_rule_name(rules, out->answer.rule));
	str_copy(out->list, sizeof(out->list),
		 netrules_list_name(rules, out->answer.list));
	out->done = true;
}

static json_t *name_or_null(const char *name)
{
	return *name ? jsontext_new(name) : json_null();
}

static void tested(void *arg, const void *result)
{
	const struct test_result *out = result;
	struct question *q = arg;

	if (!out || !out->done)
		question_fail(q, out ? &out->err : NULL);
	else
		dispatch_reply(q->core, q->call,
			       json_pack("{s:s, s:o, s:o}", "verdict",
					 network_verdict(out->answer.verdict),
					 "rule", name_or_null(out->rule),
					 "list", name_or_null(out->list)));
	free(q);
}

static int take_address(const char *text, uint8_t out[16], struct err *err)
{
	struct netaddr a;

	if (netaddr_parse(text, &a, NULL) < 0 || strchr(text, '/'))
		return err_set(err, 0,
			       "%s: an address is wanted, such as 192.0.2.7 or "
			       "2001:db8::7",
			       text);
	netaddr_to16(&a, out);
	return 0;
}

static int take_conn(struct conn *c, json_t *args, struct err *err)
{
	const char *local = dispatch_arg(args, "local");
	const char *user = dispatch_arg(args, "user");
	long long port;
	uid_t uid;
	gid_t gid;

	memset(c, 0, sizeof(*c));
	c->in = json_is_true(json_object_get(args, "in"));
	c->uid = -1;
	c->at_ns = (uint64_t)clock_real_ns();
	if (take_address(dispatch_arg(args, "address"), c->remote, err) < 0 ||
	    take_address(local ? local : "0.0.0.0", c->local, err) < 0 ||
	    dispatch_arg_i64(args, "port", 0, 0, 65535, &port, err) < 0)
		return -1;
	*(c->in ? &c->local_port : &c->remote_port) = (uint16_t)port;
	if (user && proc_user(user, &uid, &gid, err) < 0)
		return -1;
	if (user)
		c->uid = uid;
	return 0;
}

void verb_network_test(struct core *core, struct ipc_call *call, json_t *args)
{
	struct childjob_work work = {.run = run_test,
				     .done = tested,
				     .result_size = sizeof(struct test_result)};
	struct question *q = xcalloc(1, sizeof(*q));
	struct err err;

	q->core = core;
	q->call = call;
	if (take_conn(&q->conn, args, &err) == 0) {
		ask(q, &work);
		return;
	}
	dispatch_fail(core, call, "bad_request", "%s", err.text);
	free(q);
}

/* ---- lists ---- */

struct lists_result {
	bool done;
	struct err err;
	uint64_t number;
	char fault[512];
	size_t len;
	struct list_result {
		char name[NET_NAME_MAX + 1];
		uint64_t networks, bytes;
		size_t sources;
		struct {
			char part[MANIFEST_NAME_MAX + 1];
			uint64_t version;
			int64_t created;
		} source[SOURCES_MAX];
	} list[NETLISTS_MAX];
};

static void one_list(struct list_result *to, const struct netlist *list)
{
	const struct netlist_source *s;

	str_copy(to->name, sizeof(to->name), list->name);
	to->networks = addrset_count(list->set);
	to->bytes = addrset_bytes(list->set);
	vec_each (s, &list->sources) {
		if (to->sources == SOURCES_MAX)
			break;
		str_copy(to->source[to->sources].part,
			 sizeof(to->source[0].part), s->part);
		to->source[to->sources].version = s->version;
		to->source[to->sources++].created = s->created;
	}
}

static void run_lists(void *arg, void *result)
{
	struct lists_result *out = result;
	struct netlists lists;
	const struct netlist *list;

	(void)arg;
	if (netlists_load(&lists, &out->err) < 0)
		return;
	out->number = lists.number;
	str_copy(out->fault, sizeof(out->fault),
		 lists.fault ? lists.fault : "");
	vec_each (list, &lists)
		one_list(&out->list[out->len++], list);
	out->done = true;
}

static json_t *used_by(const struct netconf *conf, const char *list)
{
	json_t *rules = json_array();
	const struct netrule *r;
	char **name;

	vec_each (r, &conf->entries)
		vec_each (name, &r->list)
			if (strcmp(*name, list) == 0)
				json_array_append_new(rules,
						      json_string(r->name));
	return rules;
}

static json_t *sources(const struct list_result *list)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < list->sources; i++)
		json_array_append_new(
			rows,
			json_pack("{s:o, s:I, s:I}", "part",
				  jsontext_new(list->source[i].part), "version",
				  (json_int_t)list->source[i].version,
				  "created",
				  (json_int_t)list->source[i].created));
	return rows;
}

static json_t *lists_json(const struct lists_result *out)
{
	struct netconf *conf = netconf_read();
	json_t *rows = json_array();

	for (size_t i = 0; i < out->len; i++)
		json_array_append_new(
			rows,
			json_pack("{s:o, s:I, s:I, s:o, s:o}", "name",
				  jsontext_new(out->list[i].name), "networks",
				  (json_int_t)out->list[i].networks, "bytes",
				  (json_int_t)out->list[i].bytes, "sources",
				  sources(&out->list[i]), "rules",
				  used_by(conf, out->list[i].name)));
	netconf_free(&conf);
	return json_pack("{s:I, s:o, s:o}", "set", (json_int_t)out->number,
			 "fault", name_or_null(out->fault), "lists", rows);
}

static void listed(void *arg, const void *result)
{
	const struct lists_result *out = result;
	struct question *q = arg;

	if (!out || !out->done)
		question_fail(q, out ? &out->err : NULL);
	else
		dispatch_reply(q->core, q->call, lists_json(out));
	free(q);
}

void verb_network_lists(struct core *core, struct ipc_call *call, json_t *args)
{
	struct childjob_work work = {.run = run_lists,
				     .done = listed,
				     .result_size =
					     sizeof(struct lists_result)};
	struct question *q = xcalloc(1, sizeof(*q));

	(void)args;
	q->core = core;
	q->call = call;
	ask(q, &work);
}

/* ---- the model ---- */

void verb_network_model(struct core *core, struct ipc_call *call, json_t *args)
{
	struct dispatch_page page = {.limit = 200, .max = 10000};
	json_t *data;

	if (!dispatch_page(core, call, args, "offset", &page))
		return;
	data = network_model_state(core);
	json_object_set(data, "total", json_object_get(data, "entries"));
	json_object_set_new(
		data, "entries",
		network_model(core, dispatch_arg(args, "text"),
			      json_is_true(json_object_get(args, "new")),
			      (size_t)page.limit));
	dispatch_reply(core, call, data);
}
