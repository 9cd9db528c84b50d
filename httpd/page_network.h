/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PAGE_NETWORK_H
#define SPLX_HTTPD_PAGE_NETWORK_H

#include "parts.h"

/* What the files page_network*.c share. */

/* allow, alert, drop, reset. */
extern const struct part_word network_verdicts[];

#endif
