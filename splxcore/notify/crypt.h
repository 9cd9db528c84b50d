/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_CRYPT_H
#define SPLX_NOTIFY_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* What OpenSSL does for us here. -1 and *err when it cannot. */
#define CRYPT_SHA256 32

int crypt_hmac(const void *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[CRYPT_SHA256], struct err *err);
/* SHA-256 of `total` bytes: `text` again and again, as the keys of SNMPv3 are
 * made of passwords (RFC 3414, A.2; RFC 7860). */
int crypt_stretch(const char *text, size_t total, uint8_t out[CRYPT_SHA256],
		  struct err *err);
/* SHA-256 of three pieces, one after the other. */
int crypt_hash3(const void *a, size_t a_len, const void *b, size_t b_len,
		const void *c, size_t c_len, uint8_t out[CRYPT_SHA256],
		struct err *err);
/* AES-128 in CFB mode, in place. */
int crypt_aes_cfb(const uint8_t key[16], const uint8_t iv[16], uint8_t *data,
		  size_t len, struct err *err);
int crypt_random(void *out, size_t len, struct err *err);

#endif
