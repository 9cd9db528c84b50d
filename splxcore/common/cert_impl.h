/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CERT_IMPL_H
#define SPLX_COMMON_CERT_IMPL_H

#include "cert.h"

/* What the first certificate of a chain in PEM says; checks nothing. */
int cert_describe(const char *chain, struct cert_info *info_r, struct err *err);

#endif
