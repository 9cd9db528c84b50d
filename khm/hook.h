/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_HOOK_H
#define SPLXMOD_HOOK_H

#include <linux/atomic.h>
#include <linux/jiffies.h>

#include "report.h"

/*
 * So long disarming waits for those inside, in jiffies. Who is let go is gone
 * at once, but not who waits for the holder of a lease, or is frozen.
 */
#define SPLXMOD_HOOK_DRAIN (5 * HZ)

/*
 * One way to see every open. All four functions are called with hook.c's
 * mutex held, may sleep, and tell in the report why they refuse (-EBUSY: a
 * rival; -EOPNOTSUPP: not on this kernel).
 */
struct splxmod_hook {
	enum splxmod_method method;
	const char *name;
	int (*can_arm)(struct splxmod_report *r);
	/*
	 * Once it returns 0 opens are judged. Called on an armed one it hooks
	 * what is not hooked yet (new file systems). -EUCLEAN: it failed, and
	 * could not be undone; the module must stay.
	 */
	int (*arm)(u32 classes, struct splxmod_report *r);
	/* Other classes while armed. */
	int (*reclass)(u32 classes);
	int (*can_disarm)(struct splxmod_report *r);
	/*
	 * When it returns 0 nothing of the module is on the way of an open
	 * any more, and nobody is inside it. On -EBUSY the hook is where it
	 * was; on -EUCLEAN it is out, but something still points here, or
	 * somebody is inside: the module must stay, and disarm() looks again.
	 * `release` is called once nobody new can come, and lets go who waits.
	 * No wait is longer than SPLXMOD_HOOK_DRAIN and a scan of file systems.
	 */
	int (*disarm)(struct splxmod_report *r, void (*release)(void));
	/* How many file systems it sees; 0: it does not count. */
	unsigned int (*marked)(void);
	/* What it does not see, for people; "" nothing. */
	const char *blind;
};
extern const struct splxmod_hook splxmod_hook_ftrace;
extern const struct splxmod_hook splxmod_hook_fsnotify;

/* ---- hook.c: what they share ---- */

/*
 * Waits until `left`, which no longer grows, is nought: true. After
 * SPLXMOD_HOOK_DRAIN false, and the report names the hook and how many of
 * `what` there still are.
 */
bool splxmod_hook_drain(const atomic_t *left, const char *hook,
			const char *what, struct splxmod_report *r);

/* ---- hook.c: which one, and its state ---- */

/*
 * Arms by the configured method (auto: ftrace, else fsnotify); on a passive
 * module, lets it ask again. Pins the module. 0; -EBUSY, -EOPNOTSUPP.
 */
int splxmod_hook_arm(struct splxmod_report *r);
/*
 * Asks nothing any more, takes the hook out, drains, checks, unpins. -EBUSY
 * with the rivals' names: then it goes on as before, or with `passive` stays
 * and lets all pass. So it does too when the hook is out, but not all is done.
 */
int splxmod_hook_disarm(bool passive, struct splxmod_report *r);
/* The configured classes have changed. */
void splxmod_hook_reclass(void);
enum splxmod_state splxmod_hook_state(void);
/* NULL while idle. */
const struct splxmod_hook *splxmod_hook_current(void);
/* True while opens are to be judged; read by judge_fast(). */
bool splxmod_hook_asks(void);
/* For module_exit(), also a forced one: returns once nothing is hooked, no
 * descriptor is open and no rival points into the module, however long that
 * takes (it says in the kernel log whom it waits for). */
void splxmod_hook_leave(void);

#endif
