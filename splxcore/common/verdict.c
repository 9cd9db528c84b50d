/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "verdict.h"

#include <string.h>
#include <sys/statfs.h>

#include "lib/clock.h"

#define NAME_OF(table, i)                                                      \
	((size_t)(i) < sizeof(table) / sizeof(*(table)) ? (table)[i]           \
							: "unknown")

static const char *const verdict_names[] = {
	[VERDICT_CLEAN] = "clean",	 [VERDICT_INFECTED] = "infected",
	[VERDICT_OVERSIZE] = "oversize", [VERDICT_ENCRYPTED] = "encrypted",
	[VERDICT_TIMEOUT] = "timeout",	 [VERDICT_ERROR] = "error",
};

static const char *const source_names[] = {
	[SOURCE_OPEN] = "open",	    [SOURCE_EXEC] = "exec",
	[SOURCE_CLOSE] = "close",   [SOURCE_ASYNC] = "async",
	[SOURCE_MANUAL] = "manual", [SOURCE_SCHEDULED] = "scheduled",
	[SOURCE_IN_USE] = "in-use", [SOURCE_REFRESH] = "refresh",
};

static const char *const action_names[] = {
	[ACTION_CLEAN] = "clean",   [ACTION_QUARANTINE] = "quarantine",
	[ACTION_DELETE] = "delete", [ACTION_RENAME] = "rename",
	[ACTION_DENY] = "deny",	    [ACTION_PASS] = "pass",
	[ACTION_NONE] = "none",
};

const char *verdict_name(enum verdict v)
{
	return NAME_OF(verdict_names, v);
}

const char *source_name(enum scan_source s)
{
	return NAME_OF(source_names, s);
}

const char *action_name(enum action a)
{
	return NAME_OF(action_names, a);
}

int action_parse(const char *name)
{
	for (int a = 0; a <= ACTION_NONE; a++)
		if (strcmp(action_names[a], name) == 0)
			return a;
	return -1;
}

static void key_from_stat(struct file_key *key, const struct stat *st)
{
	key->dev = st->st_dev;
	key->ino = st->st_ino;
	key->size = (uint64_t)st->st_size;
	key->ctime_ns = clock_timespec_ns(&st->st_ctim);
	key->mtime_ns = clock_timespec_ns(&st->st_mtim);
}

int file_key_get_fs(int fd, struct file_key *key_r, struct stat *st_r,
		    uint32_t *fs_magic_r)
{
	struct statfs sfs;

	if (fstat(fd, st_r) < 0 || fstatfs(fd, &sfs) < 0)
		return -1;
	memset(key_r, 0, sizeof(*key_r));
	_Static_assert(sizeof(sfs.f_fsid) == sizeof(key_r->fsid),
		       "f_fsid is two ints");
	memcpy(&key_r->fsid, &sfs.f_fsid, sizeof(key_r->fsid));
	key_from_stat(key_r, st_r);
	*fs_magic_r = (uint32_t)sfs.f_type;
	return 0;
}

int file_key_get(int fd, struct file_key *key_r, struct stat *st_r)
{
	uint32_t fs_magic;

	return file_key_get_fs(fd, key_r, st_r, &fs_magic);
}

bool file_key_holds(int fd, const struct file_key *key)
{
	struct file_key now = *key;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	key_from_stat(&now, &st);
	return file_key_same(&now, key);
}

bool file_key_same(const struct file_key *a, const struct file_key *b)
{
	return a->fsid == b->fsid && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && a->ctime_ns == b->ctime_ns &&
	       a->mtime_ns == b->mtime_ns;
}

/* A bijection in which every input bit moves about half of the output. */
static uint64_t stir(uint64_t x)
{
	x ^= x >> 31;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 29;
	x *= 0xa0761d6478bd642full;
	x ^= x >> 32;
	return x;
}

uint64_t file_key_hash(const struct file_key *key)
{
	uint64_t h = stir(key->ino + 0x9e3779b97f4a7c15ull);

	h = stir(h ^ key->dev);
	h = stir(h ^ key->fsid);
	h = stir(h ^ key->size);
	h = stir(h ^ (uint64_t)key->ctime_ns);
	return stir(h ^ (uint64_t)key->mtime_ns);
}
