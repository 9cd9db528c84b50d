/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_ORDER_H
#define SPLX_COMMON_ORDER_H

#include <jansson.h>
#include <stdbool.h>

#include "conflicts.h"
#include "lib/err.h"
#include "lib/str.h"
#include "lib/vec.h"

/*
 * Where splx starts among the other services, and how to have it start after
 * one that is in its way (remedy 2). What is done depends on who rules:
 *   insserv    an override of our LSB header, and insserv run over it;
 *   chkconfig  an override of our numbers, and the links renamed to them;
 *   nobody     the links renamed;
 *   systemd    nothing: units are the administrator's.
 * A plan is made and checked as a whole before anything is changed.
 */

struct order_wish {
	const char *after; /* services, split by commas; NULL: every known
			      conflict that does not start before splx */
	char level;	   /* 0: every runlevel */
	bool early;	   /* both as early as they can, instead of splx late */
};

enum order_what {
	ORDER_WRITE,  /* path gets text */
	ORDER_RENAME, /* path becomes to */
	ORDER_RUN,    /* insserv is run for splx */
};

struct order_step {
	enum order_what what;
	bool by_tool; /* done by what is run, and foretold by a rehearsal */
	char *path;   /* without the root */
	char *to;     /* RENAME; NULL (by_tool): it is removed */
	char *text;   /* WRITE */
};

struct order_plan {
	const struct boot *boot; /* borrowed */
	char level;		 /* the one that is changed; 0: all */
	struct {
		VEC(struct order_step);
	} steps;		     /* none: nothing is to be done */
	struct conflist_words after; /* the services meant */
	struct conflist_words notes; /* for people, a line each */
	struct conflist_words left;  /* conflicts that order does not help */
};

/*
 * 0 and the plan; -1 and *err when it is refused or cannot be. Changes
 * nothing but for a rehearsal below /run/splx. order_plan_free() in both
 * cases. The view is that of conflict_view_read().
 */
int order_plan(const struct conflict_view *view, const struct order_wish *wish,
	       struct order_plan *plan_r, struct err *err);
void order_plan_free(struct order_plan *plan);

/*
 * Does what is planned; afterwards the machine is looked at again. When
 * anything fails, or does not come out as it should, all of it is undone and
 * -1 returned with the reason. Needs root.
 */
int order_apply(const struct order_plan *plan, struct err *err);

/*
 * The answer of order.show and order.check; `level` 0: the one that counts.
 * NULL and *err when services are not started by runlevels here.
 *   runlevel, current, initial   "3"; null when not known
 *   ruled_by    "insserv", "chkconfig", "links" or "systemd"
 *   concurrent  services that do not need each other start side by side
 *   link        splx's own, "S01splx"; null: not started in this runlevel
 *   services    [{"link","service","place","firm","why","conflict"}] of this
 *               runlevel and of the boot before it, in order
 *   conflicts, problems, loaded  as of the verb `conflicts`
 *   late        the services among them that do not start before splx
 *   notes       for people, a line each
 * New reference.
 */
json_t *order_json(char level, struct err *err);
/* A plan: {"after", "notes", "left", "steps": [{"what": "write"|"rename"|
 * "remove"|"run", "by": "insserv"|null, "path", "to", "text"}]}. */
json_t *order_plan_json(const struct order_plan *plan);

/* ---- shared by the parts (order_*.c) ---- */

void order_note(struct order_plan *plan, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void order_add_write(struct order_plan *plan, const char *path,
		     const char *text);
void order_add_rename(struct order_plan *plan, const char *path,
		      const char *to);
/* The plan's steps by each way; plan->after is set. */
int order_plan_insserv(const struct conflict_view *view,
		       const struct order_wish *wish, struct order_plan *plan,
		       struct err *err);
int order_plan_links(const struct conflict_view *view,
		     const struct order_wish *wish, struct order_plan *plan,
		     struct err *err);
/* Runlevels in which splx and the service both are started. Returns out. */
char *order_shared_levels(const struct boot *boot, const char *service,
			  char *out, size_t size);

/* What stands at the beginning of a file that is ours to write anew. */
#define ORDER_MARK "# Written by splxctl order apply"
/*
 * Adds the plan's services to the header of splx, and those that an override
 * of ours (old: its text, or NULL) already had and are still there.
 */
void order_add_after(const struct order_plan *plan, const char *old,
		     const struct inithdr *was, struct inithdr *now);
/* Whether an override of ours was made of another header than the script has
 * now. */
bool order_is_stale(const struct boot *boot);

/*
 * Copies what insserv looks at to a place aside, with `header` as the override
 * of splx (NULL: as it is), runs it there and compares: the steps that it
 * would do are added to the plan. -1 and *err when it refuses, or when more
 * would change than places in the order.
 */
int order_rehearse(struct order_plan *plan, const char *header,
		   struct err *err);
/*
 * Whether what became of `was` is as it should be: every other service is
 * started and stopped where it was, and the plan's services start before
 * splx. -1 and *err when not.
 */
int order_verify(const struct boot *was, const struct boot *now,
		 const struct order_plan *plan, struct err *err);
/* insserv for splx below a root; over the copy of its tree that lies there
 * when that is not NULL. -1 and *err with what it said; err->code is not 0
 * when it could not be run at all. */
int order_run_insserv(const struct boot *boot, const char *copy,
		      struct err *err);

#endif
