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

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/freezer.h>
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

static inline void compat_inode_set_ctime(struct inode *inode,
					  compat_timespec ctime)
{
#if SPLXMOD_HAS_INODE_GET_CTIME
	inode_set_ctime_to_ts(inode, ctime);
#else
	inode->i_ctime = ctime;
#endif
}

/* Which medium is in the drive: another image under a loop device, for one, has
 * another number. 0 where there is none, or it is not known (before 5.15). */
static inline u32 compat_medium(const struct super_block *sb)
{
#if SPLXMOD_HAS_DISKSEQ
	return sb->s_bdev ? (u32)sb->s_bdev->bd_disk->diskseq : 0;
#else
	return 0;
#endif
}

/* A file that a stacked file system opens below itself. */
#ifdef FMODE_BACKING
#define COMPAT_FMODE_BACKING FMODE_BACKING
#else
#define COMPAT_FMODE_BACKING ((__force fmode_t)0)
#endif

/* For dentry_open(): other listeners are not told, nor asked. Where the kernel
 * has no such flag any more they are. */
#ifdef __FMODE_NONOTIFY
#define COMPAT_O_NONOTIFY __FMODE_NONOTIFY
#else
#define COMPAT_O_NONOTIFY 0
#endif

/* ---- tasks ---- */

/* On 5.10 the workers of io_uring are kernel threads that work for a process;
 * later they are threads of that process. */
static inline bool compat_kernel_thread(const struct task_struct *task)
{
	return (task->flags & PF_KTHREAD) && !(task->flags & PF_IO_WORKER);
}

/* ---- ftrace ---- */

/* Callbacks may run into themselves, and need no guard of ftrace's: before
 * 5.11 that had to be said, since then the guard has to be asked for. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define COMPAT_FTRACE_OPS_SAFE FTRACE_OPS_FL_RECURSION_SAFE
#define COMPAT_FTRACE_REGS struct pt_regs
#define compat_ftrace_regs(regs) (regs)
#else
#define COMPAT_FTRACE_OPS_SAFE 0
#define COMPAT_FTRACE_REGS struct ftrace_regs
#define compat_ftrace_regs(fregs) ftrace_get_regs(fregs)
#endif

/*
 * Where ftrace saves the arguments for every callback, and goes on where that
 * says, not all registers need to be saved, which costs twice as much.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0) ||                           \
	!defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)
#define COMPAT_FTRACE_OPS_SAVE FTRACE_OPS_FL_SAVE_REGS
#define compat_ftrace_first(fregs) ((void *)compat_ftrace_regs(fregs)->di)
#define compat_ftrace_go_on(fregs, at)                                         \
	instruction_pointer_set(compat_ftrace_regs(fregs), (at))
#else
#define COMPAT_FTRACE_OPS_SAVE 0
#ifdef ftrace_regs_get_argument
#define compat_ftrace_first(fregs) ((void *)ftrace_regs_get_argument(fregs, 0))
#define compat_ftrace_go_on(fregs, at)                                         \
	ftrace_regs_set_instruction_pointer(fregs, (at))
#else
#define compat_ftrace_first(fregs) ((void *)(fregs)->regs.di)
#define compat_ftrace_go_on(fregs, at) ((fregs)->regs.ip = (at))
#endif
#endif

/* ---- fsnotify ---- */

#if SPLXMOD_HAS_FSNOTIFY_PRIO_CONTENT
#define COMPAT_FSNOTIFY_PRIO_CONTENT FSNOTIFY_PRIO_CONTENT
#else
#define COMPAT_FSNOTIFY_PRIO_CONTENT FS_PRIO_1
#endif

static inline struct fsnotify_group *compat_fsnotify_alloc_group(
	const struct fsnotify_ops *ops)
{
#if SPLXMOD_HAS_FSNOTIFY_ALLOC_GROUP_FLAGS
	return fsnotify_alloc_group(ops, 0);
#else
	return fsnotify_alloc_group(ops);
#endif
}

static inline int compat_fsnotify_add_sb_mark(struct fsnotify_mark *mark,
					      struct super_block *sb)
{
#if SPLXMOD_HAS_FSNOTIFY_ADD_MARK_OBJECT
	return fsnotify_add_mark(mark, sb, FSNOTIFY_OBJ_TYPE_SB, 0);
#else
	return fsnotify_add_mark(mark, &sb->s_fsnotify_marks,
				 FSNOTIFY_OBJ_TYPE_SB, 0, NULL);
#endif
}

/* The next registered file system type, under rcu_read_lock(). */
static inline struct file_system_type *compat_fs_type_next(
	const struct file_system_type *type)
{
#if SPLXMOD_HAS_FS_TYPE_HLIST
	struct hlist_node *next = READ_ONCE(type->list.next);

	return next ? hlist_entry(next, struct file_system_type, list) : NULL;
#else
	return READ_ONCE(type->next);
#endif
}

/* ---- modules ---- */

/*
 * The i-th piece of a module's memory that stays after its start: its address,
 * and its size in *size_r; NULL past the last. A piece may be empty.
 */
static inline const void *compat_module_piece(const struct module *mod,
					      unsigned int i,
					      unsigned long *size_r)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	if (i > 0)
		return NULL;
	*size_r = mod->core_layout.size;
	return mod->core_layout.base;
#else
	static const enum mod_mem_type pieces[] = {
		MOD_TEXT, MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT};

	if (i >= ARRAY_SIZE(pieces))
		return NULL;
	*size_r = mod->mem[pieces[i]].size;
	return mod->mem[pieces[i]].base;
#endif
}

/* Its code alone. */
static inline unsigned long compat_module_text(const struct module *mod,
					       unsigned long *size_r)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	*size_r = mod->core_layout.text_size;
	return (unsigned long)mod->core_layout.base;
#else
	*size_r = mod->mem[MOD_TEXT].size;
	return (unsigned long)mod->mem[MOD_TEXT].base;
#endif
}

/*
 * Waiting that only a fatal signal ends, and that does not keep the machine, or
 * a group of processes, from being frozen: set the state COMPAT_WAIT_STATE,
 * look for what is waited for, then compat_wait_timeout().
 */
#ifdef TASK_FREEZABLE
#define COMPAT_WAIT_STATE (TASK_KILLABLE | TASK_FREEZABLE)
static inline long compat_wait_timeout(long timeout)
{
	return schedule_timeout(timeout);
}
#else
#define COMPAT_WAIT_STATE TASK_KILLABLE
static inline long compat_wait_timeout(long timeout)
{
	freezer_do_not_count();
	timeout = schedule_timeout(timeout);
	freezer_count();
	return timeout;
}
#endif

#endif
