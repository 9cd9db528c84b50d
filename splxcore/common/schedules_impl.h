/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCHEDULES_IMPL_H
#define SPLX_COMMON_SCHEDULES_IMPL_H

#include "schedules.h"

/* What schedules.c, which reads the file, offers schedules_edit.c. */

/* What stands in an entry of the file. */
const struct entryfile_kind *schedules_kind(void);

#endif
