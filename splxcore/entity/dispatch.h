/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_DISPATCH_H
#define SPLX_ENTITY_DISPATCH_H

#include <jansson.h>

#include "common/ipc.h"
#include "common/verbs.h"
#include "core.h"

/*
 * From a request to its handler: the verb's row is looked up, the caller's
 * role compared with it (once, here), the arguments checked against its
 * grammar, and verb_ID() of that row called. A row of verbs.def that entity
 * serves and that has no handler does not link.
 *
 * A handler answers exactly once, now or later, by dispatch_reply() or
 * dispatch_fail(), never by ipc_reply() or ipc_fail(): what an ADMIN verb did
 * becomes an audit event there. `args` is borrowed, and only for the call.
 *
 * A verb that streams uses ipc_more(), ipc_on_writable() and ipc_on_gone()
 * with its call. An ADMIN verb does not: it is answered, and so audited, even
 * when its client left meanwhile.
 */
typedef void (*dispatch_fn)(struct core *core, struct ipc_call *call,
			    json_t *args);

#define DISPATCH_ENTITY(id)                                                    \
	void verb_##id(struct core *core, struct ipc_call *call, json_t *args);
#define DISPATCH_HIDDEN(id) DISPATCH_ENTITY(id)
#define DISPATCH_LOCAL(id)
#define VERB(id, noun, verb, role, where, grammar, text) DISPATCH_##where(id)
#include "common/verbs.def"
#undef VERB
#undef DISPATCH_ENTITY
#undef DISPATCH_HIDDEN
#undef DISPATCH_LOCAL

int dispatch_init(struct core *core, struct err *err);
void dispatch_deinit(struct core *core);
/* For ipc_listen(); arg is the struct core. */
void dispatch_request(struct ipc_call *call, const char *verb, json_t *args,
		      void *arg);

/* Ends the call well; takes over the reference to data (NULL: null). */
void dispatch_reply(struct core *core, struct ipc_call *call, json_t *data);
/* Ends it with an error; the code words are those of common/ipc.h. */
void dispatch_fail(struct core *core, struct ipc_call *call, const char *code,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The string argument of that name, or NULL. */
const char *dispatch_arg(json_t *args, const char *name);
/*
 * A whole number given as a JSON integer or a string of digits; `def` when it
 * is absent. -1 and *err when it is neither or out of range.
 */
int dispatch_arg_i64(json_t *args, const char *name, long long def,
		     long long min, long long max, long long *out_r,
		     struct err *err);

/*
 * The role of a peer: root is ADMIN, others by AdminUsers, OperatorUsers and
 * ViewerUsers; -1 for somebody who may nothing.
 */
int dispatch_role(const struct core *core, const struct ipc_peer *peer);

/*
 * What the verbs of core answer (quarantine.* and events.*: see their files).
 *
 * status, health (the same object; with field: {"field","value","healthy"}):
 *   overall      "Protected", "Partially protected", "Unprotected"
 *   operational  "Functional", "Kernel Module Locked", "Unload pending",
 *                "Degraded", "Stopped"
 *   healthy      true when there is no issue above severity info
 *   generalStatus, antimalwareStatus, kernelStatus, patternStatus,
 *   networkStatus, consoleStatus    codes, 0 healthy
 *   health_issues [{"code","name","severity","part","text","action"}]
 *                severity info, warning, critical; worst first
 *   conflicting_applications [{"name","effect","module","text","action"}]
 *                as in common/conflicts.h; those that the kernel shows
 *   interceptor  "khm", "fanotify", "async", "off", "none"
 *   load_lock    as in common/loadlock_json.h, and state
 *   hook         as in common/state.h; null without the kernel module
 *   classes      {"incoming","outgoing","running"} booleans
 *   reasons      [{"code","text"}] rungs of the ladder left
 *   coverage     as in common/state.h
 *   workers      {"front","back","wanted","busy"}
 *   patterns     {"generation","signatures","engine","builtin_only","time"}
 *   settings     {"origin","policy_generation","broken"} origin: "file" or
 *                "last-good"; broken: null or what is wrong
 *   processes    [{"part","pid","state","since_s","restarts"}] part:
 *                supervisor, entity, vsapiapp; state running, starting,
 *                stalled, restarting, stopped
 *   version, host, time (ns since 1970), uptime_s
 * statistics:
 *   since (ns since 1970), seconds
 *   counters     {name: value} by the names of counters.def
 *   wait, scan   {"count","p50_ns","p99_ns","max_ns"}
 *   top_processes [{"program","scans","scan_ns","wait_ns","bytes"}]
 *   top_files     [{"path","scans","scan_ns","wait_ns","bytes"}] by scan_ns
 *   samples_lost
 * config.show: [{"group","key","value","default","origin","changed","type",
 *   "unit","text"}], origin "default", "file" or "last-good"
 * config.get: one of these. config.set, config.reset, config.reload,
 *   exclusion.add, exclusion.remove: {"applied","note","changed":[keys],
 *   "void":[{"key","entry","reason"}]}; applied is false when vsapiapp runs and
 *   has not taken it over, and note says why; an exclusion that was there (or
 * was not there) already has "changed":[]. exclusion.list:
 * [{"type","value","void","reason"}] pattern.show: generation, engine,
 * signatures, pattern_id, pattern_time, builtin_only, patterns as in
 * common/state.h pattern.reload: {"applied","note","generation"}
 * conflicts: as conflicts_json() of common/conflicts.h; order.show,
 * order.check: as order_json() of common/order.h.
 */

#endif
