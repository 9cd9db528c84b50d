/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What browsers fetch beside the pages: packed in when the console is built. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/str.h"
#include "page.h"

#define ASSET(symbol, file)                                                    \
	__asm__(".section .rodata\n"                                           \
		".global asset_" #symbol "\n"                                  \
		"asset_" #symbol ":\n"                                         \
		".incbin \"httpd/console/" file "\"\n"                         \
		".global asset_" #symbol "_end\n"                              \
		"asset_" #symbol "_end:\n"                                     \
		".byte 0\n"                                                    \
		".previous\n");                                                \
	extern const char asset_##symbol[], asset_##symbol##_end[];

ASSET(css, "console.css")
ASSET(js, "console.js")
ASSET(icon, "icon.svg")

static struct {
	const char *name, *type, *begin, *end;
	char url[80];
} assets[] = {
	{"console.css", "text/css; charset=utf-8", asset_css, asset_css_end,
	 ""},
	{"console.js", "text/javascript; charset=utf-8", asset_js, asset_js_end,
	 ""},
	{"icon.svg", "image/svg+xml", asset_icon, asset_icon_end, ""},
};
#define ASSETS (sizeof(assets) / sizeof(*assets))

/* FNV-1a: another content is another address. */
static uint64_t hash(const char *p, const char *end)
{
	uint64_t h = 14695981039346656037ull;

	while (p < end)
		h = (h ^ (unsigned char)*p++) * 1099511628211ull;
	return h;
}

const char *asset_url(const char *name)
{
	size_t i;

	for (i = 0; i < ASSETS && strcmp(assets[i].name, name) != 0; i++)
		;
	if (i == ASSETS)
		return "";
	if (!assets[i].url[0])
		snprintf(assets[i].url, sizeof(assets[i].url),
			 "/static/%s?v=%016llx", name,
			 (unsigned long long)hash(assets[i].begin,
						  assets[i].end));
	return assets[i].url;
}

void page_asset(struct visit *v)
{
	const char *name = http_path(v->http) + strlen("/static/");
	struct str text = {0};
	size_t i;

	for (i = 0; i < ASSETS && strcmp(assets[i].name, name) != 0; i++)
		;
	if (i == ASSETS) {
		visit_failed(v, 404, NULL);
		return;
	}
	str_addn(&text, assets[i].begin,
		 (size_t)(assets[i].end - assets[i].begin));
	http_add_header(v->http, "Cache-Control",
			*visit_query(v, "v") ? "max-age=31536000, immutable"
					     : "no-cache");
	visit_text(v, 200, assets[i].type, str_get(&text));
	str_free(&text);
}
