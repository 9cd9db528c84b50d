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
 * Kills what a network monitor that has ended has left: our own orphaned
 * children of that program but `monitor`, the one that runs (0: none); with
 * `stopped` those that stand still alone.
 */
void remains_of_netmon(pid_t monitor, bool stopped);

/*
 * For a supervisor that has just become it and has started nobody: ends what
 * a suite whose three root processes were killed in the same instant has left
 * of core, vsapiapp and splxnetmon. They would go on for a while without a
 * guard. Returns how many there were.
 */
int remains_of_before(void);

#endif
