// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* The module's beginning and end, its configuration and its counters. */
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "cache.h"
#include "chardev.h"
#include "exempt.h"
#include "hook.h"
#include "proc.h"
#include "queue.h"
#include "rivals.h"
#include "rules.h"
#include "selftest.h"
#include "splxmod.h"
#include "symbols.h"

static bool selftest;
module_param(selftest, bool, 0400);
MODULE_PARM_DESC(selftest, "try the parts out first, load only if all work");

atomic_t splxmod_attended = ATOMIC_INIT(0);

/* ---- what is counted ---- */

DEFINE_PER_CPU(struct splxmod_counts, splxmod_counts);

u64 splxmod_counted(enum splxmod_counter id)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(splxmod_counts, cpu).n[id]);
	return sum;
}

const char *splxmod_counter_name(unsigned int id)
{
	static const char *const names[] = {
#define COUNTER_NAME(id, name, text) name,
		SPLXMOD_COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
	};

	BUILD_BUG_ON(ARRAY_SIZE(names) != SPLXMOD_COUNTS);
	BUILD_BUG_ON(SPLXMOD_COUNTS >
		     ARRAY_SIZE(((struct splxmod_status *)0)->counter));
	return id < SPLXMOD_COUNTS ? names[id] : NULL;
}

/* ---- configuration ---- */

/* Examines nothing until somebody says what. */
static const struct splxmod_config conf_first = {
	.method = SPLXMOD_METHOD_AUTO,
	.verdict_timeout_ms = 5000,
	.max_pending = 1024,
	.max_close = 1024,
	.breaker_timeouts = 3,
	.breaker_retry_ms = 5000,
};
static struct splxmod_conf __rcu *conf_now;
static DEFINE_MUTEX(conf_mutex); /* who replaces it */

const struct splxmod_conf *splxmod_conf_get(void)
{
	return rcu_dereference(conf_now);
}

static bool conf_between(u32 value, u32 least, u32 most)
{
	return value >= least && value <= most;
}

static bool conf_is_sound(const struct splxmod_config *c)
{
	const u32 deny =
		SPLXMOD_DENY_ERROR | SPLXMOD_DENY_TIMEOUT | SPLXMOD_DENY_FULL;

	return !(c->classes & ~SPLXMOD_CLASSES) &&
	       c->method <= SPLXMOD_METHOD_FSNOTIFY && !(c->deny & ~deny) &&
	       !(c->flags & ~SPLXMOD_CACHE) &&
	       conf_between(c->verdict_timeout_ms, 100, 120000) &&
	       c->grace_ms <= c->verdict_timeout_ms &&
	       conf_between(c->max_pending, 16, 65536) &&
	       conf_between(c->max_close, 16, 65536) &&
	       conf_between(c->breaker_timeouts, 1, 1000) &&
	       conf_between(c->breaker_retry_ms, 100, 600000) &&
	       !memchr_inv(c->reserved, 0, sizeof(c->reserved));
}

static struct splxmod_conf *conf_new(const struct splxmod_config *c)
{
	struct splxmod_conf *conf = kzalloc(sizeof(*conf), GFP_KERNEL);

	if (!conf)
		return NULL;
	conf->c = *c;
	conf->timeout = msecs_to_jiffies(c->verdict_timeout_ms);
	conf->grace = msecs_to_jiffies(c->grace_ms);
	conf->retry = msecs_to_jiffies(c->breaker_retry_ms);
	return conf;
}

int splxmod_conf_set(const struct splxmod_config *c)
{
	struct splxmod_conf *conf, *old;
	bool stale, reclass;

	if (!conf_is_sound(c))
		return -EINVAL;
	conf = conf_new(c);
	if (!conf)
		return -ENOMEM;
	mutex_lock(&conf_mutex);
	old = rcu_replace_pointer(conf_now, conf, lockdep_is_held(&conf_mutex));
	stale = old->c.epoch != c->epoch;
	reclass = old->c.classes != c->classes;
	kfree_rcu(old, rcu);
	mutex_unlock(&conf_mutex);

	if (stale)
		splxmod_cache_flush();
	if (reclass)
		splxmod_hook_reclass();
	return 0;
}

static int __init conf_init(void)
{
	struct splxmod_conf *conf = conf_new(&conf_first);

	if (!conf)
		return -ENOMEM;
	RCU_INIT_POINTER(conf_now, conf);
	return 0;
}

static void conf_exit(void)
{
	kfree(rcu_dereference_protected(conf_now, true));
}

/* ---- beginning and end ---- */

static int __init splxmod_init(void)
{
	int err;

	err = conf_init();
	if (err)
		return err;
	err = splxmod_cache_init();
	if (err)
		goto no_cache;
	err = splxmod_exempt_init();
	if (err)
		goto no_exempt;
	err = splxmod_queue_init();
	if (err)
		goto no_queue;
	err = splxmod_symbols_init();
	if (err)
		goto no_symbols;
	err = splxmod_rivals_init();
	if (err)
		goto no_rivals;
	if (selftest)
		err = splxmod_selftest();
	if (err)
		goto no_selftest;
	err = splxmod_proc_init();
	if (err)
		goto no_proc;
	err = splxmod_chardev_init();
	if (err)
		goto no_chardev;
	pr_info(SPLXMOD_NAME ": version %s, interface %d\n", SPLXMOD_VERSION,
		SPLXMOD_ABI);
	return 0;

no_chardev:
	splxmod_proc_exit();
no_proc:
no_selftest:
	splxmod_rivals_exit();
no_rivals:
no_symbols:
	splxmod_queue_exit();
no_queue:
	splxmod_rules_exit();
	splxmod_exempt_exit();
no_exempt:
	splxmod_cache_exit();
no_cache:
	/* What was freed by RCU calls back into this module. */
	rcu_barrier();
	conf_exit();
	return err;
}

/*
 * Also run by a forced unloading, while all is in use: nobody new can come once
 * the device is gone, and the hook's end waits for everybody who is inside.
 */
static void __exit splxmod_exit(void)
{
	splxmod_chardev_exit();
	splxmod_hook_leave();
	splxmod_proc_exit();
	splxmod_rivals_exit();
	splxmod_queue_exit();
	splxmod_rules_exit();
	splxmod_exempt_exit();
	splxmod_cache_exit();
	rcu_barrier();
	conf_exit();
}

module_init(splxmod_init);
module_exit(splxmod_exit);

MODULE_DESCRIPTION("Asks a scanner about files before they are opened");
MODULE_AUTHOR("splx");
MODULE_LICENSE("GPL");
MODULE_VERSION(SPLXMOD_VERSION);
