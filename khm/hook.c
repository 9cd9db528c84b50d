// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Which hook is used, and its way in and out.
 *
 *   idle --arm--> armed --disarm--> idle
 *                 armed --disarm refused, passive--> passive --arm--> armed
 *                                                    passive --disarm--> idle
 *
 * Armed and passive hold a reference to the module: rmmod is refused until a
 * disarming has succeeded, and that is where rivals are found and named.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "cache.h"
#include "hook.h"
#include "queue.h"
#include "rivals.h"

static DEFINE_MUTEX(hook_mutex);
static enum splxmod_state state;
static const struct splxmod_hook *current_hook;
static bool asks;
static bool leaving;

enum splxmod_state splxmod_hook_state(void)
{
	return READ_ONCE(state);
}

const struct splxmod_hook *splxmod_hook_current(void)
{
	return READ_ONCE(current_hook);
}

bool splxmod_hook_asks(void)
{
	return READ_ONCE(asks);
}

static void configured(u32 *classes_r, u32 *method_r)
{
	const struct splxmod_conf *conf;

	rcu_read_lock();
	conf = splxmod_conf_get();
	*classes_r = conf->c.classes;
	*method_r = conf->c.method;
	rcu_read_unlock();
}

static void set_asking(bool on)
{
	if (on)
		splxmod_queue_accept(true);
	WRITE_ONCE(asks, on);
	if (!on)
		splxmod_queue_accept(false);
}

bool splxmod_hook_drain(const atomic_t *left, const char *hook,
			const char *what, struct splxmod_report *r)
{
	unsigned long until = jiffies + SPLXMOD_HOOK_DRAIN;
	int n;

	while ((n = atomic_read(left))) {
		if (time_after(jiffies, until)) {
			splxmod_report_line(r, "%s: %d %s are inside", hook, n,
					    what);
			return false;
		}
		schedule_timeout_idle(1);
	}
	return true;
}

/* ---- arming ---- */

static int try_hook(const struct splxmod_hook *hook, u32 classes,
		    struct splxmod_report *r)
{
	int ret = hook->can_arm(r);

	if (ret)
		return ret;
	__module_get(THIS_MODULE);
	WRITE_ONCE(current_hook, hook);
	set_asking(true);
	ret = hook->arm(classes, r);
	if (ret) {
		set_asking(false);
		if (ret == -EUCLEAN) {
			WRITE_ONCE(state, SPLXMOD_PASSIVE);
			return -EBUSY;
		}
		WRITE_ONCE(current_hook, NULL);
		module_put(THIS_MODULE);
		return ret;
	}
	WRITE_ONCE(state, SPLXMOD_ARMED);
	pr_info("%s: armed by %s\n", SPLXMOD_NAME, hook->name);
	return 0;
}

static int arm_idle(u32 classes, u32 method, struct splxmod_report *r)
{
	static const struct splxmod_hook *const hooks[] = {
		&splxmod_hook_ftrace,
		&splxmod_hook_fsnotify,
	};
	int ret = -EOPNOTSUPP;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (method != SPLXMOD_METHOD_AUTO && method != hooks[i]->method)
			continue;
		ret = try_hook(hooks[i], classes, r);
		if (!ret || state != SPLXMOD_IDLE)
			return ret;
		splxmod_report_line(r, "%s: not armed (%d)", hooks[i]->name,
				    ret);
	}
	return ret;
}

/* What is hooked already: asks again, and looks for what is new. */
static int arm_again(u32 classes, u32 method, struct splxmod_report *r)
{
	int ret;

	if (method != SPLXMOD_METHOD_AUTO && method != current_hook->method)
		splxmod_report_line(r, "%s: in use until it is disarmed",
				    current_hook->name);
	if (state == SPLXMOD_PASSIVE)
		set_asking(true);
	ret = current_hook->arm(classes, r);
	if (!ret)
		WRITE_ONCE(state, SPLXMOD_ARMED);
	else if (state == SPLXMOD_PASSIVE)
		set_asking(false);
	return ret;
}

int splxmod_hook_arm(struct splxmod_report *r)
{
	u32 classes, method;
	int ret;

	configured(&classes, &method);
	mutex_lock(&hook_mutex);
	if (leaving)
		ret = -EBUSY;
	else if (state == SPLXMOD_IDLE)
		ret = arm_idle(classes, method, r);
	else
		ret = arm_again(classes, method, r);
	mutex_unlock(&hook_mutex);
	return ret;
}

void splxmod_hook_reclass(void)
{
	u32 classes, method;

	configured(&classes, &method);
	mutex_lock(&hook_mutex);
	if (state == SPLXMOD_ARMED && current_hook->reclass(classes))
		pr_warn("%s: the hook's classes stay as they were\n",
			SPLXMOD_NAME);
	mutex_unlock(&hook_mutex);
}

/* ---- disarming ---- */

static void let_go(void)
{
	splxmod_queue_accept(false);
}

static int disarm_locked(bool passive, struct splxmod_report *r)
{
	int ret;

	if (state == SPLXMOD_IDLE)
		return 0;
	ret = current_hook->can_disarm(r);
	if (!ret) {
		/* Who comes from now on passes; who waits does so until the
		 * hook is out and calls let_go(). */
		WRITE_ONCE(asks, false);
		ret = current_hook->disarm(r, let_go);
	}
	/* The hook is out: closes are not seen from now on. */
	if (!ret || ret == -EUCLEAN)
		splxmod_cache_flush();
	if (!ret) {
		pr_info("%s: disarmed\n", SPLXMOD_NAME);
		WRITE_ONCE(state, SPLXMOD_IDLE);
		WRITE_ONCE(current_hook, NULL);
		module_put(THIS_MODULE);
		return 0;
	}
	if (passive || ret == -EUCLEAN) {
		set_asking(false);
		WRITE_ONCE(state, SPLXMOD_PASSIVE);
	} else if (state == SPLXMOD_ARMED) {
		set_asking(true);
	}
	return -EBUSY;
}

int splxmod_hook_disarm(bool passive, struct splxmod_report *r)
{
	int ret;

	mutex_lock(&hook_mutex);
	ret = disarm_locked(passive, r);
	mutex_unlock(&hook_mutex);
	return ret;
}

/* ---- unloading ---- */

/* Nothing is left that could call into the module, or return into it. */
static bool free_to_go(struct splxmod_report *r)
{
	int attended = atomic_read(&splxmod_attended);

	r->rivals = 0;
	r->len = 0;
	r->text[0] = '\0';
	if (disarm_locked(true, r))
		return false;
	if (splxmod_rivals_disarm(r))
		return false;
	if (attended)
		splxmod_report_line(r, "%d open descriptors of /dev/%s",
				    attended, SPLXMOD_NAME);
	return !attended;
}

/*
 * rmmod -f comes here whatever is going on. To return would have the kernel
 * free memory that is in use, so it waits: an rmmod that hangs and says why
 * harms nobody.
 */
void splxmod_hook_leave(void)
{
	struct splxmod_report *r;
	unsigned long next_word = jiffies;

	while (!(r = kmalloc(sizeof(*r), GFP_KERNEL)))
		schedule_timeout_idle(HZ);
	mutex_lock(&hook_mutex);
	leaving = true;
	while (!free_to_go(r)) {
		if (time_after_eq(jiffies, next_word)) {
			pr_warn("%s: cannot be unloaded yet, waiting for:\n%s",
				SPLXMOD_NAME, r->text);
			next_word = jiffies + 60 * HZ;
		}
		mutex_unlock(&hook_mutex);
		schedule_timeout_idle(HZ / 5);
		mutex_lock(&hook_mutex);
	}
	mutex_unlock(&hook_mutex);
	kfree(r);
	/* Whoever closed the last descriptor may still be on its way out. */
	synchronize_rcu_tasks();
	synchronize_rcu();
}
