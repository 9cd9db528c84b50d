/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PARENT_H
#define SPLX_HTTPD_PARENT_H

#include <stdbool.h>

/*
 * The root part of the console, the process in the pid file: it holds the
 * sockets that are listened at, starts the process that serves, and another one
 * in its place when that ends, or when settings or certificate changed. It
 * reads nothing that a browser sends. Returns the exit status.
 */
int parent_run(bool foreground);

#endif
