/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CODES_H
#define SPLX_COMMON_CODES_H

/* Status and reason codes (codes.def). */
enum status_code {
#define CODE(id, number, name, field, level, text, action)                     \
	STATUS_##id = (number),
#include "codes.def"
#undef CODE
};

/* Which status shows a code. */
enum status_field {
	STATUS_FIELD_GENERAL,
	STATUS_FIELD_ANTIMALWARE,
	STATUS_FIELD_KERNEL,
	STATUS_FIELD_PATTERN,
	STATUS_FIELD_NETWORK,
	STATUS_FIELD_CONSOLE,
	STATUS_FIELDS
};
/* How bad a code is; worse is greater. */
enum status_level {
	STATUS_LEVEL_INFO,
	STATUS_LEVEL_WARNING,
	STATUS_LEVEL_PARTIAL,
	STATUS_LEVEL_NONE,
};

/* The row of a code; "unknown", GENERAL, WARNING for a number that has
 * none. */
const char *status_name(int code);
const char *status_text(int code);
const char *status_action(int code);
enum status_field status_field(int code);
enum status_level status_level(int code);

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
