/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SERVICE_H
#define SPLX_ENTITY_SERVICE_H

#include <jansson.h>

#include "core.h"

/*
 * Looks at the scoreboard and at what vsapiapp tells of itself, and makes
 * events of what changes: parts that start, end and come back, the breaker,
 * the interceptor, patterns, crashes of workers, what was lost.
 */
int service_init(struct core *core, struct err *err);
void service_deinit(struct core *core);

/* Looks now; done every SERVICE_LOOK_MS. */
#define SERVICE_LOOK_MS 250
void service_look(struct core *core);

/* A part that has not beaten for so long stands still. */
#define SERVICE_STALE_NS 2000000000ull

/* What vsapiapp last told (common/state.h); borrowed, NULL before it did. */
json_t *service_state(const struct core *core);
/* How often vsapiapp ended unasked within the last minute. */
unsigned int service_restarts(const struct core *core);
/* When the kernel last lost events, monotonic; 0 never. */
uint64_t service_events_lost_ns(const struct core *core);

#endif
