/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NOTIFY_IMPL_H
#define SPLX_ENTITY_NOTIFY_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/events.h"
#include "common/notifyconf.h"
#include "lib/err.h"
#include "notify.h"
#include "notify_child.h"
#include "store.h"

/* What the store keeps of a channel. Times are ns since 1970, 0: never. */
struct notify_mark {
	int64_t told; /* id of the last event that needs no more telling */
	int64_t sent; /* events, in all */
	int64_t dropped, dropped_ns;
	int64_t ok_ns;
};
/* 1, 0 when there is none, -1. */
int store_notify_get(struct store *store, const char *name,
		     struct notify_mark *mark_r, struct err *err);
int store_notify_save(struct store *store, const char *name,
		      const struct notify_mark *mark, struct err *err);
int store_notify_remove(struct store *store, const char *name, struct err *err);
/* The lowest id of an event; 0: there is none. */
int64_t store_first_event(struct store *store);

/*
 * What waits for a channel: gathered from the log, from the mark on
 * (notify_gather.c).
 */
#define GATHER_EVENTS 100 /* that are kept as they are */
#define GATHER_WORST 20	  /* of each severity, for a digest */
#define GATHER_SEVERITIES (EVENT_SEVERITY_HIGH + 1)

struct gather {
	int64_t read;  /* looked at up to this event */
	bool more;     /* there is more to look at */
	int64_t count; /* events that wait */
	int64_t first_ns, last_ns;
	int64_t tally[EVENT_KIND_COUNT][GATHER_SEVERITIES];
	json_t *events; /* the first of them; NULL: none */
	json_t *worst[GATHER_SEVERITIES];
	int64_t dropped;		   /* too old */
	const struct notify_channel *conf; /* while it looks */
	int64_t too_old_ns;
};

/* Begins anew after that event. */
void gather_begin(struct gather *g, int64_t told);
void gather_free(struct gather *g);
/*
 * Looks at some more of the log. 1: there may be more, 0: that was all (or, of
 * a channel that has no digests, enough for one go), -1 and *err.
 */
int gather_step(struct gather *g, struct store *store,
		const struct notify_channel *conf, struct err *err);
/* As messages for splxnotify: all in one, or at most `max` messages. New
 * references. */
json_t *gather_digest(const struct gather *g);
json_t *gather_messages(const struct gather *g,
			const struct notify_channel *conf, size_t max);
/* Of messages: the id of the last event in the first n; how many events these
 * are. 0 when there are none. */
int64_t gather_last_id(json_t *messages, size_t n, int64_t *events_r);

/* Hands messages for the channel to a child of its own; they are borrowed. NULL
 * and *err. */
struct notify_child *notify_send(struct core *core,
				 const struct notify_channel *conf,
				 json_t *messages, notify_child_fn fn,
				 void *arg, struct err *err);
/*
 * The same beside the channel's own: at most NOTIFY_TESTS_MAX at once. When
 * core ends fn is not called, and arg is freed.
 */
#define NOTIFY_TESTS_MAX 4
bool notify_test(struct core *core, const struct notify_channel *conf,
		 json_t *messages, notify_child_fn fn, void *arg,
		 struct err *err);
/* The server answers: what waits is tried at once. */
void notify_nudge(struct core *core, const char *name);

#endif
