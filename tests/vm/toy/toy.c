// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * toy: does wrong on demand, so that it is seen that the console is judged.
 * What is written to /proc/toy says what: warn, hang, null, atomic.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

static struct proc_dir_entry *entry;

static void toy_hang(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_timeout(12 * HZ);
}

static void toy_atomic(void)
{
	preempt_disable();
	schedule();
	preempt_enable();
}

static ssize_t toy_write(struct file *file, const char __user *from,
			 size_t size, loff_t *at)
{
	char what;

	if (size < 1 || get_user(what, from))
		return -EFAULT;
	switch (what) {
	case 'w':
		WARN_ON(1);
		break;
	case 'h':
		toy_hang();
		break;
	case 'n':
		WRITE_ONCE(*(int *)8, 1);
		break;
	case 'a':
		toy_atomic();
		break;
	default:
		return -EINVAL;
	}
	return size;
}

static const struct proc_ops toy_ops = {.proc_write = toy_write};

static int __init toy_init(void)
{
	entry = proc_create("toy", 0200, NULL, &toy_ops);
	return entry ? 0 : -ENOMEM;
}

static void __exit toy_exit(void)
{
	proc_remove(entry);
}

module_init(toy_init);
module_exit(toy_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Does wrong on demand");
