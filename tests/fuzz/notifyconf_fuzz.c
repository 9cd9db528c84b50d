/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * notify.conf: whatever stands in it, what is taken can do no harm in a mail's
 * headers or on a command line, what is told of it can be set again and is the
 * same then, no secret is in what is told; an edit keeps every other entry.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/notifyconf.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void set_again(const struct notify_channel *c)
{
	json_t *told = notify_json(c), *row, *back;
	char *text = xstrdup(""), *next;
	struct notify_conf *conf;
	const char *key, *value;
	size_t i;

	json_array_foreach (told, i, row) {
		key = json_string_value(json_object_get(row, "key"));
		value = json_string_value(json_object_get(row, "value"));
		if (notify_key_secret(key)) {
			check(!*value || strcmp(value, "set") == 0);
			/* v3 wants 8 characters. */
			value = *value ? "12345678" : "";
		}
		next = notify_conf_edit(text, c->name, key, value, false, NULL);
		check(next != NULL);
		free(text);
		text = next;
	}
	conf = notify_conf_parse(text, "again");
	/* What is no UTF-8 is shown in another way than it stands. */
	if (!strchr(text, '\\')) {
		check(notify_conf_find(conf, c->name) != NULL);
		back = notify_json(notify_conf_find(conf, c->name));
		check(json_equal(told, back));
		json_decref(back);
	}
	notify_conf_free(&conf);
	json_decref(told);
	free(text);
}

static void harmless(const struct notify_channel *c)
{
	char **to;

	check(scan_name_valid(c->name));
	check(c->server && *c->server && *c->server != '-');
	check(!strpbrk(c->server, " \r\n\t\"<>"));
	vec_each (to, &c->to)
		check(**to != '-' && strchr(*to, '@') &&
		      !strpbrk(*to, " \r\n\t\"<>,;:()"));
	if (c->from)
		check(!strpbrk(c->from, " \r\n\t\"<>,;:()"));
	if (c->password)
		check(strcmp(c->protocol, "plain") != 0 &&
		      strcmp(c->protocol, "http") != 0);
}

static void edit(const char *text, const struct notify_conf *conf)
{
	char *now = notify_conf_edit(text, "Fuzz", "Server", "h", false, NULL);
	const struct notify_channel *c;
	struct notify_conf *after;

	check(now != NULL);
	after = notify_conf_parse(now, "edited");
	vec_each (c, &conf->entries)
		check(!strcmp(c->name, "Fuzz") ||
		      notify_conf_find(after, c->name));
	notify_conf_free(&after);
	free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct notify_conf *conf = notify_conf_parse(text, "fuzz");
	const struct notify_channel *c;
	char *target;

	vec_each (c, &conf->entries) {
		harmless(c);
		set_again(c);
		target = notify_target(c);
		free(target);
	}
	edit(text, conf);
	notify_conf_free(&conf);
	free(text);
	return 0;
}
