/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_LOCKOUT_H
#define SPLX_ENTITY_LOCKOUT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Who may try a password now. Wrong ones are counted by account name (known or
 * not, so that nobody learns which there are) and by address (IPv6: its /64).
 * Some are free; from then on each makes the wait longer: 2 s, 4 s, … 5 min,
 * and never more. What was tried while it was locked counts nothing, so
 * everybody gets in again by waiting; an hour without a wrong one forgets all.
 *
 * Both tables have a fixed size and are found into by a keyed hash. Nothing is
 * ever put out of them to make room: names by the thousand do not wash away
 * the count of one; two names in one place merely share it.
 */
struct lockout;

#define LOCKOUT_FREE_ACCOUNT 5
#define LOCKOUT_FREE_ADDRESS 15
#define LOCKOUT_FIRST_S 2
#define LOCKOUT_MAX_S 300
#define LOCKOUT_FORGET_S 3600

struct lockout *lockout_new(void);
void lockout_free(struct lockout **l);

/*
 * A try begins. 0: go on; it counts as a wrong one until lockout_right() or
 * lockout_undo(), so that many at once are not free. Else the seconds to wait.
 * `place_known`: from this address the account's owner came in last, who shall
 * not be locked out by others; then the address alone counts.
 * `now_ns` is clock_mono_ns().
 */
int lockout_begin(struct lockout *l, const char *account, const char *address,
		  bool place_known, uint64_t now_ns);
/* It was the right one: the account's count ends. */
void lockout_right(struct lockout *l, const char *account, const char *address);
/* It could not be tried at all. */
void lockout_undo(struct lockout *l, const char *account, const char *address,
		  bool place_known);

#endif
