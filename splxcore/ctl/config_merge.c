/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Settings over an upgrade: whose hand was on a value decides. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "common/paths.h"
#include "lib/fdutil.h"
#include "output.h"
#include "render.h"

/*
 * A value that stands in `mine` as the former sample had it, and has another
 * default now, gets that. Returns how many did.
 */
static int merge(struct conf *mine, const struct conf *former,
		 const struct conf *fresh)
{
	struct err err = {0};
	int changed = 0;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const char *key = conf_options[i].key;
		char *is = conf_get(mine, key), *was = conf_get(former, key);
		char *shall = conf_get(fresh, key);

		if (strcmp(is, was) == 0 && strcmp(is, shall) != 0 &&
		    conf_set(mine, key, shall, &err) == 0) {
			printf(T("%s: %s, before %s\n"), key, shall, was);
			changed++;
		}
		free(is);
		free(was);
		free(shall);
	}
	return changed;
}

static int write_settings(const struct conf *conf, struct err *err)
{
	char *old = NULL, *text = NULL, path[PATH_MAX];
	struct stat st;
	size_t len;
	int rc = -1;

	/* where a link leads */
	if (!realpath(paths()->conf, path) || stat(path, &st) < 0)
		return err_set(err, errno, "%s", paths()->conf);
	if (fd_read_file(path, CONF_FILE_MAX, &old, &len, err) == 0)
		text = conf_edit(old, conf, err);
	if (text)
		rc = fd_replace_file(path, text, strlen(text),
				     st.st_mode & 07777, err);
	free(old);
	free(text);
	return rc;
}

int config_merge_run(struct ctl *ctl)
{
	struct err err = {0};
	struct conf *mine = conf_load(paths()->conf, &err);
	struct conf *former =
		mine ? conf_load(ctl_arg(ctl, "file"), &err) : NULL;
	struct conf *fresh = conf_new();
	int rc = former ? CTL_OK : CTL_ERROR;

	if (former && merge(mine, former, fresh) &&
	    write_settings(mine, &err) < 0)
		rc = CTL_ERROR;
	if (rc != CTL_OK)
		ctl_complain("the settings stay as they are: %s", err.text);
	conf_free(&mine);
	conf_free(&former);
	conf_free(&fresh);
	return rc;
}
