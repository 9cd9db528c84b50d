/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_LOADLOCK_JSON_H
#define SPLX_COMMON_LOADLOCK_JSON_H

#include <jansson.h>

#include "conf.h"

/*
 * The load lock's file as verbs tell it, read now. New reference.
 *   file     its path
 *   known    it can be read
 *   locked   by what stands in it: whoever starts now gets no module
 *   crashes, max, window_s
 *   free_in_s  until it locks no more, when nothing happens; null: it does not
 *   text     in words
 *   entries  [{"kind","boot","kernel","time","age_s"}] oldest first; time is
 *            ns since 1970
 */
json_t *loadlock_json(const struct conf *conf);

#endif
