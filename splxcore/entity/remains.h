/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_REMAINS_H
#define SPLX_ENTITY_REMAINS_H

#include <stdbool.h>

#include "common/scoreboard.h"

/*
 * Counts the processes of vsapiapp that are left when its master has ended:
 * our own orphaned children, and the workers that the scoreboard names. With
 * `end` they are killed. Workers write the scoreboard, and are not trusted: a
 * process whose program is not vsapiapp is left alone.
 */
int remains_of_vsapiapp(const struct scoreboard *sb, bool end);

/*
 * For a supervisor that has just become it and has started nobody: ends what
 * a suite whose three root processes were killed in the same instant has left
 * of core, vsapiapp and splxnetmon. They would go on for a while without a
 * guard. Returns how many there were.
 */
int remains_of_before(void);

#endif
