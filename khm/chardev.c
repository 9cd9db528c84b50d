// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/time64.h>
#include <linux/uaccess.h>

#include "cache.h"
#include "chardev.h"
#include "exempt.h"
#include "hook.h"
#include "queue.h"
#include "rules.h"

/* One open descriptor: a controller's, until it becomes a reader's. */
struct handle {
	struct splxmod_reader *reader;
};

/* ---- open, close, read, write ---- */

static int dev_open(struct inode *inode, struct file *file)
{
	struct handle *h;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = stream_open(inode, file);
	if (err)
		return err;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h)
		return -ENOMEM;
	file->private_data = h;
	atomic_inc(&splxmod_attended);
	return 0;
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct handle *h = file->private_data;

	if (h->reader)
		splxmod_queue_reader_free(h->reader);
	kfree(h);
	splxmod_queue_left();
	/* Last: a forced unload waits for this. */
	atomic_dec(&splxmod_attended);
	return 0;
}

/* NULL: a controller. Set once, pairs with ioctl_reader(). */
static struct splxmod_reader *handle_reader(const struct file *file)
{
	const struct handle *h = file->private_data;

	return smp_load_acquire(&h->reader);
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t len,
			loff_t *pos)
{
	struct splxmod_reader *r = handle_reader(file);

	if (!r)
		return -EINVAL;
	return splxmod_queue_read(r, buf, len, file->f_flags & O_NONBLOCK);
}

static ssize_t dev_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	struct splxmod_reader *r = handle_reader(file);

	if (!r)
		return -EINVAL;
	return splxmod_queue_write(r, buf, len);
}

static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	struct splxmod_reader *r = handle_reader(file);

	return r ? splxmod_queue_poll(r, file, wait) : EPOLLERR;
}

/* ---- ioctl ---- */

static long ioctl_status(struct file *file, void __user *arg)
{
	const struct splxmod_hook *hook;
	struct splxmod_status *s;
	unsigned int i;
	long err = 0;

	BUILD_BUG_ON(SPLXMOD_COUNTS > ARRAY_SIZE(s->counter));
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->abi = SPLXMOD_ABI;
	s->state = splxmod_hook_state();
	hook = splxmod_hook_current();
	if (hook) {
		s->method = hook->method;
		s->marked = hook->marked ? hook->marked() : 0;
	}
	s->readers = splxmod_queue_readers();
	s->pending = splxmod_queue_pending();
	s->closes = splxmod_queue_closes();
	s->cached = splxmod_cache_used();
	s->breaker = splxmod_queue_breaker();
	s->counters = SPLXMOD_COUNTS;
	strscpy(s->version, SPLXMOD_VERSION, sizeof(s->version));
	for (i = 0; i < SPLXMOD_COUNTS; i++)
		s->counter[i] = splxmod_counted(i);
	if (copy_to_user(arg, s, sizeof(*s)))
		err = -EFAULT;
	kfree(s);
	return err;
}

static long ioctl_config(struct file *file, void __user *arg)
{
	struct splxmod_config c;

	if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	return splxmod_conf_set(&c);
}

static long ioctl_rules(struct file *file, void __user *arg)
{
	struct splxmod_rule *rules = NULL;
	struct splxmod_rules r;
	u32 bad = 0;
	long err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	if (r.reserved || r.count > SPLXMOD_RULES_MAX ||
	    r.rules != (unsigned long)r.rules)
		return -EINVAL;
	if (r.count) {
		rules = vmemdup_user(u64_to_user_ptr(r.rules),
				     r.count * sizeof(*rules));
		if (IS_ERR(rules))
			return PTR_ERR(rules);
	}
	err = splxmod_rules_locate(rules, r.count, &bad);
	if (!err)
		err = splxmod_rules_set(rules, r.count, &bad);
	if (err == -EINVAL)
		pr_notice_ratelimited("splxmod: rule %u of %u is not valid: "
				      "all are refused\n",
				      bad, r.count);
	kvfree(rules);
	return err;
}

static long known_check(const struct splxmod_known *known, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (known[i].reserved || known[i].ctime_nsec >= NSEC_PER_SEC)
			return -EINVAL;
	return 0;
}

/* The epoch may change meanwhile: then what is put in is of no use, and does
 * no harm. */
static long ioctl_known(struct file *file, void __user *arg)
{
	struct splxmod_known *known;
	struct splxmod_known_list l;
	long err;
	u64 epoch;
	u32 i;

	if (copy_from_user(&l, arg, sizeof(l)))
		return -EFAULT;
	rcu_read_lock();
	epoch = splxmod_conf_get()->c.epoch;
	rcu_read_unlock();
	if (l.reserved || l.count > SPLXMOD_KNOWN_MAX || l.epoch != epoch ||
	    l.known != (unsigned long)l.known)
		return -EINVAL;
	if (!l.count)
		return 0;
	known = vmemdup_user(u64_to_user_ptr(l.known),
			     l.count * sizeof(*known));
	if (IS_ERR(known))
		return PTR_ERR(known);
	err = known_check(known, l.count);
	for (i = 0; !err && i < l.count; i++) {
		splxmod_cache_preset(&known[i], epoch);
		cond_resched();
	}
	kvfree(known);
	return err;
}

static long ioctl_reader(struct file *file, void __user *arg)
{
	struct handle *h = file->private_data;
	struct splxmod_reader_setup setup;
	struct splxmod_reader *r;

	if (copy_from_user(&setup, arg, sizeof(setup)))
		return -EFAULT;
	if (setup.reserved)
		return -EINVAL;
	if (handle_reader(file))
		return -EBUSY;
	r = splxmod_queue_reader(setup.classes);
	if (IS_ERR(r))
		return PTR_ERR(r);
	if (cmpxchg(&h->reader, NULL, r)) {
		splxmod_queue_reader_free(r);
		return -EBUSY;
	}
	return 0;
}

static long ioctl_exempt(struct file *file, void __user *arg)
{
	struct splxmod_exempt_setup setup;

	if (copy_from_user(&setup, arg, sizeof(setup)))
		return -EFAULT;
	if ((setup.flags & ~SPLXMOD_EXEMPT_REMOVE) || setup.pid < 0)
		return -EINVAL;
	if (setup.flags & SPLXMOD_EXEMPT_REMOVE)
		return splxmod_exempt_remove(setup.pid);
	return splxmod_exempt_add(setup.pid);
}

/* The method in use, or else the one that was to be used. */
static u32 arming_method(void)
{
	const struct splxmod_hook *hook = splxmod_hook_current();
	u32 method;

	if (hook)
		return hook->method;
	rcu_read_lock();
	method = splxmod_conf_get()->c.method;
	rcu_read_unlock();
	return method;
}

static long arming_do(struct splxmod_arming *a, struct splxmod_report *r,
		      bool arm)
{
	u32 allowed = arm ? 0 : SPLXMOD_DISARM_PASSIVE;
	long err;

	if ((a->flags & ~allowed) || a->reserved)
		return -EINVAL;
	if (arm)
		err = splxmod_hook_arm(r);
	else
		err = splxmod_hook_disarm(a->flags & SPLXMOD_DISARM_PASSIVE, r);
	a->method = arming_method();
	a->rivals = r->rivals;
	memset(a->report, 0, sizeof(a->report));
	memcpy(a->report, r->text, min(r->len, sizeof(a->report) - 1));
	return err;
}

/* The report goes out whatever the outcome; that outweighs its being
 * unreadable, for the hook is as it is. */
static long ioctl_arming(void __user *arg, bool arm)
{
	struct splxmod_report *r = kzalloc(sizeof(*r), GFP_KERNEL);
	struct splxmod_arming *a = kzalloc(sizeof(*a), GFP_KERNEL);
	size_t head = offsetof(struct splxmod_arming, report);
	long err = -ENOMEM;

	if (!r || !a)
		goto out;
	err = -EFAULT;
	if (copy_from_user(a, arg, head))
		goto out;
	err = arming_do(a, r, arm);
	if (err != -EINVAL && copy_to_user(arg, a, sizeof(*a)) && !err)
		err = -EFAULT;
out:
	kfree(a);
	kfree(r);
	return err;
}

static long ioctl_arm(struct file *file, void __user *arg)
{
	return ioctl_arming(arg, true);
}

static long ioctl_disarm(struct file *file, void __user *arg)
{
	return ioctl_arming(arg, false);
}

static long ioctl_flush(struct file *file, void __user *arg)
{
	splxmod_cache_flush();
	return 0;
}

/* A reader parses what others wrote: whoever took it over must not be able to
 * switch us off. So it may ask how we are, and nothing else. */
static const struct command {
	unsigned int cmd;
	bool reader;
	long (*run)(struct file *file, void __user *arg);
} commands[] = {
	{SPLXMOD_IOC_STATUS, true, ioctl_status},
	{SPLXMOD_IOC_CONFIG, false, ioctl_config},
	{SPLXMOD_IOC_RULES, false, ioctl_rules},
	{SPLXMOD_IOC_KNOWN, false, ioctl_known},
	{SPLXMOD_IOC_READER, true, ioctl_reader},
	{SPLXMOD_IOC_EXEMPT, false, ioctl_exempt},
	{SPLXMOD_IOC_ARM, false, ioctl_arm},
	{SPLXMOD_IOC_DISARM, false, ioctl_disarm},
	{SPLXMOD_IOC_FLUSH, false, ioctl_flush},
};

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	size_t i;

	/* The size is part of the number: another one is another command. */
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].cmd != cmd)
			continue;
		if (!commands[i].reader && handle_reader(file))
			return -EPERM;
		return commands[i].run(file, (void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations dev_operations = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.read = dev_read,
	.write = dev_write,
	.poll = dev_poll,
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = SPLXMOD_NAME,
	.fops = &dev_operations,
	.mode = 0600,
};

int splxmod_chardev_init(void)
{
	return misc_register(&device);
}

void splxmod_chardev_exit(void)
{
	misc_deregister(&device);
}
