/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_JUDGE_H
#define SPLXMOD_JUDGE_H

#include "splxmod.h"

/*
 * Does this open need a question? Called with a file that is being opened
 * (f_path, f_inode, f_flags and f_cred are set), in its opener's context, with
 * or without preemption; takes no lock that sleeps. Counts what ends here.
 */
bool splxmod_judge_fast(struct file *file);
/*
 * Asks and waits, killably, freezably, for the verdict timeout at most. 0,
 * -EPERM; and what waiting for the holder of a lease ended with (-EWOULDBLOCK,
 * -ERESTARTSYS), which the open itself then ends with. The caller has made
 * sure that the hook stays until it returns.
 */
int splxmod_judge_slow(struct file *file);
/*
 * A file is being closed: when it could be written, voids what is known of it
 * and has it examined (class SPLXMOD_CLOSE). To be called for each such file
 * while anything is armed, whatever the classes are, before its i_writecount
 * drops. Atomic. The file is in its last fput(); f_path still holds.
 */
void splxmod_judge_close(struct file *file);

#endif
