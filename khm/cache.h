/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_CACHE_H
#define SPLXMOD_CACHE_H

#include "splxmod.h"

/*
 * Files known to be clean. An entry holds only while the file cannot have
 * changed: equal key, the configured epoch, nobody has it open for writing
 * (i_writecount; writable shared mappings keep their file open), no writer
 * has closed it since, and it had not changed in the clock tick in which it
 * was scanned. Only for file systems whose inodes change by this kernel alone
 * (no network, no FUSE).
 *
 * A table of buckets in fixed memory; look-ups take no lock and never wait.
 */
int splxmod_cache_init(void);
void splxmod_cache_exit(void);

/* Is it written by this kernel alone, and its size what can be read? */
bool splxmod_cache_local(const struct super_block *sb);
/* May a verdict about this inode be remembered at all? */
bool splxmod_cache_suits(const struct inode *inode);
/* Atomic. inode is the one that holds the data. */
bool splxmod_cache_has(struct inode *inode, u64 epoch);

/*
 * Taken before a scan begins, for splxmod_cache_put() after it: then all
 * writers that came and went meanwhile are noticed.
 */
struct splxmod_cache_mark {
	struct splxmod_key key;
	u32 writes;  /* of the inode's counter of closed writers */
	bool usable; /* no writer, settled, suits */
};
void splxmod_cache_mark(struct splxmod_cache_mark *mark, struct inode *inode);
/* True when the file is as it was at the mark, and nobody can have written to
 * it since: what was found holds for who opens it now. */
bool splxmod_cache_steady(const struct splxmod_cache_mark *mark,
			  struct inode *inode);
/* Puts it in if that holds (counts REMEMBERED, else NOT_REMEMBERED). */
void splxmod_cache_put(const struct splxmod_cache_mark *mark,
		       struct inode *inode, u64 epoch);
/* From an earlier run; neither generation nor medium are known. */
void splxmod_cache_preset(const struct splxmod_known *known, u64 epoch);
/* A writer closes it: atomic. */
void splxmod_cache_written(struct inode *inode);
/*
 * Forgets all, also what is being scanned. May sleep. Besides for a new epoch
 * it is for disarming: closes are not seen from then on.
 */
void splxmod_cache_flush(void);
unsigned int splxmod_cache_used(void);

#endif
