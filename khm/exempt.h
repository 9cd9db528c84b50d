/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_EXEMPT_H
#define SPLXMOD_EXEMPT_H

#include "splxmod.h"

/* Processes that are never asked about: by identity (struct pid of the thread
 * group, and that it has executed nothing since), never by name. */
int splxmod_exempt_init(void);
void splxmod_exempt_exit(void);
/* The thread group of this number in the current pid namespace, or with 0 the
 * current one; -ESRCH, -ENOMEM, -ENOSPC. Twice is once. May sleep. */
int splxmod_exempt_add(pid_t pid);
/* -ESRCH: it was not exempt. */
int splxmod_exempt_remove(pid_t pid);
/* Atomic, takes no lock. */
bool splxmod_exempt_current(void);

#endif
