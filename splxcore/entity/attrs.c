/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "attrs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"

/* The kernel's own limits (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
#define LIST_MAX 65536
#define VALUE_MAX 65536
/* Together they must fit into what a sealed file tells of itself, in hex. */
#define ALL_MAX (400u << 10)

void attrs_note(struct str *notes, const char *fmt, ...)
{
	va_list ap;

	if (notes->len)
		str_add(notes, "; ");
	va_start(ap, fmt);
	str_vaddf(notes, fmt, ap);
	va_end(ap);
}

/* ---- text ---- */

char *attrs_escape(const char *raw)
{
	size_t size = strlen(raw) * 4 + 1;
	char *out = xmalloc(size);

	return log_escape(out, size, raw);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int hex_byte(const char *p)
{
	int high = hex_digit(p[0]);
	int low = high < 0 ? -1 : hex_digit(p[1]);

	return low < 0 ? -1 : high << 4 | low;
}

char *attrs_unescape(const char *text)
{
	char *out = xmalloc(strlen(text) + 1), *o = out;
	int byte;

	while (*text) {
		if (*text != '\\') {
			*o++ = *text++;
			continue;
		}
		byte = text[1] == 'x' ? hex_byte(text + 2) : -1;
		if (byte <= 0) {
			free(out);
			return NULL;
		}
		*o++ = (char)byte;
		text += 4;
	}
	*o = '\0';
	return out;
}

static json_t *to_hex(const unsigned char *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = xmalloc(2 * len + 1);
	json_t *json;

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	json = json_stringn_nocheck(text, 2 * len);
	free(text);
	return json;
}

/* Returns the length, or -1 for what is no hex. */
static ssize_t from_hex(const char *text, unsigned char *out, size_t size)
{
	size_t len = strlen(text);
	int byte;

	if (len % 2 || len / 2 > size)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		byte = hex_byte(text + 2 * i);
		if (byte < 0)
			return -1;
		out[i] = (unsigned char)byte;
	}
	return (ssize_t)(len / 2);
}

/* ---- reading ---- */

static void read_xattr(int fd, const char *name, json_t *all, size_t *total,
		       struct str *notes)
{
	unsigned char *value = xmalloc(VALUE_MAX);
	ssize_t len = fgetxattr(fd, name, value, VALUE_MAX);
	char *key = attrs_escape(name);

	if (len < 0 || *total + (size_t)len > ALL_MAX) {
		if (len >= 0 || errno != ENODATA)
			attrs_note(notes, "attribute %s was not kept", name);
	} else {
		json_object_set_new_nocheck(all, key,
					    to_hex(value, (size_t)len));
		*total += (size_t)len + 256;
	}
	free(key);
	free(value);
}

static json_t *read_xattrs(int fd, struct str *notes)
{
	json_t *all = json_object();
	char *names = xmalloc(LIST_MAX);
	ssize_t len = flistxattr(fd, names, LIST_MAX);
	size_t total = 0;

	if (len < 0 && errno != ENOTSUP)
		attrs_note(notes, "extended attributes could not be read: %s",
			   strerror(errno));
	for (char *p = names; len > 0 && p < names + len; p += strlen(p) + 1)
		read_xattr(fd, p, all, &total, notes);
	free(names);
	return all;
}

json_t *attrs_read(int fd, struct str *notes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "uid",
			 (json_int_t)st.st_uid, "gid", (json_int_t)st.st_gid,
			 "mode", (json_int_t)(st.st_mode & 07777), "atime_ns",
			 (json_int_t)clock_timespec_ns(&st.st_atim), "mtime_ns",
			 (json_int_t)clock_timespec_ns(&st.st_mtim), "xattrs",
			 read_xattrs(fd, notes));
}

/* ---- giving ---- */

static struct timespec to_timespec(int64_t ns)
{
	struct timespec ts;
	int64_t per_s = (int64_t)CLOCK_NS_PER_S;

	ts.tv_sec = ns / per_s;
	ts.tv_nsec = ns % per_s;
	if (ts.tv_nsec < 0) { /* before 1970 */
		ts.tv_nsec += per_s;
		ts.tv_sec--;
	}
	return ts;
}

static void apply_xattrs(int fd, json_t *all, struct str *notes)
{
	unsigned char *value = xmalloc(VALUE_MAX);
	const char *key;
	json_t *hex;

	json_object_foreach (all, key, hex) {
		char *name = attrs_unescape(key);
		const char *text = json_string_value(hex);
		ssize_t len = text ? from_hex(text, value, VALUE_MAX) : -1;

		if (!name || len < 0)
			attrs_note(notes, "attribute %s is not whole", key);
		else if (fsetxattr(fd, name, value, (size_t)len, 0) < 0)
			attrs_note(notes, "attribute %s could not be set: %s",
				   name, strerror(errno));
		free(name);
	}
	free(value);
}

int attrs_apply(int fd, json_t *attrs, struct str *notes)
{
	json_int_t uid, gid, mode, atime, mtime;
	struct timespec times[2];
	json_t *xattrs;

	if (json_unpack(attrs, "{s:I, s:I, s:I, s:I, s:I, s:o}", "uid", &uid,
			"gid", &gid, "mode", &mode, "atime_ns", &atime,
			"mtime_ns", &mtime, "xattrs", &xattrs) < 0) {
		errno = EBADMSG;
		return -1;
	}
	/* The owner first: a change of owner takes setuid bits and
	 * capabilities away. */
	if (fchown(fd, (uid_t)uid, (gid_t)gid) < 0 ||
	    fchmod(fd, (mode_t)mode & 07777) < 0)
		return -1;
	apply_xattrs(fd, xattrs, notes);
	times[0] = to_timespec(atime);
	times[1] = to_timespec(mtime);
	if (futimens(fd, times) < 0)
		attrs_note(notes, "times could not be set: %s",
			   strerror(errno));
	return 0;
}
