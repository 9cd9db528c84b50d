/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETJUDGE_H
#define SPLX_COMMON_NETJUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * What the network monitor asks of the rules of /etc/splx/network.conf: one
 * new TCP connection, known by its first packet. splxnetmon loads the rules
 * and asks; core and splxctl read them to show, try and change them.
 */
#define NET_ADDR_SIZE 16
#define NET_NAME_MAX 64

/* The first packet of a connection. */
struct conn {
	uint64_t at_ns; /* CLOCK_REALTIME */
	bool in;	/* to this host; else from it */
	bool v6;
	bool loopback; /* seen once, as outgoing */
	/* Network byte order; of IPv4 the form ::ffff:192.0.2.7. */
	uint8_t local[NET_ADDR_SIZE], remote[NET_ADDR_SIZE];
	uint16_t local_port, remote_port; /* host byte order */
	int64_t uid;			  /* whose socket here; -1 unknown */
};

enum conn_verdict {
	CONN_ALLOW,
	CONN_ALERT, /* goes on, and somebody is told */
	CONN_DROP,
	CONN_RESET,
	CONN_VERDICTS,
};

struct conn_answer {
	enum conn_verdict verdict;
	int rule; /* by its place in the file; -1 none */
	int list; /* that had the address; -1 none */
};

/* Rules and lists as they were loaded: never changed, shared by fork(2). */
struct netrules;

/*
 * Loads paths()->network and the lists of the set of patterns that is current.
 * NULL and *err, which names file, line and reason: what was loaded before is
 * to stay. Without the file there are no rules, and everything is allowed.
 * It reads files and may take a second with large lists; run it in a child.
 */
struct netrules *netrules_load(struct err *err);
void netrules_free(struct netrules **rules);

/* Never fails, allocates nothing, makes no system call: the verdict path. */
void judge_conn(const struct netrules *rules, const struct conn *conn,
		struct conn_answer *answer_r);

/* Whether some rule asks whose socket it is (for incoming connections that
 * takes a question to the kernel). */
bool netrules_by_user(const struct netrules *rules);
/* The names behind an answer; "" for -1. They live as long as the rules. */
const char *netrules_rule_name(const struct netrules *rules, int rule);
const char *netrules_list_name(const struct netrules *rules, int list);
/* How many rules and lists there are, and entries in all lists together. */
size_t netrules_rules(const struct netrules *rules);
size_t netrules_lists(const struct netrules *rules);
size_t netrules_entries(const struct netrules *rules);

#endif
