/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>

#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

void pattern_show_render(json_t *data)
{
	static const struct output_column pairs[] = {
		{"generation", "Generation", OUTPUT_NUMBER},
		{"engine", "Engine", OUTPUT_TEXT},
		{"signatures", "Signatures", OUTPUT_COUNT},
		{"pattern_time", "Newest of", OUTPUT_TIME},
		{"pattern_id", "Content", OUTPUT_TEXT},
		{"builtin_only", "Test set only", OUTPUT_TEXT},
	};
	static const struct output_column files[] = {
		{"file", "FILE", OUTPUT_TEXT},
		{"kind", "KIND", OUTPUT_WORD},
		{"version", "VERSION", OUTPUT_TEXT},
		{"signatures", "SIGNATURES", OUTPUT_COUNT},
		{"time", "TIME", OUTPUT_TIME},
	};

	static const struct output_column known[] = {
		{"total", "Known before", OUTPUT_COUNT},
		{"left", "… not looked at yet", OUTPUT_COUNT},
		{"clean", "… clean", OUTPUT_COUNT},
		{"found", "… infected", OUTPUT_COUNT},
	};
	json_t *refresh = json_object_get(data, "refresh");

	output_pairs(stdout, data, pairs, N(pairs), false);
	if (json_is_object(refresh))
		output_pairs(stdout, refresh, known, N(known), false);
	if (json_array_size(json_object_get(data, "patterns")) > 0)
		puts("");
	output_rows(stdout, json_object_get(data, "patterns"), files, N(files),
		    NULL);
}

void pattern_reload_render(json_t *data)
{
	struct str b = {0};

	output_value(&b, json_object_get(data, "note"), OUTPUT_TEXT);
	if (json_is_false(json_object_get(data, "applied"))) {
		ctl_complain("the old patterns serve on: %s", str_get(&b));
	} else {
		printf(T("generation %lld serves\n"),
		       (long long)json_integer_value(
			       json_object_get(data, "generation")));
		if (b.len)
			puts(str_get(&b));
	}
	str_free(&b);
}
