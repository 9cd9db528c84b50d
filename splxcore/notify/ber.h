/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NOTIFY_BER_H
#define SPLX_NOTIFY_BER_H

#include <stddef.h>
#include <stdint.h>

/*
 * ASN.1's basic encoding, as SNMP has it, written from the end to the
 * beginning: what has a length is whole before its head is put in front of it.
 */
#define BER_MAX 1400 /* of a datagram that goes through nearly everywhere */

struct ber {
	uint8_t buf[BER_MAX];
	size_t at; /* what is written begins here */
	int full;  /* it did not fit; the rest is of no use */
};

enum ber_tag {
	BER_INTEGER = 0x02,
	BER_OCTETS = 0x04,
	BER_OID = 0x06,
	BER_SEQUENCE = 0x30,
	BER_UNSIGNED = 0x42,
	BER_TICKS = 0x43,
	BER_TRAP = 0xa7,
};

void ber_begin(struct ber *b);
const uint8_t *ber_data(const struct ber *b, size_t *len_r);
/* A mark, to which ber_wrap() puts all that was written since below one
 * head. */
size_t ber_mark(const struct ber *b);
void ber_wrap(struct ber *b, int tag, size_t mark);
void ber_bytes(struct ber *b, int tag, const void *data, size_t len);
void ber_text(struct ber *b, const char *text);
/* Of BER_INTEGER with its sign, of the others without one. */
void ber_number(struct ber *b, int tag, int64_t n);
/* "1.3.6.1.4"; what is none makes it full. */
void ber_oid(struct ber *b, const char *oid);

#endif
