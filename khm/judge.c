// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Whether an open needs a question, and the question.
 *
 * What the kernel opens for itself meanwhile asks for little: the work file of
 * an overlay's copy-up, and the probe of its mount, are empty; and the lower
 * file that is copied up has just been judged as the overlay's own, so that
 * it is known.
 */
#include <linux/dcache.h>
#include <linux/magic.h>
#include <linux/sched.h>

#include "cache.h"
#include "exempt.h"
#include "hook.h"
#include "judge.h"
#include "queue.h"
#include "rules.h"

/* Its headers are not for us. */
#define JUDGE_CONFIGFS_MAGIC 0x62656570

/*
 * Files that the kernel makes up while they are read: there is nothing to
 * examine, and to read them may take away what the opener came for, or wait
 * for ever.
 */
static bool judge_is_made_up(const struct inode *inode)
{
	switch (inode->i_sb->s_magic) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case SELINUX_MAGIC:
	case SMACK_MAGIC:
	case BPF_FS_MAGIC:
	case BINFMTFS_MAGIC:
	case EFIVARFS_MAGIC:
	case PSTOREFS_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
	case NSFS_MAGIC:
	case JUDGE_CONFIGFS_MAGIC:
		return true;
	default:
		return false;
	}
}

static bool judge_is_overlay(const struct inode *inode)
{
	return inode->i_sb->s_magic == OVERLAYFS_SUPER_MAGIC;
}

/* What a stacked file system opens below itself, while it opens a file that
 * was judged: on older kernels with its own path and the inode below. */
static bool judge_is_inner(const struct file *file)
{
	return (file->f_mode & COMPAT_FMODE_BACKING) ||
	       d_inode(file->f_path.dentry) != file_inode(file);
}

/* The inode that holds the data. May sleep. */
static struct inode *judge_data_inode(const struct file *file)
{
	struct inode *inode = file_inode(file);
	struct inode *real;

	if (!judge_is_overlay(inode))
		return inode;
	real = d_real_inode(file->f_path.dentry);
	return real ? real : inode;
}

/* Which of the classes this is; 0: none. Who executes a file opens it too. */
static u32 judge_kind(const struct file *file, u32 classes)
{
	if ((file->f_flags & __FMODE_EXEC) && (classes & SPLXMOD_EXEC))
		return SPLXMOD_EXEC;
	return classes & SPLXMOD_OPEN;
}

/* Nothing is in it. Sizes mean nothing where somebody else says them. So an
 * open that makes a file is never denied, and leaves none behind. */
static bool judge_is_empty(const struct inode *inode)
{
	return i_size_read(inode) == 0 && splxmod_cache_local(inode->i_sb);
}

static bool judge_is_known(struct inode *inode, const struct splxmod_conf *conf)
{
	return (conf->c.flags & SPLXMOD_CACHE) &&
	       splxmod_cache_has(inode, conf->c.epoch);
}

/* By what the inode itself says; counted when it needs no question. */
static bool judge_is_harmless(struct inode *inode,
			      const struct splxmod_conf *conf)
{
	if (judge_is_empty(inode)) {
		splxmod_count(EMPTY);
		return true;
	}
	if (judge_is_known(inode, conf)) {
		splxmod_count(KNOWN);
		return true;
	}
	return false;
}

/* By who opens it and by where it lies. */
static bool judge_is_passed(struct file *file, const struct splxmod_conf *conf)
{
	if (compat_kernel_thread(current)) {
		splxmod_count(EXEMPT);
		return true;
	}
	if (!judge_kind(file, conf->c.classes) ||
	    judge_is_made_up(file_inode(file))) {
		splxmod_count(EXCLUDED);
		return true;
	}
	if (!atomic_read(&splxmod_attended)) {
		splxmod_count(UNATTENDED);
		return true;
	}
	if (splxmod_exempt_current()) {
		splxmod_count(EXEMPT);
		return true;
	}
	if (splxmod_rules_exclude(file)) {
		splxmod_count(EXCLUDED);
		return true;
	}
	return false;
}

bool splxmod_judge_fast(struct file *file)
{
	struct inode *inode = file_inode(file);
	const struct splxmod_conf *conf;
	bool ask;

	if (!S_ISREG(inode->i_mode) || judge_is_inner(file) ||
	    !splxmod_hook_asks())
		return false;
	splxmod_count(CALLS);
	rcu_read_lock();
	conf = splxmod_conf_get();
	/* Most opens are of known files: who opens them need not be asked
	 * for. Where an overlay has its data is found out by what may sleep. */
	ask = !judge_is_harmless(inode, conf) && !judge_is_passed(file, conf);
	rcu_read_unlock();
	return ask;
}

int splxmod_judge_slow(struct file *file)
{
	struct inode *own = file_inode(file);
	struct inode *inode = judge_data_inode(file);
	const struct splxmod_conf *conf;
	bool harmless = false;
	u32 kind;
	int err;

	rcu_read_lock();
	conf = splxmod_conf_get();
	kind = judge_kind(file, conf->c.classes);
	if (inode != own)
		harmless = judge_is_harmless(inode, conf);
	rcu_read_unlock();
	if (harmless)
		return 0;

	/* The class may have been switched off since. */
	if (!kind)
		kind = SPLXMOD_OPEN;
	/*
	 * The reader's open would break a write lease, and would fail, as it
	 * does not wait. So it is broken here, where the open itself would do
	 * it next; what that ends with is then the end of the open, too.
	 */
	err = break_lease(own, file->f_flags & O_NONBLOCK);
	if (!err && inode != own)
		err = break_lease(inode, file->f_flags & O_NONBLOCK);
	if (err)
		return err;
	return splxmod_queue_ask(file, inode, kind);
}

/* Has anybody to look at what was written? */
static bool judge_close_matters(struct file *file, struct inode *inode)
{
	const struct splxmod_conf *conf;
	u32 classes;

	rcu_read_lock();
	conf = splxmod_conf_get();
	classes = conf->c.classes;
	rcu_read_unlock();
	/* What has no name ends with its last descriptor, and what those
	 * open is seen. */
	return (classes & SPLXMOD_CLOSE) && splxmod_hook_asks() &&
	       atomic_read(&splxmod_attended) && inode->i_nlink &&
	       !judge_is_made_up(inode) && !judge_is_empty(inode) &&
	       !splxmod_exempt_current() && !splxmod_rules_exclude(file);
}

void splxmod_judge_close(struct file *file)
{
	struct inode *inode = file_inode(file);

	if (!S_ISREG(inode->i_mode) || !(file->f_mode & FMODE_WRITE))
		return;
	/* An overlay has the data of what was open for writing in its upper
	 * layer, which it tells without sleeping. */
	if (!judge_is_inner(file))
		inode = judge_data_inode(file);
	splxmod_cache_written(inode);
	if (!judge_is_inner(file) && judge_close_matters(file, inode))
		splxmod_queue_close(file, inode);
}
