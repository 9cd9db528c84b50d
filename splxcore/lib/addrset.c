/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "addrset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "vec.h"

/* From so many on, the upper half of an IPv4 address is an index. */
#define INDEX_FROM 1024
#define INDEX_SIZE 65536

struct range4 {
	uint32_t first, last;
};
struct range6 {
	unsigned __int128 first, last;
};
struct addrset {
	struct {
		VEC(struct range4);
	} v4;
	struct {
		VEC(struct range6);
	} v6;
	uint32_t *index; /* of v4: how many begin below i << 16; or NULL */
	size_t count;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void netaddr_to16(const struct netaddr *addr, uint8_t out[16])
{
	if (addr->family == AF_INET) {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + 12, addr->bytes, 4);
	} else {
		memcpy(out, addr->bytes, 16);
	}
}

void netaddr_from16(const uint8_t in[16], struct netaddr *addr_r)
{
	bool is4 = memcmp(in, mapped, sizeof(mapped)) == 0;

	memset(addr_r, 0, sizeof(*addr_r));
	addr_r->family = is4 ? AF_INET : AF_INET6;
	addr_r->bits = is4 ? 32 : 128;
	memcpy(addr_r->bytes, is4 ? in + 12 : in, is4 ? 4 : 16);
}

struct addrset *addrset_new(void)
{
	return xcalloc(1, sizeof(struct addrset));
}

void addrset_free(struct addrset **set)
{
	if (!*set)
		return;
	vec_free(&(*set)->v4);
	vec_free(&(*set)->v6);
	xfree(&(*set)->index);
	xfree(set);
}

static uint32_t number4(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static unsigned __int128 number6(const uint8_t *p)
{
	unsigned __int128 n = 0;

	for (int i = 0; i < 16; i++)
		n = n << 8 | p[i];
	return n;
}

void addrset_add(struct addrset *set, const struct netaddr *net)
{
	set->count++;
	if (net->family == AF_INET) {
		/* All ones where the network's own bits are not. */
		uint32_t rest =
			net->bits ? (uint32_t)((1ull << (32 - net->bits)) - 1)
				  : UINT32_MAX;
		uint32_t at = number4(net->bytes) & ~rest;
		struct range4 r = {at, at | rest};

		vec_push(&set->v4, r);
	} else {
		unsigned __int128 rest =
			net->bits < 128 ? ~(unsigned __int128)0 >> net->bits
					: 0;
		unsigned __int128 at = number6(net->bytes) & ~rest;
		struct range6 r = {at, at | rest};

		vec_push(&set->v6, r);
	}
}

/* ---- sealing ---- */

static int compare4(const void *a, const void *b)
{
	const struct range4 *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int compare6(const void *a, const void *b)
{
	const struct range6 *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Sorted ranges; those that overlap or touch become one. How many are left. */
#define MERGE(items, len)                                                      \
	({                                                                     \
		size_t n_ = 0;                                                 \
		for (size_t i_ = 0; i_ < (len); i_++)                          \
			if (n_ &&                                              \
			    ((items)[i_].first <= (items)[n_ - 1].last ||      \
			     (items)[i_].first - 1 == (items)[n_ - 1].last)) { \
				if ((items)[i_].last > (items)[n_ - 1].last)   \
					(items)[n_ - 1].last =                 \
						(items)[i_].last;              \
			} else {                                               \
				(items)[n_++] = (items)[i_];                   \
			}                                                      \
		n_;                                                            \
	})

static void make_index(struct addrset *set)
{
	size_t at = 0;

	set->index = xcalloc(INDEX_SIZE + 1, sizeof(*set->index));
	for (size_t i = 0; i <= INDEX_SIZE; i++) {
		while (at < set->v4.len && set->v4.items[at].first >> 16 < i)
			at++;
		set->index[i] = (uint32_t)at;
	}
}

void addrset_seal(struct addrset *set)
{
	if (set->v4.len) {
		qsort(set->v4.items, set->v4.len, sizeof(*set->v4.items),
		      compare4);
		set->v4.len = MERGE(set->v4.items, set->v4.len);
		set->v4.cap = set->v4.len;
		set->v4.items = xreallocarray(set->v4.items, set->v4.len,
					      sizeof(*set->v4.items));
	}
	if (set->v6.len) {
		qsort(set->v6.items, set->v6.len, sizeof(*set->v6.items),
		      compare6);
		set->v6.len = MERGE(set->v6.items, set->v6.len);
		set->v6.cap = set->v6.len;
		set->v6.items = xreallocarray(set->v6.items, set->v6.len,
					      sizeof(*set->v6.items));
	}
	if (set->v4.len >= INDEX_FROM)
		make_index(set);
}

/* ---- asking ---- */

/* In sorted items from `lo` up to `hi`: the first one that begins above n. */
#define FIRST_ABOVE(items, lo, hi, n)                                          \
	({                                                                     \
		size_t lo_ = (lo), hi_ = (hi);                                 \
		while (lo_ < hi_) {                                            \
			size_t mid_ = lo_ + (hi_ - lo_) / 2;                   \
			if ((items)[mid_].first > (n))                         \
				hi_ = mid_;                                    \
			else                                                   \
				lo_ = mid_ + 1;                                \
		}                                                              \
		lo_;                                                           \
	})

static bool has4(const struct addrset *set, uint32_t n)
{
	size_t lo = 0, hi = set->v4.len;

	if (set->index) {
		lo = set->index[n >> 16];
		hi = set->index[(n >> 16) + 1];
	}
	lo = FIRST_ABOVE(set->v4.items, lo, hi, n);
	return lo > 0 && set->v4.items[lo - 1].last >= n;
}

bool addrset_has(const struct addrset *set, const uint8_t address[16])
{
	unsigned __int128 n;
	size_t at;

	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		return has4(set, number4(address + 12));
	n = number6(address);
	at = FIRST_ABOVE(set->v6.items, 0, set->v6.len, n);
	return at > 0 && set->v6.items[at - 1].last >= n;
}

size_t addrset_count(const struct addrset *set)
{
	return set->count;
}

size_t addrset_bytes(const struct addrset *set)
{
	return sizeof(*set) + set->v4.cap * sizeof(*set->v4.items) +
	       set->v6.cap * sizeof(*set->v6.items) +
	       (set->index ? (INDEX_SIZE + 1) * sizeof(*set->index) : 0);
}
