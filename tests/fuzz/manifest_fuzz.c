/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Manifests of bundles and the lines of signatures. What is taken has only
 * names that are safe as files, and comes out the same when it is written and
 * read again; a signature that nobody made is never good.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/manifest.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void same(const struct manifest *a, const struct manifest *b)
{
	check(strcmp(a->name, b->name) == 0);
	check(a->version == b->version && a->created == b->created);
	check(a->valid_until == b->valid_until && a->len == b->len);
	for (size_t i = 0; i < a->len; i++) {
		const struct manifest_file *x = &a->items[i];

		check(strcmp(x->name, b->items[i].name) == 0);
		check(strcmp(x->sha256, b->items[i].sha256) == 0);
		check(x->size == b->items[i].size);
		check(manifest_is_name(x->name));
		check(!strchr(x->name, '/') && x->name[0] != '.');
	}
}

static void read_signature(const char *text, size_t len)
{
	static struct signing_keys none;
	char id[SIGNING_ID_LEN + 1], *lines = xstrndup(text, len);

	check(signing_check(&none, "x", 1, lines, id, NULL) == -1);
	free(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest m, again;
	struct err err = {0};
	char *text;

	if (manifest_parse((const char *)data, size, &m, &err) == 0) {
		text = manifest_text(&m);
		check(manifest_parse(text, strlen(text), &again, &err) == 0);
		same(&m, &again);
		manifest_free(&again);
		free(text);
	} else {
		check(err.text[0] && !m.items);
	}
	manifest_free(&m);
	read_signature((const char *)data, size);
	return 0;
}
