/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HEALTH_H
#define SPLX_ENTITY_HEALTH_H

#include <jansson.h>
#include <stdbool.h>

#include "core.h"
#include "patternwatch.h"

/* The state of the suite, reckoned anew whenever somebody asks. */
int health_init(struct core *core, struct err *err);
void health_deinit(struct core *core);

/*
 * Faults that parts of core report (core_fault()); one text for a code, NULL:
 * it is well again. True when that is another state than before.
 */
bool health_fault(struct health *health, enum status_code code,
		  const char *text);
/* Calls fn for each fault there is. */
void health_faults(const struct health *health,
		   void (*fn)(enum status_code code, const char *text,
			      void *arg),
		   void *arg);

/* What updates of the patterns left behind, up to date. Borrowed. */
const struct patternwatch *health_patterns(struct health *health);

/* Looks at everything, and writes the codes into the log when they are others
 * than before: a line with "status" and codes={"generalStatus": 0, ...}. */
void health_watch(struct core *core);

/* The whole answer of `status` and `health`, see dispatch.h. New reference. */
json_t *health_json(struct core *core);

#endif
