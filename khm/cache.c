// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Files known to be clean: a table of buckets, each with a few ways.
 *
 * Readers look at a bucket between two looks at its sequence count, and take
 * any change for a miss: they neither lock nor wait. Writers hold the bucket's
 * lock with preemption off; they all run in processes, so a reader on the same
 * CPU never interrupts one.
 *
 * A bucket counts the writers that closed a file of its: a scan that began
 * before such a close puts nothing in. Files that share a bucket share the
 * count, which costs a scan now and then and is never wrong.
 */
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>

#include "cache.h"

/* 147456 entries in 8 MiB: a bucket fills up for one in a hundred of 64k
 * files. */
#define CACHE_BITS 14
#define CACHE_BUCKETS (1u << CACHE_BITS)
#define CACHE_WAYS 9

struct cache_entry {
	struct splxmod_key key;
	u32 preset; /* 1: key.generation and .medium are not known */
	u64 epoch;
};
struct cache_bucket {
	spinlock_t lock;
	seqcount_spinlock_t seq;
	u32 writes;
	u32 hand;	      /* where the next victim is looked for */
	unsigned long hits;   /* a bit for each way: used since hand came by */
	u16 tags[CACHE_WAYS]; /* 0: the way is free */
	struct cache_entry ways[CACHE_WAYS];
} ____cacheline_aligned;

static struct cache_bucket *cache_buckets;
static atomic_t cache_filled = ATOMIC_INIT(0);

int splxmod_cache_init(void)
{
	struct cache_bucket *b;

	cache_buckets = kvcalloc(CACHE_BUCKETS, sizeof(*b), GFP_KERNEL);
	if (!cache_buckets)
		return -ENOMEM;
	for (b = cache_buckets; b < cache_buckets + CACHE_BUCKETS; b++) {
		spin_lock_init(&b->lock);
		seqcount_spinlock_init(&b->seq, &b->lock);
	}
	atomic_set(&cache_filled, 0);
	return 0;
}

void splxmod_cache_exit(void)
{
	kvfree(cache_buckets);
	cache_buckets = NULL;
}

/* ---- which files ---- */

/* Magic numbers that not every kernel's headers name. */
#define CACHE_EXFAT_MAGIC 0x2011bab0
#define CACHE_FUSE_MAGIC 0x65735546
#define CACHE_OCFS2_MAGIC 0x7461636f
#define CACHE_GFS2_MAGIC 0x01161970
#define CACHE_BCACHEFS_MAGIC 0xca451a4e

bool splxmod_cache_local(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return true;
	case CACHE_FUSE_MAGIC:	/* also fuseblk: a process says what is in it */
	case CACHE_OCFS2_MAGIC: /* other machines write to the same disk */
	case CACHE_GFS2_MAGIC:
		return false;
	default:
		return sb->s_type->fs_flags & FS_REQUIRES_DEV;
	}
}

bool splxmod_cache_suits(const struct inode *inode)
{
	const struct super_block *sb = inode->i_sb;

	if (!S_ISREG(inode->i_mode) || !splxmod_cache_local(sb))
		return false;
	/* Memory files (memfd and the like): their maker can write to them and
	 * counts as no writer. */
	if (sb->s_flags & SB_KERNMOUNT)
		return false;
	switch (sb->s_magic) {
	/* Several trees with inode numbers of their own on one device: two
	 * files made at one time may look the same. */
	case BTRFS_SUPER_MAGIC:
	case NILFS_SUPER_MAGIC:
	case CACHE_BCACHEFS_MAGIC:
		return false;
	default:
		return true;
	}
}

/* In memory alone: a write through a mapping leaves the ctime as it is, so
 * what was found before we saw every close need not hold. */
static bool cache_may_preset(const struct super_block *sb)
{
	return sb->s_type->fs_flags & FS_REQUIRES_DEV;
}

static bool cache_has_writer(const struct inode *inode)
{
	return atomic_read(&inode->i_writecount) > 0;
}

/* Is ctime past, so that a change from now on shows in it? */
static bool cache_is_settled(const struct inode *inode,
			     const struct splxmod_key *key)
{
	compat_timespec now, ctime = {
				     .tv_sec = key->ctime_sec,
				     .tv_nsec = key->ctime_nsec,
			     };
	s64 grain = inode->i_sb->s_time_gran;

	if (inode->i_sb->s_magic == MSDOS_SUPER_MAGIC ||
	    inode->i_sb->s_magic == CACHE_EXFAT_MAGIC)
		grain = 2 * NSEC_PER_SEC;
	/* The clock that file systems stamp with. */
	ktime_get_coarse_real_ts64(&now);
	if (now.tv_sec - ctime.tv_sec > 3600)
		return true;
	if (now.tv_sec < ctime.tv_sec)
		return false;
	return timespec64_to_ns(&now) - timespec64_to_ns(&ctime) > grain;
}

/* ---- buckets ---- */

static struct cache_bucket *cache_bucket(const struct splxmod_key *key,
					 u16 *tag_r)
{
	u64 hash = (key->ino ^ ((u64)key->dev << 40)) * GOLDEN_RATIO_64;

	*tag_r = (u16)(hash >> 32) | 1;
	return &cache_buckets[hash >> (64 - CACHE_BITS)];
}

static bool cache_same_file(const struct splxmod_key *a,
			    const struct splxmod_key *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

/* Of the same file: does what was found of it hold? */
static bool cache_holds(const struct cache_entry *e,
			const struct splxmod_key *key, u64 epoch)
{
	return e->epoch == epoch && e->key.size == key->size &&
	       e->key.ctime_sec == key->ctime_sec &&
	       e->key.ctime_nsec == key->ctime_nsec &&
	       (e->preset || (e->key.generation == key->generation &&
			      e->key.medium == key->medium));
}

/* Writers of a bucket come in here, and out below. */
static void bucket_begin(struct cache_bucket *b) __acquires(&b->lock)
{
	spin_lock(&b->lock);
	write_seqcount_begin(&b->seq);
}

static void bucket_end(struct cache_bucket *b) __releases(&b->lock)
{
	write_seqcount_end(&b->seq);
	spin_unlock(&b->lock);
}

static void bucket_clear(struct cache_bucket *b, unsigned int way)
{
	b->tags[way] = 0;
	atomic_dec(&cache_filled);
}

/* Where this file stands, else CACHE_WAYS. */
static unsigned int bucket_find(const struct cache_bucket *b, u16 tag,
				const struct splxmod_key *key)
{
	unsigned int i;

	for (i = 0; i < CACHE_WAYS; i++)
		if (b->tags[i] == tag && cache_same_file(&b->ways[i].key, key))
			break;
	return i;
}

/* A way to put something into: a free one, else one that was not asked for
 * since the hand last came by; it is free then. */
static unsigned int bucket_room(struct cache_bucket *b)
{
	unsigned int i;

	for (i = 0; i < CACHE_WAYS; i++)
		if (!b->tags[i])
			return i;
	for (;;) {
		i = b->hand;
		b->hand = (b->hand + 1) % CACHE_WAYS;
		if (!test_and_clear_bit(i, &b->hits))
			break;
	}
	bucket_clear(b, i);
	return i;
}

static void bucket_put(struct cache_bucket *b, u16 tag,
		       const struct cache_entry *e)
{
	unsigned int i = bucket_find(b, tag, &e->key);

	if (i == CACHE_WAYS) {
		i = bucket_room(b);
		atomic_inc(&cache_filled);
	}
	b->ways[i] = *e;
	b->tags[i] = tag;
	clear_bit(i, &b->hits);
}

/* ---- what others ask for ---- */

bool splxmod_cache_has(struct inode *inode, u64 epoch)
{
	struct cache_bucket *b;
	struct splxmod_key key;
	unsigned int seq, i;
	bool preset;
	u16 tag;

	if (!splxmod_cache_suits(inode) || cache_has_writer(inode))
		return false;
	splxmod_key_of(&key, inode);
	b = cache_bucket(&key, &tag);
	seq = raw_read_seqcount(&b->seq);
	if (seq & 1)
		return false;
	i = bucket_find(b, tag, &key);
	if (i == CACHE_WAYS || !cache_holds(&b->ways[i], &key, epoch))
		return false;
	preset = b->ways[i].preset;
	if (read_seqcount_retry(&b->seq, seq))
		return false;
	if (preset && !cache_may_preset(inode->i_sb))
		return false;
	if (!test_bit(i, &b->hits))
		set_bit(i, &b->hits);
	return true;
}

void splxmod_cache_mark(struct splxmod_cache_mark *mark, struct inode *inode)
{
	struct cache_bucket *b;
	u16 tag;

	splxmod_key_of(&mark->key, inode);
	b = cache_bucket(&mark->key, &tag);
	mark->writes = READ_ONCE(b->writes);
	/* A writer who is not counted yet is there still: it is counted before
	 * it leaves. */
	smp_rmb();
	mark->usable = splxmod_cache_suits(inode) && !cache_has_writer(inode) &&
		       cache_is_settled(inode, &mark->key);
}

bool splxmod_cache_steady(const struct splxmod_cache_mark *mark,
			  struct inode *inode)
{
	struct cache_bucket *b;
	struct splxmod_key key;
	u16 tag;

	if (!mark->usable || cache_has_writer(inode))
		return false;
	smp_rmb();
	splxmod_key_of(&key, inode);
	b = cache_bucket(&mark->key, &tag);
	return splxmod_key_equal(&key, &mark->key) &&
	       READ_ONCE(b->writes) == mark->writes;
}

void splxmod_cache_put(const struct splxmod_cache_mark *mark,
		       struct inode *inode, u64 epoch)
{
	struct cache_entry e = {.key = mark->key, .epoch = epoch};
	struct cache_bucket *b;
	bool steady;
	u16 tag;

	b = cache_bucket(&mark->key, &tag);
	bucket_begin(b);
	/* Under the lock: a writer either counts first and is seen here, or
	 * finds the entry. */
	steady = splxmod_cache_steady(mark, inode);
	if (steady)
		bucket_put(b, tag, &e);
	bucket_end(b);
	if (steady)
		splxmod_count(REMEMBERED);
	else
		splxmod_count(NOT_REMEMBERED);
}

void splxmod_cache_preset(const struct splxmod_known *known, u64 epoch)
{
	const struct splxmod_key key = {
		.dev = splxmod_dev_in(known->dev),
		.ino = known->ino,
		.size = known->size,
		.ctime_sec = known->ctime_sec,
		.ctime_nsec = known->ctime_nsec,
	};
	struct cache_entry e = {.key = key, .preset = 1, .epoch = epoch};
	struct cache_bucket *b;
	unsigned int i;
	u16 tag;

	b = cache_bucket(&e.key, &tag);
	bucket_begin(b);
	i = bucket_find(b, tag, &e.key);
	/* What was found just now is worth more. */
	if (i == CACHE_WAYS || b->ways[i].preset || b->ways[i].epoch != epoch)
		bucket_put(b, tag, &e);
	bucket_end(b);
}

void splxmod_cache_written(struct inode *inode)
{
	struct cache_bucket *b;
	struct splxmod_key key;
	unsigned int i;
	bool known;
	u16 tag;

	if (!splxmod_cache_suits(inode))
		return;
	splxmod_key_of(&key, inode);
	b = cache_bucket(&key, &tag);
	bucket_begin(b);
	WRITE_ONCE(b->writes, b->writes + 1);
	i = bucket_find(b, tag, &key);
	known = i < CACHE_WAYS;
	if (known)
		bucket_clear(b, i);
	bucket_end(b);
	/* Counted before i_writecount drops; see splxmod_cache_mark(). */
	smp_mb();
	if (known)
		splxmod_count(FORGOTTEN);
}

void splxmod_cache_flush(void)
{
	struct cache_bucket *b;
	unsigned int i;

	for (b = cache_buckets; b < cache_buckets + CACHE_BUCKETS; b++) {
		bucket_begin(b);
		/* Nor may a scan that is under way put anything in. */
		WRITE_ONCE(b->writes, b->writes + 1);
		for (i = 0; i < CACHE_WAYS; i++)
			if (b->tags[i])
				bucket_clear(b, i);
		b->hits = 0;
		bucket_end(b);
		cond_resched();
	}
}

unsigned int splxmod_cache_used(void)
{
	return atomic_read(&cache_filled);
}
