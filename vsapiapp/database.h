/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_DATABASE_H
#define SPLX_VSAPIAPP_DATABASE_H

#include "common/cvd.h"
#include "lib/err.h"

/*
 * Whether NAME.cvd or NAME.cld, not trusted, is a whole database that ClamAV
 * made. What was measured with libclamav 1.4.6:
 *
 *   - Of a .cvd it checks an RSA signature over the MD5 of all bytes behind the
 *     header, of a .cld nothing of the kind.
 *   - In both it finds a file NAME.info, whose text is signed (RSA, PSS with
 *     SHA-256) and names version, number of signatures, level, time, and each
 *     file with its size and SHA-256. These four have to be the header's.
 *     The differences that make a .cld bring a new .info, signed too.
 *   - Each file that it loads has to be named there and has to have that hash.
 *     But a file may be missing (a .cld with all others taken out is good to
 *     it), may be there twice, and an empty one is not looked at by
 *     cl_cvdverify().
 *   - It does not ask whether the file's own name is NAME.
 *
 * So here: cl_cvdverify() has to be content, and then each file that the
 * .info names is there, once, whole, with its hash, and the .info is NAME's.
 * Thus a .cld is as good as a .cvd, whoever put it together: there is no other
 * set of bytes for ClamAV's signature.
 *
 * 0 and what the signed header says; -1 and *err.
 */
int database_check(const char *path, struct cvd_head *head_r, struct err *err);
/*
 * The second half of it, what libclamav does not look at, of an open file: that
 * it holds what its list NAME.info names, and what that says. Not whether the
 * list is signed.
 */
int database_content(int fd, const char *name, struct cvd_head *head_r,
		     struct err *err);

#endif
