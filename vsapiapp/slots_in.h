/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_SLOTS_IN_H
#define SPLX_VSAPIAPP_SLOTS_IN_H

#include <stdint.h>

#include "slots.h"

/*
 * What the files of the slots share; nobody else includes this.
 *   slots.c           the workers: forked, seen to, ended
 *   slots_number.c    how many
 *   slots_priority.c  whose turn it is on the CPU and at the disks
 */

/* It has a process. */
void slots_priority_begin(struct slots_worker *w);
/* It has shown life: its session is its own. */
void slots_priority_serving(struct slots_worker *w);
/* Each tick, with how long it has been scanning, 0: it does not. */
void slots_priority_tick(struct slots_worker *w, uint64_t scan_ms);

#endif
