/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_CRONFILE_H
#define SPLX_ENTITY_CRONFILE_H

#include "common/conf.h"
#include "common/schedules.h"
#include "core.h"

/*
 * /etc/cron.d/splx, made of the settings and of scans.conf: what cron does,
 * also while the suite is stopped. Written when it would say something else
 * than it does; what cannot be written, and a void entry, is a fault that
 * health tells.
 */
void cronfile_write(struct core *core, const struct conf *conf);
/* Its text; the caller frees it. `seed` is the machine's own. */
char *cronfile_text(const struct conf *conf, const struct schedules *list,
		    uint64_t seed);
/* The same on each day, another one on each machine. */
uint64_t cronfile_seed(void);

#endif
