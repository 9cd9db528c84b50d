/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "packet.h"

#include <netinet/in.h>
#include <string.h>

#define IP4_MIN 20
#define IP6_SIZE 40
#define TCP_MIN 14 /* up to and with its flags */
#define TCP_FLAGS 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10
/* Headers between IPv6's and TCP's; more is no connection of anybody's. */
#define IP6_CHAIN 8

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

struct ends {
	const uint8_t *source, *target;
	size_t tcp; /* where TCP's header begins; 0: none */
};

static bool read4(const uint8_t *data, size_t len, struct ends *e)
{
	size_t header;

	if (len < IP4_MIN)
		return false;
	header = (data[0] & 15u) * 4u;
	if (header < IP4_MIN || data[9] != IPPROTO_TCP)
		return false;
	if (get16(data + 6) & 0x1fff) /* not the first fragment */
		return false;
	e->source = data + 12;
	e->target = data + 16;
	e->tcp = header;
	return true;
}

/* How long the header at p is; 0: none that TCP may follow. */
static size_t chained(uint8_t type, const uint8_t *p)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (p[1] + 1u) * 8u;
	case IPPROTO_FRAGMENT:
		return get16(p + 2) & 0xfff8 ? 0 : 8;
	case IPPROTO_AH:
		return (p[1] + 2u) * 4u;
	default:
		return 0;
	}
}

static bool read6(const uint8_t *data, size_t len, struct ends *e)
{
	size_t at = IP6_SIZE, step;
	uint8_t type;
	int i;

	if (len < IP6_SIZE)
		return false;
	e->source = data + 8;
	e->target = data + 24;
	type = data[6];
	for (i = 0; i < IP6_CHAIN && type != IPPROTO_TCP; i++) {
		if (len < at + 8)
			return false;
		step = chained(type, data + at);
		if (!step)
			return false;
		type = data[at];
		at += step;
	}
	e->tcp = at;
	return type == IPPROTO_TCP;
}

static void put_address(uint8_t out[NET_ADDR_SIZE], const uint8_t *address,
			bool v6)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (v6) {
		memcpy(out, address, NET_ADDR_SIZE);
	} else {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + sizeof(mapped), address, 4);
	}
}

bool packet_read(const uint8_t *data, size_t len, bool in, struct conn *conn_r)
{
	const uint8_t *tcp;
	struct ends e;
	bool v6;

	if (!len)
		return false;
	v6 = data[0] >> 4 == 6;
	if (!v6 && data[0] >> 4 != 4)
		return false;
	if (v6 ? !read6(data, len, &e) : !read4(data, len, &e))
		return false;
	if (len < e.tcp + TCP_MIN)
		return false;
	tcp = data + e.tcp;
	if ((tcp[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	conn_r->in = in;
	conn_r->v6 = v6;
	put_address(in ? conn_r->remote : conn_r->local, e.source, v6);
	put_address(in ? conn_r->local : conn_r->remote, e.target, v6);
	conn_r->remote_port = get16(in ? tcp : tcp + 2);
	conn_r->local_port = get16(in ? tcp + 2 : tcp);
	return true;
}
