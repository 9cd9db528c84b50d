/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CONTROL_H
#define SPLX_COMMON_CONTROL_H

#include <stddef.h>

#include "lib/err.h"

/*
 * The supervisor's own socket (SOCK_SEQPACKET, root only): one word or two
 * as a record, one record back. It works when entity does not.
 *   "start vsapiapp"  answered when it really blocks, or cannot
 *   "stop vsapiapp"   answered when it is gone
 *   "stop all"        answered, then everything ends
 *   "release module"  the supervisor lets go of the kernel module; refused
 *                     while vsapiapp uses it
 *   "status"          key=value lines: a line each for supervisor, entity,
 *                     vsapiapp: "vsapiapp pid=N state=running|stalled|
 *                     restarting|stopped restarts=N"
 * Answers begin with "ok" or "error: ". An error may name what to do.
 */
#define CONTROL_MAX 4096

/* Sends one command and waits up to timeout_ms. -1 and *err, with the text
 * after "error: " as its message; reply_r gets what stands after "ok". */
int control_call(const char *sock_path, const char *command, int timeout_ms,
		 char *reply_r, size_t size, struct err *err);

/*
 * Descriptors that the supervisor hands to the processes it starts, by
 * number, and nothing else beyond standard input, output and error.
 */
enum inherited_fd {
	INHERIT_SCOREBOARD = 3, /* memfd */
	INHERIT_GROUP = 4,	/* fanotify permission group, or /dev/null */
	INHERIT_FINDING_TX = 5, /* workers send findings here */
	INHERIT_FINDING_RX = 6, /* entity receives them here */
	INHERIT_LOG = 7,	/* log records (SEQPACKET) towards entity */
	INHERIT_LOG_RX = 8,	/* entity receives them here */
	INHERIT_LIFE = 9,	/* reading end: EOF when the supervisor dies */
	INHERIT_KHM = 10,	/* the kernel module's device, or another one
				 * where it is not loaded (khm_is_device()) */
	INHERIT_NET_TX = 11,	/* splxnetmon sends connections here */
	INHERIT_NET_RX = 12,	/* entity receives them here */
	INHERIT_COUNT = 13,
};

#endif
