/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_COMPAT_H
#define SPLXMOD_COMPAT_H

/*
 * What differs from kernel to kernel (5.10 up to 7.2), in one shape for all
 * others. Tests of the version stand here and nowhere else. What distributions
 * bring to older kernels is not asked by version but tried out: probe.sh
 * compiles a line of each and writes SPLXMOD_HAS_… as 0 or 1 into probes.h.
 */
#include <linux/version.h>

#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/time64.h>
#if SPLXMOD_HAS_FILELOCK_H
#include <linux/filelock.h>
#endif

/* ---- inodes and files ---- */

#define compat_timespec struct timespec64

static inline compat_timespec compat_inode_ctime(const struct inode *inode)
{
#if SPLXMOD_HAS_INODE_GET_CTIME
	return inode_get_ctime(inode);
#else
	return inode->i_ctime;
#endif
}

/* A file that a stacked file system opens below itself. */
#ifdef FMODE_BACKING
#define COMPAT_FMODE_BACKING FMODE_BACKING
#else
#define COMPAT_FMODE_BACKING ((__force fmode_t)0)
#endif

/* ---- tasks ---- */

/* On 5.10 the workers of io_uring are kernel threads that work for a process;
 * later they are threads of that process. */
static inline bool compat_kernel_thread(const struct task_struct *task)
{
	return (task->flags & PF_KTHREAD) && !(task->flags & PF_IO_WORKER);
}

#endif
