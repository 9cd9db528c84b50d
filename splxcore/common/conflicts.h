/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CONFLICTS_H
#define SPLX_COMMON_CONFLICTS_H

#include <jansson.h>
#include <stdbool.h>

#include "boot.h"
#include "bootdeps.h"
#include "conflist.h"
#include "lib/vec.h"

/*
 * Who is in the kernel module's way on this machine: what the kernel shows
 * (khm_rivals_json()), each tied to the service that brings it where that can
 * be found, and the services of conflicts.conf that are installed.
 */
enum conflict_effect {
	CONFLICT_NAMED, /* the list alone names it; the kernel shows nothing */
	CONFLICT_SAFE,
	CONFLICT_ARM,	 /* keeps our module from being put to work */
	CONFLICT_UNLOAD, /* keeps it from being taken out */
};

/* How the service was found. */
enum conflict_tie {
	CONFLICT_NO_TIE,
	CONFLICT_BY_SCRIPT, /* its init script loads the module */
	CONFLICT_BY_FILE,   /* a list of modules to load, or rc.local, does */
	CONFLICT_BY_LIST,   /* conflicts.conf says so */
};

struct conflict {
	enum conflict_effect effect;
	char kind[32]; /* "" for CONFLICT_NAMED, and the two below */
	char module[64];
	char symbol[128];
	char *service; /* NULL: not found */
	enum conflict_tie tie;
	char *source;			    /* "/etc/init.d/abc:12"; NULL */
	const struct conflist_entry *known; /* NULL: not in the list */
	int running;			    /* 1, 0, or -1: cannot be told */
	struct boot_placing placing;	    /* against splx; of a service */
};

struct conflicts {
	VEC(struct conflict);
};

/*
 * `rivals` as of khm_rivals_json(), or NULL; `list` has to outlive what is
 * found. conflicts_free() afterwards.
 */
void conflicts_find(const struct boot *boot, const struct bootdeps *deps,
		    const struct conflist *list, json_t *rivals,
		    struct conflicts *found_r);
void conflicts_free(struct conflicts *found);

/*
 * Where a kernel module is loaded from (conflict_source.c): the name of the
 * service (NULL: no service's) and the place, both the caller's to free, with
 * how it is known; CONFLICT_NO_TIE and both NULL when it is not.
 */
enum conflict_tie conflict_source(const struct boot *boot, const char *module,
				  char **service_r, char **source_r);

/* Whether starting splx after the service can help at all; why_r (one line)
 * says why not. */
bool conflict_may_order(const struct bootdeps *deps, const struct boot *boot,
			const struct conflict *c, char *why_r, size_t size);

/*
 * The answer of the verb `conflicts` (conflicts_json.c). New reference.
 *   loaded      whether our module is; the kernel shows rivals only then;
 *               null when only root may know
 *   runlevel    the one that "place" speaks of; null when there is none
 *   blocking    how many keep the module from leaving
 *   conflicts   [{"effect": "blocks-unload"|"blocks-arm"|"safe"|"named",
 *     "blocks": it keeps the module from leaving now, "kind", "module",
 *     "symbol", "service", "product", "source", "running", "runlevels",
 *     "link", "place": "before"|"after"|"with"|"absent"|null, "why" (of the
 *     place), "restarts_itself", "text", "meaning",
 *     "remedies": [{"number": 1|2, "text", "command"}], "no_order": why
 *     remedy 2 does not apply}]; what is not known is null
 *   unseen      kinds of rivals that this kernel does not let us look for
 *   problems    [what is wrong in conflicts.conf]
 * With `blocking` only those of the conflicts that keep the module.
 */
json_t *conflicts_json(bool blocking);
/* What is known of a machine, read together; conflict_view_free(). */
struct conflict_view {
	struct boot *boot;
	struct conflist *list;
	json_t *rivals;	       /* NULL: none can be seen */
	int loaded;	       /* our module is: 1, 0, -1: only root may know */
	char level;	       /* what places speak of; 0: there is none */
	struct bootdeps *deps; /* NULL without a level */
	struct conflicts found;
};
/* `level` 0: the one that counts. */
void conflict_view_read(struct conflict_view *view_r, char level);
void conflict_view_free(struct conflict_view *view);
/* As the verb `conflicts` tells it. */
json_t *conflict_view_json(const struct conflict_view *view, bool blocking);
/* A row of it. */
json_t *conflict_json(const struct conflict_view *view,
		      const struct conflict *c);
/* conflict_may_order(), and it does not start before splx already. */
bool conflict_wants_order(const struct conflict_view *view,
			  const struct conflict *c, char *why_r, size_t size);

#endif
