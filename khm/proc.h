/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_PROC_H
#define SPLXMOD_PROC_H

/* /proc/splx/status, queue and rivals. */
int splxmod_proc_init(void);
void splxmod_proc_exit(void);

#endif
