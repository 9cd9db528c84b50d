/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_KHM_JSON_H
#define SPLX_COMMON_KHM_JSON_H

#include <jansson.h>

/*
 * The kernel module as the verbs module.status and module.rivals tell it; it
 * needs no service. New references.
 *
 * status: {"loaded", "code", "text", "status"}: code and text say why it is
 * not loaded (0, ""), status is what /proc/splx/status tells, key by key.
 */
json_t *khm_status_json(void);
/* [{"kind","module","symbol","effect"}]; NULL when it cannot be read (errno):
 * not loaded, or not root. */
json_t *khm_rivals_json(void);
/* Lines of "key value" as an object; whole numbers become numbers. */
json_t *khm_lines_json(const char *text);

#endif
