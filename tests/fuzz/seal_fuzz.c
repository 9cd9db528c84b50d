/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Sealed files of the quarantine. The first byte chooses:
 *   even  the rest is read as a sealed file, tags not looked at, so that what
 *         lies behind them (lengths, attributes, zlib, the end) is reached
 *   odd   the rest is sealed, altered at a place that it names itself, and
 *         read back: whole it must come back, altered it must be refused
 * seal.c is compiled in, without the check of tags for the first.
 */
#define SEAL_FUZZ_WITHOUT_TAGS
#define seal_random seal_random_loose
#define seal_key_load seal_key_load_loose
#define seal_write seal_write_loose
#define seal_read seal_read_loose
#define seal_read_meta seal_read_meta_loose
#define seal_read_end seal_read_end_loose
#include "entity/seal.c"
#undef seal_random
#undef seal_key_load
#undef seal_write
#undef seal_read
#undef seal_read_meta
#undef seal_read_end
/* The real ones, from the library. */
int seal_write(const struct seal_key *key, int in_fd, int out_fd,
	       const char *meta, size_t meta_len, uint64_t max_size,
	       struct seal_info *info_r, struct err *err);
int seal_read(const struct seal_key *key, int in_fd, int out_fd, char **meta_r,
	      struct seal_info *info_r, struct err *err);

#include <sys/mman.h>

#include "fuzz.h"

static const struct seal_key the_key = {
	.bytes = "a key that is no secret at all"};

static int memory_file(const void *data, size_t size)
{
	int fd = memfd_create("seal-fuzz", MFD_CLOEXEC);

	if (fd < 0 || (size && fd_write_all(fd, data, size) < 0))
		abort();
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void read_loosely(const uint8_t *data, size_t size)
{
	int fd = memory_file(data, size), out = memory_file(NULL, 0);
	struct seal_info info;
	char *meta = NULL;
	struct err err;

	if (seal_read_loose(&the_key, fd, out, &meta, &info, &err) == 0 &&
	    lseek(out, 0, SEEK_END) != (off_t)info.size)
		abort();
	free(meta);
	meta = NULL;
	lseek(fd, 0, SEEK_SET);
	if (seal_read_meta_loose(&the_key, fd, &meta, &err) == 0)
		free(meta);
	lseek(fd, 0, SEEK_SET);
	(void)seal_read_end_loose(&the_key, fd, &info, &err);
	close(fd);
	close(out);
}

static void seal_and_alter(const uint8_t *data, size_t size)
{
	int in = memory_file(data, size), sealed = memory_file(NULL, 0);
	struct seal_info wrote, got;
	uint8_t byte, by = size ? data[0] : 0;
	struct err err;
	off_t length, at;

	if (seal_write(&the_key, in, sealed, "{}", 2, 0, &wrote, &err) < 0)
		abort();
	length = lseek(sealed, 0, SEEK_END);
	lseek(sealed, 0, SEEK_SET);
	if (seal_read(&the_key, sealed, -1, NULL, &got, &err) < 0 ||
	    got.size != size || memcmp(got.sha256, wrote.sha256, 32) != 0)
		abort();
	at = size > 2 ? (data[1] << 8 | data[2]) % length : 0;
	if (by && pread(sealed, &byte, 1, at) == 1) {
		byte ^= by;
		if (pwrite(sealed, &byte, 1, at) != 1)
			abort();
		lseek(sealed, 0, SEEK_SET);
		if (seal_read(&the_key, sealed, -1, NULL, &got, &err) == 0)
			abort();
	}
	close(in);
	close(sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		seal_and_alter(data + 1, size - 1);
	else
		read_loosely(data + 1, size - 1);
	return 0;
}
