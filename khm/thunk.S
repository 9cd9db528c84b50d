/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Two ways to go somewhere by a return. A function that the kernel has sealed
 * (its ENDBR overwritten) may not be reached by an indirect call or jump, but
 * by a return it may.
 */
#include <linux/linkage.h>
#include <asm/unwind_hints.h>

#include "hook_ftrace.h"
#ifdef CONFIG_X86_KERNEL_IBT
#include <asm/ibt.h>
#endif
#ifndef ENDBR
#define ENDBR
#endif
#ifndef RET
#define RET ret
#endif

/*
 * unsigned long splxmod_icall(fn, a, b, c, d): fn(a, b, c, d), with our
 * caller's return address below it.
 */
SYM_FUNC_START(splxmod_icall)
	ENDBR
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %rcx
	pushq	%rax
	/* From here on the stack is as where a function begins: at fn. */
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(splxmod_icall)

#ifdef SPLXMOD_FTRACE

/*
 * Where an open goes that needs a question, instead of into
 * security_file_open(file): all registers and the stack are as at its first
 * instruction. Asks; then either returns the error to its caller, or goes on
 * in it behind the call to ftrace.
 */
SYM_FUNC_START(splxmod_stub)
	ENDBR
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	call	splxmod_ftrace_slow
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	popq	%rbp
	testl	%eax, %eax
	jnz	.Lrefuse
	pushq	splxmod_ftrace_resume(%rip)
	UNWIND_HINT_FUNC
	RET
.Lrefuse:
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(splxmod_stub)

#endif
