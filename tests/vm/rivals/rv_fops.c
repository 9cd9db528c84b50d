// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Keeps a copy of the operations of our device, to wrap them. */
#include <linux/err.h>
#include <linux/fs.h>

#include "rival.h"

/* Not static: it is to be there although nobody reads it. */
extern struct file_operations wrapped;
struct file_operations wrapped;

static int __init rival_init(void)
{
	struct file *file = filp_open("/dev/splxmod", O_RDWR, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	wrapped = *file->f_op;
	filp_close(file, NULL);
	return 0;
}

static void __exit rival_exit(void)
{
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
