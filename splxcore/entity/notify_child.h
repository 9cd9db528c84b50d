/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NOTIFY_CHILD_H
#define SPLX_ENTITY_NOTIFY_CHILD_H

#include <jansson.h>

#include "core.h"

/*
 * splxnotify at work: a process that is the scan user, can write nowhere, and
 * ends with core. Core never waits for it; one that takes too long is killed.
 */
#define NOTIFY_CHILD_MS 90000

struct notify_child;

/*
 * `answer` is what splxnotify says (its main.c), borrowed; where it said
 * nothing, the same with "why" alone. The child is gone when fn returns; fn may
 * start another one.
 */
typedef void (*notify_child_fn)(json_t *answer, void *arg);

/* `job` (splxcore/notify/job.h) is borrowed. NULL and *err. */
struct notify_child *notify_child_start(struct core *core, json_t *job,
					notify_child_fn fn, void *arg,
					struct err *err);
/* Kills it; fn is not called. Nulls the pointer; NULL is allowed. */
void notify_child_cancel(struct notify_child **child);

#endif
