/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NETMODEL_H
#define SPLX_ENTITY_NETMODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/vec.h"

/*
 * What this host usually connects to: which program, which network, which port.
 * It only ever leads to an alert. An address counts as the network around it
 * (IPv4 /24, IPv6 /48). A program that has gone to many networks by one port
 * goes anywhere by that port, and one that has gone by many ports goes
 * anywhere: such are browsers, mail servers and package managers, and telling
 * each of their ways would tell nobody anything.
 */
#define NETMODEL_WIDE 16     /* so many networks, or ports, are any */
#define NETMODEL_MAX 10000   /* entries; those unused for longest go first */
#define NETMODEL_AGE_DAYS 90 /* what was not seen for so long is forgotten */
#define NETMODEL_NETWORK_MAX 64

struct netmodel_entry {
	int64_t id;    /* the store's; 0: it does not know it yet */
	char *program; /* its executable; "" unknown */
	char network[NETMODEL_NETWORK_MAX]; /* "192.0.2.0/24"; "": any */
	uint16_t port;			    /* 0: any */
	int64_t first_ns, last_ns;	    /* since 1970 */
	uint64_t times;
	bool alerted;		     /* it came after the learning period */
	bool dirty;		     /* the store has an older state of it */
	struct netmodel_entry *next; /* in its bucket */
};
struct netmodel {
	struct {
		VEC(struct netmodel_entry *);
	} entries;
	/* Those that are no more, which the store is to forget. */
	struct {
		VEC(int64_t);
	} gone;
	struct netmodel_entry *buckets[4096];
};

/* Embedded: all zeroes to begin with. */
void netmodel_deinit(struct netmodel *m);
/* Forgets everything, also in the store (gone). */
void netmodel_clear(struct netmodel *m);
/* Takes an entry over, as the store has it. */
void netmodel_load(struct netmodel *m, const struct netmodel_entry *entry);

enum netmodel_news {
	NETMODEL_KNOWN,
	NETMODEL_LEARNT, /* new, in the learning period */
	NETMODEL_NEW,	 /* new: somebody should know */
};
/*
 * A connection from this host (16 bytes: netjudge.h), or several equal ones.
 * *entry_r (may be NULL) is the entry that it belongs to; borrowed, until the
 * next change.
 */
enum netmodel_news netmodel_see(struct netmodel *m, const char *program,
				const uint8_t remote[16], uint16_t port,
				int64_t now_ns, uint32_t times, bool learning,
				const struct netmodel_entry **entry_r);
/* Drops what was not seen for NETMODEL_AGE_DAYS. */
void netmodel_age(struct netmodel *m, int64_t now_ns);
/* Forgets one: true when there is such. */
bool netmodel_forget(struct netmodel *m, int64_t id);

#endif
