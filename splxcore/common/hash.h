/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_HASH_H
#define SPLX_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* SHA-256. It is there, or that is a panic. */
#define HASH_LEN 32
#define HASH_HEX_LEN (2 * HASH_LEN)

/* Of bytes as they come. hash_end() frees it, as hash_free() does, which needs
 * no result and takes NULL. */
struct hash;
struct hash *hash_new(void);
void hash_add(struct hash *hash, const void *data, size_t len);
void hash_end(struct hash **hash, uint8_t out[HASH_LEN]);
void hash_free(struct hash **hash);

/*
 * Of a file from its beginning to its end, by pread(2); *size_r (may be NULL)
 * is how many bytes there were. At most `max` bytes (0: any), else -1 with
 * EFBIG. -1 and *err also when it cannot be read.
 */
int hash_fd(int fd, uint64_t max, uint8_t out[HASH_LEN], uint64_t *size_r,
	    struct err *err);
/* The same, in hexadecimal. */
int hash_fd_hex(int fd, char hex_r[HASH_HEX_LEN + 1], uint64_t *size_r,
		struct err *err);

/* Lower case. Returns hex_r. */
char *hash_hex(char hex_r[HASH_HEX_LEN + 1], const uint8_t hash[HASH_LEN]);

#endif
