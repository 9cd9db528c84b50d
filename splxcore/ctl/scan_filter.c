/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_filter.h"

#include <string.h>

#include "lib/mounts.h"

void scan_filter_init(struct scan_filter *f, const struct conf *conf,
		      bool exclusions, bool stay)
{
	memset(f, 0, sizeof(*f));
	f->conf = conf;
	f->stay = stay;
	if (exclusions)
		f->exclude = exclude_new(conf, NULL);
}

void scan_filter_deinit(struct scan_filter *f)
{
	exclude_free(&f->exclude);
}

int scan_filter_begin(struct scan_filter *f, const char *path, struct err *err)
{
	struct mount_list list = {0};
	const struct mount *m;
	const char *why = "";
	int rc = 0;

	f->mount = -1;
	if (mounts_read(0, &list, err) < 0)
		return -1;
	m = mounts_find(&list, path);
	if (m)
		f->mount = m->id;
	if (m && mounts_kind(m->fstype) == MOUNT_PSEUDO) {
		rc = err_set(err, 0,
			     "%s: a file system of type %s holds no "
			     "files to scan",
			     path, m->fstype);
	} else if (f->exclude && m && exclude_fstype(f->exclude, m->fstype)) {
		err_set(err, 0, "%s: excluded by ExcludeFsType", path);
		rc = 1;
	} else if (f->exclude && exclude_path(f->exclude, path, &why)) {
		err_set(err, 0, "%s: excluded by %s", path, why);
		rc = 1;
	}
	f->excluded += rc == 1;
	mounts_free(&list);
	return rc;
}

bool scan_filter_skip(struct scan_filter *f, const char *path)
{
	if (!f->exclude || !exclude_path(f->exclude, path, NULL))
		return false;
	f->excluded++;
	return true;
}

static bool is_unwanted(const struct scan_filter *f, const struct mount *m)
{
	/* Not a mount at all: a subvolume has a device number of its own. */
	if (m->id == f->mount)
		return false;
	if (f->stay)
		return true;
	switch (mounts_kind(m->fstype)) {
	case MOUNT_PSEUDO:
		return true;
	case MOUNT_NETWORK:
		return !f->conf->scan_network_fs;
	case MOUNT_FUSE:
		return !f->conf->scan_fuse;
	case MOUNT_LOCAL:
		break;
	}
	return f->exclude && exclude_fstype(f->exclude, m->fstype);
}

bool scan_filter_cross(struct scan_filter *f, const char *path)
{
	struct mount_list list = {0};
	const struct mount *m;
	bool skip = false;

	/* Read anew: mounts come and go during a long scan. */
	if (mounts_read(0, &list, NULL) < 0)
		return false;
	m = mounts_find(&list, path);
	if (m)
		skip = is_unwanted(f, m);
	f->skipped += skip;
	mounts_free(&list);
	return skip;
}
