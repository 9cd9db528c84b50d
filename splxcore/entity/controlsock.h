/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_CONTROLSOCK_H
#define SPLX_ENTITY_CONTROLSOCK_H

#include <stdint.h>

#include "lib/err.h"
#include "supervisor.h"

/* The supervisor's socket, see common/control.h for its commands. */
struct controlsock;

/* Listens on paths()->control_sock; a file that is left there is replaced,
 * the pid file's lock says that nobody serves it. NULL and *err. */
struct controlsock *controlsock_new(struct supervisor *sup, struct err *err);
/* Answers all that still wait with an error, removes the file. */
void controlsock_free(struct controlsock **cs);
/* Each tick: answers those whose wait is over. */
void controlsock_tick(struct controlsock *cs, uint64_t now_ns);

#endif
