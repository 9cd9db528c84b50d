/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PAGE_NOTIFY_H
#define SPLX_HTTPD_PAGE_NOTIFY_H

#include "parts.h"

/* The types of channels by their words in notify.conf. */
extern const struct part_word notify_types[];
#endif
