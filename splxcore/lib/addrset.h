/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_ADDRSET_H
#define SPLX_LIB_ADDRSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netaddr.h"

/*
 * A set of networks of both families, made for hundreds of thousands: what
 * overlaps or touches is one range, 8 bytes for IPv4 and 32 for IPv6, found by
 * bisection. It is built once (addrset_add(), then addrset_seal()) and only
 * read after that, by any number of processes that inherited it.
 */
struct addrset;

struct addrset *addrset_new(void);
void addrset_free(struct addrset **set);
/* Adds an address or network; its bits beyond the network's do not count. */
void addrset_add(struct addrset *set, const struct netaddr *net);
/* Makes it ready to be asked; nothing is added after that. */
void addrset_seal(struct addrset *set);
/* Whether an address is in it: 16 bytes, an IPv4 address as ::ffff:a.b.c.d.
 * The set must be sealed. */
bool addrset_has(const struct addrset *set, const uint8_t address[16]);
/* How many networks were added, and the bytes that it takes. */
size_t addrset_count(const struct addrset *set);
size_t addrset_bytes(const struct addrset *set);

/* The 16 bytes of an address, and back (bits: all). */
void netaddr_to16(const struct netaddr *addr, uint8_t out[16]);
void netaddr_from16(const uint8_t in[16], struct netaddr *addr_r);

#endif
