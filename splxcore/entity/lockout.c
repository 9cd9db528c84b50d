/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "lockout.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "secret.h"

#define PLACES 8192

struct place {
	uint64_t until_ns;
	uint64_t last_ns;
	uint32_t wrong;
};

struct lockout {
	struct secret_key key;
	struct place accounts[PLACES];
	struct place addresses[PLACES];
};

struct lockout *lockout_new(void)
{
	struct lockout *l = xcalloc(1, sizeof(*l));

	secret_key_new(&l->key);
	return l;
}

void lockout_free(struct lockout **l)
{
	xfree(l);
}

static struct place *account_place(struct lockout *l, const char *account)
{
	char name[128];

	snprintf(name, sizeof(name), "a%s", account);
	return &l->accounts[secret_number(&l->key, name) % PLACES];
}

/* An IPv4 address in IPv6's clothes is one of IPv4; of IPv6 its /64. */
static void network_of(const char *address, char out[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct in6_addr a;

	str_copy(out, INET6_ADDRSTRLEN, address);
	if (inet_pton(AF_INET6, address, &a) != 1)
		return;
	if (memcmp(&a, mapped, sizeof(mapped)) == 0) {
		inet_ntop(AF_INET, a.s6_addr + 12, out, INET6_ADDRSTRLEN);
		return;
	}
	memset(a.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN);
}

static struct place *address_place(struct lockout *l, const char *address)
{
	char network[INET6_ADDRSTRLEN], name[INET6_ADDRSTRLEN + 1];

	network_of(address, network);
	snprintf(name, sizeof(name), "n%s", network);
	return &l->addresses[secret_number(&l->key, name) % PLACES];
}

static uint64_t left_ns(struct place *p, uint64_t now_ns)
{
	if (p->wrong && now_ns - p->last_ns > LOCKOUT_FORGET_S * CLOCK_NS_PER_S)
		memset(p, 0, sizeof(*p));
	return p->until_ns > now_ns ? p->until_ns - now_ns : 0;
}

static void count(struct place *p, uint32_t free_ones, uint64_t now_ns)
{
	uint64_t wait_s = LOCKOUT_FIRST_S;
	uint32_t over;

	if (p->wrong < UINT32_MAX)
		p->wrong++;
	p->last_ns = now_ns;
	if (p->wrong <= free_ones)
		return;
	for (over = p->wrong - free_ones; over > 1 && wait_s < LOCKOUT_MAX_S;
	     over--)
		wait_s *= 2;
	if (wait_s > LOCKOUT_MAX_S)
		wait_s = LOCKOUT_MAX_S;
	p->until_ns = now_ns + wait_s * CLOCK_NS_PER_S;
}

static void take_back(struct place *p)
{
	if (p->wrong)
		p->wrong--;
	p->until_ns = 0;
}

int lockout_begin(struct lockout *l, const char *account, const char *address,
		  bool place_known, uint64_t now_ns)
{
	struct place *a = account_place(l, account);
	struct place *n = address_place(l, address);
	uint64_t left = left_ns(n, now_ns), left_a = left_ns(a, now_ns);

	if (!place_known && left_a > left)
		left = left_a;
	if (left)
		return (int)((left + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
	count(n, LOCKOUT_FREE_ADDRESS, now_ns);
	if (!place_known)
		count(a, LOCKOUT_FREE_ACCOUNT, now_ns);
	return 0;
}

void lockout_right(struct lockout *l, const char *account, const char *address)
{
	memset(account_place(l, account), 0, sizeof(struct place));
	take_back(address_place(l, address));
}

void lockout_undo(struct lockout *l, const char *account, const char *address,
		  bool place_known)
{
	take_back(address_place(l, address));
	if (!place_known)
		take_back(account_place(l, account));
}
