/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_H
#define SPLXMOD_H

/*
 * What the parts of the module share. One open goes
 *
 *   hook_ftrace.c or hook_fsnotify.c   sees it
 *     judge_fast()   atomic: is there anything to ask?        (judge.c)
 *       exempt.c, rules.c, cache.c
 *     judge_slow()   may sleep: asks and waits                (judge.c)
 *       queue.c      questions, readers, verdicts
 *   chardev.c        read, write, ioctl of /dev/splxmod
 *
 * Everything exported between files is splxmod_FILE_verb(). Tests of the
 * kernel's version, and of what it exports, stand in compat.h alone.
 */
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "compat.h"
#include "uapi/splxmod.h"

#define SPLXMOD_VERSION "1.0"

/* ---- configuration (main.c) ---- */

/*
 * As configured, with the derived. Replaced as a whole under RCU: whoever
 * uses it more than once in one decision takes it once.
 */
struct splxmod_conf {
	struct splxmod_config c;
	unsigned long timeout; /* jiffies */
	unsigned long grace;
	unsigned long retry;
	struct rcu_head rcu;
};
/* Under rcu_read_lock(); never NULL. */
const struct splxmod_conf *splxmod_conf_get(void);
/* Checks and takes over; -EINVAL, -ENOMEM. A new epoch empties the cache, new
 * classes are told to hook.c. May sleep; hook.c's mutex is not held. */
int splxmod_conf_set(const struct splxmod_config *c);

/* How many descriptors of the device are open; 0: unattended. */
extern atomic_t splxmod_attended;

/* ---- what is counted, per CPU (main.c) ---- */
struct splxmod_counts {
	u64 n[SPLXMOD_COUNTS];
};
DECLARE_PER_CPU(struct splxmod_counts, splxmod_counts);
#define splxmod_count(id) this_cpu_inc(splxmod_counts.n[SPLXMOD_COUNT_##id])
/* The sum over all CPUs. */
u64 splxmod_counted(enum splxmod_counter id);
/* "calls" and so on; NULL past the last. */
const char *splxmod_counter_name(unsigned int id);

/* ---- a file's identity and state ---- */

/*
 * Of the inode that holds the data (below an overlay: the real one). Two equal
 * keys mean equal content as long as nobody writes; see cache.h.
 */
struct splxmod_key {
	dev_t dev; /* the file system's own */
	u32 generation;
	u64 ino;
	u64 size;
	s64 ctime_sec;
	u32 ctime_nsec;
	u32 medium; /* see compat_medium() */
};
/* A device's number as user space has it in st_dev, and back. */
static inline u64 splxmod_dev_out(dev_t dev)
{
	return new_encode_dev(dev);
}
static inline dev_t splxmod_dev_in(u64 dev)
{
	return new_decode_dev((u32)dev);
}
static inline void splxmod_key_of(struct splxmod_key *key, struct inode *inode)
{
	compat_timespec ctime = compat_inode_ctime(inode);

	key->dev = inode->i_sb->s_dev;
	key->generation = inode->i_generation;
	key->ino = inode->i_ino;
	key->size = i_size_read(inode);
	key->ctime_sec = ctime.tv_sec;
	key->ctime_nsec = ctime.tv_nsec;
	key->medium = compat_medium(inode->i_sb);
}
static inline bool splxmod_key_equal(const struct splxmod_key *a,
				     const struct splxmod_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->medium == b->medium &&
	       a->generation == b->generation && a->size == b->size &&
	       a->ctime_sec == b->ctime_sec && a->ctime_nsec == b->ctime_nsec;
}

#endif
