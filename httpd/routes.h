/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_ROUTES_H
#define SPLX_HTTPD_ROUTES_H

#include "visit.h"

/* By the path exactly, or below one that ends with a slash; NULL: none. HEAD
 * is GET. */
const struct route *routes_find(const char *method, const char *path);

#endif
