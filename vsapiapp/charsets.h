/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_CHARSETS_H
#define SPLX_VSAPIAPP_CHARSETS_H

/*
 * Opens the converters between the character sets that libclamav asks for in
 * documents and mail, and keeps them open: the C library loads each from a
 * file, and a worker in its jail has none. Once in a process.
 */
void charsets_keep(void);

#endif
