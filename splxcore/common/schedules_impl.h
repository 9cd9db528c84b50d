/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCHEDULES_IMPL_H
#define SPLX_COMMON_SCHEDULES_IMPL_H

#include "schedules.h"

/* What schedules.c, which reads the file, offers schedules_edit.c. */

/* The number of a key, or -1 and *err with what is allowed. */
int schedules_key(const char *word, struct err *err);
const char *schedules_key_name(int key);
/* True and its name when the line is the head of an entry; the line has no
 * blanks at its beginning. */
bool schedules_head(const char *line, char name[SCAN_NAME_MAX + 1]);
/* The words of a value; -1 and *err. They are the caller's in both cases. */
int schedules_words(const char *value, struct schedule_words *words,
		    struct err *err);

#endif
