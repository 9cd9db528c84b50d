/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entries.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

int entries_write(const char *path, const char *text, mode_t may,
		  struct err *err)
{
	char place[PATH_MAX];
	struct stat st;

	if (!realpath(path, place))
		str_copy(place, sizeof(place), path);
	return fd_replace_file(place, text, strlen(text),
			       stat(place, &st) == 0 ? st.st_mode & may : may,
			       err);
}

char *entries_read(const char *path, size_t max, struct err *err)
{
	char *text = NULL;
	size_t len;

	if (fd_read_file(path, max, &text, &len, err) == 0)
		return text;
	return err->code == ENOENT ? xstrdup("") : NULL;
}

/* What is wrong, without the place. */
static const char *said(const struct entryfile_problem *p)
{
	const char *at = strstr(p->text, ": ");

	return at ? at + 2 : p->text;
}

const char *entries_new_problem(const struct entryfile_problems *before,
				const struct entryfile_problems *after)
{
	const struct entryfile_problem *p, *old;
	bool known;

	vec_each (p, after) {
		known = false;
		vec_each (old, before)
			known |= strcmp(said(old), said(p)) == 0;
		if (!known)
			return said(p);
	}
	return NULL;
}

int entries_set_all(char **text, const char *name, json_t *settings,
		    entries_edit_fn edit, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (settings, i, item) {
		char *key = xstrdup(json_string_value(item)), *eq, *next = NULL;

		eq = strchr(key, '=');
		if (eq) {
			*eq = '\0';
			next = edit(*text, name, str_trim(key),
				    str_trim(eq + 1), err);
		} else {
			err_set(err, EINVAL, "%s: Key=value is wanted", key);
		}
		free(key);
		if (!next)
			return -1;
		free(*text);
		*text = next;
	}
	return 0;
}

const char *entries_code(const struct err *err)
{
	return err->code == EINVAL   ? "invalid"
	       : err->code == ENOENT ? "not_found"
				     : "failed";
}
