/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "cvd.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/str.h"

#define MAGIC "ClamAV-VDB"
#define FIELDS 9

bool cvd_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= CVD_NAME_MAX && islower((uint8_t)name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static int take_number(const char *text, const char *what, int64_t max,
		       int64_t *number_r, struct err *err)
{
	struct err why;

	return str_to_i64(text, 0, max, number_r, &why) < 0
		       ? err_set(err, 0, "its header has no %s", what)
		       : 0;
}

int cvd_head_parse(const char *text, size_t len, struct cvd_head *head,
		   struct err *err)
{
	char line[CVD_HEAD_LEN + 1], *fields[FIELDS], *next = line;
	int64_t version, signatures, level, when;
	size_t n = 0;

	memset(head, 0, sizeof(*head));
	if (len > CVD_HEAD_LEN)
		return err_set(err, 0, "its header is too long");
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return err_set(err, 0, "it has no header of ClamAV's");
	memcpy(line, text, len);
	while (len > 0 && line[len - 1] == ' ')
		len--;
	line[len] = '\0';
	while (n < FIELDS && next)
		fields[n++] = strsep(&next, ":");
	if (n < FIELDS || next || strcmp(fields[0], MAGIC) != 0)
		return err_set(err, 0, "it has no header of ClamAV's");
	if (take_number(fields[2], "version", CVD_VERSION_MAX, &version, err) <
		    0 ||
	    take_number(fields[3], "number of signatures", INT32_MAX,
			&signatures, err) < 0 ||
	    take_number(fields[4], "level", INT32_MAX, &level, err) < 0 ||
	    take_number(fields[8], "time", UINT32_MAX, &when, err) < 0)
		return -1;
	if (version == 0)
		return err_set(err, 0, "its header has no version");
	head->version = (uint64_t)version;
	head->signatures = (uint64_t)signatures;
	head->level = (uint64_t)level;
	head->time = when;
	return 0;
}

int cvd_head_read(int fd, struct cvd_head *head, struct err *err)
{
	char text[CVD_HEAD_LEN];
	size_t got = 0;
	ssize_t n;

	while (got < sizeof(text)) {
		n = pread(fd, text + got, sizeof(text) - got, (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, errno, "read");
		if (n == 0)
			return err_set(err, 0, "it is shorter than its header");
		got += (size_t)n;
	}
	return cvd_head_parse(text, sizeof(text), head, err);
}
