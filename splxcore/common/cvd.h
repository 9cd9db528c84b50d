/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CVD_H
#define SPLX_COMMON_CVD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * ClamAV's own databases: NAME.cvd as they are published, NAME.cld with
 * differences put in. Both begin with 512 bytes of text,
 *   ClamAV-VDB:DATE:VERSION:SIGNATURES:LEVEL:MD5:SIGNATURE:BUILDER:SECONDS
 * and blanks (libclamav/cvd.c of 1.4). Nothing of it is true before the
 * database was verified (vsapiapp/database.h).
 */
#define CVD_HEAD_LEN 512
#define CVD_NAME_MAX 32
#define CVD_VERSION_MAX 999999999u

struct cvd_head {
	uint64_t version;
	uint64_t signatures;
	uint64_t level; /* of functions that its signatures want */
	int64_t time;	/* when it was made, seconds since 1970 */
};

/* Lower-case letters, digits, "_-", beginning with a letter. */
bool cvd_is_name(const char *name);

/* Reads such a text (the blanks may be missing), not trusted: all of it is
 * checked. -1 and *err. */
int cvd_head_parse(const char *text, size_t len, struct cvd_head *head_r,
		   struct err *err);
/* Of an open file; the offset stays where it is. */
int cvd_head_read(int fd, struct cvd_head *head_r, struct err *err);

#endif
