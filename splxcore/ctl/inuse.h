/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_INUSE_H
#define SPLX_CTL_INUSE_H

#include <stdbool.h>

#include "common/conf.h"
#include "walk.h"

/*
 * Goes through what processes run now: the executable of each and all that it
 * has mapped executable (libraries), each file once, whoever uses it. Taken by
 * the mapping, never by a name: a file that was replaced or deleted since, or
 * that lies in a container, is the very one that runs. Network and FUSE file
 * systems are left out unless the settings include them.
 *
 * The callbacks are those of a walk; `cross` is not used. A path is as the
 * process sees it, with " (deleted)" behind one that is gone. 0 when all were
 * seen, 1 when a callback ended it, -1 when /proc cannot be read (errno). Who
 * is not root sees his own processes only.
 */
int inuse_walk(const struct conf *conf, const struct walk_ops *ops, void *arg);

#endif
