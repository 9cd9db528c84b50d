/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_SELFTEST_H
#define SPLXMOD_SELFTEST_H

/*
 * Tries the cache, the rules and the exempt against plain models with random
 * operations, before anybody can reach them; leaves them empty. -EINVAL, and
 * in the kernel log what was wrong.
 */
int splxmod_selftest(void);

#endif
