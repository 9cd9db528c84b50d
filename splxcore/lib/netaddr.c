/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netaddr.h"

#include <arpa/inet.h>
#include <string.h>

#include "str.h"

#define TEXT_MAX 64
#define MAPPED_BITS 96

static void unmap(struct netaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family != AF_INET6 || a->bits < MAPPED_BITS ||
	    memcmp(a->bytes, mapped, sizeof(mapped)) != 0)
		return;
	a->family = AF_INET;
	a->bits -= MAPPED_BITS;
	memmove(a->bytes, a->bytes + 12, 4);
	memset(a->bytes + 4, 0, 12);
}

int netaddr_parse(const char *text, struct netaddr *out, struct err *err)
{
	char word[TEXT_MAX], *slash;
	int64_t bits;

	memset(out, 0, sizeof(*out));
	if (!str_copy(word, sizeof(word), text))
		return err_set(err, 0, "%.64s…: no address", text);
	slash = strchr(word, '/');
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, word, out->bytes) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, word, out->bytes) == 1)
		out->family = AF_INET6;
	else
		return err_set(err, 0, "%s: no address", text);
	out->bits = out->family == AF_INET ? 32 : 128;
	if (slash) {
		if (str_to_i64(slash + 1, 0, out->bits, &bits, NULL) < 0)
			return err_set(err, 0, "%s: 0 to %d bits are a network",
				       text, out->bits);
		out->bits = (int)bits;
	}
	unmap(out);
	return 0;
}

bool netaddr_contains(const struct netaddr *net, const struct netaddr *addr)
{
	int whole = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return net->family == addr->family &&
	       memcmp(net->bytes, addr->bytes, (size_t)whole) == 0 &&
	       (!rest ||
		((net->bytes[whole] ^ addr->bytes[whole]) & mask) == 0);
}
