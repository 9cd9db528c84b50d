/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_MODLOCK_H
#define SPLX_ENTITY_MODLOCK_H

#include <jansson.h>
#include <stdbool.h>

#include "common/loadlock.h"
#include "core.h"

/*
 * The service's side of the load lock (common/loadlock.h): before vsapiapp may
 * arm the kernel module, this boot's start is written; the scoreboard tells it
 * so. It is judged when the module comes, when settings or patterns are
 * taken over, and by `module unlock`, but not because time goes by: a machine
 * that crashes with the module shall not do so once an hour. The start is
 * removed by the supervisor at its end, or here when the module is not wanted
 * any more.
 */
struct modlock;
struct report;

int modlock_init(struct core *core, struct err *err);
/* Removes nothing from the file: core may end and come back. */
void modlock_deinit(struct core *core);

/* Now and then: a module that has come or gone, a clock that was set. */
void modlock_tick(struct core *core);
/* Before vsapiapp is told of new settings or patterns. */
void modlock_judge(struct core *core);
/* True while the lock holds the module back. */
bool modlock_holds(const struct core *core);
/* Adds what is wrong. */
void modlock_check(const struct core *core, struct report *r);

/*
 * "load_lock" of the verbs: as loadlock_json() and
 *   state    "open", "locked", "unused": what is in force since it was last
 *            judged
 */
json_t *modlock_json(const struct core *core);

/* ---- for tests: the same with a world of their own ---- */

struct modlock_sight {
	bool wanted;   /* the settings ask for the module */
	bool there;    /* its device is there */
	bool in_use;   /* it is armed */
	bool loadable; /* it could be there, but for the lock */
	struct loadlock_now now;
};
/* modlock_init() that sees this. */
void modlock_begin(struct core *core, const struct modlock_sight *sight);
/* One look; `anew`: also a lock that holds is judged again. */
void modlock_step(struct core *core, const struct modlock_sight *sight,
		  bool anew);

#endif
