/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PATTERNLAID_H
#define SPLX_COMMON_PATTERNLAID_H

#include <stdbool.h>

#include "lib/vec.h"

/*
 * Files with the names of pattern files that lie straight in
 * paths()->pattern_dir, where only sets of patterns belong (patternset.h).
 * Somebody laid them there by hand, so nobody tried them and they are not
 * loaded: they are told, until an update from that directory takes them, or
 * they are removed.
 */
struct patternlaid {
	VEC(char *);
};

/* Their names, sorted; none when the directory cannot be read. */
void patternlaid_list(struct patternlaid *laid_r);
void patternlaid_free(struct patternlaid *laid);
/* Whether a directory is paths()->pattern_dir, by whatever name. */
bool patternlaid_is_place(const char *dir);

#endif
