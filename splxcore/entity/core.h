/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_CORE_H
#define SPLX_ENTITY_CORE_H

#include <stdbool.h>

#include "common/codes.h"
#include "common/conf.h"
#include "common/scoreboard.h"
#include "lib/err.h"
#include "lib/loop.h"

struct accounts;
struct adopt;
struct dispatch;
struct findings;
struct health;
struct history;
struct ipc_server;
struct logsink;
struct modlock;
struct notify;
struct quarantine;
struct scans;
struct service;
struct settings;
struct statistics;
struct store;
struct takeover;
struct tasks;

/*
 * Core, the one process that writes settings, store and quarantine. Its parts
 * hang here; each has X_init(core, err), which sets its pointer, and
 * X_deinit(core), which frees and nulls it. core.c calls the inits in the
 * order in which they stand here and the deinits the other way round, so a
 * part may use those above it. One thread, one loop: no part may block it
 * for longer than a disk write takes.
 */
struct core {
	struct loop *loop;
	struct scoreboard *sb;
	bool foreground;

	struct logsink *logsink;
	struct health *health;
	struct settings *settings;
	struct store *store;
	struct accounts *accounts;
	struct quarantine *quarantine;
	struct scans *scans;
	struct findings *findings;
	struct statistics *statistics;
	struct history *history;
	struct modlock *modlock;
	struct service *service;
	struct notify *notify;
	struct network *network;
	struct tasks *tasks;
	struct dispatch *dispatch;
	struct ipc_server *ipc;
	struct adopt *adopt;

	struct takeover *takeovers; /* that are under way */
	bool ending;
};

/*
 * The settings in force. Borrowed, and only until the loop turns: a change
 * replaces them, so ask anew each time.
 */
const struct conf *core_conf(const struct core *core);

/*
 * Tells health that something is wrong, or (core_well()) is well again; both
 * may be called at every try. A code has one state; `fmt` says what exactly
 * is wrong, for people. The change is logged, and told as a system event
 * unless the store itself is what failed.
 */
void core_fault(struct core *core, enum status_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void core_well(struct core *core, enum status_code code);

/*
 * A system event into the store and a line into the log. part: supervisor,
 * entity, vsapiapp, worker, interceptor; severity: info, low, medium, high.
 */
void core_event(struct core *core, const char *severity, const char *part,
		enum status_code code, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Runs core: `entity --core`, started by the supervisor. Returns the exit
 * status. */
int core_main(bool foreground);

#endif
