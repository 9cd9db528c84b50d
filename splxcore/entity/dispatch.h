/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_DISPATCH_H
#define SPLX_ENTITY_DISPATCH_H

#include <jansson.h>

#include "common/ipc.h"
#include "accounts.h"
#include "common/verbs.h"
#include "core.h"

/*
 * From a request to its handler: the verb's row is looked up, the caller's
 * role compared with it (once, here), the arguments checked against its
 * grammar, and verb_ID() of that row called. A row of verbs.def that entity
 * serves and that has no handler does not link.
 *
 * A handler answers exactly once, now or later, by dispatch_reply() or
 * dispatch_fail(), never by ipc_reply() or ipc_fail(): what a verb that changes
 * something did becomes an audit event there. `args` is borrowed, and only for
 * the call.
 *
 * A verb that streams uses ipc_more(), ipc_on_writable() and ipc_on_gone()
 * with its call. One that changes something does not: it is answered, and so
 * audited, even when its client left meanwhile.
 */
typedef void (*dispatch_fn)(struct core *core, struct ipc_call *call,
			    json_t *args);

#define DISPATCH_ENTITY(id)                                                    \
	void verb_##id(struct core *core, struct ipc_call *call, json_t *args);
#define DISPATCH_HIDDEN(id) DISPATCH_ENTITY(id)
#define DISPATCH_LOCAL(id)
#define VERB(id, noun, verb, role, where, does, grammar, text)                 \
	DISPATCH_##where(id)
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
/* The same with data beside the message; takes over the reference. */
void dispatch_fail_data(struct core *core, struct ipc_call *call,
			const char *code, json_t *data, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The string argument of that name, or NULL. */
const char *dispatch_arg(json_t *args, const char *name);
/*
 * A whole number given as a JSON integer or a string of digits; `def` when it
 * is absent. -1 and *err when it is neither or out of range.
 */
int dispatch_arg_i64(json_t *args, const char *name, long long def,
		     long long min, long long max, long long *out_r,
		     struct err *err);
/* A part of a list. */
struct dispatch_page {
	long long limit; /* "limit": at most so many; before: its default */
	long long max;	 /* of that */
	long long from;	 /* "before" or "offset"; 0: from the beginning */
};
/* Reads one from the arguments: `from` is the name of its second number. False,
 * and the call has failed, when a number makes no sense. */
bool dispatch_page(struct core *core, struct ipc_call *call, json_t *args,
		   const char *from, struct dispatch_page *page);

/*
 * The role of who asks, now: of root, AdminUsers and so on, or of the session
 * or token that the console handed on; -1 for somebody who may nothing.
 */
int dispatch_role(struct core *core, const struct ipc_call *call);

/*
 * What the audit event of a call under way says besides; nothing where it has
 * none. Takes over the references; NULL: nothing to say. before, after: what
 * was changed.
 */
void dispatch_audit_change(struct core *core, const struct ipc_call *call,
			   json_t *before, json_t *after);
/* Who did it, where that is not who asked (who logs in). */
void dispatch_audit_user(struct core *core, const struct ipc_call *call,
			 const char *user);
/* Its arguments, where those that came say too much; NULL: none. */
void dispatch_audit_args(struct core *core, const struct ipc_call *call,
			 json_t *args);
/* It becomes none. */
void dispatch_audit_skip(struct core *core, const struct ipc_call *call);
/* A verb that only reads shall be told all the same (an export): now. */
void dispatch_audit_now(struct core *core, struct ipc_call *call,
			enum verb_id id, json_t *args);

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
 *   top_files, top_directories
 *                 [{"path","scans","scan_ns","wait_ns","bytes"}] by scan_ns
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
