/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The settings file. Whatever it says: it is read or refused with a message,
 * what was read survives being written, and an edit of the text says what it
 * should.
 */
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

/* `text` as a file says exactly what `want` holds. */
static void says(char *text, const struct conf *want)
{
	struct err err = {0};
	struct conf *conf = conf_parse(text, "again", &err);

	check(conf && conf_equal(conf, want));
	conf_free(&conf);
	free(text);
}

/* The text as the value of each kind of option, and as an item of a list. */
static void try_values(const char *text)
{
	const char *const keys[] = {
		"LogSyslog",   "Workers",  "MaxFileSize", "VerdictTimeout",
		"Interceptor", "ScanUser", "Include",	  text,
	};
	struct conf *conf = conf_new();
	struct err err = {0};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (conf_set(conf, keys[i], text, &err) < 0)
			check(*err.text);
	conf_list_add(conf, "ExcludeFile", text, &err);
	conf_list_add(conf, "ExcludeFile", "/x", &err);
	conf_list_remove(conf, "ExcludeFile", "/x", &err);
	says(conf_dump(conf), conf);
	conf_free(&conf);
}

static void try_edit(const char *text, const struct conf *now)
{
	struct err err = {0};
	char *edited = conf_edit(text, now, &err);

	if (edited)
		says(edited, now);
	else
		check(*err.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct conf *defaults = conf_new();
	struct err err = {0};
	struct conf *conf = conf_parse(text, "fuzz", &err);

	if (conf) {
		says(conf_dump(conf), conf);
		try_edit(text, conf);
		conf_free(&conf);
	} else {
		check(strncmp(err.text, "fuzz:", 5) == 0);
	}
	try_edit(text, defaults);
	try_values(text);
	conf_free(&defaults);
	free(text);
	return 0;
}
