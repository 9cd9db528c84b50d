/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SECRET_H
#define SPLX_ENTITY_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * What accounts rest upon: random tokens, their hashes, and passwords by
 * scrypt. secret.c is the only file besides seal.c that knows OpenSSL here.
 */

/* 256 random bits as 43 characters of base64url (RFC 4648), and a NUL. */
#define SECRET_TOKEN 44
char *secret_token(char out[SECRET_TOKEN]);
/* Does it look like one? */
bool secret_is_token(const char *text);

/* SHA-256 in 64 hexadecimal digits and a NUL: what is kept of a token. */
#define SECRET_HASH 65
char *secret_hash(const char *text, char out[SECRET_HASH]);

/*
 * A second token that follows from one: the same each time, and worth nothing
 * to find the first by (HMAC-SHA-256). `use` says what for.
 */
char *secret_derive(const char *token, const char *use, char out[SECRET_TOKEN]);

/*
 * A password for once, to be read and typed by people: four groups of five
 * characters that look like no others, 100 bits.
 */
#define SECRET_ONCE 24
char *secret_once(char out[SECRET_ONCE]);

/* Are two texts the same? Takes as long wherever they differ. */
bool secret_equal(const char *a, const char *b);

/*
 * Passwords. What is kept reads "scrypt$15$8$3$SALT$HASH": cost (the
 * logarithm of N), r, p. Making or checking one takes 32 MiB and some 0.2 s of
 * CPU: never in the loop. secret_check() with NULL, or with what is no such
 * text, takes as long, and is false.
 */
#define SECRET_SCRYPT 128
int secret_make(const char *password, char out[SECRET_SCRYPT], struct err *err);
bool secret_check(const char *password, const char *kept);

/* For tables: 64 bits of a keyed hash that nobody can foresee. */
struct secret_key {
	uint8_t bytes[32];
};
void secret_key_new(struct secret_key *key_r);
uint64_t secret_number(const struct secret_key *key, const char *text);

/* Overwrites and frees a text, and nulls the pointer; NULL is allowed. */
void secret_free(char **text);

#endif
