/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SIGNING_H
#define SPLX_COMMON_SIGNING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/vec.h"

/*
 * Who made a set of patterns: Ed25519 signatures (RFC 8032) over a text. Keys
 * are PEM files: a private key as `openssl genpkey -algorithm ed25519` writes
 * it, a public one as `openssl pkey -pubout` does.
 * A key is named by the first 16 hexadecimal digits of the SHA-256 of its 32
 * public bytes.
 */
#define SIGNING_ID_LEN 16

/* ---- keys ---- */

struct signing_key {
	char id[SIGNING_ID_LEN + 1];
	char *file; /* where it was read */
	void *key;  /* the library's */
};
/* Those that are trusted. */
struct signing_keys {
	VEC(struct signing_key);
	struct {
		VEC(struct err);
	} problems; /* files that hold no such key */
};

/*
 * All *.pem of a directory. A file that holds no Ed25519 public key is a
 * problem and no key; a directory that is not there holds none.
 * signing_keys_free() in any case.
 */
void signing_keys_read(const char *dir, struct signing_keys *keys_r);
void signing_keys_free(struct signing_keys *keys);

/* Writes a new private key (0600) and its public key (0644); neither file may
 * be there yet. */
int signing_key_make(const char *private_path, const char *public_path,
		     char id_r[SIGNING_ID_LEN + 1], struct err *err);

/* ---- signatures ---- */

/*
 * Signs a text with the private key of that file. The signature is a line
 * "ed25519 KEYID BASE64\n"; the caller frees it. Lines of several keys may
 * stand one behind the other in a signature file; "#" begins a comment.
 */
int signing_sign(const char *private_path, const void *text, size_t len,
		 char **line_r, struct err *err);

/*
 * Whether one of the lines is a good signature of the text by one of the
 * keys: 0 and the key's name in id_r; -1 and *err: no signature, none by a key
 * that is trusted (they are named), or a wrong one. Lines of unknown kinds or
 * keys are passed over.
 */
int signing_check(const struct signing_keys *keys, const void *text, size_t len,
		  const char *lines, char id_r[SIGNING_ID_LEN + 1],
		  struct err *err);

#endif
