/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "crypt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

static int failed(const char *what, struct err *err)
{
	return err_set(err, 0, "OpenSSL: %s does not work", what);
}

int crypt_hmac(const void *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[CRYPT_SHA256], struct err *err)
{
	unsigned int n = CRYPT_SHA256;

	return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n)
		       ? 0
		       : failed("HMAC", err);
}

int crypt_stretch(const char *text, size_t total, uint8_t out[CRYPT_SHA256],
		  struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = strlen(text), n;
	int ok = ctx && len > 0 && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (; ok && total > 0; total -= n) {
		n = total < len ? total : len;
		ok = EVP_DigestUpdate(ctx, text, n);
	}
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : failed("SHA-256", err);
}

int crypt_hash3(const void *a, size_t a_len, const void *b, size_t b_len,
		const void *c, size_t c_len, uint8_t out[CRYPT_SHA256],
		struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(ctx, a, a_len) &&
		 EVP_DigestUpdate(ctx, b, b_len) &&
		 EVP_DigestUpdate(ctx, c, c_len) &&
		 EVP_DigestFinal_ex(ctx, out, NULL);

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : failed("SHA-256", err);
}

int crypt_aes_cfb(const uint8_t key[16], const uint8_t iv[16], uint8_t *data,
		  size_t len, struct err *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	int ok = ctx &&
		 EVP_EncryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, iv) &&
		 EVP_EncryptUpdate(ctx, data, &n, data, (int)len) &&
		 (size_t)n == len;

	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : failed("AES", err);
}

int crypt_random(void *out, size_t len, struct err *err)
{
	return RAND_bytes(out, (int)len) == 1 ? 0 : failed("random", err);
}
