/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Counts, does what stood at the site (put into the slot), and goes on behind
 * it. */
#include <linux/linkage.h>
#include <asm/unwind_hints.h>
#ifdef CONFIG_X86_KERNEL_IBT
#include <asm/ibt.h>
#endif
#ifndef ENDBR
#define ENDBR
#endif

SYM_FUNC_START(rival_thunk)
	ENDBR
	incq	rival_seen(%rip)
SYM_INNER_LABEL(rival_slot, SYM_L_GLOBAL)
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	pushq	rival_resume(%rip)
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(rival_thunk)
