/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_POISON_H
#define SPLX_VSAPIAPP_POISON_H

#include <stdbool.h>

#include "common/scoreboard.h"

/* Files that ended workers: the second time they are not fed again until the
 * patterns change. The master writes, workers read. */
#define POISON_DEATHS 2

/* One more death. With a full table the first of the fewest gives way. */
void poison_add(struct scoreboard *sb, const struct file_key *key);
/* True when the file has ended POISON_DEATHS workers. */
bool poison_is(const struct scoreboard *sb, const struct file_key *key);
/* Forgets all of them. */
void poison_clear(struct scoreboard *sb);

#endif
