/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_VEC_H
#define SPLX_LIB_VEC_H

#include <stddef.h>
#include <stdlib.h>

#include "alloc.h"

/*
 * A typed growing array: `struct { VEC(int); } v = {0};`
 * The items are owned by whoever owns the vector; vec_free() frees the array
 * alone, not what its items point at.
 */
#define VEC(type)                                                              \
	type *items;                                                           \
	size_t len;                                                            \
	size_t cap

#define vec_push(v, item)                                                      \
	do {                                                                   \
		if ((v)->len == (v)->cap) {                                    \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 8;                \
			(v)->items = xreallocarray((v)->items, (v)->cap,       \
						   sizeof(*(v)->items));       \
		}                                                              \
		(v)->items[(v)->len++] = (item);                               \
	} while (0)

/* Removes item i; the order of the others stays. */
#define vec_remove(v, i)                                                       \
	do {                                                                   \
		size_t vec_i_ = (i);                                           \
		for (; vec_i_ + 1 < (v)->len; vec_i_++)                        \
			(v)->items[vec_i_] = (v)->items[vec_i_ + 1];           \
		(v)->len--;                                                    \
	} while (0)

#define vec_each(p, v)                                                         \
	for ((p) = (v)->items; (p) && (p) < (v)->items + (v)->len; (p)++)

#define vec_free(v)                                                            \
	do {                                                                   \
		xfree(&(v)->items);                                            \
		(v)->len = (v)->cap = 0;                                       \
	} while (0)

#endif
