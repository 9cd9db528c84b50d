/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * A list of networks: whatever stands in it, it is refused with a line that is
 * there, or each of its lines alone is taken too and what it names is in it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netlist.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static unsigned long lines_of(const char *data, size_t size)
{
	unsigned long n = 1;

	for (size_t i = 0; i < size; i++)
		n += data[i] == '\n';
	return n;
}

/* What a line names, as the first word of it. */
static void check_line(const char *line, size_t len, const struct addrset *set)
{
	char *copy = xstrndup(line, len), *word;
	struct netaddr net;
	uint8_t bytes[16];

	word = copy + strspn(copy, " \t\r");
	word[strcspn(word, " \t\r#;")] = '\0';
	if (*word) {
		check(netaddr_parse(word, &net, NULL) == 0);
		/* ::ffff:0:0/80 and the like are asked about as IPv4. */
		netaddr_to16(&net, bytes);
		if (net.family == AF_INET || net.bits >= 96)
			check(addrset_has(set, bytes));
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *p, *end = text + size;
	struct addrset *set = addrset_new();
	struct err err = {0};
	unsigned long line = 0;

	if (netlist_parse(text, size, "l", set, &err) < 0) {
		check(sscanf(err.text, "l:%lu: ", &line) == 1);
		check(line >= 1 && line <= lines_of(text, size));
		addrset_free(&set);
		return 0;
	}
	addrset_seal(set);
	for (p = text; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);

		check_line(p, len, set);
		p += len + 1;
	}
	addrset_free(&set);
	return 0;
}
