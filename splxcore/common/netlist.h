/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETLIST_H
#define SPLX_COMMON_NETLIST_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addrset.h"
#include "lib/err.h"
#include "lib/vec.h"
#include "netjudge.h"

/*
 * Lists of addresses and networks, for the rules of network.conf. They are
 * pattern files, NAME.netlist, and come as all others do: in a signed bundle or
 * by hand, verified, tried, in a set that can be gone back from
 * (patternset.h). The engine never sees them. Text, a line each:
 *
 *   192.0.2.0/24      2001:db8::/32      198.51.100.7   # or ; and a comment
 *
 * A list is whole or it is refused: a line that is wrong is named. Files of the
 * same name in several parts are one list.
 */
#define NETLIST_KIND "netlist"
#define NETLIST_FILE_MAX (128u << 20)
#define NETLIST_LINE_MAX 1000
#define NETLISTS_MAX 64
/* Wider ones are no list's, but a rule's that somebody wrote. */
#define NETLIST_BITS_MIN 3

/* One file of a list. */
struct netlist_source {
	char *part;
	uint64_t version;
	int64_t created; /* seconds since 1970 */
};
struct netlist {
	char name[NET_NAME_MAX + 1];
	struct addrset *set;
	struct {
		VEC(struct netlist_source);
	} sources;
};
struct netlists {
	uint64_t number; /* of the set of patterns; 0: there is none */
	char *fault;	 /* why it is not the current one; NULL: it is */
	VEC(struct netlist);
};

/*
 * Adds what a text says to a set that is not sealed. -1 and *err
 * "NAME:LINE: what is wrong".
 */
int netlist_parse(const char *text, size_t len, const char *name,
		  struct addrset *set, struct err *err);
/* The list that a file of this name is (or is a part of); false: none. */
bool netlist_name(const char *file, char name_r[NET_NAME_MAX + 1]);

/*
 * All lists of the set that is current; of the newest one before it whose lists
 * are sound when its own are not. Each file must be what its manifest says. 0,
 * or -1 and *err when there is none such. netlists_free() in both cases.
 */
int netlists_load(struct netlists *lists_r, struct err *err);
/* Those of the set that lies in that directory, whatever its name. */
int netlists_load_dir(const char *dir, struct netlists *lists_r,
		      struct err *err);
void netlists_free(struct netlists *lists);
/* Its place; -1: there is none of that name. */
int netlists_find(const struct netlists *lists, const char *name);

#endif
