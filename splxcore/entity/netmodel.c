/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netmodel.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addrset.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define BUCKETS (sizeof(((struct netmodel *)0)->buckets) / sizeof(void *))
#define BITS_V4 24
#define BITS_V6 48
#define DAY_NS (86400ll * 1000000000)

/* ---- the table ---- */

static size_t bucket_of(const char *program, const char *network, uint16_t port)
{
	uint64_t h = 0xcbf29ce484222325ull ^ port;

	for (; *program; program++)
		h = (h ^ (unsigned char)*program) * 0x100000001b3ull;
	h = (h ^ '|') * 0x100000001b3ull;
	for (; *network; network++)
		h = (h ^ (unsigned char)*network) * 0x100000001b3ull;
	return (h ^ h >> 32) % BUCKETS;
}

static struct netmodel_entry *find(const struct netmodel *m,
				   const char *program, const char *network,
				   uint16_t port)
{
	struct netmodel_entry *e =
		m->buckets[bucket_of(program, network, port)];

	for (; e; e = e->next)
		if (e->port == port && strcmp(e->program, program) == 0 &&
		    strcmp(e->network, network) == 0)
			return e;
	return NULL;
}

static void insert(struct netmodel *m, struct netmodel_entry *e)
{
	size_t b = bucket_of(e->program, e->network, e->port);

	e->next = m->buckets[b];
	m->buckets[b] = e;
	vec_push(&m->entries, e);
}

static void entry_free(struct netmodel_entry *e)
{
	free(e->program);
	free(e);
}

/* The last one takes its place. */
static void drop(struct netmodel *m, size_t i)
{
	struct netmodel_entry *e = m->entries.items[i], **at;

	at = &m->buckets[bucket_of(e->program, e->network, e->port)];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (e->id)
		vec_push(&m->gone, e->id);
	m->entries.items[i] = m->entries.items[--m->entries.len];
	entry_free(e);
}

void netmodel_clear(struct netmodel *m)
{
	while (m->entries.len)
		drop(m, m->entries.len - 1);
}

void netmodel_deinit(struct netmodel *m)
{
	netmodel_clear(m);
	vec_free(&m->entries);
	vec_free(&m->gone);
}

void netmodel_load(struct netmodel *m, const struct netmodel_entry *entry)
{
	struct netmodel_entry *e;

	if (find(m, entry->program, entry->network, entry->port)) {
		vec_push(&m->gone, entry->id);
		return;
	}
	e = xmalloc(sizeof(*e));
	*e = *entry;
	e->program = xstrdup(entry->program);
	e->dirty = false;
	insert(m, e);
}

/* ---- seeing ---- */

static void network_of(const uint8_t remote[16], char out[NETMODEL_NETWORK_MAX])
{
	struct netaddr a;
	char text[INET6_ADDRSTRLEN] = "";
	int bits;

	netaddr_from16(remote, &a);
	bits = a.family == AF_INET ? BITS_V4 : BITS_V6;
	memset(a.bytes + bits / 8, 0, sizeof(a.bytes) - (size_t)bits / 8);
	inet_ntop(a.family, a.bytes, text, sizeof(text));
	snprintf(out, NETMODEL_NETWORK_MAX, "%s/%d", text, bits);
}

static int by_age(const void *a, const void *b)
{
	const struct netmodel_entry *const *x = a, *const *y = b;

	return ((*x)->last_ns < (*y)->last_ns) -
	       ((*x)->last_ns > (*y)->last_ns);
}

/* Newest first, a tenth at the end goes. */
static void make_room(struct netmodel *m)
{
	if (m->entries.len < NETMODEL_MAX)
		return;
	qsort(m->entries.items, m->entries.len, sizeof(*m->entries.items),
	      by_age);
	while (m->entries.len > NETMODEL_MAX - NETMODEL_MAX / 10)
		drop(m, m->entries.len - 1);
}

static struct netmodel_entry *add(struct netmodel *m, const char *program,
				  const char *network, uint16_t port)
{
	struct netmodel_entry *e;

	make_room(m);
	e = xcalloc(1, sizeof(*e));
	e->program = xstrdup(program);
	str_copy(e->network, sizeof(e->network), network);
	e->port = port;
	insert(m, e);
	return e;
}

/* In the place of all that it covers. */
static void widen(struct netmodel *m, const char *program, uint16_t port)
{
	struct netmodel_entry *wide = add(m, program, "", port);

	wide->first_ns = INT64_MAX;
	wide->dirty = true;
	for (size_t i = m->entries.len; i-- > 0;) {
		struct netmodel_entry *e = m->entries.items[i];

		if (e == wide || (port && e->port != port) ||
		    strcmp(e->program, program) != 0)
			continue;
		wide->times += e->times;
		if (e->first_ns < wide->first_ns)
			wide->first_ns = e->first_ns;
		if (e->last_ns > wide->last_ns)
			wide->last_ns = e->last_ns;
		drop(m, i);
	}
}

/* How many networks by that port, and how many ports, a program has gone to. */
static void count(const struct netmodel *m, const char *program, uint16_t port,
		  size_t *networks_r, size_t *ports_r)
{
	uint16_t ports[NETMODEL_WIDE];
	struct netmodel_entry **e;
	size_t i;

	*networks_r = *ports_r = 0;
	vec_each (e, &m->entries) {
		if (strcmp((*e)->program, program) != 0)
			continue;
		*networks_r += (*e)->port == port;
		for (i = 0; i < *ports_r && ports[i] != (*e)->port; i++)
			;
		if (i == *ports_r && i < NETMODEL_WIDE)
			ports[(*ports_r)++] = (*e)->port;
	}
}

static struct netmodel_entry *find_any(const struct netmodel *m,
				       const char *program, const char *network,
				       uint16_t port)
{
	struct netmodel_entry *e = find(m, program, network, port);

	if (!e)
		e = find(m, program, "", port);
	return e ? e : find(m, program, "", 0);
}

enum netmodel_news netmodel_see(struct netmodel *m, const char *program,
				const uint8_t remote[16], uint16_t port,
				int64_t now_ns, uint32_t times, bool learning,
				const struct netmodel_entry **entry_r)
{
	char network[NETMODEL_NETWORK_MAX];
	struct netmodel_entry *e;
	size_t networks, ports;
	bool is_new;

	network_of(remote, network);
	e = find_any(m, program, network, port);
	is_new = !e;
	if (is_new) {
		e = add(m, program, network, port);
		e->first_ns = now_ns;
		e->alerted = !learning;
	}
	e->times += times;
	if (now_ns > e->last_ns)
		e->last_ns = now_ns;
	e->dirty = true;
	if (is_new) {
		count(m, program, port, &networks, &ports);
		if (ports >= NETMODEL_WIDE)
			widen(m, program, 0);
		else if (networks >= NETMODEL_WIDE)
			widen(m, program, port);
		e = find_any(m, program, network, port);
	}
	if (entry_r)
		*entry_r = e;
	return !is_new	  ? NETMODEL_KNOWN
	       : learning ? NETMODEL_LEARNT
			  : NETMODEL_NEW;
}

void netmodel_age(struct netmodel *m, int64_t now_ns)
{
	for (size_t i = m->entries.len; i-- > 0;)
		if (now_ns - m->entries.items[i]->last_ns >
		    NETMODEL_AGE_DAYS * DAY_NS)
			drop(m, i);
}

bool netmodel_forget(struct netmodel *m, int64_t id)
{
	for (size_t i = 0; i < m->entries.len; i++)
		if (m->entries.items[i]->id == id) {
			drop(m, i);
			return true;
		}
	return false;
}
