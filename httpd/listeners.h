/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_LISTENERS_H
#define SPLX_HTTPD_LISTENERS_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/vec.h"
#include "settings.h"

/* The sockets that are listened at. */
struct listener {
	char *address;
	int port;
	bool tls;
	int fd;
};

struct listeners {
	VEC(struct listener);
};

/*
 * Those that the settings ask for: one of `old` is taken over where it is the
 * same, the others of it are closed. An address that this machine does not have
 * is told and left out. -1 and *err when there would be none for https, or a
 * port is another's; `old` is as it was then.
 */
int listeners_open(const struct settings *s, struct listeners *old,
		   struct err *err);
void listeners_close(struct listeners *l);

#endif
