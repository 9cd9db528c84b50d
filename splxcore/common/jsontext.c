/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "jsontext.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/log.h"

json_t *jsontext_new(const char *text)
{
	json_t *string = json_string(text);
	char *escaped;
	size_t size;

	if (string)
		return string;
	size = 4 * strlen(text) + 1;
	escaped = xmalloc(size);
	string = json_string(log_escape(escaped, size, text));
	free(escaped);
	return string;
}
