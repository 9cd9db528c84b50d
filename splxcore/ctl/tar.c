/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/alloc.h"

#define BLOCK 512
#define CHUNK (1u << 20) /* gzwrite() takes an unsigned int */

/* The header block of ustar: octal numbers as text, see pax(1) of POSIX. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

struct tar {
	gzFile gz;
	const char *prefix;
	time_t now;
	struct err err; /* the first failure */
	int failed;
};

struct tar *tar_new(int fd, const char *prefix, struct err *err)
{
	struct tar *tar;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0) {
		err_set(err, errno, "dup");
		return NULL;
	}
	tar = xcalloc(1, sizeof(*tar));
	tar->gz = gzdopen(own, "wb");
	if (!tar->gz) {
		close(own);
		free(tar);
		err_set(err, ENOMEM, "gzdopen");
		return NULL;
	}
	tar->prefix = prefix;
	tar->now = time(NULL);
	return tar;
}

static void fail(struct tar *tar, const char *what, int code)
{
	if (tar->failed)
		return;
	tar->failed = 1;
	err_set(&tar->err, code, "%s", what);
}

static void put(struct tar *tar, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0 && !tar->failed) {
		unsigned int n = len > CHUNK ? CHUNK : (unsigned int)len;

		errno = 0;
		if (gzwrite(tar->gz, p, n) != (int)n) {
			fail(tar, "write", errno ? errno : EIO);
			return;
		}
		p += n;
		len -= n;
	}
}

/* The sum of all bytes with the checksum field itself taken as blanks. */
static void set_checksum(struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned int sum = 0;
	size_t i;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (i = 0; i < sizeof(*h); i++)
		sum += p[i];
	snprintf(h->checksum, sizeof(h->checksum), "%06o", sum & 0777777);
}

void tar_add(struct tar *tar, const char *name, const void *data, size_t len)
{
	static const char zero[BLOCK];
	char full[sizeof(((struct header *)0)->name) + 1];
	struct header h;
	int n;

	memset(&h, 0, sizeof(h));
	n = snprintf(full, sizeof(full), "%s/%s", tar->prefix, name);
	if (n < 0 || (size_t)n >= sizeof(full)) {
		fail(tar, name, ENAMETOOLONG);
		return;
	}
	if (len > 077777777777) {
		fail(tar, name, EFBIG);
		return;
	}
	memcpy(h.name, full, (size_t)n); /* 100 bytes need no NUL */
	memcpy(h.mode, "0000600", 8);
	memcpy(h.uid, "0000000", 8);
	memcpy(h.gid, "0000000", 8);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)len);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo",
		 (unsigned long long)tar->now & 077777777777);
	h.type = '0';
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	memcpy(h.user, "root", 5);
	memcpy(h.group, "root", 5);
	set_checksum(&h);
	put(tar, &h, sizeof(h));
	put(tar, data, len);
	put(tar, zero, (BLOCK - len % BLOCK) % BLOCK);
}

int tar_finish(struct tar **tp, struct err *err)
{
	static const char zero[2 * BLOCK];
	struct tar *tar = *tp;
	int failed;

	put(tar, zero, sizeof(zero));
	errno = 0;
	if (gzclose(tar->gz) != Z_OK)
		fail(tar, "write", errno ? errno : EIO);
	failed = tar->failed;
	if (failed && err)
		*err = tar->err;
	xfree(tp);
	return failed ? -1 : 0;
}
