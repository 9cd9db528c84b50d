/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_NETLINK_QUEUE_H
#define SPLX_NETMON_NETLINK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "netlink.h"

/*
 * Our queue of packets (NFQUEUE). One socket, which the monitor opens and the
 * judge inherits: whoever has it may answer for anybody (the kernel knows the
 * queue's owner by the socket's port), and the queue lives until the last one
 * closes it; then the kernel drops what it still holds.
 *
 * The kernel lets pass what it has no room for, in the queue or in the socket's
 * buffer (FAIL_OPEN, since 4.6 for both). Neither saves what it holds already:
 * that is queue_release()'s.
 */
#define QUEUE_COPY 256 /* bytes of a packet that we get to see */
/* What one packet may take of the socket's buffer; about 900 were seen. */
#define QUEUE_PACKET_ROOM 2048

struct queue_plan {
	uint16_t number;
	uint32_t length; /* packets that the kernel holds at most */
	uint32_t buffer; /* bytes */
	/* Flags that are asked for beside ours, each apart: for the tests. */
	uint32_t more_flags;
};

struct queue_got {
	uint32_t buffer;  /* what the kernel gave of the buffer */
	bool uid;	  /* a packet says whose socket it is from */
	uint32_t refused; /* optional flags that this kernel does not have */
};

/*
 * Binds and configures it: each required step is acknowledged before the next
 * one, each optional flag is a step of its own that may fail. -1 and *err;
 * err->code is EBUSY or EPERM when somebody else has that queue.
 */
int queue_open(struct netlink *nl, const struct queue_plan *plan,
	       struct queue_got *got_r, struct err *err);
/* The buffer of an open one; returns what the kernel gave. */
uint32_t queue_buffer(struct netlink *nl, uint32_t bytes);

/*
 * The following neither wait nor read: the judge reads that socket, and the
 * kernel's complaints come to it. 0 or -1 (errno).
 */
int queue_length(struct netlink *nl, uint16_t number, uint32_t length);
/* Lets go on all that is held with an id up to this one. */
int queue_release(struct netlink *nl, uint16_t number, uint32_t id);

/* One packet of the queue; points into what was received. */
struct queue_packet {
	uint32_t id;
	uint8_t hook;	 /* NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT */
	uint32_t out_if; /* index of the interface it leaves by; 0 none */
	int64_t uid;	 /* -1 unknown */
	const uint8_t *data;
	size_t len;
};

enum queue_event {
	QUEUE_NONE,	/* nothing that concerns anybody */
	QUEUE_PACKET,	/* *packet_r is set */
	QUEUE_GONE,	/* an answer came too late: that packet is not held */
	QUEUE_COMPLAINT /* any other error of the kernel's: in errno */
};

/*
 * Takes what recv(2) gave apart, message by message: `*at` begins as data and
 * `*left` as its length; false when nothing is left.
 */
bool queue_next(const void **at, int *left, enum queue_event *event_r,
		struct queue_packet *packet_r);

/* Answers that go to the kernel in one call. Zeroed at first. */
#define QUEUE_ANSWERS 32
struct queue_answers {
	size_t len, n;
	char data[QUEUE_ANSWERS * 48] __attribute__((aligned(8)));
};

enum queue_verdict { QUEUE_ACCEPT, QUEUE_DROP, QUEUE_REPEAT };

/* Adds one; `mark` is the packet's with QUEUE_REPEAT. There is room for
 * QUEUE_ANSWERS. */
void queue_answer(struct queue_answers *answers, uint16_t number, uint32_t id,
		  enum queue_verdict verdict, uint32_t mark);
/* Sends them by the socket `fd`, and empties it. 0 or -1 (errno). */
int queue_flush(struct queue_answers *answers, int fd);

#endif
