// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* A live patch of the site. What stands in for it lets the listeners of
 * fsnotify be asked, where that is the function's part. */
#include <linux/fsnotify.h>
#include <linux/livepatch.h>

#include "rival.h"

static int rival_file_open(struct file *file)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	return fsnotify_perm(file, MAY_OPEN);
#else
	return 0;
#endif
}

static struct klp_func funcs[] = {
	{.old_name = RIVAL_SITE, .new_func = rival_file_open}, {}};
static struct klp_object objects[] = {{.funcs = funcs}, {}};
static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init rival_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit rival_exit(void)
{
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
