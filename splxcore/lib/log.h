/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_LOG_H
#define SPLX_LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

/*
 * Where lines go. No sink ever blocks its caller: syslog and socket sinks
 * send without waiting and count what the receiver had no room for
 * (log_dropped()).
 */
struct log_sinks {
	bool to_stderr;
	bool to_syslog; /* /dev/log, datagrams, facility daemon */
	int fd;		/* a SOCK_SEQPACKET or SOCK_DGRAM socket, one record a
			   line, or -1; stays the caller's */
	int file_fd;	/* a file opened with O_APPEND, or -1; the caller's;
			   the local time stands before each line there */
};

/* Begins logging as `ident` (kept as a pointer: pass a literal). */
void log_init(const char *ident, const struct log_sinks *sinks,
	      enum log_level level);
void log_set_level(enum log_level level);

/* Lines that a full or absent receiver did not take, since the start. */
unsigned long log_dropped(void);

/*
 * One line: "<ident>: <level>: message". %m is the caller's errno, errno is
 * left as it was. Control characters in the finished line are escaped, so
 * untrusted text can neither forge a line nor drive a terminal.
 */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Passes a finished line of another process ("<ident>: <level>: message", as
 * its socket sink sent it; untrusted) on to our own sinks, by its own level.
 */
void log_relay(const char *record);

/*
 * A message that may repeat: at most `burst` lines in `interval_ms` for one
 * `struct log_limit` (zeroed at first); how many were held back is told with
 * the next line that passes.
 */
struct log_limit {
	unsigned long long window_start_ms;
	unsigned int seen;
	unsigned int held;
};
void log_limited(struct log_limit *lim, unsigned int burst,
		 unsigned int interval_ms, enum log_level level,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The world's trouble, before the loop runs: logs and exits with `status`. */
void fatal(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* Our own bug: logs file and line and aborts. */
void panic_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/*
 * Copies `in` to out[size] with control characters, invalid UTF-8 and
 * backslashes written as \xNN; always terminates; returns out.
 */
char *log_escape(char *out, size_t size, const char *in);

#endif
