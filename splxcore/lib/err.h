/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_ERR_H
#define SPLX_LIB_ERR_H

/*
 * A described failure. The callee fills it, callers add context in front of
 * it on the way up, the topmost logs or prints it once.
 */
struct err {
	int code;	/* errno value, or 0 where no system call failed */
	char text[768]; /* one line, no newline at its end */
};

/* Empties *err. A NULL err is allowed here and in all functions below. */
void err_clear(struct err *err);

/*
 * Describes a failure. `code` is an errno value or 0; with a value other
 * than 0, ": " and its strerror text follow the message. Always returns -1,
 * so that a failing function can end in `return err_set(...)`.
 */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of what stands in *err. Always returns -1. */
int err_add(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* For static analysis: that failing functions return -1, told at each call. */
#ifdef __clang_analyzer__
#define err_set(...) ((err_set)(__VA_ARGS__), -1)
#define err_add(...) ((err_add)(__VA_ARGS__), -1)
#endif

#endif
