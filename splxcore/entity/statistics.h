/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_STATISTICS_H
#define SPLX_ENTITY_STATISTICS_H

#include <jansson.h>

#include "core.h"

/*
 * Counters and waiting times from the scoreboard, and which programs and
 * files cost most, from the samples that workers leave there. The tables are
 * bounded: what costs least makes room. Samples that workers overwrite before
 * they are read are counted as lost and harm nobody.
 */
int statistics_init(struct core *core, struct err *err);
void statistics_deinit(struct core *core);

/* Takes new samples now; done every STATISTICS_DRAIN_MS. */
#define STATISTICS_DRAIN_MS 500
void statistics_drain(struct core *core);

/* As the verb answers it, with the `top` costliest. New reference. */
json_t *statistics_json(struct core *core, int top);
/* Counts from here on. The scoreboard itself is left as it is. */
void statistics_reset(struct core *core);

#endif
