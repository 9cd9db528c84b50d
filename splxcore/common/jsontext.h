/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_JSONTEXT_H
#define SPLX_COMMON_JSONTEXT_H

#include <jansson.h>

/*
 * A JSON string of any bytes: what is no UTF-8 (JSON can hold nothing else)
 * is written as log_escape() does. New reference.
 */
json_t *jsontext_new(const char *text);

#endif
