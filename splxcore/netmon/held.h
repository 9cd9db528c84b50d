/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_HELD_H
#define SPLX_NETMON_HELD_H

#include <stdint.h>

/* One line of /proc/net/netfilter/nfnetlink_queue. */
struct held {
	uint32_t port;	  /* of the socket that has it */
	uint32_t waiting; /* packets that the kernel holds */
	uint64_t dropped; /* for no room in the queue, in the buffer */
	uint64_t user_dropped;
	uint32_t last_id; /* of the newest packet */
};

/* Opens it, of the network namespace that we are in; -1 (errno). The
 * descriptor is the caller's. */
int held_open(void);
/* Reads the line of our queue: 0; -1 when it is not there. */
int held_read(int fd, uint16_t queue, struct held *held_r);
/* The same from text. */
int held_parse(const char *text, uint16_t queue, struct held *held_r);

#endif
