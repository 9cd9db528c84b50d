/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_SCRATCH_H
#define SPLX_VSAPIAPP_SCRATCH_H

/*
 * libclamav makes a directory for each scan and removes it afterwards, though
 * only what it unpacks is ever put there: for a small file that is a quarter
 * of the whole scan. So this file stands between libclamav and the C library
 * (its functions are found before those of the C library): a directory that is
 * asked for directly in the scratch directory is owed, and made when anything
 * is about to be looked for or put anywhere. If libclamav is not what this was
 * written for (engine_is_reviewed()), all is as without it.
 */

/*
 * From now on for `dir`, absolute and without a slash at its end, NULL: not
 * any more. It is kept, not copied. One thread alone may scan.
 */
void scratch_defer(const char *dir);

/* How many directories were owed and never made, for tests. */
unsigned long scratch_spared(void);

#endif
