/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_UNIXSOCK_H
#define SPLX_COMMON_UNIXSOCK_H

#include <sys/types.h>

#include "lib/err.h"

/*
 * Sockets in the file system. Paths longer than an address holds (107 bytes,
 * unix(7)) work too, by way of the folder's descriptor.
 */

/*
 * Listens on `path` with the given socket type (SOCK_STREAM,
 * SOCK_SEQPACKET), non-blocking, close-on-exec. A dead socket file there is
 * replaced; a living one is an error (EADDRINUSE), as is any other kind of
 * file (EEXIST). Returns the descriptor, or -1 and *err.
 */
int unixsock_listen(const char *path, int type, mode_t mode, struct err *err);

/*
 * Connects, waiting at most timeout_ms while the listener's backlog is full.
 * Returns a blocking close-on-exec descriptor, or -1 and *err (ENOENT or
 * ECONNREFUSED in err->code: nobody listens; ETIMEDOUT).
 */
int unixsock_connect(const char *path, int type, int timeout_ms,
		     struct err *err);

#endif
