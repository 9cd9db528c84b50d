/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_TAR_H
#define SPLX_CTL_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * A gzipped tar archive (ustar, POSIX.1-1988) that is only written, and only
 * regular files into it.
 */
struct tar;

/*
 * Begins an archive on `fd`, which stays the caller's. `prefix` (no slash at
 * its end, kept as a pointer) is put in front of every name.
 */
struct tar *tar_new(int fd, const char *prefix, struct err *err);
/*
 * Adds a file of mode 0600, dated now. Together with the prefix a name has at
 * most 100 bytes. A failed write is remembered: all later ones do nothing and
 * tar_finish() reports it.
 */
void tar_add(struct tar *tar, const char *name, const void *data, size_t len);
/* Writes the end. 0, or -1 and *err when anything since tar_new() failed.
 * The archive is freed either way. */
int tar_finish(struct tar **tar, struct err *err);

#endif
