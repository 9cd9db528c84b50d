/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_MONITOR_H
#define SPLX_NETMON_MONITOR_H

#include "common/scoreboard.h"

/*
 * The monitor: has the queue and the rule that fills it, starts a judge and a
 * looker, and every MONITOR_TICK_MS looks whether what the kernel holds is
 * being answered. Where it is not for MONITOR_STALL_MS it lets all of it go
 * on, and has nothing queued until a judge lives again.
 */
#define MONITOR_TICK_MS 50
#define MONITOR_STALL_MS 150

/* Its life, under entity (`sb`) or by hand (NULL: it tells on standard
 * output). Returns the exit status. */
int monitor_run(struct scoreboard *sb);

/* Removes what a monitor has left in the packet filter. Exit status. */
int monitor_remove(void);

#endif
