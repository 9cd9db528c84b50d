// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* A tracer of opens by ftrace; with modify=1 one that may change where the
 * function goes on (and does not). */
#include <linux/ftrace.h>

#include "rival.h"

static bool modify;
module_param(modify, bool, 0444);
static unsigned long seen;
module_param(seen, ulong, 0444);

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define REGS struct pt_regs
#define SAFE FTRACE_OPS_FL_RECURSION_SAFE
#else
#define REGS struct ftrace_regs
#define SAFE 0
#endif

static void notrace rival_saw(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *ops, REGS *regs)
{
	seen++;
}

static struct ftrace_ops ops = {
	.func = rival_saw,
	.flags = SAFE,
};

/* Else the kernel keeps it for ever; 5.10 lets no module free it whole. */
static void forget_filter(void)
{
	static const char gone[] = "!" RIVAL_SITE;

	ftrace_set_filter(&ops, (unsigned char *)gone, strlen(gone), 0);
}

static int __init rival_init(void)
{
	int err;

	if (modify)
		ops.flags |= FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY;
	err = ftrace_set_filter(&ops, RIVAL_SITE, strlen(RIVAL_SITE), 1);
	if (!err)
		err = register_ftrace_function(&ops);
	if (err)
		forget_filter();
	return err;
}

static void __exit rival_exit(void)
{
	unregister_ftrace_function(&ops);
	forget_filter();
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
