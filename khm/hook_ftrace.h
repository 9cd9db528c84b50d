/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_HOOK_FTRACE_H
#define SPLXMOD_HOOK_FTRACE_H

/* With PREEMPT_RT locks sleep that the callbacks take, and beside another
 * tracer these run with preemption off. NO_FTRACE: to try how it is built
 * elsewhere. */
#if defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS) &&      \
	defined(CONFIG_KPROBES) && !defined(CONFIG_PREEMPT_RT) &&              \
	!defined(SPLXMOD_NO_FTRACE)
#define SPLXMOD_FTRACE 1
#endif

#ifndef __ASSEMBLER__
#include "site.h"

/* The functions it hooks, for rivals.c. */
#define SPLXMOD_FTRACE_SITES 2
#define SPLXMOD_FTRACE_OPEN 1 /* the one that opens go through */
/* Finds them: 0, -ENOENT, -EOPNOTSUPP. */
int splxmod_ftrace_find(void);
/* NULL when it was not found; registered: our hook is there. */
const struct splxmod_site *splxmod_ftrace_site(unsigned int i,
					       bool *registered_r);

/* For thunk.S: where an open that is allowed goes on. */
extern unsigned long splxmod_ftrace_resume;

#endif /* __ASSEMBLER__ */
#endif
