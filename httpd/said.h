/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_SAID_H
#define SPLX_HTTPD_SAID_H

#include <jansson.h>

#include "common/words.h"

/*
 * What entity says to people in the answer of a verb (the rows are in said.c)
 * is put into a language, in place. Nothing else of the answer is touched.
 */
void said_translate(enum lang lang, const char *verb, json_t *data);

#endif
