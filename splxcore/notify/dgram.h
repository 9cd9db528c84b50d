/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_DGRAM_H
#define SPLX_NOTIFY_DGRAM_H

#include <stddef.h>

#include "job.h"
#include "lib/err.h"

/* Datagrams to one place. */
struct dgram;

/* To the channel's Server, whose port is `port` when it names none; to a
 * socket of this machine. NULL and *err. */
struct dgram *dgram_open(const struct job *job, const char *port,
			 struct err *err);
struct dgram *dgram_local(const char *path, struct err *err);
/* 0, or -1 and *err: nobody listens. */
int dgram_send(struct dgram *d, const void *data, size_t len, struct err *err);
/* Waits a moment for a word that nobody listens there: -1 and *err then. */
int dgram_end(struct dgram *d, struct err *err);
void dgram_free(struct dgram **d);

/* Splits HOST, HOST:PORT, [ADDRESS]:PORT; `port` is its default. False when
 * it does not fit. */
bool dgram_split(const char *server, const char *port, char host[256],
		 char port_r[8]);

#endif
