/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/control.h"
#include "common/jsontext.h"
#include "common/netconf.h"
#include "common/paths.h"
#include "common/scoreboard.h"
#include "lib/addrset.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/filemark.h"
#include "lib/log.h"
#include "lib/str.h"
#include "network_impl.h"

#define TICK_MS 1000
#define SAVE_TICKS 60
#define AGE_TICKS 3600
#define TURN_MAX 200 /* records that one turn of the loop takes */

/* Who talks to whom by which port. */
struct peer {
	bool in;
	uint8_t remote[16];
	uint16_t port;
	char *program;
	uint64_t times, alerted, prevented;
	int64_t last_ns;
};
struct network {
	struct core *core;
	struct loop_event *sock_event, *tick;
	struct net_report *recent; /* NETWORK_RECENT, a ring */
	size_t next, count;
	struct {
		VEC(struct peer);
	} peers;
	struct netevents *events;
	struct netmodel model;
	bool model_read; /* from the store */
	int64_t learnt_ms;
	uint64_t ticked_ns;
	unsigned int ticks;
	/* What rules and lists were when they were looked at. */
	bool looked;
	struct filemark rules_mark;
	uint64_t rules_hash, set_hash;
};

char *network_address(const uint8_t address[16], char out[NETWORK_ADDRESS_MAX])
{
	struct netaddr a;

	netaddr_from16(address, &a);
	if (!inet_ntop(a.family, a.bytes, out, NETWORK_ADDRESS_MAX))
		out[0] = '\0';
	return out;
}

const char *network_verdict(enum conn_verdict v)
{
	return netrule_action(v);
}

uint16_t network_port(const struct conn *conn)
{
	return conn->in ? conn->local_port : conn->remote_port;
}

/* ---- who talks to whom ---- */

static int newest_first(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;

	return (x->last_ns < y->last_ns) - (x->last_ns > y->last_ns);
}

/* The half that was heard of last stays. */
static void make_room(struct network *n)
{
	if (n->peers.len < NETWORK_PEERS)
		return;
	qsort(n->peers.items, n->peers.len, sizeof(*n->peers.items),
	      newest_first);
	while (n->peers.len > NETWORK_PEERS / 2)
		free(n->peers.items[--n->peers.len].program);
}

static struct peer *peer_of(struct network *n, const struct net_report *r)
{
	struct peer *p, new;

	vec_each (p, &n->peers)
		if (memcmp(p->remote, r->conn.remote, 16) == 0 &&
		    p->port == network_port(&r->conn) && p->in == r->conn.in &&
		    strcmp(p->program, r->program) == 0)
			return p;
	make_room(n);
	memset(&new, 0, sizeof(new));
	new.in = r->conn.in;
	memcpy(new.remote, r->conn.remote, 16);
	new.port = network_port(&r->conn);
	new.program = xstrdup(r->program);
	vec_push(&n->peers, new);
	return &n->peers.items[n->peers.len - 1];
}

static void count_peer(struct network *n, const struct net_report *r)
{
	struct peer *p = peer_of(n, r);

	p->times += r->times;
	p->last_ns = (int64_t)r->conn.at_ns;
	if (r->answer.verdict == CONN_ALERT)
		p->alerted += r->times;
	else if (r->answer.verdict != CONN_ALLOW)
		p->prevented += r->times;
}

/* ---- the model ---- */

static int64_t learning_ms(const struct network *n)
{
	return (int64_t)core_conf(n->core)->network_learning;
}

static void take_entry(const struct netmodel_entry *entry, void *arg)
{
	netmodel_load(arg, entry);
}

/* A store that is away is asked again; until then nothing is learnt. */
static bool model_ready(struct network *n)
{
	struct store *store = n->core->store;

	if (n->model_read)
		return true;
	netmodel_clear(&n->model);
	vec_free(&n->model.gone);
	n->model_read =
		store_netmodel_load(store, take_entry, &n->model, NULL) == 0 &&
		store_netmodel_learnt(store, &n->learnt_ms, NULL) == 0;
	return n->model_read;
}

static void model_save(struct network *n)
{
	struct err err;

	if (n->model_read &&
	    (store_netmodel_save(n->core->store, &n->model, &err) < 0 ||
	     store_netmodel_set_learnt(n->core->store, n->learnt_ms, &err) < 0))
		log_debug("the model of the network is not saved: %s",
			  err.text);
}

/* What goes out and was not prevented says what is usual. What a rule tells of
 * is told already. */
static void learn(struct network *n, const struct net_report *r)
{
	bool learning = n->learnt_ms < learning_ms(n);

	if (r->conn.in || r->conn.loopback || !learning_ms(n) ||
	    r->answer.verdict > CONN_ALERT || !model_ready(n))
		return;
	if (netmodel_see(&n->model, r->program, r->conn.remote,
			 network_port(&r->conn), (int64_t)r->conn.at_ns,
			 r->times, learning, NULL) == NETMODEL_NEW &&
	    r->answer.verdict == CONN_ALLOW)
		netevents_news(n->events, r);
}

void network_model_learn(struct core *core)
{
	struct network *n = core->network;

	model_ready(n);
	netmodel_clear(&n->model);
	n->learnt_ms = 0;
	model_save(n);
}

bool network_model_forget(struct core *core, int64_t id)
{
	struct network *n = core->network;

	if (!model_ready(n) || !netmodel_forget(&n->model, id))
		return false;
	model_save(n);
	return true;
}

/* ---- rules and lists ---- */

static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h;
}

/* What the rules' file holds; 0: there is none, or it cannot be read. */
static uint64_t rules_hash(void)
{
	char *text = entryfile_read(paths()->network, NETCONF_FILE_MAX, NULL);
	uint64_t h = text ? hash_text(text) : 0;

	free(text);
	return h;
}

/* Which set of patterns is current. */
static uint64_t set_hash(void)
{
	char *path = xasprintf("%s/current", paths()->pattern_dir);
	char target[64];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	free(path);
	target[n > 0 ? n : 0] = '\0';
	return hash_text(target);
}

/* Are rules or lists others than at the last look? */
static bool look(struct network *n)
{
	uint64_t rules = n->rules_hash, set = set_hash();
	bool others;

	if (filemark_changed(&n->rules_mark, paths()->network))
		rules = rules_hash();
	others = n->looked && (rules != n->rules_hash || set != n->set_hash);
	n->looked = true;
	n->rules_hash = rules;
	n->set_hash = set;
	return others;
}

void network_look(struct core *core)
{
	if (look(core->network))
		atomic_fetch_add(&core->sb->net_changes, 1);
}

void network_changed(struct core *core)
{
	/* What is new beside it is loaded with it, not once more later. */
	if (core->network)
		look(core->network);
	atomic_fetch_add(&core->sb->net_changes, 1);
}

/* ---- receiving ---- */

static void take(struct network *n, const struct net_report *r)
{
	n->recent[n->next] = *r;
	n->next = (n->next + 1) % NETWORK_RECENT;
	if (n->count < NETWORK_RECENT)
		n->count++;
	count_peer(n, r);
	if (r->answer.verdict != CONN_ALLOW)
		netevents_add(n->events, r, clock_mono_ns());
	learn(n, r);
}

static void on_sock(int fd, int what, void *arg)
{
	struct network *n = arg;
	struct net_report report;
	struct err err;
	int rc = 1;

	(void)what;
	for (int i = 0; i < TURN_MAX && rc != 0; i++) {
		rc = net_report_recv(fd, &report, &err);
		if (rc > 0)
			take(n, &report);
		if (rc < 0)
			log_warn("%s", err.text);
		if (rc < 0 && err.code != EBADMSG) {
			loop_cancel(&n->sock_event);
			return;
		}
	}
}

static void on_tick(void *arg)
{
	struct network *n = arg;
	uint64_t now = clock_mono_ns();

	network_look(n->core);
	netevents_tick(n->events, now);
	if (atomic_load(&n->core->sb->net.active) && model_ready(n) &&
	    n->learnt_ms < learning_ms(n))
		n->learnt_ms +=
			(int64_t)((now - n->ticked_ns) / CLOCK_NS_PER_MS);
	n->ticked_ns = now;
	n->ticks++;
	if (n->ticks % AGE_TICKS == 0)
		netmodel_age(&n->model, clock_real_ns());
	if (n->ticks % SAVE_TICKS == 0)
		model_save(n);
}

int network_init(struct core *core, struct err *err)
{
	struct network *n = xcalloc(1, sizeof(*n));

	(void)err;
	core->network = n;
	n->core = core;
	n->recent = xcalloc(NETWORK_RECENT, sizeof(*n->recent));
	n->events = netevents_new(core->store);
	n->ticked_ns = clock_mono_ns();
	model_ready(n);
	network_look(core);
	n->sock_event =
		loop_fd(core->loop, INHERIT_NET_RX, LOOP_READ, on_sock, n);
	n->tick = loop_timer(core->loop, TICK_MS, true, on_tick, n);
	return 0;
}

void network_deinit(struct core *core)
{
	struct network *n = core->network;
	struct peer *p;

	if (!n)
		return;
	loop_cancel(&n->sock_event);
	loop_cancel(&n->tick);
	if (core->store)
		model_save(n);
	netevents_free(&n->events);
	netmodel_deinit(&n->model);
	vec_each (p, &n->peers)
		free(p->program);
	vec_free(&n->peers);
	free(n->recent);
	xfree(&core->network);
}

/* ---- what is told ---- */

static json_t *text_or_null(const char *text)
{
	return *text ? jsontext_new(text) : json_null();
}

static json_t *number_or_null(int64_t n, int64_t none)
{
	return n == none ? json_null() : json_integer((json_int_t)n);
}

static bool holds(const struct net_report *r, const char *remote,
		  const char *text)
{
	return !text || strstr(r->program, text) || strstr(remote, text) ||
	       strstr(r->rule, text) || strstr(r->list, text) ||
	       strcmp(network_verdict(r->answer.verdict), text) == 0;
}

static json_t *connection(const struct net_report *r, const char *remote)
{
	const struct conn *c = &r->conn;
	char local[NETWORK_ADDRESS_MAX];

	return json_pack(
		"{s:I, s:s, s:s, s:s, s:i, s:s, s:i, s:o, s:o, s:o, s:o, s:o, "
		"s:I}",
		"time", (json_int_t)c->at_ns, "direction", c->in ? "in" : "out",
		"verdict", network_verdict(r->answer.verdict), "address",
		remote, "port", (int)network_port(c), "local",
		network_address(c->local, local), "peer_port",
		(int)(c->in ? c->remote_port : c->local_port), "pid",
		number_or_null(r->pid, 0), "uid", number_or_null(c->uid, -1),
		"program", text_or_null(r->program), "rule",
		text_or_null(r->rule), "list", text_or_null(r->list), "times",
		(json_int_t)r->times);
}

json_t *network_recent(const struct core *core, const char *text, size_t limit)
{
	const struct network *n = core->network;
	char remote[NETWORK_ADDRESS_MAX];
	json_t *list = json_array();

	for (size_t i = 0; i < n->count && json_array_size(list) < limit; i++) {
		const struct net_report *r =
			&n->recent[(n->next + NETWORK_RECENT - 1 - i) %
				   NETWORK_RECENT];

		network_address(r->conn.remote, remote);
		if (holds(r, remote, text))
			json_array_append_new(list, connection(r, remote));
	}
	return list;
}

static int most_first(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a,
			  *y = *(const struct peer *const *)b;

	return (x->times < y->times) - (x->times > y->times);
}

json_t *network_peers(const struct core *core, size_t limit)
{
	const struct network *n = core->network;
	const struct peer **order = xcalloc(n->peers.len + 1, sizeof(*order));
	char remote[NETWORK_ADDRESS_MAX];
	json_t *list = json_array();

	for (size_t i = 0; i < n->peers.len; i++)
		order[i] = &n->peers.items[i];
	qsort(order, n->peers.len, sizeof(*order), most_first);
	for (size_t i = 0; i < n->peers.len && i < limit; i++)
		json_array_append_new(
			list,
			json_pack("{s:b, s:o, s:s, s:i, s:I, s:I, s:I, s:I}",
				  "in", order[i]->in, "program",
				  text_or_null(order[i]->program), "address",
				  network_address(order[i]->remote, remote),
				  "port", (int)order[i]->port, "times",
				  (json_int_t)order[i]->times, "alerted",
				  (json_int_t)order[i]->alerted, "prevented",
				  (json_int_t)order[i]->prevented, "last",
				  (json_int_t)order[i]->last_ns));
	free(order);
	return list;
}

json_t *network_model_state(const struct core *core)
{
	struct network *n = core->network;
	int64_t left = learning_ms(n) - n->learnt_ms;
	const char *state = !learning_ms(n) ? "off"
			    : left > 0	    ? "learning"
					    : "watching";

	return json_pack("{s:s, s:I, s:I}", "state", state, "left_ms",
			 (json_int_t)(left > 0 ? left : 0), "entries",
			 (json_int_t)n->model.entries.len);
}

static int last_first(const void *a, const void *b)
{
	const struct netmodel_entry *x =
		*(const struct netmodel_entry *const *)a;
	const struct netmodel_entry *y =
		*(const struct netmodel_entry *const *)b;

	return (x->last_ns < y->last_ns) - (x->last_ns > y->last_ns);
}

static json_t *model_entry(const struct netmodel_entry *e)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:b}", "id",
			 (json_int_t)e->id, "program", text_or_null(e->program),
			 "network", text_or_null(e->network), "port",
			 number_or_null(e->port, 0), "first",
			 (json_int_t)e->first_ns, "last",
			 (json_int_t)e->last_ns, "times", (json_int_t)e->times,
			 "alerted", e->alerted);
}

json_t *network_model(const struct core *core, const char *text, bool alerted,
		      size_t limit)
{
	struct network *n = core->network;
	json_t *list = json_array();
	struct netmodel_entry **order;
	size_t len = n->model.entries.len;

	/* Each gets the number that it is forgotten by. */
	model_save(n);
	order = xcalloc(len + 1, sizeof(*order));
	for (size_t i = 0; i < len; i++)
		order[i] = n->model.entries.items[i];
	qsort(order, len, sizeof(*order), last_first);
	for (size_t i = 0; i < len && json_array_size(list) < limit; i++)
		if ((!alerted || order[i]->alerted) &&
		    (!text || strstr(order[i]->program, text) ||
		     strstr(order[i]->network, text)))
			json_array_append_new(list, model_entry(order[i]));
	free(order);
	return list;
}
