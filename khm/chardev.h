/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_CHARDEV_H
#define SPLXMOD_CHARDEV_H

/* /dev/splxmod. From init on it can be opened; after exit no more. */
int splxmod_chardev_init(void);
/* Descriptors that are open stay so; splxmod_hook_leave() waits for them. */
void splxmod_chardev_exit(void);

#endif
