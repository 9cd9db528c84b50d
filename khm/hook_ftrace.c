// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Hooked by ftrace: every open and execution at once.
 *
 * Opens: security_file_open(), which all ways to open a file's data go
 * through. In two stages. The callback is atomic and decides most opens; it
 * leaves no trace then. For a question it changes where the traced function
 * goes on: to splxmod_stub (thunk.S), which waits for the verdict like an
 * ordinary function that the opener had called, and then returns the error or
 * goes on behind the site. So no tracer sees an open twice, and nobody waits
 * inside ftrace.
 *
 * Closes: locks_remove_file(), a second, plain hook. __fput() calls it once
 * for each file that had been opened (FMODE_OPENED), in the last reference's
 * context and with f_path still held, whatever the file system. Its siblings
 * do not suit: security_file_release() is not there before 6.9,
 * security_file_free() comes on some kernels when the path is gone, and
 * fsnotify's close event needs a mark on every file system beforehand.
 */
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "hook.h"
#include "hook_ftrace.h"
#include "judge.h"
#include "rivals.h"

#ifdef SPLXMOD_FTRACE

/* thunk.S */
asmlinkage int splxmod_ftrace_slow(struct file *file);
asmlinkage void splxmod_stub(void);
/* Where an open that is allowed goes on. */
unsigned long splxmod_ftrace_resume;

/* How many are between the callback and the end of their question: counted
 * before the stub is entered, so nobody is in it uncounted. */
static atomic_t inside = ATOMIC_INIT(0);

static void notrace saw_open(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *ops, COMPAT_FTRACE_REGS *fregs)
{
	if (!splxmod_judge_fast(compat_ftrace_first(fregs)))
		return;
	atomic_inc(&inside);
	compat_ftrace_go_on(fregs, (unsigned long)splxmod_stub);
}

asmlinkage int splxmod_ftrace_slow(struct file *file)
{
	int ret = splxmod_judge_slow(file);

	atomic_dec(&inside);
	return ret;
}

static void notrace saw_close(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *ops, COMPAT_FTRACE_REGS *fregs)
{
	struct file *file = compat_ftrace_first(fregs);

	if ((file->f_mode & FMODE_WRITE) && (file->f_mode & FMODE_OPENED) &&
	    S_ISREG(file_inode(file)->i_mode))
		splxmod_judge_close(file);
}

/* PERMANENT: nobody turns ftrace off below us without being told. */
static struct ftrace_ops open_ops = {
	.func = saw_open,
	.flags = COMPAT_FTRACE_OPS_SAVE | FTRACE_OPS_FL_IPMODIFY |
		 FTRACE_OPS_FL_PERMANENT | COMPAT_FTRACE_OPS_SAFE,
};
static struct ftrace_ops close_ops = {
	.func = saw_close,
	.flags = COMPAT_FTRACE_OPS_SAVE | FTRACE_OPS_FL_PERMANENT |
		 COMPAT_FTRACE_OPS_SAFE,
};

struct place {
	struct splxmod_site site;
	struct ftrace_ops *ops;
	bool registered;
	unsigned long trampoline; /* the one it had */
	unsigned long trampoline_end;
};
/* Closes first: whoever opens a file under our eyes also closes it so. */
static struct place places[SPLXMOD_FTRACE_SITES] = {
	{.site.name = "locks_remove_file", .ops = &close_ops},
	{.site.name = "security_file_open", .ops = &open_ops},
};

const struct splxmod_site *splxmod_ftrace_site(unsigned int i,
					       bool *registered_r)
{
	*registered_r = places[i].registered;
	return places[i].site.fentry ? &places[i].site : NULL;
}

/* Written once, by whoever is first: the addresses do not change. */
int splxmod_ftrace_find(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i].site.fentry)
			continue;
		ret = splxmod_site_find(&places[i].site, places[i].site.name);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- in ---- */

static int ftrace_can_arm(struct splxmod_report *r)
{
	int ret = splxmod_ftrace_find();

	if (ret) {
		splxmod_report_line(
			r, "ftrace: the sites cannot be traced (%d)", ret);
		return -EOPNOTSUPP;
	}
	return splxmod_rivals_arm(r) ? -EBUSY : 0;
}

static int place_register(struct place *place, struct splxmod_report *r)
{
	unsigned long ip = place->site.fentry;
	int ret = ftrace_set_filter_ip(place->ops, ip, 0, 0);

	/* Without its filter it would be called for every function. */
	if (ret)
		goto fail;
	ret = register_ftrace_function(place->ops);
	if (ret) {
		ftrace_set_filter_ip(place->ops, ip, 1, 0);
		goto fail;
	}
	place->registered = true;
	place->trampoline = place->ops->trampoline;
	place->trampoline_end = place->trampoline + place->ops->trampoline_size;
	return 0;
fail:
	splxmod_report_line(r, "ftrace: %s cannot be hooked (%d)",
			    place->site.name, ret);
	return ret;
}

static int places_leave(struct splxmod_report *r);

static int ftrace_arm(u32 classes, struct splxmod_report *r)
{
	unsigned int i;
	int ret;

	splxmod_ftrace_resume =
		places[SPLXMOD_FTRACE_OPEN].site.fentry + MCOUNT_INSN_SIZE;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i].registered)
			continue;
		ret = place_register(&places[i], r);
		if (ret)
			goto fail;
	}
	return 0;
fail:
	if (places_leave(r))
		return -EUCLEAN;
	return ret == -EBUSY ? -EBUSY : -EOPNOTSUPP;
}

/* The hooks are the same for all classes; judge.c knows which are wanted. */
static int ftrace_reclass(u32 classes)
{
	return 0;
}

/* ---- out ---- */

static int ftrace_can_disarm(struct splxmod_report *r)
{
	return splxmod_rivals_disarm(r) ? -EBUSY : 0;
}

/* Is what the site runs still ftrace's own? Were it not, to unregister would
 * have ftrace find foreign bytes, give up on itself for good, and free the
 * trampoline that the rival goes on calling. */
static bool place_is_ours(const struct place *place, struct splxmod_report *r)
{
	char text[SPLXMOD_SITE_TEXT];
	unsigned long target;

	if (splxmod_site_look(&place->site, &target, text) ==
	    SPLXMOD_SITE_KERNEL)
		return true;
	splxmod_report_line(r, "ftrace: %s is not as ftrace left it: %s",
			    place->site.name, text);
	return false;
}

/* The return of unregister_ftrace_function() tells nothing (it is 0 also when
 * ftrace has just given up): what counts is place_is_left(). */
static void place_unregister(struct place *place)
{
	unregister_ftrace_function(place->ops);
	ftrace_set_filter_ip(place->ops, place->site.fentry, 1, 0);
	place->registered = false;
}

/* Nothing at the site leads to us any more; other tracers may be there. */
static bool place_is_left(const struct place *place, struct splxmod_report *r)
{
	char text[SPLXMOD_SITE_TEXT];
	unsigned long target;

	switch (splxmod_site_look(&place->site, &target, text)) {
	case SPLXMOD_SITE_IDLE:
		return true;
	case SPLXMOD_SITE_KERNEL:
		if (target < place->trampoline ||
		    target >= place->trampoline_end)
			return true;
		break;
	default:
		break;
	}
	splxmod_report_line(r, "ftrace: %s is still changed: %s",
			    place->site.name, text);
	return false;
}

/* All registered ones out; 0, or -EBUSY and they are where they were. */
static int places_leave(struct splxmod_report *r)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i].registered && !place_is_ours(&places[i], r))
			return -EBUSY;
	for (i = ARRAY_SIZE(places); i-- > 0;)
		if (places[i].registered)
			place_unregister(&places[i]);
	return 0;
}

static int ftrace_disarm(struct splxmod_report *r, void (*release)(void))
{
	unsigned int i;
	int ret;

	ret = places_leave(r);
	if (ret)
		return ret;
	release();
	if (!splxmod_hook_drain(&inside, "ftrace", "openers", r))
		return -EUCLEAN;
	/* They are counted out, but may still stand in the last instructions
	 * of the stub. */
	synchronize_rcu_tasks();
	synchronize_rcu();
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!place_is_left(&places[i], r))
			ret = -EUCLEAN;
	return ret;
}

#else /* no ftrace that can change where a function goes on */

int splxmod_ftrace_find(void)
{
	return -EOPNOTSUPP;
}

const struct splxmod_site *splxmod_ftrace_site(unsigned int i,
					       bool *registered_r)
{
	*registered_r = false;
	return NULL;
}

static int ftrace_can_arm(struct splxmod_report *r)
{
	splxmod_report_line(r, "ftrace: not on this kernel");
	return -EOPNOTSUPP;
}

static int ftrace_arm(u32 classes, struct splxmod_report *r)
{
	return -EOPNOTSUPP;
}

static int ftrace_reclass(u32 classes)
{
	return 0;
}

static int ftrace_can_disarm(struct splxmod_report *r)
{
	return 0;
}

static int ftrace_disarm(struct splxmod_report *r, void (*release)(void))
{
	release();
	return 0;
}

#endif

static unsigned int ftrace_marked(void)
{
	return 0;
}

const struct splxmod_hook splxmod_hook_ftrace = {
	.method = SPLXMOD_METHOD_FTRACE,
	.name = "ftrace",
	.can_arm = ftrace_can_arm,
	.arm = ftrace_arm,
	.reclass = ftrace_reclass,
	.can_disarm = ftrace_can_disarm,
	.disarm = ftrace_disarm,
	.marked = ftrace_marked,
	.blind = "",
};
