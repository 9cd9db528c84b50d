/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NEAREST_H
#define SPLX_COMMON_NEAREST_H

/* "Did you mean": how far apart two words are, whatever their case. */

/*
 * The least number of letters put in, left out, changed or swapped with their
 * neighbour that makes b of a. Words are compared by their first 63 bytes.
 */
int nearest_distance(const char *a, const char *b);
/* True when a slip of the finger may have made `typed` of `meant`. */
int nearest_plausible(const char *typed, const char *meant, int distance);

#endif
