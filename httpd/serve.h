/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_SERVE_H
#define SPLX_HTTPD_SERVE_H

#include "lib/loop.h"
#include "listeners.h"
#include "settings.h"

/*
 * The process that serves: the rest of the life of a child of the root part,
 * whose loop it has forgotten. It writes one byte to ready_fd once it serves.
 * SIGTERM has it take no more connections, answer what was asked, and end.
 */
void serve(const struct settings *s, const struct listeners *l, int ready_fd)
	__attribute__((noreturn));

#endif
