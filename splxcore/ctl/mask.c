/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "mask.h"

#include <ctype.h>
#include <string.h>

#include "common/address.h"
#include "lib/str.h"

bool mask_is_secret(const char *key)
{
	static const char *const words[] = {
		"password",   "passwd",	   "passphrase", "secret",     "token",
		"credential", "community", "apikey",	 "privatekey", "cookie",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasestr(key, words[i]))
			return true;
	}
	return false;
}

/* The key with which a line begins ("Key = …"); false when with none. */
static bool line_key(const char *line, size_t len, char *key, size_t size)
{
	size_t i = 0, n = 0;

	while (i < len && (isblank((unsigned char)line[i]) || line[i] == '#'))
		i++;
	while (i < len && isalnum((unsigned char)line[i]) && n + 1 < size)
		key[n++] = line[i++];
	key[n] = '\0';
	while (i < len && isblank((unsigned char)line[i]))
		i++;
	return n > 0 && i < len && (line[i] == '=' || line[i] == '+');
}

char *mask_conf(const char *text)
{
	struct str out = {0};
	bool secret = false;
	char key[64], *masked;
	size_t len;

	for (; *text; text += len) {
		len = strcspn(text, "\n");
		len += text[len] == '\n';
		if (line_key(text, len, key, sizeof(key))) {
			secret = mask_is_secret(key);
			if (secret)
				str_addf(&out, "%s = " MASK_TEXT "\n", key);
		}
		/* A value may go over several lines. */
		if (!secret)
			str_addn(&out, text, len);
	}
	masked = address_mask(str_get(&out));
	str_free(&out);
	return masked;
}

void mask_config_json(json_t *rows)
{
	const char *key;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		key = json_string_value(json_object_get(row, "key"));
		if (key && mask_is_secret(key))
			json_object_set_new(row, "value",
					    json_string(MASK_TEXT));
	}
}
