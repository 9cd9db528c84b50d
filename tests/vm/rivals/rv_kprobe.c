// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* A kprobe at the site, post=1: with a post_handler, ret=1: a kretprobe. */
#include "rival.h"

static bool post, ret;
module_param(post, bool, 0444);
module_param(ret, bool, 0444);
static unsigned long seen;
module_param(seen, ulong, 0444);

static int rival_pre(struct kprobe *p, struct pt_regs *regs)
{
	seen++;
	return 0;
}

static void rival_post(struct kprobe *p, struct pt_regs *regs,
		       unsigned long flags)
{
}

static int rival_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	seen++;
	return 0;
}

static struct kprobe probe = {
	.symbol_name = RIVAL_SITE,
	.pre_handler = rival_pre,
};
static struct kretprobe ret_probe = {
	.kp.symbol_name = RIVAL_SITE,
	.handler = rival_return,
	.maxactive = 64,
};

static int __init rival_init(void)
{
	if (ret)
		return register_kretprobe(&ret_probe);
	if (post)
		probe.post_handler = rival_post;
	return register_kprobe(&probe);
}

static void __exit rival_exit(void)
{
	if (ret)
		unregister_kretprobe(&ret_probe);
	else
		unregister_kprobe(&probe);
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
