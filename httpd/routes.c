/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "routes.h"

#include <string.h>

#include "lib/str.h"
#include "page.h"

static const struct route routes[] = {
#define ROUTE(method, path, access, body_max, handle)                          \
	{#method, path, ACCESS_##access, body_max, handle},
#include "routes.def"
#undef ROUTE
};

static bool is_at(const char *path, const char *asked)
{
	if (path[1] && str_ends(path, "/"))
		return str_starts(asked, path);
	return !strcmp(path, asked);
}

const struct route *routes_find(const char *method, const char *path)
{
	size_t i;

	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (!strcmp(routes[i].method, method) &&
		    is_at(routes[i].path, path))
			return &routes[i];
	return NULL;
}
