/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "hostmounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000u
#endif

/* Its place in struct statx (linux/stat.h), which older headers lack. */
#define MNT_ID_OFFSET 144

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

bool hostmounts_publish(struct scoreboard *sb, uint32_t *ids, size_t n)
{
	bool all = n <= SCOREBOARD_MOUNTS;
	uint32_t seq = atomic_load(&sb->mounts.seq) | 1;

	if (!all)
		n = SCOREBOARD_MOUNTS;
	if (n)
		qsort(ids, n, sizeof(*ids), compare);
	atomic_store(&sb->mounts.seq, seq);
	atomic_thread_fence(memory_order_release);
	if (n)
		memcpy(sb->mounts.ids, ids, n * sizeof(*ids));
	sb->mounts.count = (uint32_t)n;
	atomic_store_explicit(&sb->mounts.seq, seq + 1, memory_order_release);
	return all;
}

static bool listed(const struct scoreboard *sb, uint32_t id)
{
	uint32_t seq =
		atomic_load_explicit(&sb->mounts.seq, memory_order_acquire);
	uint32_t count = sb->mounts.count;
	bool found;

	if ((seq & 1) || count > SCOREBOARD_MOUNTS)
		return false;
	found = bsearch(&id, sb->mounts.ids, count, sizeof(id), compare);
	atomic_thread_fence(memory_order_acquire);
	return found && atomic_load_explicit(&sb->mounts.seq,
					     memory_order_relaxed) == seq;
}

bool hostmounts_has_fd(const struct scoreboard *sb, int fd)
{
	struct statx stx;
	uint64_t id;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID,
		  &stx) < 0)
		return false;
	if (!(stx.stx_mask & STATX_MNT_ID))
		return true;
	memcpy(&id, (const char *)&stx + MNT_ID_OFFSET, sizeof(id));
	return id <= UINT32_MAX && listed(sb, (uint32_t)id);
}
