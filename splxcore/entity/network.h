/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_NETWORK_H
#define SPLX_ENTITY_NETWORK_H

#include <jansson.h>

#include "common/netreport.h"
#include "core.h"

/*
 * What core does with connections that splxnetmon tells of (netreport.h): it
 * keeps the last ones, counts who talks to whom, learns what is usual
 * (netmodel.h), and makes events of alerts and of what was prevented. All of
 * it is off the verdict path and bounded, whatever comes in.
 */
#define NETWORK_RECENT 1000 /* connections that are kept */
#define NETWORK_PEERS 2000  /* that are counted */

int network_init(struct core *core, struct err *err);
void network_deinit(struct core *core);

/*
 * What the verbs answer (verbs_network*.c).
 *
 * network.status {"enabled", "active", "code", "name", "reason", "since",
 *   "rules", "lists", "networks", "loaded", "broken": text or null,
 *   "seen", "judged", "uninspected", "alerted", "dropped", "reset",
 *   "unreported", "stalls", "released", "restarts", "overruns", "put_back",
 *   "model": {"state": "off", "learning" or "watching", "left_ms", "entries"}}
 * network.connections {"active", "connections": [CONNECTION...] newest first,
 *   "peers": [{"in", "program", "address", "port", "times", "alerted",
 *   "prevented", "last"}...] by times}
 *   CONNECTION: "time", "direction", "verdict", "address", "port", "local",
 *   "peer_port", "pid", "uid", "program", "rule", "list" (null where unknown),
 *   "times"
 * network.rules {"rules": [{"name", "action", "enabled", "what", "text",
 *   "missing": [names of lists]}...], "problems": [text]}
 * network.show, network.set {"name", "settings": [{"key","value"}], "note":
 *   text or null}; network.remove, network.move null
 * network.test {"verdict", "rule", "list"}
 * network.lists {"set", "fault", "lists": [{"name", "networks", "bytes",
 *   "sources": [{"part", "version", "created"}], "rules": [names]}]}
 * network.model {"state", "left_ms", "total", "entries": [{"id", "program",
 *   "network", "port", "first", "last", "times", "alerted"}...] newest first}
 * network.learn null; network.forget {"forgotten": n}
 */

/* Looks whether rules or lists are others now, and has them loaded (also done
 * by itself, each second). */
void network_look(struct core *core);
/* Settings or patterns are others: has all of it loaded, once. */
void network_changed(struct core *core);

/* The last connections, newest first, at most `limit`, whose texts hold `text`
 * (NULL: any); and who talks to whom, at most `peers`. New references. */
json_t *network_recent(const struct core *core, const char *text, size_t limit);
json_t *network_peers(const struct core *core, size_t limit);

/* The model: how it does, and what it knows (newest first; alerted: only what
 * came after the learning period). New references. */
json_t *network_model_state(const struct core *core);
json_t *network_model(const struct core *core, const char *text, bool alerted,
		      size_t limit);
/* Begins anew. */
void network_model_learn(struct core *core);
/* -1: the store does not take it now. */
bool network_model_forget(struct core *core, int64_t id);

/* "192.0.2.7", for 16 bytes of netjudge.h. Returns out. */
#define NETWORK_ADDRESS_MAX 48
char *network_address(const uint8_t address[16], char out[NETWORK_ADDRESS_MAX]);
const char *network_verdict(enum conn_verdict v);
/* The port of the service, whoever it is of. */
uint16_t network_port(const struct conn *conn);

#endif
