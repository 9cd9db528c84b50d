// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "khm_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "khm.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define PROC_MAX 65536

/* A file of the module's as text that the caller frees; NULL (errno). */
static char *read_proc(const char *path)
{
	struct err err;
	char *text;
	size_t len;

	if (!fd_read_file(path, PROC_MAX, &text, &len, &err))
		return text;
	errno = err.code;
	return NULL;
}

json_t *khm_lines_json(const char *text)
{
	json_t *o = json_object();
	char *copy = xstrdup(text), *save, *line, *value;
	int64_t n;

	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		if (!str_to_i64(value, INT64_MIN, INT64_MAX, &n, NULL))
			json_object_set_new(o, line, json_integer(n));
		else
			json_object_set_new(o, line, jsontext_new(value));
	}
	free(copy);
	return o;
}

json_t *khm_status_json(void)
{
	char *text = read_proc(KHM_PROC "/status");
	struct err err = {0};
	enum status_code code = STATUS_OK;
	json_t *o;

	if (!text)
		code = khm_why_not(&err);
	o = json_pack("{s:b,s:i,s:o,s:o}", "loaded", text != NULL, "code",
		      (int)code, "text", jsontext_new(err.text), "status",
		      text ? khm_lines_json(text) : json_object());
	free(text);
	if (khm_is_other(&err))
		json_object_set_new(o, "other", jsontext_new(err.text));
	return o;
}

json_t *khm_rivals_json(void)
{
	char *text = read_proc(KHM_PROC "/rivals"), *save, *line;
	struct khm_rival r;
	json_t *list;

	if (!text)
		return NULL;
	list = json_array();
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (khm_rival_parse(line, &r))
			json_array_append_new(
				list,
				json_pack("{s:o,s:o,s:o,s:s}", "kind",
					  jsontext_new(r.kind), "module",
					  jsontext_new(r.module), "symbol",
					  jsontext_new(r.symbol), "effect",
					  r.effect));
	free(text);
	return list;
}
