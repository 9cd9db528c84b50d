/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NETWORK_IMPL_H
#define SPLX_ENTITY_NETWORK_IMPL_H

#include "netmodel.h"
#include "network.h"
#include "store.h"

/* What the files network*.c and store_network.c share. */

/*
 * Events of connections (network_events.c). Equal ones within a minute are one
 * event, and one more that counts them; there are at most NETEVENTS_MINUTE a
 * minute, and one that counts the rest: a flood fills no log.
 */
#define NETEVENTS_MINUTE 200
#define NETEVENTS_MAX 256 /* different ones at a time */
struct netevents;
struct netevents *netevents_new(struct store *store);
/* What was not told yet is told. */
void netevents_free(struct netevents **events);
/* One that was alerted or prevented. now_ns: monotonic. */
void netevents_add(struct netevents *events, const struct net_report *report,
		   uint64_t now_ns);
/* One that is new to the model. */
void netevents_news(struct netevents *events, const struct net_report *report);
/* Called each second. */
void netevents_tick(struct netevents *events, uint64_t now_ns);

/* The model in the store. 0, or -1 and *err. */
typedef void (*store_netmodel_fn)(const struct netmodel_entry *entry,
				  void *arg);
int store_netmodel_load(struct store *store, store_netmodel_fn fn, void *arg,
			struct err *err);
/* Writes what is dirty, and forgets what is gone. */
int store_netmodel_save(struct store *store, struct netmodel *m,
			struct err *err);
/* For how long it has learnt. */
int store_netmodel_learnt(struct store *store, int64_t *ms_r, struct err *err);
int store_netmodel_set_learnt(struct store *store, int64_t ms, struct err *err);

#endif
