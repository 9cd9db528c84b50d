/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_ADDRESS_H
#define SPLX_COMMON_ADDRESS_H

#include "lib/err.h"

/*
 * Secrets in addresses: scheme://user:password@host, and what stands behind
 * the = of a query (scheme://host/path?token=...). Where an address is shown,
 * logged or exported they are ADDRESS_MASK instead.
 */
#define ADDRESS_MASK "***"

/* Any text, with every address in it masked; the caller frees it. */
char *address_mask(const char *text);
/*
 * What was shown comes back: each masked address in text becomes the one in old
 * that looks like it. The caller frees it; NULL and *err when there is none, so
 * that no mask is ever taken for a password.
 */
char *address_fill(const char *text, const char *old, struct err *err);

#endif
