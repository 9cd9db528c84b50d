/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Rules and lists together, and what they say of a connection. */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "netconf.h"
#include "netjudge.h"
#include "netlist.h"
#include "netrules.h"

/* The lists of a rule, by their places; those that are missing are left out. */
struct rule_lists {
	VEC(int);
};
struct netrules {
	struct netconf *conf;
	struct netlists lists;
	struct rule_lists *of; /* as many as there are rules */
	size_t entries;
	bool by_user;
};

struct netrules *netrules_new(struct netconf *conf, struct netlists *lists)
{
	struct netrules *rules = xcalloc(1, sizeof(*rules));
	const struct netlist *list;

	rules->conf = conf;
	rules->lists = *lists;
	memset(lists, 0, sizeof(*lists));
	rules->of = xcalloc(conf->entries.len + 1, sizeof(*rules->of));
	for (size_t i = 0; i < conf->entries.len; i++) {
		const struct netrule *r = &conf->entries.items[i];
		char **name;

		rules->by_user |= r->enabled && r->uids.len;
		vec_each (name, &r->list) {
			int at = netlists_find(&rules->lists, *name);

			if (at >= 0)
				vec_push(&rules->of[i], at);
		}
	}
	vec_each (list, &rules->lists)
		rules->entries += addrset_count(list->set);
	return rules;
}

struct netrules *netrules_load(struct err *err)
{
	struct netconf *conf = netconf_read();
	struct netlists lists = {0};

	if (netconf_check(conf, err) < 0 || netlists_load(&lists, err) < 0) {
		netconf_free(&conf);
		return NULL;
	}
	return netrules_new(conf, &lists);
}

void netrules_free(struct netrules **rules)
{
	if (!*rules)
		return;
	for (size_t i = 0; i < (*rules)->conf->entries.len; i++)
		vec_free(&(*rules)->of[i]);
	free((*rules)->of);
	netconf_free(&(*rules)->conf);
	netlists_free(&(*rules)->lists);
	xfree(rules);
}

/* ---- judging ---- */

/* What a connection is in: each list is asked once. */
struct memory {
	uint64_t asked, in;
};

static bool in_list(const struct netrules *rules, int list,
		    const struct conn *conn, struct memory *memory)
{
	uint64_t bit = 1ull << list;

	if (!(memory->asked & bit)) {
		memory->asked |= bit;
		if (addrset_has(rules->lists.items[list].set, conn->remote))
			memory->in |= bit;
	}
	return memory->in & bit;
}

static bool fits_port(const struct netrule *r, uint16_t port)
{
	for (size_t i = 0; i < r->ports.len; i++)
		if (port >= r->ports.items[i].first &&
		    port <= r->ports.items[i].last)
			return true;
	return r->ports.len == 0;
}

/* A user that is not known is none of those named. */
static bool fits_user(const struct netrule *r, int64_t uid)
{
	for (size_t i = 0; i < r->uids.len; i++)
		if (uid == (int64_t)r->uids.items[i])
			return true;
	return r->uids.len == 0;
}

static bool fits(const struct netrule *r, const struct conn *conn)
{
	if (!r->enabled)
		return false;
	/* What stays on this host is both. */
	if (r->direction != NETRULE_BOTH && !conn->loopback &&
	    (r->direction == NETRULE_IN) != conn->in)
		return false;
	return fits_port(r, conn->in ? conn->local_port : conn->remote_port) &&
	       fits_user(r, conn->uid) &&
	       (!r->remote_set || addrset_has(r->remote_set, conn->remote)) &&
	       (!r->local_set || addrset_has(r->local_set, conn->local));
}

void judge_conn(const struct netrules *rules, const struct conn *conn,
		struct conn_answer *answer_r)
{
	struct memory memory = {0};

	*answer_r = (struct conn_answer){CONN_ALLOW, -1, -1};
	for (size_t i = 0; rules && i < rules->conf->entries.len; i++) {
		const struct netrule *r = &rules->conf->entries.items[i];
		const struct rule_lists *of = &rules->of[i];
		int list = -1;

		if (!fits(r, conn))
			continue;
		for (size_t k = 0; k < of->len && list < 0; k++)
			if (in_list(rules, of->items[k], conn, &memory))
				list = of->items[k];
		if (r->list.len && list < 0)
			continue;
		*answer_r = (struct conn_answer){(enum conn_verdict)r->action,
						 (int)i, list};
		return;
	}
}

/* ---- what there is ---- */

bool netrules_by_user(const struct netrules *rules)
{
	return rules && rules->by_user;
}

const char *netrules_rule_name(const struct netrules *rules, int rule)
{
	return rules && rule >= 0 && (size_t)rule < rules->conf->entries.len
		       ? rules->conf->entries.items[rule].name
		       : "";
}

const char *netrules_list_name(const struct netrules *rules, int list)
{
	return rules && list >= 0 && (size_t)list < rules->lists.len
		       ? rules->lists.items[list].name
		       : "";
}

size_t netrules_rules(const struct netrules *rules)
{
	return rules ? rules->conf->entries.len : 0;
}

size_t netrules_lists(const struct netrules *rules)
{
	return rules ? rules->lists.len : 0;
}

size_t netrules_entries(const struct netrules *rules)
{
	return rules ? rules->entries : 0;
}
