/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "manifest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/str.h"

#define TIME_MAX 253402300799 /* the year 9999 */

bool manifest_is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= MANIFEST_NAME_MAX &&
	       isalnum((unsigned char)name[0]) && strspn(name, allowed) == len;
}

/* ---- reading ---- */

static int take_name(const json_t *o, const char *member,
		     char out[MANIFEST_NAME_MAX + 1], struct err *err)
{
	const char *name = json_string_value(json_object_get(o, member));

	if (!name || !manifest_is_name(name))
		return err_set(err, 0,
			       "\"%s\" has to be a name of letters, digits and "
			       "._-, at most %d long",
			       member, MANIFEST_NAME_MAX);
	str_copy(out, MANIFEST_NAME_MAX + 1, name);
	return 0;
}

static int take_number(const json_t *o, const char *member, int64_t min,
		       int64_t max, int64_t *out_r, struct err *err)
{
	const json_t *n = json_object_get(o, member);

	if (!json_is_integer(n) || json_integer_value(n) < min ||
	    json_integer_value(n) > max)
		return err_set(err, 0,
			       "\"%s\" has to be a whole number from %lld to "
			       "%lld",
			       member, (long long)min, (long long)max);
	*out_r = json_integer_value(n);
	return 0;
}

static int take_hash(const json_t *o, char out[HASH_HEX_LEN + 1],
		     struct err *err)
{
	const char *hex = json_string_value(json_object_get(o, "sha256"));

	if (!hex || strlen(hex) != HASH_HEX_LEN ||
	    strspn(hex, "0123456789abcdef") != HASH_HEX_LEN)
		return err_set(err, 0,
			       "\"sha256\" has to be %d hexadecimal digits in "
			       "lower case",
			       HASH_HEX_LEN);
	str_copy(out, HASH_HEX_LEN + 1, hex);
	return 0;
}

static bool has_file(const struct manifest *m, const char *name)
{
	const struct manifest_file *f;

	vec_each (f, m)
		if (strcasecmp(f->name, name) == 0)
			return true;
	return false;
}

static int take_file(const json_t *o, struct manifest *m, struct err *err)
{
	struct manifest_file f;
	int64_t size;

	if (take_name(o, "name", f.name, err) < 0)
		return -1;
	if (take_number(o, "size", 1, MANIFEST_SIZE_MAX, &size, err) < 0 ||
	    take_hash(o, f.sha256, err) < 0)
		return err_add(err, "%s", f.name);
	if (strcasecmp(f.name, MANIFEST_FILE) == 0 ||
	    strcasecmp(f.name, MANIFEST_SIGNATURE) == 0)
		return err_set(err, 0, "%s: a manifest has no manifest",
			       f.name);
	if (has_file(m, f.name))
		return err_set(err, 0, "%s is in it twice", f.name);
	f.size = (uint64_t)size;
	vec_push(m, f);
	return 0;
}

static int take_files(const json_t *root, struct manifest *m, struct err *err)
{
	const json_t *files = json_object_get(root, "files"), *o;
	size_t n = json_array_size(files), i;

	if (n < 1 || n > MANIFEST_FILES_MAX)
		return err_set(err, 0, "\"files\" has to list 1 to %d files",
			       MANIFEST_FILES_MAX);
	json_array_foreach (files, i, o)
		if (take_file(o, m, err) < 0)
			return err_add(err, "file %zu", i + 1);
	if (manifest_bytes(m) > MANIFEST_SIZE_MAX)
		return err_set(err, 0,
			       "its files are more than %llu bytes together",
			       MANIFEST_SIZE_MAX);
	return 0;
}

static int take_all(const json_t *root, struct manifest *m, struct err *err)
{
	int64_t format, version;

	if (take_number(root, "format", 1, INT32_MAX, &format, err) < 0)
		return -1;
	if (format != MANIFEST_FORMAT)
		return err_set(err, 0,
			       "it is of format %lld, and this version of splx "
			       "reads format %d",
			       (long long)format, MANIFEST_FORMAT);
	if (take_name(root, "name", m->name, err) < 0 ||
	    take_number(root, "version", 1, (int64_t)MANIFEST_VERSION_MAX,
			&version, err) < 0 ||
	    take_number(root, "created", 0, TIME_MAX, &m->created, err) < 0 ||
	    take_number(root, "valid_until", 0, TIME_MAX, &m->valid_until,
			err) < 0)
		return -1;
	m->version = (uint64_t)version;
	return take_files(root, m, err);
}

int manifest_parse(const char *text, size_t len, struct manifest *m_r,
		   struct err *err)
{
	json_error_t where;
	json_t *root;
	int rc;

	memset(m_r, 0, sizeof(*m_r));
	if (len > MANIFEST_MAX)
		return err_set(err, 0, "a manifest has at most %u bytes",
			       MANIFEST_MAX);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return err_set(err, 0, "no manifest: line %d: %s", where.line,
			       where.text);
	rc = json_is_object(root) ? take_all(root, m_r, err)
				  : err_set(err, 0, "no manifest: no object");
	json_decref(root);
	if (rc < 0)
		manifest_free(m_r);
	return rc;
}

char *manifest_text(const struct manifest *m)
{
	const struct manifest_file *f;
	json_t *files = json_array(), *root;
	struct str text = {0};
	char *dump;

	vec_each (f, m)
		json_array_append_new(files, json_pack("{s:s, s:I, s:s}",
						       "name", f->name, "size",
						       (json_int_t)f->size,
						       "sha256", f->sha256));
	root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:o}", "format",
			 MANIFEST_FORMAT, "name", m->name, "version",
			 (json_int_t)m->version, "created",
			 (json_int_t)m->created, "valid_until",
			 (json_int_t)m->valid_until, "files", files);
	dump = json_dumps(root, JSON_INDENT(1));
	str_addf(&text, "%s\n", dump);
	free(dump);
	json_decref(root);
	return str_take(&text);
}

void manifest_free(struct manifest *m)
{
	vec_free(m);
	memset(m, 0, sizeof(*m));
}

uint64_t manifest_bytes(const struct manifest *m)
{
	const struct manifest_file *f;
	uint64_t sum = 0;

	vec_each (f, m)
		sum += f->size;
	return sum;
}

/* ---- files ---- */

int manifest_check_file(const struct manifest_file *f, int dir, struct err *err)
{
	int fd = openat(dir, f->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char hex[HASH_HEX_LEN + 1];
	uint64_t size;
	struct stat st;
	int rc;

	if (fd < 0)
		return err_set(err, errno, "%s", f->name);
	if (fstat(fd, &st) < 0)
		rc = err_set(err, errno, "%s", f->name);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, 0, "%s is no regular file", f->name);
	else if ((uint64_t)st.st_size != f->size)
		rc = err_set(err, 0, "%s has %lld bytes, and should have %llu",
			     f->name, (long long)st.st_size,
			     (unsigned long long)f->size);
	else if (hash_fd_hex(fd, hex, &size, err) < 0)
		rc = err_add(err, "%s", f->name);
	else if (size != f->size || strcmp(hex, f->sha256) != 0)
		rc = err_set(err, 0,
			     "%s is not what its manifest says (SHA-256 %s)",
			     f->name, hex);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int check_nothing_else(const struct manifest *m, int dir,
			      struct err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int rc = 0;

	if (!d) {
		err_set(err, errno, "its directory");
		fd_close(&fd);
		return -1;
	}
	while (rc == 0 && (de = readdir(d))) {
		const char *name = de->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    strcmp(name, MANIFEST_FILE) == 0 ||
		    strcmp(name, MANIFEST_SIGNATURE) == 0 || has_file(m, name))
			continue;
		rc = err_set(err, 0, "%s is not in its manifest", name);
	}
	closedir(d);
	return rc;
}

int manifest_check_dir(const struct manifest *m, int dir, struct err *err)
{
	const struct manifest_file *f;

	vec_each (f, m)
		if (manifest_check_file(f, dir, err) < 0)
			return -1;
	return check_nothing_else(m, dir, err);
}
