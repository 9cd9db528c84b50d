// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * The first bytes of a function that can be hooked.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "splxmod.h"
#include "hook_ftrace.h"
#include "site.h"
#include "symbols.h"

#define PATCH_SIZE 5 /* bytes of a near call, and of ftrace's NOP */
#define OP_CALL 0xe8
#define OP_JUMP 0xe9
#define OP_JUMP_SHORT 0xeb
#define OP_JUMP_FAR 0xff
#define OP_BREAK 0xcc

int splxmod_site_find(struct splxmod_site *site, const char *name)
{
	unsigned long location = splxmod_symbol("ftrace_location");

	site->name = name;
	site->fentry = 0;
	site->entry = splxmod_symbol(name);
	if (!site->entry)
		return -ENOENT;
	/* Behind an ENDBR it is not the function's own address. */
	if (location)
		site->fentry = splxmod_icall(location, site->entry, 0, 0, 0);
	return site->fentry ? 0 : -EOPNOTSUPP;
}

static void read_code(unsigned long address, u8 bytes[PATCH_SIZE])
{
	int tries;

	/* While code is being changed an INT3 stands there for a moment; that
	 * is not a state to judge. */
	for (tries = 0; tries < 50; tries++) {
		if (copy_from_kernel_nofault(bytes, (void *)address,
					     PATCH_SIZE))
			memset(bytes, 0, PATCH_SIZE);
		if (bytes[0] != OP_BREAK)
			return;
		msleep(2);
	}
}

/* Where the changed bytes are: at ftrace's place, unless somebody has put a
 * jump over the ENDBR before it. */
static unsigned long read_site(const struct splxmod_site *site,
			       u8 bytes[PATCH_SIZE])
{
	if (site->entry != site->fentry) {
		read_code(site->entry, bytes);
		if (bytes[0] == OP_CALL || bytes[0] == OP_JUMP ||
		    bytes[0] == OP_JUMP_SHORT || bytes[0] == OP_JUMP_FAR)
			return site->entry;
	}
	read_code(site->fentry, bytes);
	return site->fentry;
}

/* The NOPs of 5.10, and since 5.11. */
static bool is_nop(const u8 *bytes)
{
	static const u8 old[PATCH_SIZE] = {0x66, 0x66, 0x66, 0x66, 0x90};
	static const u8 now[PATCH_SIZE] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

	return !memcmp(bytes, old, PATCH_SIZE) ||
	       !memcmp(bytes, now, PATCH_SIZE);
}

/* Code that ftrace has made for one of those who are registered. */
static bool is_trampoline(unsigned long address)
{
#ifdef SPLXMOD_FTRACE
	struct ftrace_ops __rcu **list =
		(struct ftrace_ops __rcu **)splxmod_symbol("ftrace_ops_list");
	const struct ftrace_ops *end =
		(struct ftrace_ops *)splxmod_symbol("ftrace_list_end");
	const struct ftrace_ops *ops;
	bool is = false;

	if (!list || !end)
		return false;
	preempt_disable();
	for (ops = rcu_dereference_raw(*list); ops && ops != end && !is;
	     ops = rcu_dereference_raw(ops->next))
		is = address - ops->trampoline < ops->trampoline_size;
	preempt_enable();
	return is;
#else
	return false;
#endif
}

/* Code of a module has "[its name]" behind its symbol; so have BPF's. What
 * ftrace makes has none (or that of a module's start that once lay there), and
 * neither has memory that nobody knows. */
static bool is_foreign(unsigned long target, const char *symbol)
{
	const char *owner = strrchr(symbol, '[');

	if (is_trampoline(target))
		return false;
	if (!owner)
		return !strncmp(symbol, "0x", 2);
	return strcmp(owner, "[bpf]") && strncmp(owner, "[__builtin__", 12);
}

enum splxmod_site_state splxmod_site_look(const struct splxmod_site *site,
					  unsigned long *target_r, char *text_r)
{
	char symbol[KSYM_SYMBOL_LEN];
	u8 bytes[PATCH_SIZE];
	unsigned long at;
	s32 distance;

	*target_r = 0;
	text_r[0] = '\0';
	at = read_site(site, bytes);
	if (is_nop(bytes))
		return SPLXMOD_SITE_IDLE;
	if (bytes[0] != OP_CALL && bytes[0] != OP_JUMP) {
		snprintf(text_r, SPLXMOD_SITE_TEXT, "%*ph", PATCH_SIZE, bytes);
		return SPLXMOD_SITE_UNKNOWN;
	}
	memcpy(&distance, bytes + 1, sizeof(distance));
	*target_r = at + PATCH_SIZE + (long)distance;
	sprint_symbol_no_offset(symbol, *target_r);
	strscpy(text_r, symbol, SPLXMOD_SITE_TEXT);
	return is_foreign(*target_r, symbol) ? SPLXMOD_SITE_FOREIGN
					     : SPLXMOD_SITE_KERNEL;
}
