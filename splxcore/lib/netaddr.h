/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_NETADDR_H
#define SPLX_LIB_NETADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* An address or network of IPv4 or IPv6. An IPv4 address in IPv6's form
 * (::ffff:192.0.2.7) is the IPv4 address. */
struct netaddr {
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
	int bits; /* how many of them are the network's */
};

/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32"; -1 and *err (NULL: none). */
int netaddr_parse(const char *text, struct netaddr *out, struct err *err);
/* Is an address (its own bits do not matter) in the network? */
bool netaddr_contains(const struct netaddr *net, const struct netaddr *addr);

#endif
