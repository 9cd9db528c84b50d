/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PASS_H
#define SPLX_COMMON_PASS_H

#include <stdbool.h>

#include "scoreboard.h"
#include "verdict.h"

/*
 * The passes: infected files that an administrator restored from quarantine.
 * Each is known by its key, so it passes only while it has not changed. Core
 * alone writes them (and sets them up again at its start); workers ask when a
 * scan has found something: a file that passes is allowed, counted as
 * ALLOWED_PASS, neither remembered as clean nor reported.
 */
bool pass_has(const struct scoreboard *sb, const struct file_key *key);
/* Overwrites the oldest when all places are taken, and returns false then. */
bool pass_put(struct scoreboard *sb, const struct file_key *key);
void pass_drop(struct scoreboard *sb, const struct file_key *key);
void pass_clear(struct scoreboard *sb);

#endif
