/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_FILTER_H
#define SPLX_CTL_SCAN_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "lib/err.h"

/*
 * What a manual scan leaves out: exclusions, file systems without files
 * (proc, sysfs …), and network and FUSE file systems that it comes upon,
 * unless the settings include them.
 */
struct scan_filter {
	const struct conf *conf;
	struct exclude *exclude; /* NULL with --no-exclusions */
	bool stay;		 /* on the file system of the beginning */
	int mount;		 /* the mount of the beginning */
	uint64_t excluded;	 /* files and directories left out */
	uint64_t skipped;	 /* file systems left out */
};

/* `conf` must outlive the filter. Void entries are left to entity's health. */
void scan_filter_init(struct scan_filter *f, const struct conf *conf,
		      bool exclusions, bool stay);
void scan_filter_deinit(struct scan_filter *f);

/*
 * Begins with a path that the user named (full, no symbolic links). 0 when it
 * is to be scanned, 1 and *err (why) when an exclusion leaves it out, -1 and
 * *err when there is nothing to scan there.
 */
int scan_filter_begin(struct scan_filter *f, const char *path, struct err *err);

/* For struct walk_ops; f is the filter. */
bool scan_filter_skip(struct scan_filter *f, const char *path);
bool scan_filter_cross(struct scan_filter *f, const char *path);

#endif
