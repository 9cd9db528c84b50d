/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "library.h"

#include <clamav.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libfreshclam.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define DNS_RECORD "current.cvd.clamav.net"
#define CONNECT_SECONDS 20
#define SAID_MAX 65536
#define CAUSES 2 /* so many lines of it are told */

/* ---- what the library says ---- */

/* The part of a line that tells something: a message can stand behind another
 * one, and the name of the library's function is nobody's news. */
static char *message_of(char *line)
{
	static const char *const heads[] = {"ERROR:", "WARNING:", "Message:"};
	char *at, *end;

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		while ((at = strstr(line, heads[i])))
			line = at + strlen(heads[i]);
	line = str_trim(line);
	for (end = line; islower((uint8_t)*end) || *end == '_'; end++)
		;
	return end > line && str_starts(end, ": ") ? end + 2 : line;
}

/* The first lines of a kind name the cause, the later what it led to. */
static void add_causes(const char *text, const char *kind, struct err *err)
{
	char *copy = xstrdup(text), *next = copy, *line;
	struct str b = {0};
	unsigned int n = 0;

	while (n < CAUSES && (line = strsep(&next, "\n"))) {
		if (!strstr(line, kind))
			continue;
		line = message_of(line);
		if (*line && !strstr(str_get(&b), line))
			str_addf(&b, "%s%s", n++ ? "; " : "", line);
	}
	if (b.len)
		err_set(err, 0, "%s", str_get(&b));
	str_free(&b);
	free(copy);
}

static void forget_said(const struct library *l)
{
	fflush(NULL);
	(void)!ftruncate(l->said, 0);
}

static int failed(const struct library *l, fc_error_t rc, struct err *err)
{
	char *text = xcalloc(1, SAID_MAX + 1);
	ssize_t n;

	fflush(NULL);
	n = pread(l->said, text, SAID_MAX, 0);
	err_set(err, 0, "%s", fc_strerror(rc));
	if (n > 0)
		add_causes(text,
			   strstr(text, "ERROR:") ? "ERROR:" : "WARNING:", err);
	free(text);
	return -1;
}

/* freshclam.dat (libfreshclam_internal.h of 1.4): this behind 13 bytes. */
struct dat {
	uint32_t version;
	char uuid[37];
	time_t retry_after;
};
#define DAT_MAGIC "FreshClamData"

static int64_t retry_after(const struct library *l)
{
	char *path = xasprintf("%s/freshclam.dat", l->dir);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char magic[sizeof(DAT_MAGIC) - 1];
	struct dat dat = {0};
	bool good = fd >= 0 && fd_read_all(fd, magic, sizeof(magic)) == 0 &&
		    memcmp(magic, DAT_MAGIC, sizeof(magic)) == 0 &&
		    fd_read_all(fd, &dat, sizeof(dat)) == 0 && dat.version == 1;

	fd_close(&fd);
	free(path);
	return good && dat.retry_after > 0 ? dat.retry_after : 0;
}

/* ---- */

int library_start(struct library *l, struct err *err)
{
	fc_config config = {
		.maxAttempts = 1, /* cron comes again */
		.connectTimeout = CONNECT_SECONDS,
		.requestTimeout = l->seconds,
		.bCompressLocalDatabase = 1,
		.databaseDirectory = l->dir,
		.tempDirectory = l->tmp,
	};
	cl_error_t crc = cl_init(CL_INIT_DEFAULT);
	fc_error_t rc;

	if (crc != CL_SUCCESS)
		return err_set(err, 0, "libclamav: %s", cl_strerror(crc));
	/* Standard output and error are the library's from now on. */
	if (dup2(l->said, STDOUT_FILENO) < 0 ||
	    dup2(l->said, STDERR_FILENO) < 0)
		return err_set(err, errno, "dup2");
	rc = fc_initialize(&config);
	l->old_refusal = retry_after(l);
	return rc == FC_SUCCESS ? 0 : failed(l, rc, err);
}

/* Of a record such as 1.4.3:62:27000:…:90:49192:339 (dns.c of 1.4). */
static int64_t dns_field(const char *record, unsigned int field)
{
	char *copy = xstrdup(record), *next = copy, *word = NULL;
	struct err why;
	int64_t n;

	for (unsigned int i = 0; i <= field && next; i++)
		word = i <= field ? strsep(&next, ":") : NULL;
	if (!word || str_to_i64(word, 1, INT32_MAX, &n, &why) < 0)
		n = 0;
	free(copy);
	return n;
}

static int ask_dns(struct library *l, struct err *err)
{
	char *newer = NULL;
	fc_error_t rc;

	if (l->dns)
		return 0;
	forget_said(l);
	rc = fc_dns_query_update_info(DNS_RECORD, &l->dns, &newer);
	free(newer);
	if (rc == FC_SUCCESS)
		return 0;
	l->dns = NULL;
	failed(l, rc, err);
	return err_add(err, "DNS does not tell the versions (" DNS_RECORD ")");
}

int64_t library_version(struct library *l, const char *name, struct err *err)
{
	static const struct {
		const char *name;
		unsigned int field;
	} fields[] = {{"main", 1}, {"daily", 2}, {"bytecode", 7}};

	if (ask_dns(l, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(name, fields[i].name) == 0)
			return dns_field(l->dns, fields[i].field);
	return 0;
}

int library_update(struct library *l, const char *name, bool whole,
		   struct err *err)
{
	char *server = xstrdup(l->server);
	struct err ignored;
	int updated = 0;
	fc_error_t rc;

	/* Without it the library asks the server itself. */
	if (l->official)
		(void)ask_dns(l, &ignored);
	forget_said(l);
	rc = fc_update_database(name, &server, 1, !l->official, l->dns, !whole,
				NULL, &updated);
	free(server);
	return rc == FC_SUCCESS ? 0 : failed(l, rc, err);
}

int64_t library_not_before(const struct library *l)
{
	int64_t when = retry_after(l);

	return when != l->old_refusal ? when : 0;
}
