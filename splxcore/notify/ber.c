/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "ber.h"

#include <stdlib.h>
#include <string.h>

#define ARCS_MAX 32

void ber_begin(struct ber *b)
{
	b->at = sizeof(b->buf);
	b->full = 0;
}

const uint8_t *ber_data(const struct ber *b, size_t *len_r)
{
	*len_r = sizeof(b->buf) - b->at;
	return b->buf + b->at;
}

size_t ber_mark(const struct ber *b)
{
	return b->at;
}

static void put(struct ber *b, const void *data, size_t len)
{
	if (len > b->at)
		b->full = 1;
	if (b->full || len == 0)
		return;
	b->at -= len;
	memcpy(b->buf + b->at, data, len);
}

static void put_byte(struct ber *b, unsigned int byte)
{
	uint8_t c = (uint8_t)byte;

	put(b, &c, 1);
}

void ber_wrap(struct ber *b, int tag, size_t mark)
{
	size_t len = mark - b->at;

	put_byte(b, len & 0xff);
	if (len >= 0x100) {
		put_byte(b, (unsigned int)(len >> 8));
		put_byte(b, 0x82);
	} else if (len >= 0x80) {
		put_byte(b, 0x81);
	}
	put_byte(b, (unsigned int)tag);
}

void ber_bytes(struct ber *b, int tag, const void *data, size_t len)
{
	size_t mark = b->at;

	put(b, data, len);
	ber_wrap(b, tag, mark);
}

void ber_text(struct ber *b, const char *text)
{
	ber_bytes(b, BER_OCTETS, text, strlen(text));
}

void ber_number(struct ber *b, int tag, int64_t n)
{
	size_t mark = b->at;
	int more;

	/* As few bytes as keep the sign. */
	do {
		put_byte(b, (unsigned int)n & 0xff);
		more = n < -0x80 || n > 0x7f;
		n >>= 8;
	} while (more);
	ber_wrap(b, tag, mark);
}

static void put_arc(struct ber *b, uint32_t arc)
{
	put_byte(b, arc & 0x7f);
	while (arc >>= 7)
		put_byte(b, (arc & 0x7f) | 0x80);
}

void ber_oid(struct ber *b, const char *oid)
{
	uint32_t arcs[ARCS_MAX];
	size_t mark = b->at;
	int n = 0;
	char *end;

	for (; *oid && n < ARCS_MAX; n++) {
		arcs[n] = (uint32_t)strtoul(oid, &end, 10);
		if (end == oid || (*end && *end != '.'))
			b->full = 1;
		oid = *end ? end + 1 : end;
		if (b->full)
			return;
	}
	if (n < 2 || *oid) {
		b->full = 1;
		return;
	}
	for (int i = n - 1; i >= 2; i--)
		put_arc(b, arcs[i]);
	put_arc(b, arcs[0] * 40 + arcs[1]);
	ber_wrap(b, BER_OID, mark);
}
