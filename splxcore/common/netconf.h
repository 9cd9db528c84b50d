/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETCONF_H
#define SPLX_COMMON_NETCONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entryfile.h"
#include "lib/addrset.h"
#include "lib/err.h"
#include "lib/vec.h"
#include "netjudge.h"

/*
 * The rules of the network monitor, /etc/splx/network.conf: an entry each
 * (entryfile.h), asked in their order. The first one that fits a connection
 * decides; what none fits is allowed.
 *
 * Here, other than in the files of the same kind, one wrong entry voids the
 * whole file: a rule that is missing changes what those behind it mean. Who
 * uses rules keeps the former ones then.
 */
#define NETCONF_FILE_MAX (4u << 20)
#define NETCONF_RULES_MAX 1024

enum netrule_direction { NETRULE_BOTH, NETRULE_IN, NETRULE_OUT };

struct netrule_ports {
	uint16_t first, last;
};
struct netrule {
	char name[NET_NAME_MAX + 1];
	int line;
	bool enabled;
	int action; /* enum conn_verdict; -1: missing */
	int direction;
	/* As they stand in the file; none: whatever it is. "any" stands alone
	 * in one, and says so. */
	struct entryfile_words address, local, port, user, list;
	char *text; /* NULL: none */
	/* What the words say; NULL or empty: whatever it is. */
	struct addrset *remote_set, *local_set;
	struct {
		VEC(struct netrule_ports);
	} ports;
	struct {
		VEC(uint32_t);
	} uids;
};
struct netconf {
	struct {
		VEC(struct netrule);
	} entries;
	struct entryfile_problems problems;
};

/* Reads paths()->network. Never NULL; without the file it is empty. */
struct netconf *netconf_read(void);
/* The same from text; `name` stands for the file in problems. */
struct netconf *netconf_parse(const char *text, const char *name);
void netconf_free(struct netconf **conf);
/* The first problem as an error, with how many more there are: -1; 0 when there
 * is none. */
int netconf_check(const struct netconf *conf, struct err *err);
/* The one of that name; NULL: none, or it is void. */
const struct netrule *netconf_find(const struct netconf *conf,
				   const char *name);
/* A letter, then letters, digits, _ and -, at most NET_NAME_MAX. */
bool netrule_name_valid(const char *name);
/* "allow", "alert", "drop", "reset"; "in", "out", "both". */
const char *netrule_action(int action);
const char *netrule_direction(int direction);
/* Its keys with their values: [{"key","value"}]. New reference. */
json_t *netrule_json(const struct netrule *r);
/* What it asks for, in a line for people: "in, port 22, from 192.0.2.0/24". The
 * caller frees it. */
char *netrule_summary(const struct netrule *r);

/* As entryfile_edit(). */
char *netconf_edit(const char *old_text, const char *name, const char *key,
		   const char *value, struct err *err);
/* The text with the entry moved before another one, with the comments that
 * stand straight above it; `before` NULL: to the end. NULL and *err (ENOENT)
 * when one of them is not there. The caller frees it. */
char *netconf_move(const char *old_text, const char *name, const char *before,
		   struct err *err);

#endif
