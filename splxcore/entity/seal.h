/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SEAL_H
#define SPLX_ENTITY_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Sealed files: what lies in quarantine. Compressed, so that it is small, and
 * encrypted and authenticated, so that nothing can find, run or alter it.
 * seal.c is the only file that knows OpenSSL and zlib.
 *
 * Format, all numbers little endian:
 *   header, SEAL_HEADER bytes
 *     0  8   magic "SPLXSEAL"
 *     8  u32 version, 1
 *    12  u32 length of the header
 *    16  u32 largest plaintext of a frame
 *    20  u32 0
 *    24  32  salt
 *    56  u64 0
 *   frames, each
 *     u32  type << 24 | length of its text
 *          the text, encrypted with AES-256-GCM
 *     16   tag
 *   type 1 what is known of the file (JSON): a u32 with its length and the
 *          text, cut into frames, before all others
 *   type 2 the content: one zlib stream cut into frames
 *   type 3 the end: u64 size and SHA-256 of the content; nothing follows it
 * The key of a file is HMAC-SHA-256(host key, "splx seal 1" | salt). The
 * nonce of a frame is its number in the file; header and frame word are
 * authenticated with it. So a frame that was altered, left out, repeated,
 * moved or taken from another file is refused, and so is a file that ends
 * before its end frame or goes on after it.
 */
#define SEAL_HEADER 64
#define SEAL_FRAME_MAX 65536
#define SEAL_KEY_LEN 32
#define SEAL_META_MAX (1u << 20)

struct seal_key {
	uint8_t bytes[SEAL_KEY_LEN];
};
struct seal_info {
	uint64_t size;	    /* of the content */
	uint8_t sha256[32]; /* of the content */
};

/*
 * The key of this host, from `path` (0600, root's); made from random bytes at
 * the first need, never replaced. A file that is there but is not a key, or
 * that others may read, is an error.
 */
int seal_key_load(const char *path, struct seal_key *key_r, struct err *err);

/*
 * Seals what in_fd holds, from its beginning to its end and with pread(2)
 * alone: its offset is not touched. At most max_size bytes (0: no limit),
 * else -1 with EFBIG. Does not fsync.
 */
int seal_write(const struct seal_key *key, int in_fd, int out_fd,
	       const char *meta, size_t meta_len, uint64_t max_size,
	       struct seal_info *info_r, struct err *err);

/*
 * Opens a sealed file from the current offset of in_fd; nothing that was not
 * authenticated is written to out_fd (-1: check alone). *meta_r, if wanted,
 * is the caller's. On -1 what stands in out_fd is to be thrown away; err->code
 * is EBADMSG for a file that is not whole and ours.
 */
int seal_read(const struct seal_key *key, int in_fd, int out_fd, char **meta_r,
	      struct seal_info *info_r, struct err *err);
/* What is known of the file alone; the content is not looked at. */
int seal_read_meta(const struct seal_key *key, int in_fd, char **meta_r,
		   struct err *err);

/*
 * What the end frame tells, without reading the content: that all frames are
 * there, not that they are whole. From the current offset.
 */
int seal_read_end(const struct seal_key *key, int in_fd,
		  struct seal_info *info_r, struct err *err);

/* Random bytes that cannot be guessed; panics when there are none. */
void seal_random(void *out, size_t len);

#endif
