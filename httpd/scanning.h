/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_SCANNING_H
#define SPLX_HTTPD_SCANNING_H

#include "visit.h"

/* Real-time scanning on and off, on the summary: for who may, the others see
 * nothing. */
void scanning_draw(struct visit *v, bool stopped);

#endif
