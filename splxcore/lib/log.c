/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/*
 * The longest line. A pipe that polls writable takes this much at once
 * (PIPE_BUF, pipe(7)), so that even a full stderr does not hold us.
 */
#define LOG_LINE_MAX 4000
/* How often an absent syslog is looked for. */
#define LOG_RETRY_NS CLOCK_NS_PER_S
/* Its socket keeps clear of low numbers, which callers may count on. */
#define LOG_FD_FLOOR 900
#define LOG_FACILITY_DAEMON (3 << 3)

static const struct {
	const char *name;
	int priority; /* of syslog, RFC 5424 6.2.1 */
} log_levels[] = {
	[LOG_LVL_ERROR] = {"error", 3},
	[LOG_LVL_WARN] = {"warn", 4},
	[LOG_LVL_INFO] = {"info", 6},
	[LOG_LVL_DEBUG] = {"debug", 7},
};
#define LOG_LEVELS (sizeof(log_levels) / sizeof(log_levels[0]))

/* Until log_init() complaints go to stderr, so that none is lost. */
static struct {
	const char *ident;
	struct log_sinks sinks;
	enum log_level level;
	unsigned long dropped;
	int syslog_fd;
	uint64_t syslog_next_ns;
} log_state = {
	.ident = "splx",
	.sinks = {.to_stderr = true, .fd = -1, .file_fd = -1},
	.level = LOG_LVL_INFO,
	.syslog_fd = -1,
};

void log_init(const char *ident, const struct log_sinks *sinks,
	      enum log_level level)
{
	/* Now, because it reads a file the first time. */
	tzset();
	log_state.ident = ident;
	log_state.sinks = *sinks;
	log_state.level = level;
	log_state.syslog_next_ns = 0;
	if (!sinks->to_syslog && log_state.syslog_fd != -1) {
		close(log_state.syslog_fd);
		log_state.syslog_fd = -1;
	}
}

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

unsigned long log_dropped(void)
{
	return log_state.dropped;
}

/*
 * The length of the UTF-8 sequence at s and its code point; 0 when it is
 * none (RFC 3629: no surrogates, nothing overlong, nothing past U+10FFFF).
 */
static unsigned int log_utf8(const unsigned char *s, uint32_t *code_r)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int n, i;
	uint32_t c;

	if (s[0] < 0x80) {
		n = 1;
		c = s[0];
	} else if ((s[0] & 0xe0) == 0xc0) {
		n = 2;
		c = s[0] & 0x1f;
	} else if ((s[0] & 0xf0) == 0xe0) {
		n = 3;
		c = s[0] & 0x0f;
	} else if ((s[0] & 0xf8) == 0xf0) {
		n = 4;
		c = s[0] & 0x07;
	} else {
		return 0;
	}
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code_r = c;
	return n;
}

/* What moves the cursor, ends a line or turns the writing direction. */
static bool log_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	       c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* Escapes into out[size]; never ends within a sequence or an escape. */
static size_t log_escape_to(char *out, size_t size, const char *in,
			    bool backslash)
{
	const unsigned char *s = (const unsigned char *)in;
	unsigned int n, i;
	uint32_t code = 0;
	size_t len = 0;

	if (size == 0)
		return 0;
	while (*s) {
		n = log_utf8(s, &code);
		if (n && !log_is_control(code) &&
		    !(backslash && code == '\\')) {
			if (len + n >= size)
				break;
			memcpy(out + len, s, n);
			len += n;
			s += n;
			continue;
		}
		if (n == 0)
			n = 1;
		if (len + 4 * (size_t)n >= size)
			break;
		for (i = 0; i < n; i++, len += 4)
			snprintf(out + len, 5, "\\x%02x", s[i]);
		s += n;
	}
	out[len] = '\0';
	return len;
}

char *log_escape(char *out, size_t size, const char *in)
{
	log_escape_to(out, size, in, true);
	return out;
}

static void log_to_stderr(const char *line, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	char whole[LOG_LINE_MAX + 1];

	memcpy(whole, line, len);
	whole[len] = '\n';
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) ||
	    write(STDERR_FILENO, whole, len + 1) != (ssize_t)len + 1)
		log_state.dropped++;
}

/* A file outlives the hour, so there the time stands before the line. */
static void log_to_file(const char *line)
{
	char whole[LOG_LINE_MAX + 64];
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(whole, 64, "%Y-%m-%dT%H:%M:%S%z ", &tm);
	n += (size_t)snprintf(whole + n, sizeof(whole) - n, "%s\n", line);
	if (write(log_state.sinks.file_fd, whole, n) != (ssize_t)n)
		log_state.dropped++;
}

static void log_to_socket(const char *line, size_t len)
{
	if (send(log_state.sinks.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)len)
		log_state.dropped++;
}

static bool log_syslog_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX,
				   .sun_path = "/dev/log"};
	uint64_t now = clock_mono_ns();
	int fd, high;

	if (now < log_state.syslog_next_ns)
		return false;
	log_state.syslog_next_ns = now + LOG_RETRY_NS;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return false;
	}
	high = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_FLOOR);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	log_state.syslog_fd = fd;
	return true;
}

/*
 * RFC 3164 as local receivers read it, without the time, which they add;
 * "ident[pid]: " takes the place of "ident: " where that is ours.
 */
static void log_to_syslog(enum log_level level, const char *ident,
			  const char *rest)
{
	char record[LOG_LINE_MAX + 64];
	int try, n;

	n = snprintf(record, sizeof(record), "<%d>",
		     LOG_FACILITY_DAEMON | log_levels[level].priority);
	if (ident)
		n += snprintf(record + n, sizeof(record) - (size_t)n,
			      "%s[%d]: ", ident, (int)getpid());
	n += snprintf(record + n, sizeof(record) - (size_t)n, "%s", rest);
	if (n >= (int)sizeof(record))
		n = sizeof(record) - 1;
	for (try = 0; try < 2; try++) {
		if (log_state.syslog_fd == -1 && !log_syslog_connect())
			break;
		if (send(log_state.syslog_fd, record, (size_t)n,
			 MSG_DONTWAIT | MSG_NOSIGNAL) == n)
			return;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			break;
		/* It was restarted: its old socket is dead. */
		close(log_state.syslog_fd);
		log_state.syslog_fd = -1;
	}
	log_state.dropped++;
}

/* `own` bytes of the line are our "ident: ", 0 for another's record. */
static void log_out(enum log_level level, const char *line, size_t own)
{
	size_t len = strlen(line);

	if (log_state.sinks.to_stderr)
		log_to_stderr(line, len);
	if (log_state.sinks.file_fd != -1)
		log_to_file(line);
	if (log_state.sinks.fd != -1)
		log_to_socket(line, len);
	if (log_state.sinks.to_syslog)
		log_to_syslog(level, own ? log_state.ident : NULL, line + own);
}

static void log_vwrite(enum log_level level, unsigned int held, const char *fmt,
		       va_list ap)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
	int saved = errno, n;
	size_t len;

	if (level > log_state.level)
		return;
	n = snprintf(line, sizeof(line), "%.64s: ", log_state.ident);
	len = (size_t)n;
	len += (size_t)snprintf(line + len, sizeof(line) - len,
				"%s: ", log_levels[level].name);
	errno = saved; /* for %m */
	vsnprintf(text, sizeof(text), fmt, ap);
	len += log_escape_to(line + len, sizeof(line) - len - 64, text, false);
	if (held)
		snprintf(line + len, sizeof(line) - len,
			 " (%u like it held back)", held);
	log_out(level, line, (size_t)n);
	errno = saved;
}

void log_relay(const char *record)
{
	enum log_level level = LOG_LVL_INFO;
	char line[LOG_LINE_MAX];
	int saved = errno;
	const char *word;
	size_t i, n;

	log_escape_to(line, sizeof(line), record, false);
	word = strstr(line, ": ");
	for (i = 0; word && i < LOG_LEVELS; i++) {
		n = strlen(log_levels[i].name);
		if (strncmp(word + 2, log_levels[i].name, n) == 0 &&
		    word[2 + n] == ':')
			level = (enum log_level)i;
	}
	if (level <= log_state.level)
		log_out(level, line, 0);
	errno = saved;
}

/* Only a function of variable arguments can begin its own list. */
#define LOG_WRITE(level)                                                       \
	do {                                                                   \
		va_list ap;                                                    \
		va_start(ap, fmt);                                             \
		log_vwrite(level, 0, fmt, ap);                                 \
		va_end(ap);                                                    \
	} while (0)

void log_error(const char *fmt, ...)
{
	LOG_WRITE(LOG_LVL_ERROR);
}

void log_warn(const char *fmt, ...)
{
	LOG_WRITE(LOG_LVL_WARN);
}

void log_info(const char *fmt, ...)
{
	LOG_WRITE(LOG_LVL_INFO);
}

void log_debug(const char *fmt, ...)
{
	LOG_WRITE(LOG_LVL_DEBUG);
}

void log_limited(struct log_limit *lim, unsigned int burst,
		 unsigned int interval_ms, enum log_level level,
		 const char *fmt, ...)
{
	unsigned long long now = clock_mono_ns() / CLOCK_NS_PER_MS;
	unsigned int held;
	va_list ap;

	if (level > log_state.level)
		return;
	if (lim->window_start_ms == 0 ||
	    now - lim->window_start_ms >= interval_ms) {
		lim->window_start_ms = now;
		lim->seen = 0;
	}
	if (lim->seen >= burst) {
		lim->held++;
		return;
	}
	lim->seen++;
	held = lim->held;
	lim->held = 0;
	va_start(ap, fmt);
	log_vwrite(level, held, fmt, ap);
	va_end(ap);
}

void fatal(int status, const char *fmt, ...)
{
	LOG_WRITE(LOG_LVL_ERROR);
	exit(status);
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	errno = saved;
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("panic: %s:%d: %s", file, line, text);
	abort();
}
