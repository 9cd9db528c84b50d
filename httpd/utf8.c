/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "utf8.h"

static int tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Without overlong forms, surrogates, or what is beyond U+10FFFF (RFC 3629). */
size_t utf8_length(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;

	if (len < 1)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (len < 2 || !tail(u[1]) || u[0] < 0xc2)
		return 0;
	if (u[0] < 0xe0)
		return 2;
	if (len < 3 || !tail(u[2]))
		return 0;
	if (u[0] < 0xf0)
		return (u[0] == 0xe0 && u[1] < 0xa0) ||
				       (u[0] == 0xed && u[1] > 0x9f)
			       ? 0
			       : 3;
	if (len < 4 || !tail(u[3]) || u[0] > 0xf4)
		return 0;
	return (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f)
		       ? 0
		       : 4;
}

uint32_t utf8_char(const char *s, size_t length)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c = length == 1   ? u[0]
		     : length == 2 ? u[0] & 0x1f
		     : length == 3 ? u[0] & 0x0f
				   : u[0] & 0x07;
	size_t i;

	for (i = 1; i < length; i++)
		c = c << 6 | (u[i] & 0x3f);
	return c;
}
