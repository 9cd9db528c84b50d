/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"

#define COST 15
#define COST_R 8
#define COST_P 3
#define COST_MAX 20 /* of what stands in the store */
#define MEMORY_MAX (1ull << 31)
#define SALT 16
#define HASH 32

static void random_bytes(void *out, size_t len)
{
	if (RAND_bytes(out, (int)len) != 1)
		panic("RAND_bytes: no random numbers");
}

/* ---- text ---- */

/* base64url without padding; out has room for 4/3 of it and a NUL. */
static char *to_text(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789-_";
	unsigned int bits = 0;
	int have = 0;
	char *p = out;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			*p++ = digits[bits >> (have - 6) & 63];
	}
	if (have)
		*p++ = digits[bits << (6 - have) & 63];
	*p = '\0';
	return out;
}

static void to_hex(const uint8_t *in, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static bool from_hex(const char *in, size_t len, uint8_t *out)
{
	unsigned int byte;

	for (size_t i = 0; i < len; i++) {
		if (strspn(in, "0123456789abcdef") < 2 ||
		    sscanf(in, "%2x", &byte) != 1)
			return false;
		out[i] = (uint8_t)byte;
		in += 2;
	}
	return !*in || *in == '$';
}

char *secret_token(char out[SECRET_TOKEN])
{
	uint8_t bytes[32];

	random_bytes(bytes, sizeof(bytes));
	to_text(bytes, sizeof(bytes), out);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return out;
}

bool secret_is_token(const char *text)
{
	return strlen(text) == SECRET_TOKEN - 1 &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
			    "yz0123456789-_") == SECRET_TOKEN - 1;
}

char *secret_hash(const char *text, char out[SECRET_HASH])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)text, strlen(text), hash);
	to_hex(hash, sizeof(hash), out);
	return out;
}

static void keyed(const void *key, size_t key_len, const char *text,
		  uint8_t out[32])
{
	unsigned int len = 32;

	if (!HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text,
		  strlen(text), out, &len))
		panic("HMAC failed");
}

char *secret_derive(const char *token, const char *use, char out[SECRET_TOKEN])
{
	uint8_t hash[32];

	keyed(token, strlen(token), use, hash);
	return to_text(hash, sizeof(hash), out);
}

char *secret_once(char out[SECRET_ONCE])
{
	/* 32 of them: no 0 and o, no 1 and l and i. */
	static const char digits[] = "abcdefghjkmnpqrstuvwxyz23456789+";
	uint8_t bytes[20];
	char *p = out;

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		if (i && i % 5 == 0)
			*p++ = '-';
		*p++ = digits[bytes[i] & 31];
	}
	*p = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return out;
}

bool secret_equal(const char *a, const char *b)
{
	char x[SECRET_HASH], y[SECRET_HASH];

	return CRYPTO_memcmp(secret_hash(a, x), secret_hash(b, y),
			     SECRET_HASH) == 0;
}

/* ---- passwords ---- */

struct cost {
	int log_n, r, p;
};

static bool scrypt(const char *password, const struct cost *cost,
		   const uint8_t salt[SALT], uint8_t out[HASH])
{
	return EVP_PBE_scrypt(password, strlen(password), salt, SALT,
			      1ull << cost->log_n, (uint64_t)cost->r,
			      (uint64_t)cost->p, MEMORY_MAX, out, HASH) == 1;
}

int secret_make(const char *password, char out[SECRET_SCRYPT], struct err *err)
{
	static const struct cost cost = {COST, COST_R, COST_P};
	char salt_text[2 * SALT + 1], hash_text[2 * HASH + 1];
	uint8_t salt[SALT], hash[HASH];

	random_bytes(salt, sizeof(salt));
	if (!scrypt(password, &cost, salt, hash))
		return err_set(err, 0, "scrypt failed");
	to_hex(salt, sizeof(salt), salt_text);
	to_hex(hash, sizeof(hash), hash_text);
	snprintf(out, SECRET_SCRYPT, "scrypt$%d$%d$%d$%s$%s", COST, COST_R,
		 COST_P, salt_text, hash_text);
	return 0;
}

static bool take_apart(const char *kept, struct cost *cost, uint8_t salt[SALT],
		       uint8_t hash[HASH])
{
	int at = 0;

	return kept &&
	       sscanf(kept, "scrypt$%2d$%2d$%2d$%n", &cost->log_n, &cost->r,
		      &cost->p, &at) == 3 &&
	       at && cost->log_n >= 10 && cost->log_n <= COST_MAX &&
	       cost->r >= 1 && cost->r <= 32 && cost->p >= 1 && cost->p <= 16 &&
	       from_hex(kept + at, SALT, salt) && kept[at + 2 * SALT] == '$' &&
	       from_hex(kept + at + 2 * SALT + 1, HASH, hash) &&
	       !kept[at + 2 * SALT + 1 + 2 * HASH];
}

bool secret_check(const char *password, const char *kept)
{
	struct cost cost = {COST, COST_R, COST_P};
	uint8_t salt[SALT] = {0}, want[HASH] = {0}, hash[HASH];
	bool known = take_apart(kept, &cost, salt, want);

	if (!known)
		cost = (struct cost){COST, COST_R, COST_P};
	return scrypt(password, &cost, salt, hash) &&
	       CRYPTO_memcmp(hash, want, HASH) == 0 && known;
}

/* ---- tables ---- */

void secret_key_new(struct secret_key *key_r)
{
	random_bytes(key_r->bytes, sizeof(key_r->bytes));
}

uint64_t secret_number(const struct secret_key *key, const char *text)
{
	uint8_t hash[32];
	uint64_t number;

	keyed(key->bytes, sizeof(key->bytes), text, hash);
	memcpy(&number, hash, sizeof(number));
	return number;
}

void secret_free(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}
