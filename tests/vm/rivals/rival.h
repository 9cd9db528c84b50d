/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef RIVAL_H
#define RIVAL_H

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/version.h>

/* Where the rivals hook. */
#define RIVAL_SITE "security_file_open"

/* The address of what the kernel has, by its kprobes; 0: none. Functions begin
 * behind their ENDBR, where it is also safe to call them on any machine. */
static inline unsigned long rival_symbol(const char *name)
{
	struct kprobe probe = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long address;

	if (register_kprobe(&probe))
		return 0;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return address;
}

/* Of data too. */
static inline unsigned long rival_lookup(const char *name)
{
	unsigned long (*lookup)(const char *) =
		(void *)rival_symbol("kallsyms_lookup_name");

	return lookup ? lookup(name) : 0;
}

#endif
