/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "held.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line has about 70 characters; more queues than that nobody has. */
#define HELD_TEXT 16384

int held_open(void)
{
	return open("/proc/self/net/netfilter/nfnetlink_queue",
		    O_RDONLY | O_CLOEXEC);
}

/* nf_queue's seq_show(): queue, port, waiting, copy mode, copy range, dropped,
 * user dropped, last id, 1. */
int held_parse(const char *text, uint16_t queue, struct held *h)
{
	unsigned int number, mode, range;

	for (; text && *text; text = strchr(text, '\n')) {
		if (*text == '\n')
			text++;
		if (sscanf(text,
			   "%u %" SCNu32 " %" SCNu32 " %u %u %" SCNu64
			   " %" SCNu64 " %" SCNu32,
			   &number, &h->port, &h->waiting, &mode, &range,
			   &h->dropped, &h->user_dropped, &h->last_id) == 8 &&
		    number == queue)
			return 0;
	}
	return -1;
}

int held_read(int fd, uint16_t queue, struct held *held_r)
{
	char text[HELD_TEXT];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -1;
	text[n] = '\0';
	return held_parse(text, queue, held_r);
}
