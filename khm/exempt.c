// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Processes that are never asked about.
 *
 * Each is a thread group's struct pid, of which a reference is held: its
 * address is nobody else's as long. What the group's self_exec_id was tells
 * whether it has executed something since.
 */
#include <linux/hash.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "exempt.h"

#define EXEMPT_BITS 8
#define EXEMPT_MAX 4096u

struct exempt_entry {
	struct hlist_node node;
	struct pid *pid; /* counted */
	u64 exec_id;
	struct rcu_head rcu;
};

static struct hlist_head exempt_table[1 << EXEMPT_BITS];
static unsigned int exempt_count;
static DEFINE_MUTEX(exempt_mutex); /* who changes the table */

static struct hlist_head *exempt_bucket(const struct pid *pid)
{
	return &exempt_table[hash_ptr(pid, EXEMPT_BITS)];
}

static void exempt_free(struct rcu_head *rcu)
{
	struct exempt_entry *e = container_of(rcu, struct exempt_entry, rcu);

	put_pid(e->pid);
	kfree(e);
}

/* Mutex held. */
static void exempt_drop(struct exempt_entry *e)
{
	hlist_del_rcu(&e->node);
	WRITE_ONCE(exempt_count, exempt_count - 1);
	call_rcu(&e->rcu, exempt_free);
}

/* Is the process gone, or another program by now? */
static bool exempt_is_over(const struct exempt_entry *e)
{
	struct task_struct *task;
	bool over;

	rcu_read_lock();
	task = pid_task(e->pid, PIDTYPE_TGID);
	over = !task || READ_ONCE(task->self_exec_id) != e->exec_id;
	rcu_read_unlock();
	return over;
}

/* Mutex held. */
static void exempt_drop_if(bool (*wanted)(const struct exempt_entry *e))
{
	struct exempt_entry *e;
	struct hlist_node *next;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(exempt_table); i++)
		hlist_for_each_entry_safe(e, next, &exempt_table[i], node)
			if (wanted(e))
				exempt_drop(e);
}

static bool exempt_all(const struct exempt_entry *e)
{
	return true;
}

int splxmod_exempt_init(void)
{
	return 0;
}

void splxmod_exempt_exit(void)
{
	mutex_lock(&exempt_mutex);
	exempt_drop_if(exempt_all);
	mutex_unlock(&exempt_mutex);
	rcu_barrier();
}

/* Mutex held. NULL: it is not there. */
static struct exempt_entry *exempt_find(const struct pid *pid)
{
	struct exempt_entry *e;

	hlist_for_each_entry(e, exempt_bucket(pid), node)
		if (e->pid == pid)
			return e;
	return NULL;
}

/* The thread group of that number in the caller's namespace, counted; and what
 * it has executed last. NULL: there is none. */
static struct pid *exempt_group(pid_t number, u64 *exec_id_r)
{
	struct task_struct *task;
	struct pid *pid;

	rcu_read_lock();
	pid = number ? find_vpid(number) : task_tgid(current);
	task = pid_task(pid, PIDTYPE_TGID);
	if (task)
		*exec_id_r = READ_ONCE(task->self_exec_id);
	pid = task ? get_pid(pid) : NULL;
	rcu_read_unlock();
	return pid;
}

/* Mutex held. Takes over the reference to pid when it returns 0. */
static int exempt_insert(struct pid *pid, u64 exec_id)
{
	struct exempt_entry *e, *old;

	if (exempt_count >= EXEMPT_MAX)
		exempt_drop_if(exempt_is_over);
	if (exempt_count >= EXEMPT_MAX)
		return -ENOSPC;
	e = kmalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	e->pid = pid;
	e->exec_id = exec_id;
	/* An old one is of what it ran before: the new one stands in front. */
	old = exempt_find(pid);
	hlist_add_head_rcu(&e->node, exempt_bucket(pid));
	WRITE_ONCE(exempt_count, exempt_count + 1);
	if (old)
		exempt_drop(old);
	return 0;
}

int splxmod_exempt_add(pid_t number)
{
	u64 exec_id;
	struct pid *pid = exempt_group(number, &exec_id);
	struct exempt_entry *e;
	int err = 0;

	if (!pid)
		return -ESRCH;
	mutex_lock(&exempt_mutex);
	e = exempt_find(pid);
	if (e && e->exec_id == exec_id)
		put_pid(pid);
	else
		err = exempt_insert(pid, exec_id);
	mutex_unlock(&exempt_mutex);
	if (err)
		put_pid(pid);
	return err;
}

int splxmod_exempt_remove(pid_t number)
{
	u64 exec_id;
	struct pid *pid = exempt_group(number, &exec_id);
	struct exempt_entry *e;

	if (!pid)
		return -ESRCH;
	mutex_lock(&exempt_mutex);
	e = exempt_find(pid);
	if (e)
		exempt_drop(e);
	mutex_unlock(&exempt_mutex);
	put_pid(pid);
	return e ? 0 : -ESRCH;
}

bool splxmod_exempt_current(void)
{
	const struct exempt_entry *e;
	const struct pid *pid;
	bool found = false;

	if (!READ_ONCE(exempt_count))
		return false;
	rcu_read_lock();
	pid = task_tgid(current);
	hlist_for_each_entry_rcu(e, exempt_bucket(pid), node) {
		if (e->pid == pid) {
			found = e->exec_id == READ_ONCE(current->self_exec_id);
			break;
		}
	}
	rcu_read_unlock();
	return found;
}
