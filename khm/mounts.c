// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Mounts, as they happen.
 *
 * A mount namespace wakes whoever polls its list of mounts, and it does so in
 * the process that mounts. So we poll like anybody else who watches
 * /proc/1/mounts, with a wait entry of our own, whose function leaves that
 * process some work to do before it is back in user space and can open
 * anything. All by what the kernel exports; nothing is patched.
 *
 * To watch a namespace keeps it, and all that is mounted in it: that may be
 * done to the one of process 1 alone, which does not end.
 */
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/wait.h>

#include "mounts.h"
#include "splxmod.h"

static struct file *mounts; /* NULL: nothing is watched */
static struct wait_queue_head *mounts_head;
static struct wait_queue_entry mounts_entry;
static void (*mounts_changed)(void);
static atomic_t works = ATOMIC_INIT(0); /* left to processes, not yet done */

static void mounts_work(struct callback_head *work)
{
	kfree(work);
	mounts_changed();
	atomic_dec(&works);
}

/* Called below locks of the mount table. Kernel threads have no user space to
 * return to, and what they mount is the kernel's own. */
static int mounts_wake(struct wait_queue_entry *entry, unsigned int mode,
		       int flags, void *key)
{
	struct callback_head *work;

	if (!in_task() || (current->flags & PF_KTHREAD))
		return 0;
	work = kmalloc(sizeof(*work), GFP_ATOMIC);
	if (!work)
		return 0;
	init_task_work(work, mounts_work);
	atomic_inc(&works);
	if (task_work_add(current, work, TWA_RESUME)) {
		atomic_dec(&works);
		kfree(work);
	}
	return 0;
}

struct mounts_table {
	poll_table poll;
	bool queued;
};

static void mounts_queue(struct file *file, struct wait_queue_head *head,
			 poll_table *poll)
{
	struct mounts_table *t = container_of(poll, struct mounts_table, poll);

	if (t->queued)
		return;
	t->queued = true;
	mounts_head = head;
	add_wait_queue(head, &mounts_entry);
}

int splxmod_mounts_watch(void (*changed)(void))
{
	struct mounts_table t = {.queued = false};
	struct file *file = filp_open("/proc/1/mounts", O_RDONLY, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mounts_changed = changed;
	init_waitqueue_func_entry(&mounts_entry, mounts_wake);
	init_poll_funcptr(&t.poll, mounts_queue);
	vfs_poll(file, &t.poll);
	if (!t.queued) {
		fput(file);
		return -EOPNOTSUPP;
	}
	mounts = file;
	return 0;
}

void splxmod_mounts_unwatch(void)
{
	if (!mounts)
		return;
	remove_wait_queue(mounts_head, &mounts_entry);
	fput(mounts);
	mounts = NULL;
	while (atomic_read(&works))
		schedule_timeout_idle(1);
	/* The last may still be in mounts_work(). */
	synchronize_rcu_tasks();
	synchronize_rcu();
}
