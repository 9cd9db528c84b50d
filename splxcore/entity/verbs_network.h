/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_VERBS_NETWORK_H
#define SPLX_ENTITY_VERBS_NETWORK_H

#include <jansson.h>

#include "common/netconf.h"
#include "lib/vec.h"

/* What the files verbs_network*.c share. */

/* The names of the lists that the current set of patterns has, by its
 * manifests: what is in them is not looked at. */
struct netnames {
	VEC(char *);
};
void netnames_read(struct netnames *names);
void netnames_free(struct netnames *names);
/* The lists that a rule names and that are not there: an array of names. */
json_t *netnames_missing(const struct netnames *names, const struct netrule *r);

#endif
