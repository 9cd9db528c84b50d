/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "bootdeps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define FACILITY_DEPTH 10

/* Why one has to start after another. */
enum edge {
	EDGE_NONE,
	EDGE_REQUIRED,
	EDGE_SHOULD,
	EDGE_BEFORE, /* the other one's X-Start-Before */
	EDGE_ALL,
	EDGE_FILE, /* .depend.start */
};

struct bootdeps {
	const struct boot *boot;
	char level;
	size_t n;
	const struct boot_script **nodes;
	const struct inithdr *own; /* for splx; NULL: its own */
	bool *last;
	unsigned char *by_header; /* [n * n], row: who needs, column: whom */
	unsigned char *by_file;
};

/* ---- nodes ---- */

static const struct inithdr *header(const struct bootdeps *d, size_t i)
{
	if (d->own && strcmp(d->nodes[i]->name, BOOT_SPLX) == 0)
		return d->own;
	return &d->nodes[i]->hdr;
}

static size_t node(const struct bootdeps *d, const char *name)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (strcmp(d->nodes[i]->name, name) == 0)
			break;
	return i;
}

static bool provides(const struct bootdeps *d, size_t i, const char *word)
{
	const struct inithdr *h = header(d, i);

	if (!h->words[INITHDR_PROVIDES].len)
		return strcmp(d->nodes[i]->name, word) == 0;
	return inithdr_lists(h, INITHDR_PROVIDES, word);
}

/* Marks those that a word of a header means. */
static void resolve(const struct bootdeps *d, const char *word, bool *hit,
		    int depth)
{
	const struct boot_facility *f;
	char **member;
	size_t i;

	if (*word != '$') {
		for (i = 0; i < d->n; i++)
			if (provides(d, i, word))
				hit[i] = true;
		return;
	}
	if (depth == FACILITY_DEPTH)
		return;
	vec_each (f, &d->boot->facilities)
		if (strcmp(f->name, word) == 0)
			vec_each (member, &f->members)
				resolve(d, *member, hit, depth + 1);
}

/* ---- edges ---- */

static void set(unsigned char *m, const struct bootdeps *d, size_t from,
		size_t to, enum edge edge)
{
	if (from != to && !m[from * d->n + to])
		m[from * d->n + to] = edge;
}

static void add_word(struct bootdeps *d, size_t i, const char *word,
		     enum edge edge)
{
	bool *hit;
	size_t k;

	if (strcmp(word, "$all") == 0) {
		d->last[i] = d->last[i] || edge != EDGE_BEFORE;
		return;
	}
	hit = xcalloc(d->n, sizeof(*hit));
	resolve(d, word, hit, 0);
	for (k = 0; k < d->n; k++) {
		if (hit[k] && edge == EDGE_BEFORE)
			set(d->by_header, d, k, i, edge);
		else if (hit[k])
			set(d->by_header, d, i, k, edge);
	}
	free(hit);
}

static void add_header(struct bootdeps *d, size_t i)
{
	const struct inithdr *h = header(d, i);
	char **w;

	/* insserv's own idea of a script that says nothing */
	if (!h->lsb && d->boot->kind == BOOT_INSSERV) {
		add_word(d, i, "$remote_fs", EDGE_REQUIRED);
		add_word(d, i, "$syslog", EDGE_REQUIRED);
	}
	vec_each (w, &h->words[INITHDR_REQUIRED_START])
		add_word(d, i, *w, EDGE_REQUIRED);
	vec_each (w, &h->words[INITHDR_SHOULD_START])
		add_word(d, i, *w, EDGE_SHOULD);
	vec_each (w, &h->words[INITHDR_START_BEFORE])
		add_word(d, i, *w, EDGE_BEFORE);
}

static void add_last(struct bootdeps *d)
{
	size_t i, k;

	for (i = 0; i < d->n; i++)
		for (k = 0; d->last[i] && k < d->n; k++)
			if (!d->last[k])
				set(d->by_header, d, i, k, EDGE_ALL);
}

/* Lines "cron: splx rsyslog": the first needs the others. */
static void add_file(struct bootdeps *d)
{
	char *copy = xstrdup(d->boot->depend), *line, *save, *word, *rest;

	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		size_t i, k;

		if (!colon || strchr(line, '='))
			continue;
		*colon = '\0';
		i = node(d, str_trim(line));
		for (word = strtok_r(colon + 1, " \t", &rest); word && i < d->n;
		     word = strtok_r(NULL, " \t", &rest)) {
			k = node(d, word);
			if (k < d->n)
				set(d->by_file, d, i, k, EDGE_FILE);
		}
	}
	free(copy);
}

struct bootdeps *bootdeps_new(const struct boot *b, char level,
			      const struct inithdr *own)
{
	struct bootdeps *d = xcalloc(1, sizeof(*d));
	const struct boot_script *s;
	size_t i;

	d->boot = b;
	d->level = level;
	d->own = own;
	d->nodes = xcalloc(b->scripts.len + 1, sizeof(*d->nodes));
	vec_each (s, &b->scripts)
		if (strcmp(s->name, BOOT_SPLX) == 0 ||
		    boot_link(b, level, true, s->name) ||
		    boot_link(b, 'S', true, s->name))
			d->nodes[d->n++] = s;
	d->last = xcalloc(d->n + 1, sizeof(*d->last));
	d->by_header = xcalloc(d->n + 1, d->n + 1);
	d->by_file = xcalloc(d->n + 1, d->n + 1);
	for (i = 0; i < d->n; i++)
		add_header(d, i);
	add_last(d);
	if (b->depend)
		add_file(d);
	return d;
}

void bootdeps_free(struct bootdeps **deps)
{
	struct bootdeps *d = *deps;

	if (!d)
		return;
	free(d->nodes);
	free(d->last);
	free(d->by_header);
	free(d->by_file);
	xfree(deps);
}

/* ---- ways ---- */

/* The shortest way; next[i] is the one after i on it. */
static bool find_way(const unsigned char *m, size_t n, size_t from, size_t to,
		     size_t *next)
{
	size_t *queue = xcalloc(n + 1, sizeof(*queue));
	bool *seen = xcalloc(n + 1, sizeof(*seen)), found;
	size_t head = 0, tail = 0, i, k;

	/* from its end, so that next[] leads forward */
	queue[tail++] = to;
	seen[to] = true;
	while (head < tail && !seen[from]) {
		k = queue[head++];
		for (i = 0; i < n; i++) {
			if (!m[i * n + k] || seen[i])
				continue;
			seen[i] = true;
			next[i] = k;
			queue[tail++] = i;
		}
	}
	found = seen[from];
	free(queue);
	free(seen);
	return found;
}

static void say_edge(const struct bootdeps *d, struct str *out, size_t i,
		     size_t k, enum edge edge)
{
	const char *who = d->nodes[i]->name, *whom = d->nodes[k]->name;

	str_add(out, out->len ? ", " : "");
	switch (edge) {
	case EDGE_REQUIRED:
	case EDGE_SHOULD:
		str_addf(out, "%s: %s: %s", who,
			 edge == EDGE_SHOULD ? "Should-Start"
					     : "Required-Start",
			 whom);
		break;
	case EDGE_BEFORE:
		str_addf(out, "%s: X-Start-Before: %s", whom, who);
		break;
	case EDGE_ALL:
		str_addf(out, "%s: Required-Start: $all", who);
		break;
	default:
		str_addf(out, "%s/.depend.start: %s after %s", d->boot->initd,
			 who, whom);
	}
}

static bool way(const struct bootdeps *d, const unsigned char *m,
		const char *from, const char *to, char *why_r, size_t size)
{
	size_t i = node(d, from), end = node(d, to);
	struct str why = {0};
	size_t *next;
	bool found;

	if (i == d->n || end == d->n || i == end)
		return false;
	next = xcalloc(d->n, sizeof(*next));
	found = find_way(m, d->n, i, end, next);
	for (; found && i != end; i = next[i])
		say_edge(d, &why, i, next[i], m[i * d->n + next[i]]);
	if (found && why_r)
		str_copy(why_r, size, str_get(&why));
	str_free(&why);
	free(next);
	return found;
}

bool bootdeps_needs(const struct bootdeps *d, const char *from, const char *to,
		    char *why_r, size_t size)
{
	return way(d, d->by_header, from, to, why_r, size);
}

bool bootdeps_is_last(const struct bootdeps *d, const char *service)
{
	size_t i = node(d, service);

	return i < d->n && d->last[i];
}

bool bootdeps_word_needed(const struct bootdeps *d, const char *service,
			  const char *word)
{
	bool *hit = xcalloc(d->n + 1, sizeof(*hit)), needed = false;
	size_t i;

	resolve(d, word, hit, 0);
	for (i = 0; i < d->n && !needed; i++)
		needed = hit[i] && (strcmp(d->nodes[i]->name, service) == 0 ||
				    bootdeps_needs(d, service,
						   d->nodes[i]->name, NULL, 0));
	free(hit);
	return needed;
}

/* ---- places ---- */

const char *boot_place_name(enum boot_place place)
{
	static const char *const names[] = {
		[BOOT_ABSENT] = "absent",
		[BOOT_BEFORE] = "before",
		[BOOT_WITH] = "with",
		[BOOT_AFTER] = "after",
	};

	return names[place];
}

static void put(struct boot_placing *p, enum boot_place place, bool firm,
		const char *why)
{
	p->place = place;
	p->firm = firm;
	if (why)
		str_copy(p->why, sizeof(p->why), why);
}

/* By what has to come before what; headers tell it better than the file. */
static void place_by_needs(const struct bootdeps *d, const unsigned char *m,
			   const char *service, struct boot_placing *p)
{
	char why[sizeof(p->why)];

	if (way(d, m, BOOT_SPLX, service, why, sizeof(why))) {
		put(p, BOOT_BEFORE, true, why);
		bootdeps_needs(d, BOOT_SPLX, service, p->why, sizeof(p->why));
	} else if (way(d, m, service, BOOT_SPLX, why, sizeof(why))) {
		put(p, BOOT_AFTER, true, why);
		bootdeps_needs(d, service, BOOT_SPLX, p->why, sizeof(p->why));
	} else {
		put(p, BOOT_WITH, true,
		    "nothing orders the two: either may be first");
	}
}

static void place_by_link(const struct bootdeps *d, const struct boot_link *l,
			  const struct boot_link *own, struct boot_placing *p)
{
	bool before = strcmp(l->file, own->file) < 0;
	const char *first = before ? BOOT_SPLX : l->service;
	const char *second = before ? l->service : BOOT_SPLX;
	bool by_header;

	by_header = bootdeps_needs(d, first, second, p->why, sizeof(p->why));
	put(p, before ? BOOT_BEFORE : BOOT_AFTER,
	    by_header || d->boot->kind != BOOT_INSSERV, NULL);
	if (!by_header)
		snprintf(p->why, sizeof(p->why), "by number: %s %s %s", l->file,
			 before ? "before" : "after", own->file);
}

void bootdeps_place(const struct bootdeps *d, const char *service,
		    struct boot_placing *placing_r)
{
	const struct boot_link *l, *own;

	memset(placing_r, 0, sizeof(*placing_r));
	l = boot_link(d->boot, d->level, true, service);
	own = boot_link(d->boot, d->level, true, BOOT_SPLX);
	if (!l && d->level != 'S' && boot_link(d->boot, 'S', true, service))
		put(placing_r, BOOT_BEFORE, true,
		    "starts at boot, before any runlevel");
	else if (d->boot->kind == BOOT_SYSTEMD && node(d, service) < d->n)
		place_by_needs(d, d->by_header, service, placing_r);
	else if (!l)
		put(placing_r, BOOT_ABSENT, true, "not in this runlevel");
	else if (!own)
		put(placing_r, BOOT_ABSENT, true,
		    "splx is not started in this runlevel");
	else if (d->boot->concurrent)
		place_by_needs(d, d->by_file, service, placing_r);
	else
		place_by_link(d, l, own, placing_r);
}
