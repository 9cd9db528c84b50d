/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_RULES_H
#define SPLXMOD_RULES_H

#include "splxmod.h"

/* What needs no question; the set is replaced as a whole (RCU). */
void splxmod_rules_exit(void);
/*
 * Makes of the descriptors that came with ONLY_BELOW rules what they name: the
 * device, and the path from its root. -EINVAL, -EBADF, -ENOTDIR, -ENOENT (it
 * was removed), -ENAMETOOLONG, -EXDEV (no path leads to it), and *bad_r the
 * index. May sleep.
 */
int splxmod_rules_locate(struct splxmod_rule *rules, u32 count, u32 *bad_r);
/* Checks all, then takes all: -EINVAL (and *bad_r the index), -ENOMEM. */
int splxmod_rules_set(const struct splxmod_rule *rules, u32 count, u32 *bad_r);
/* Atomic. By the file's own path and inode, and the current process. */
bool splxmod_rules_exclude(struct file *file);
unsigned int splxmod_rules_count(void);

#endif
