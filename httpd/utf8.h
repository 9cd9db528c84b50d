/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_UTF8_H
#define SPLX_HTTPD_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that stands there, 0 when that is no UTF-8. */
size_t utf8_length(const char *s, size_t len);
/* The character itself; utf8_length() was not 0. */
uint32_t utf8_char(const char *s, size_t length);

#endif
