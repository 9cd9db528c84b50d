/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_VERSION_H
#define SPLX_COMMON_VERSION_H

#define SPLX_NAME "splx"
#define SPLX_PRODUCT "Splx for Linux"
#define SPLX_VERSION "0.1.0"

#endif
