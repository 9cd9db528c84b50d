/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdlib.h>
#include <string.h>

#include "lib/fdutil.h"
#include "lib/log.h"
#include "paths.h"
#include "state.h"

#define STATE_MAX (16u << 20)

int state_write(json_t *state, struct err *err)
{
	const char *path = paths()->state_file;
	char *text;
	int rc;

	text = json_dumps(state, JSON_INDENT(1));
	if (!text)
		return err_set(err, 0, "%s: the state is no JSON", path);
	/* entity reads it, and tells those who may know */
	rc = fd_replace_file(path, text, strlen(text), 0640, err);
	free(text);
	return rc;
}

json_t *state_read(struct err *err)
{
	const char *path = paths()->state_file;
	json_error_t why;
	json_t *state;
	size_t len;
	char *text;

	if (fd_read_file(path, STATE_MAX, &text, &len, err) < 0)
		return NULL;
	state = json_loadb(text, len, 0, &why);
	free(text);
	if (!state) {
		err_set(err, 0, "%s:%d: %s", path, why.line, why.text);
		return NULL;
	}
	if (!json_is_object(state)) {
		err_set(err, 0, "%s: is not a JSON object", path);
		json_decref(state);
		return NULL;
	}
	return state;
}

bool state_told_before(json_t *errors, json_t *entry)
{
	json_t *e;
	size_t i;

	json_array_foreach (errors, i, e)
		if (json_equal(e, entry))
			return true;
	return false;
}
