/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "pass.h"

#include <stdatomic.h>
#include <stddef.h>

static bool place_has(const struct scoreboard *sb, unsigned int i,
		      const struct file_key *key)
{
	struct file_key seen;
	uint32_t seq;

	/* A place that is being written is no match: the writer will be done
	 * before the next open of that file. */
	seq = atomic_load_explicit(&sb->pass[i].seq, memory_order_acquire);
	if ((seq & 1) || !atomic_load(&sb->pass[i].used))
		return false;
	seen = sb->pass[i].key;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&sb->pass[i].seq, memory_order_relaxed) != seq)
		return false;
	return file_key_same(&seen, key);
}

static void place_write(struct scoreboard *sb, unsigned int i,
			const struct file_key *key)
{
	/* A writer that was killed may have left an odd number. */
	uint32_t seq = atomic_load(&sb->pass[i].seq) | 1;

	atomic_store(&sb->pass[i].seq, seq);
	atomic_thread_fence(memory_order_release);
	if (key)
		sb->pass[i].key = *key;
	atomic_store(&sb->pass[i].used, key ? 1 : 0);
	atomic_store_explicit(&sb->pass[i].seq, seq + 1, memory_order_release);
}

bool pass_has(const struct scoreboard *sb, const struct file_key *key)
{
	for (unsigned int i = 0; i < SCOREBOARD_PASS; i++)
		if (place_has(sb, i, key))
			return true;
	return false;
}

bool pass_put(struct scoreboard *sb, const struct file_key *key)
{
	unsigned int next;

	if (pass_has(sb, key))
		return true;
	for (unsigned int i = 0; i < SCOREBOARD_PASS; i++) {
		if (!atomic_load(&sb->pass[i].used)) {
			place_write(sb, i, key);
			return true;
		}
	}
	next = atomic_fetch_add(&sb->pass_next, 1) % SCOREBOARD_PASS;
	place_write(sb, next, key);
	return false;
}

void pass_drop(struct scoreboard *sb, const struct file_key *key)
{
	for (unsigned int i = 0; i < SCOREBOARD_PASS; i++)
		if (place_has(sb, i, key))
			place_write(sb, i, NULL);
}

void pass_clear(struct scoreboard *sb)
{
	for (unsigned int i = 0; i < SCOREBOARD_PASS; i++)
		place_write(sb, i, NULL);
}
