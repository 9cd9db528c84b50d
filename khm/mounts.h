/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_MOUNTS_H
#define SPLXMOD_MOUNTS_H

/*
 * Tells of mounts and unmounts in the mount namespace of process 1, and holds
 * whoever mounts until it is known: `changed` is called in that process, before
 * it returns from its system call, and may sleep (killably). One watcher at a
 * time. 0; -errno when /proc/1/mounts cannot be opened: then nothing is told.
 */
int splxmod_mounts_watch(void (*changed)(void));
/* Once it returns `changed` does not run any more. Does nothing when nothing is
 * watched. */
void splxmod_mounts_unwatch(void);

#endif
