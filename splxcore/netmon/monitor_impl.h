/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_MONITOR_IMPL_H
#define SPLX_NETMON_MONITOR_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/codes.h"
#include "common/conf.h"
#include "crew.h"
#include "held.h"
#include "monitor.h"
#include "netlink_queue.h"
#include "netlink_table.h"

/* What monitor*.c share. */
#define SAMPLES 3

struct monitor {
	struct scoreboard *sb; /* NULL: by hand */
	struct net_board *board;
	struct conf *conf;
	struct crew crew;
	struct netlink *filter; /* nf_tables; NULL: not begun */
	struct netlink *queue;	/* the packets' socket */
	struct table_plan table;
	struct queue_plan plan;
	struct queue_got got;
	int held_fd, signal_fd;

	bool begun; /* queue and table are there */
	bool open;  /* packets are queued and answered */
	bool ending;
	uint32_t changes;      /* sb->net_changes as taken over */
	uint64_t begin_ns;     /* when to begin, or try it again */
	unsigned int failures; /* to begin, in a row */
	uint64_t fork_ns;      /* when to start a judge; 0: none is awaited */
	unsigned int deaths;   /* of judges, soon after one another */
	uint64_t renew_ns, count_ns, look_ns;
	uint64_t last_tick_ns;
	uint64_t well_ns; /* when last nothing was held, or answered */
	uint64_t last_answered, last_turns;
	uint64_t shut_ns;	  /* since when it is not open */
	uint64_t orphan_ns;	  /* since when there is no supervisor */
	uint64_t counted;	  /* of the table's counter, taken over */
	uint64_t unseen[SAMPLES]; /* for board->uninspected */
	size_t sample;
};

/* ---- monitor_count.c: what the board shows ---- */

/* The board's code with its reason; logs a change. */
void monitor_code(struct monitor *m, int code, const char *reason);
/* Whether the rules of the last judge were refused, and why ("" no). */
void monitor_broken(struct monitor *m, const char *why);
/* Takes over what the judges have counted. */
void monitor_seats(struct monitor *m);
/* Takes over the table's counter, and how many nobody judged. */
void monitor_first(struct monitor *m);

#endif
