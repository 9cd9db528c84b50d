// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Puts itself into the system call table. */
#include <asm/unistd.h>

#include "rival.h"

static unsigned long *entry, before;

static asmlinkage long rival_openat(const struct pt_regs *regs)
{
	return ((long (*)(const struct pt_regs *))before)(regs);
}

/* The table is read-only: for one write the processor does not mind. */
static void put(unsigned long value)
{
	unsigned long cr0, flags;

	local_irq_save(flags);
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" : : "r"(cr0 & ~(1UL << 16)) : "memory");
	*(volatile unsigned long *)entry = value;
	asm volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
	local_irq_restore(flags);
}

static int __init rival_init(void)
{
	entry = (unsigned long *)rival_lookup("sys_call_table");
	if (!entry)
		return -ENOENT;
	entry += __NR_openat;
	before = *entry;
	put((unsigned long)rival_openat);
	return 0;
}

static void __exit rival_exit(void)
{
	put(before);
	synchronize_rcu();
}

module_init(rival_init);
module_exit(rival_exit);
MODULE_DESCRIPTION("Hooks where splxmod does: for tests");
MODULE_LICENSE("GPL");
