/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "common/hash.h"
#include "engine.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "lib/vec.h"

#define BLOCK 512
#define ENTRY_NAME_MAX 100
#define ENTRY_SIZE_MAX ((uint64_t)INT32_MAX)
#define INFO_MAX ((uint64_t)1 << 20)
#define INFO_LINE_MAX 1000 /* libclamav's buffer has more than 8000 */
#define INFO_FILES_MAX 1000

/* A file that the .info names. */
struct named {
	char name[ENTRY_NAME_MAX + 1];
	uint64_t size;
	char sha256[HASH_HEX_LEN + 1];
	bool seen;
};
struct database {
	char info[CVD_NAME_MAX + sizeof(".info")]; /* its name */
	gzFile in;
	struct cvd_head head; /* the signed one */
	struct {
		VEC(struct named);
	} files;
};
/* What the archive has next. */
struct entry {
	char name[ENTRY_NAME_MAX + 1];
	uint64_t size;
};

/* ---- the archive: ustar, in gzip or bare ---- */

static int get(struct database *d, void *buf, size_t len, struct err *err)
{
	int n = gzread(d->in, buf, (unsigned int)len);

	return n < 0 || (size_t)n != len
		       ? err_set(err, 0, "its archive is cut off or damaged")
		       : 0;
}

/* Octal digits, then blanks or nothing. */
static int take_size(const char *field, size_t len, uint64_t *size_r,
		     struct err *err)
{
	uint64_t size = 0;
	size_t i = 0;

	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		size = size * 8 + (uint64_t)(field[i] - '0');
	if ((i < len && field[i] && field[i] != ' ') || size > ENTRY_SIZE_MAX)
		return err_set(err, 0, "a size in its archive is none");
	*size_r = size;
	return 0;
}

/* 1, 0 at the end, -1 and *err. */
static int next_entry(struct database *d, struct entry *e, struct err *err)
{
	char block[BLOCK];
	int n = gzread(d->in, block, sizeof(block));

	if (n == 0 || (n == (int)sizeof(block) && !block[0]))
		return 0;
	if (n != (int)sizeof(block))
		return err_set(err, 0, "its archive is cut off or damaged");
	memcpy(e->name, block, ENTRY_NAME_MAX);
	e->name[ENTRY_NAME_MAX] = '\0';
	if (strchr(e->name, '/'))
		return err_set(err, 0, "its archive has a directory");
	if (block[156] != '0' && block[156] != '\0')
		return err_set(err, 0, "its archive has more than plain files");
	return take_size(block + 124, 12, &e->size, err) < 0 ? -1 : 1;
}

static uint64_t padding(uint64_t size)
{
	return (BLOCK - size % BLOCK) % BLOCK;
}

/* Its bytes; the hash of them, where it is wanted. */
static int read_entry(struct database *d, const struct entry *e,
		      char hex_r[HASH_HEX_LEN + 1], struct err *err)
{
	struct hash *hash = hash_new();
	uint8_t bytes[HASH_LEN];
	uint64_t left = e->size;
	char buf[16384];
	int rc = 0;

	while (rc == 0 && left > 0) {
		size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);

		rc = get(d, buf, n, err);
		if (rc == 0)
			hash_add(hash, buf, n);
		left -= n;
	}
	hash_end(&hash, bytes);
	hash_hex(hex_r, bytes);
	return rc < 0 ? -1 : get(d, buf, (size_t)padding(e->size), err);
}

static int skip_entry(struct database *d, const struct entry *e,
		      struct err *err)
{
	char hex[HASH_HEX_LEN + 1];

	return read_entry(d, e, hex, err);
}

/* ---- what the .info says ---- */

/* NAME:SIZE:SHA256 */
static int take_file(struct database *d, char *line, struct err *err)
{
	const char *name = strsep(&line, ":"), *size = strsep(&line, ":");
	struct named f = {0}, *other;
	struct err why;
	int64_t bytes;

	if (!size || !line || strlen(line) != HASH_HEX_LEN ||
	    !str_copy(f.name, sizeof(f.name), name) || !f.name[0] ||
	    str_to_i64(size, 0, (int64_t)ENTRY_SIZE_MAX, &bytes, &why) < 0 ||
	    d->files.len >= INFO_FILES_MAX)
		return err_set(err, 0, "%s is not as ClamAV writes it",
			       d->info);
	vec_each (other, &d->files)
		if (strcmp(other->name, f.name) == 0)
			return err_set(err, 0, "%s names %s twice", d->info,
				       f.name);
	f.size = (uint64_t)bytes;
	str_copy(f.sha256, sizeof(f.sha256), line);
	vec_push(&d->files, f);
	return 0;
}

static int take_info(struct database *d, char *text, struct err *err)
{
	bool first = true;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		/* What stands behind the signature is not under it. */
		if (str_starts(line, "DSIG:"))
			return first ? err_set(err, 0, "%s is empty", d->info)
				     : 0;
		if (strlen(line) > INFO_LINE_MAX)
			return err_set(err, 0, "%s has a line too long",
				       d->info);
		if (first ? cvd_head_parse(line, strlen(line), &d->head, err)
			  : take_file(d, line, err))
			return -1;
		first = false;
	}
	return err_set(err, 0, "%s is not signed", d->info);
}

static int read_info(struct database *d, const struct entry *e, struct err *err)
{
	char *text;
	int rc;

	if (strcmp(e->name, d->info) != 0)
		return err_set(err, 0,
			       "it is another database: it holds %s and not %s",
			       e->name, d->info);
	if (e->size > INFO_MAX)
		return err_set(err, 0, "%s is too long", d->info);
	text = xcalloc(1, (size_t)e->size + 1);
	rc = get(d, text, (size_t)e->size, err);
	if (rc == 0 && strlen(text) != e->size)
		rc = err_set(err, 0, "%s is no text", d->info);
	if (rc == 0)
		rc = take_info(d, text, err);
	free(text);
	return rc;
}

/* As libclamav does: the first whose name is one. */
static int find_info(struct database *d, struct err *err)
{
	struct entry e;
	int rc;

	while ((rc = next_entry(d, &e, err)) > 0) {
		if (strcasestr(e.name, ".info"))
			return read_info(d, &e, err);
		if (skip_entry(d, &e, err) < 0)
			return -1;
	}
	return rc < 0 ? -1 : err_set(err, 0, "it holds no %s", d->info);
}

/* ---- all files ---- */

static struct named *named(struct database *d, const char *name)
{
	struct named *f;

	vec_each (f, &d->files)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int check_entry(struct database *d, const struct entry *e,
		       unsigned int *infos, struct err *err)
{
	struct named *f = named(d, e->name);
	char hex[HASH_HEX_LEN + 1];

	if (strcasestr(e->name, ".info") && ++*infos > 1)
		return err_set(err, 0, "it has more than one list of files");
	/* COPYING is not named; what libclamav would load has to be. */
	if (!f)
		return skip_entry(d, e, err);
	if (f->seen)
		return err_set(err, 0, "it holds %s twice", f->name);
	f->seen = true;
	if (read_entry(d, e, hex, err) < 0)
		return -1;
	if (e->size != f->size || strcasecmp(hex, f->sha256) != 0)
		return err_set(err, 0, "its %s is not the one that is signed",
			       f->name);
	return 0;
}

static int check_entries(struct database *d, struct err *err)
{
	unsigned int infos = 0;
	struct named *f;
	struct entry e;
	int rc;

	while ((rc = next_entry(d, &e, err)) > 0)
		if (check_entry(d, &e, &infos, err) < 0)
			return -1;
	if (rc < 0)
		return -1;
	vec_each (f, &d->files)
		if (!f->seen)
			return err_set(err, 0, "its %s is missing", f->name);
	return 0;
}

static int check_content(struct database *d, int fd, struct err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int rc;

	if (copy < 0 || lseek(copy, CVD_HEAD_LEN, SEEK_SET) < 0) {
		err_set(err, errno, "lseek");
		fd_close(&copy);
		return -1;
	}
	d->in = gzdopen(copy, "rb");
	if (!d->in) {
		fd_close(&copy);
		return err_set(err, ENOMEM, "zlib");
	}
	rc = find_info(d, err);
	if (rc == 0 && gzrewind(d->in) < 0)
		rc = err_set(err, 0, "its archive cannot be read twice");
	if (rc == 0)
		rc = check_entries(d, err);
	gzclose(d->in);
	return rc;
}

int database_content(int fd, const char *name, struct cvd_head *head_r,
		     struct err *err)
{
	struct database d = {0};
	struct cvd_head outside;
	int rc;

	snprintf(d.info, sizeof(d.info), "%s.info", name);
	rc = cvd_head_read(fd, &outside, err);
	if (rc == 0)
		rc = check_content(&d, fd, err);
	if (rc == 0 &&
	    (outside.version != d.head.version || outside.time != d.head.time))
		rc = err_set(err, 0,
			     "its header is not the one that is signed");
	*head_r = d.head;
	vec_free(&d.files);
	return rc;
}

/* Of a path that ends in NAME.cvd or NAME.cld. */
static int take_name(const char *path, char name[CVD_NAME_MAX + 1],
		     struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t len = strlen(file);

	if (len < 5 || len - 4 > CVD_NAME_MAX ||
	    (!str_ends(file, ".cvd") && !str_ends(file, ".cld")))
		return err_set(err, 0, "it is not called NAME.cvd or NAME.cld");
	memcpy(name, file, len - 4);
	name[len - 4] = '\0';
	return cvd_is_name(name)
		       ? 0
		       : err_set(err, 0, "%s is no name of a database", name);
}

int database_check(const char *path, struct cvd_head *head_r, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char name[CVD_NAME_MAX + 1];
	int rc;

	if (fd < 0)
		return err_set(err, errno, "%s", path);
	rc = take_name(path, name, err) < 0 || engine_verify(path, err) < 0 ||
			     database_content(fd, name, head_r, err) < 0
		     ? err_add(err, "%s", path)
		     : 0;
	fd_close(&fd);
	return rc;
}
