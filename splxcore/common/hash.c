/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"

#define READ_BUF (256 * 1024)

struct hash {
	EVP_MD_CTX *md;
};

struct hash *hash_new(void)
{
	struct hash *hash = xcalloc(1, sizeof(*hash));

	hash->md = EVP_MD_CTX_new();
	if (!hash->md || EVP_DigestInit_ex(hash->md, EVP_sha256(), NULL) != 1)
		panic("no SHA-256 in this OpenSSL");
	return hash;
}

void hash_add(struct hash *hash, const void *data, size_t len)
{
	if (EVP_DigestUpdate(hash->md, data, len) != 1)
		panic("SHA-256 failed");
}

void hash_free(struct hash **hash)
{
	if (!*hash)
		return;
	EVP_MD_CTX_free((*hash)->md);
	xfree(hash);
}

void hash_end(struct hash **hash, uint8_t out[HASH_LEN])
{
	if (EVP_DigestFinal_ex((*hash)->md, out, NULL) != 1)
		panic("SHA-256 failed");
	hash_free(hash);
}

int hash_fd(int fd, uint64_t max, uint8_t out[HASH_LEN], uint64_t *size_r,
	    struct err *err)
{
	struct hash *hash = hash_new();
	char *buf = xmalloc(READ_BUF);
	uint64_t size = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = pread(fd, buf, READ_BUF, (off_t)size)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_set(err, errno, "read");
			break;
		}
		hash_add(hash, buf, (size_t)n);
		size += (uint64_t)n;
		if (max && size > max)
			rc = err_set(err, EFBIG, "read");
	}
	hash_end(&hash, out);
	free(buf);
	if (size_r)
		*size_r = size;
	return rc;
}

int hash_fd_hex(int fd, char hex_r[HASH_HEX_LEN + 1], uint64_t *size_r,
		struct err *err)
{
	uint8_t hash[HASH_LEN];
	int rc = hash_fd(fd, 0, hash, size_r, err);

	hash_hex(hex_r, hash);
	return rc;
}

char *hash_hex(char hex_r[HASH_HEX_LEN + 1], const uint8_t hash[HASH_LEN])
{
	for (size_t i = 0; i < HASH_LEN; i++)
		snprintf(hex_r + 2 * i, 3, "%02x", hash[i]);
	return hex_r;
}
