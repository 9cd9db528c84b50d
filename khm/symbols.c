// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * What the kernel has but does not export.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/string.h>

#include "splxmod.h"
#include "symbols.h"

#if defined(CONFIG_X86_64) && defined(CONFIG_KPROBES)

static unsigned long lookup;

/*
 * A kprobe is asked for disabled: its address is resolved, but no byte of the
 * kernel changes. Where functions begin with ENDBR the address is the one
 * behind it (seen on 6.12 and 7.2: +4).
 */
int splxmod_symbols_init(void)
{
	static const char name[] = "kallsyms_lookup_name";
	struct kprobe probe = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	char text[KSYM_SYMBOL_LEN];
	unsigned long offset;

	if (register_kprobe(&probe) < 0)
		return 0;
	lookup = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	/* "name+0x4/0x110" */
	sprint_symbol(text, lookup);
	if (strncmp(text, name, sizeof(name) - 1) ||
	    sscanf(text + sizeof(name) - 1, "+0x%lx/", &offset) != 1)
		lookup = 0;
	else
		lookup -= offset;
	return 0;
}

unsigned long splxmod_symbol(const char *name)
{
	if (!lookup)
		return 0;
	return splxmod_icall(lookup, (unsigned long)name, 0, 0, 0);
}

#else /* nobody who could find them */

int splxmod_symbols_init(void)
{
	return 0;
}

unsigned long splxmod_symbol(const char *name)
{
	return 0;
}

#endif

#ifndef CONFIG_X86_64 /* the thunk is */
unsigned long splxmod_icall(unsigned long fn, unsigned long a, unsigned long b,
			    unsigned long c, unsigned long d)
{
	return 0;
}

#endif
