// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * /proc/splx. How it stands and what waits may everybody see; rivals name
 * symbols of the kernel, which are for root.
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "cache.h"
#include "hook.h"
#include "proc.h"
#include "queue.h"
#include "rivals.h"
#include "rules.h"

static const char *proc_state(void)
{
	switch (splxmod_hook_state()) {
	case SPLXMOD_IDLE:
		return "idle";
	case SPLXMOD_ARMED:
		return "armed";
	case SPLXMOD_PASSIVE:
		return "passive";
	}
	return "-";
}

static void proc_line(struct seq_file *m, const char *name, u64 value)
{
	seq_printf(m, "%s %llu\n", name, value);
}

static int proc_status(struct seq_file *m, void *unused)
{
	const struct splxmod_hook *hook = splxmod_hook_current();
	const struct splxmod_conf *conf;
	u32 classes;
	u64 epoch;
	unsigned int i;

	rcu_read_lock();
	conf = splxmod_conf_get();
	classes = conf->c.classes;
	epoch = conf->c.epoch;
	rcu_read_unlock();

	seq_printf(m, "version %s\n", SPLXMOD_VERSION);
	proc_line(m, "abi", SPLXMOD_ABI);
	seq_printf(m, "state %s\n", proc_state());
	seq_printf(m, "method %s\n", hook ? hook->name : "-");
	seq_printf(m, "blind %s\n", hook && *hook->blind ? hook->blind : "-");
	proc_line(m, "marked", hook && hook->marked ? hook->marked() : 0);
	proc_line(m, "classes", classes);
	proc_line(m, "epoch", epoch);
	proc_line(m, "attended", atomic_read(&splxmod_attended));
	proc_line(m, "readers", splxmod_queue_readers());
	proc_line(m, "pending", splxmod_queue_pending());
	proc_line(m, "closes_waiting", splxmod_queue_closes());
	proc_line(m, "breaker_open", splxmod_queue_breaker());
	proc_line(m, "cached", splxmod_cache_used());
	proc_line(m, "rules", splxmod_rules_count());
	for (i = 0; splxmod_counter_name(i); i++)
		proc_line(m, splxmod_counter_name(i), splxmod_counted(i));
	return 0;
}

static int proc_queue(struct seq_file *m, void *unused)
{
	splxmod_queue_show(m);
	return 0;
}

static int proc_rivals(struct seq_file *m, void *unused)
{
	struct splxmod_report *report = kzalloc(sizeof(*report), GFP_KERNEL);

	if (!report)
		return -ENOMEM;
	splxmod_rivals_all(report);
	seq_write(m, report->text, report->len);
	kfree(report);
	return 0;
}

int splxmod_proc_init(void)
{
	struct proc_dir_entry *dir = proc_mkdir("splx", NULL);

	if (!dir)
		return -ENOMEM;
	if (proc_create_single("status", 0444, dir, proc_status) &&
	    proc_create_single("queue", 0444, dir, proc_queue) &&
	    proc_create_single("rivals", 0400, dir, proc_rivals))
		return 0;
	splxmod_proc_exit();
	return -ENOMEM;
}

void splxmod_proc_exit(void)
{
	remove_proc_subtree("splx", NULL);
}
