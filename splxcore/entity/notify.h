/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NOTIFY_H
#define SPLX_ENTITY_NOTIFY_H

#include <jansson.h>

#include "core.h"
#include "health_check.h"

/*
 * Tells others of events, by the channels of notify.conf.
 *
 * The log of events is the queue: of each channel the store keeps up to which
 * event it was told. So nothing is written twice, what waits survives
 * everything that the log survives, and is bounded as the log is. While a
 * server is away what waits grows there; many events at once become one message
 * (a digest) that counts them all. What got too old (NOTIFY_AGE_MAX), or was
 * deleted from the log before it could be told, counts as dropped.
 */
#define NOTIFY_AGE_MAX_S (7 * 86400)
/* A channel that fails for so long is an issue of health. */
#define NOTIFY_LATE_S 60

int notify_init(struct core *core, struct err *err);
void notify_deinit(struct core *core);

/* Reads notify.conf again; also done by itself when the file has changed. What
 * had to wait because a server was away is tried at once. */
void notify_reload(struct core *core);
/* Issues for health: channels that fail, entries that are void, drops. */
void notify_check(const struct core *core, struct report *r);
/*
 * How a channel is doing; NULL: there is none of that name. New reference.
 *   {"name", "type", "target", "enabled", "state": "idle", "waiting",
 *    "sending", "failing" or "off", "waiting": events, "more": true when there
 *    are more of these, "oldest": ns since 1970 or null, "sent": events,
 *    "dropped": events, "dropped_at", "ok_at": ns since 1970 or null,
 *    "failures": in a row, "failing_since": ns or null, "next_try_s",
 *    "error": text or null}
 */
json_t *notify_status(const struct core *core, const char *name);
/* The same of all; an array. */
json_t *notify_status_all(const struct core *core);
/* What waits for a channel: {"name", "waiting", "more", "events"}. NULL: there
 * is none of that name. New reference. */
json_t *notify_queue(const struct core *core, const char *name);
/* What waits for the channel is dropped, and counted. How many; -1: there is
 * no such channel. */
int64_t notify_drop(struct core *core, const char *name);
/* Forgets what the store keeps of a channel that is no more. */
void notify_forget(struct core *core, const char *name);

#endif
