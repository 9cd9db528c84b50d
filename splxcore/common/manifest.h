/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_MANIFEST_H
#define SPLX_COMMON_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/vec.h"
#include "hash.h"
#include "signing.h"

/*
 * What a bundle of patterns consists of: a JSON text
 *   {"format": 1, "name": "office", "version": 7,
 *    "created": 1790000000, "valid_until": 1792000000,
 *    "files": [{"name": "a.ndb", "size": 12, "sha256": "…"}]}
 * Times are seconds since 1970, UTC; valid_until 0: it does not end. Versions
 * of a name only grow. The signature (signing.h) is over the bytes of the text
 * as they stand in the file. A member that this version does not know is
 * passed over; another format is refused.
 */
#define MANIFEST_FORMAT 1
#define MANIFEST_FILE "manifest.json"
#define MANIFEST_SIGNATURE "manifest.sig"
#define MANIFEST_MAX (1u << 20) /* bytes of the text */
#define MANIFEST_FILES_MAX 1024
#define MANIFEST_NAME_MAX 100
#define MANIFEST_SIZE_MAX (4ull << 30) /* of all files together */
#define MANIFEST_VERSION_MAX 999999999999999ull

struct manifest_file {
	char name[MANIFEST_NAME_MAX + 1];
	uint64_t size;
	char sha256[HASH_HEX_LEN + 1];
};
struct manifest {
	char name[MANIFEST_NAME_MAX + 1];
	uint64_t version;
	int64_t created;
	int64_t valid_until;
	VEC(struct manifest_file);
};

/*
 * Letters, digits and "._-", beginning with a letter or digit, at most
 * MANIFEST_NAME_MAX: such a name is safe as that of a file.
 */
bool manifest_is_name(const char *name);

/*
 * Reads a text, not trusted: all of it is checked. -1 and *err, which names
 * what is wrong and what is allowed; then *m_r is empty. manifest_free()
 * afterwards.
 */
int manifest_parse(const char *text, size_t len, struct manifest *m_r,
		   struct err *err);
/* The text of one; the caller frees it. */
char *manifest_text(const struct manifest *m);
void manifest_free(struct manifest *m);
uint64_t manifest_bytes(const struct manifest *m);

/*
 * Whether a file of it has come whole, in that directory. -1 and *err naming
 * the file and what is wrong: it is not there, no regular file, shorter,
 * longer, other content.
 */
int manifest_check_file(const struct manifest_file *f, int dir,
			struct err *err);
/* All of them, and that there is nothing else but the manifest itself. */
int manifest_check_dir(const struct manifest *m, int dir, struct err *err);

#endif
