/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_HOSTMOUNTS_H
#define SPLX_COMMON_HOSTMOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scoreboard.h"

/*
 * Which mounts belong to our own mount namespace. Settings speak of its
 * paths; in another namespace anybody may mount anything under any name, so
 * a path that is seen through a foreign mount excludes nothing.
 */

/* The master's list of mount ids (mountinfo's first column); it is sorted in
 * place. What does not fit (SCOREBOARD_MOUNTS) counts as foreign: false. */
bool hostmounts_publish(struct scoreboard *sb, uint32_t *ids, size_t n);

/*
 * True when the open file was reached through a mount of ours. While the list
 * is being replaced everything is foreign. On kernels that do not tell the
 * mount (STATX_MNT_ID, 5.8) every mount counts as ours.
 */
bool hostmounts_has_fd(const struct scoreboard *sb, int fd);

#endif
