/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_MASK_H
#define SPLX_CTL_MASK_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Leaves secrets out of what goes into a support case. A setting holds a
 * secret when its name says so (password, secret, token, …, see mask.c); what
 * is secret in an address is masked wherever it stands (common/address.h).
 */
#define MASK_TEXT "(left out)"

bool mask_is_secret(const char *key);
/* A settings file, right or broken: the values of secret keys and what
 * follows them up to the next key are left out. The caller frees it. */
char *mask_conf(const char *text);
/* What config.show answers, changed in place. */
void mask_config_json(json_t *rows);

#endif
