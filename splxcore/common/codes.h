/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CODES_H
#define SPLX_COMMON_CODES_H

/* Status and reason codes (codes.def). */
enum status_code {
#define CODE(id, number, name, text) STATUS_##id = (number),
#include "codes.def"
#undef CODE
};

/* The row of a code; "unknown" for a number that has none. */
const char *status_name(int code);
const char *status_text(int code);

/*
 * LSB exit codes of init actions, and of our programs when they cannot
 * start (LSB 5.0, 22.2).
 */
enum lsb_exit {
	LSB_OK = 0,
	LSB_FAILED = 1,
	LSB_USAGE = 2,
	LSB_UNIMPLEMENTED = 3,
	LSB_DENIED = 4,
	LSB_NOT_INSTALLED = 5,
	LSB_NOT_CONFIGURED = 6,
	LSB_NOT_RUNNING = 7,
};

#endif
