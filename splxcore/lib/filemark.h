/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_FILEMARK_H
#define SPLX_LIB_FILEMARK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whether a file has to be read again: one look at it (stat(2)) instead of
 * reading it each time. All zeroes: it was never looked at.
 */
struct filemark {
	bool taken;
	bool there;
	bool settled; /* a change since would have another time */
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns, ctime_ns;
};

/*
 * True when what is at the path may be another than at the last look: also as
 * long as it is so new that a change would not show in its times. To be called
 * before the file is read, so that what comes between shows at the next look.
 */
bool filemark_changed(struct filemark *mark, const char *path);

#endif
