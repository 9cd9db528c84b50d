/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Bundles of patterns: read and checked, made and signed. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "output.h"
#include "pattern.h"
#include "render.h"

#define DAY 86400

/* Of a file that others may have put there: regular, not too long. */
static char *read_text(const char *dir, const char *name, size_t *len_r,
		       struct err *err)
{
	char *path = xasprintf("%s/%s", dir, name), *text = NULL;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(err, errno, "%s", path);
	} else if (!S_ISREG(st.st_mode) || st.st_size > (off_t)MANIFEST_MAX) {
		err_set(err, 0, "%s: a file of at most %u bytes is wanted",
			path, MANIFEST_MAX);
	} else {
		*len_r = (size_t)st.st_size;
		text = xcalloc(1, *len_r + 1);
		if (fd_read_all(fd, text, *len_r) < 0) {
			err_set(err, errno, "%s", path);
			xfree(&text);
		}
	}
	fd_close(&fd);
	free(path);
	return text;
}

static int check_signature(const char *text, size_t len, const char *dir,
			   char id_r[SIGNING_ID_LEN + 1], struct err *err)
{
	char *keys_dir = xasprintf("%s/keys", paths()->conf_dir), *lines;
	struct signing_keys keys;
	struct err *problem;
	size_t lines_len;
	int rc;

	signing_keys_read(keys_dir, &keys);
	vec_each (problem, &keys.problems)
		ctl_complain("no key: %s", problem->text);
	lines = read_text(dir, MANIFEST_SIGNATURE, &lines_len, err);
	if (!lines)
		rc = -1;
	else if (!keys.len)
		rc = err_set(err, 0,
			     "no key is trusted: put the public key of who "
			     "makes these bundles into %s",
			     keys_dir);
	else
		rc = signing_check(&keys, text, len, lines, id_r, err);
	signing_keys_free(&keys);
	free(lines);
	free(keys_dir);
	return rc;
}

static void print_time(char *out, size_t size, int64_t when)
{
	time_t t = when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, size, "%F %R UTC", &tm))
		str_copy(out, size, "?");
}

static int check_time(const struct manifest *m, struct err *err)
{
	char then[32], now[32];
	time_t t = time(NULL);

	if (m->valid_until && t > m->valid_until) {
		print_time(then, sizeof(then), m->valid_until);
		print_time(now, sizeof(now), t);
		return err_set(err, 0,
			       "%s %llu was good until %s, and this machine's "
			       "clock says %s: somebody serves old patterns, "
			       "or the clock is wrong",
			       m->name, (unsigned long long)m->version, then,
			       now);
	}
	if (m->created > t + DAY) {
		print_time(then, sizeof(then), m->created);
		ctl_complain("%s %llu was made %s, which is in the future: is "
			     "this machine's clock right?",
			     m->name, (unsigned long long)m->version, then);
	}
	return 0;
}

static bool is_same(const struct manifest *a, const struct manifest *b)
{
	char *x = manifest_text(a), *y = manifest_text(b);
	bool same = strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

static int check_place(struct pattern_bundle *b, const struct patternset *now,
		       struct err *err)
{
	const struct patternset_part *is = patternset_part(now, b->m.name);

	if (str_starts(b->m.name, PATTERNSET_CLAMAV) ||
	    strcmp(b->m.name, PATTERNSET_LOCAL) == 0)
		return err_set(err, 0,
			       "a bundle may not be called %s: that is the "
			       "name of other patterns",
			       b->m.name);
	b->known = is && is_same(&is->m, &b->m);
	if (b->known)
		return 0;
	if (is && is->m.version == b->m.version)
		return err_set(err, 0,
			       "%s %llu is installed with another content: "
			       "whoever makes it has to raise the version",
			       b->m.name, (unsigned long long)b->m.version);
	return patternset_may(b->m.name, b->m.version, err);
}

int pattern_bundle_read(struct pattern_bundle *b, const char *dir,
			const struct patternset *now, struct err *err)
{
	size_t len;
	char *text;
	int rc;

	memset(b, 0, sizeof(*b));
	text = read_text(dir, MANIFEST_FILE, &len, err);
	if (!text)
		return -1;
	/* Nothing of it is believed before. */
	rc = check_signature(text, len, dir, b->signed_by, err);
	if (rc == 0)
		rc = manifest_parse(text, len, &b->m, err);
	if (rc == 0)
		rc = check_time(&b->m, err);
	if (rc == 0 && now)
		rc = check_place(b, now, err);
	free(text);
	if (rc < 0)
		pattern_bundle_free(b);
	return rc;
}

int pattern_bundle_signer(const char *dir, char id_r[SIGNING_ID_LEN + 1],
			  struct err *err)
{
	size_t len;
	char *text = read_text(dir, MANIFEST_FILE, &len, err);
	int rc = text ? check_signature(text, len, dir, id_r, err) : -1;

	free(text);
	return rc;
}

void pattern_bundle_free(struct pattern_bundle *b)
{
	manifest_free(&b->m);
}

int pattern_from_dir(struct pattern_change *c, const char *dir,
		     const char *origin, struct err *err)
{
	struct pattern_bundle b;
	int rc;

	if (pattern_bundle_read(&b, dir, &c->stage.set, err) < 0)
		return -1;
	rc = b.known ? 0
		     : patternset_stage_part(&c->stage, &b.m, dir, origin,
					     b.signed_by, err);
	rc = rc < 0 ? -1 : !b.known;
	pattern_bundle_free(&b);
	return rc;
}

/* ---- making one ---- */

static int add_file(struct manifest *m, const char *path, struct err *err)
{
	struct manifest_file f = {0};
	char *copy = xstrdup(path);
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (!str_copy(f.name, sizeof(f.name), basename(copy)) ||
	    !manifest_is_name(f.name))
		rc = err_set(err, 0,
			     "%s: its name has to be of letters, digits and "
			     "._-, at most %d long",
			     path, MANIFEST_NAME_MAX);
	else if (fd < 0 || hash_fd_hex(fd, f.sha256, &f.size, err) < 0)
		rc = fd < 0 ? err_set(err, errno, "%s", path)
			    : err_add(err, "%s", path);
	else
		vec_push(m, f);
	fd_close(&fd);
	free(copy);
	return rc;
}

static int add_files(struct manifest *m, struct ctl *ctl, struct err *err)
{
	const json_t *list = json_object_get(ctl->args, "file"), *item;
	struct manifest again;
	char *text;
	size_t i;
	int rc;

	json_array_foreach (list, i, item)
		if (add_file(m, json_string_value(item), err) < 0)
			return -1;
	/* What a reader would refuse is not made. */
	text = manifest_text(m);
	rc = manifest_parse(text, strlen(text), &again, err);
	manifest_free(&again);
	free(text);
	return rc;
}

static int copy_in(struct ctl *ctl, const char *dir, struct err *err)
{
	const json_t *list = json_object_get(ctl->args, "file"), *item;
	size_t i, len;
	int rc = 0;

	json_array_foreach (list, i, item) {
		const char *from = json_string_value(item);
		char *name = xstrdup(from), *to, *data;

		to = xasprintf("%s/%s", dir, basename(name));
		if (rc == 0 &&
		    fd_read_file(from, MANIFEST_SIZE_MAX, &data, &len, err) < 0)
			rc = -1;
		else if (rc == 0) {
			rc = fd_replace_file(to, data, len, 0644, err);
			free(data);
		}
		free(name);
		free(to);
	}
	return rc;
}

static int write_signed(const struct manifest *m, const char *dir,
			const char *key, struct err *err)
{
	char *text = manifest_text(m), *line = NULL;
	char *path = xasprintf("%s/" MANIFEST_FILE, dir);
	char *signature = xasprintf("%s/" MANIFEST_SIGNATURE, dir);
	int rc = signing_sign(key, text, strlen(text), &line, err);

	/* The manifest last: who fetches meanwhile sees the former one whole,
	 * or a signature that is not of it, and tries again. */
	if (rc == 0)
		rc = fd_replace_file(signature, line, strlen(line), 0644, err);
	if (rc == 0)
		rc = fd_replace_file(path, text, strlen(text), 0644, err);
	free(line);
	free(text);
	free(path);
	free(signature);
	return rc;
}

static int take_words(struct manifest *m, struct ctl *ctl, struct err *err)
{
	const char *name = ctl_arg(ctl, "name"), *valid = ctl_arg(ctl, "valid");
	const char *version = ctl_arg(ctl, "version");
	uint64_t ms = 30ull * DAY * 1000;
	int64_t number = time(NULL);

	if (!name || !manifest_is_name(name))
		return err_set(err, 0,
			       "--name: what the bundle is called, by letters, "
			       "digits and ._-; the same each time");
	if (version && str_to_i64(version, 1, (int64_t)MANIFEST_VERSION_MAX,
				  &number, err) < 0)
		return err_add(err, "--version");
	if (valid && str_to_duration(valid, DAY * 1000, &ms, err) < 0)
		return err_add(err, "--valid");
	str_copy(m->name, sizeof(m->name), name);
	m->version = (uint64_t)number;
	m->created = time(NULL);
	m->valid_until = ms ? m->created + (int64_t)(ms / 1000) : 0;
	return 0;
}

int pattern_bundle_run(struct ctl *ctl)
{
	const char *dir = ctl_arg(ctl, "dir"), *key = ctl_arg(ctl, "key");
	struct manifest m = {0};
	struct err err = {0};
	int rc = CTL_ERROR;

	if (!key)
		err_set(&err, 0,
			"--key: the file of the private key that signs it "
			"(splxctl pattern key makes one)");
	else if (take_words(&m, ctl, &err) == 0 &&
		 add_files(&m, ctl, &err) == 0 &&
		 fd_mkdirs(dir, 0755, &err) == 0 &&
		 copy_in(ctl, dir, &err) == 0 &&
		 write_signed(&m, dir, key, &err) == 0)
		rc = CTL_OK;
	if (rc == CTL_OK)
		printf(T("%s %llu: %zu file%s in %s\n"), m.name,
		       (unsigned long long)m.version, m.len,
		       m.len == 1 ? "" : "s", dir);
	else
		ctl_complain("%s", err.text);
	manifest_free(&m);
	return rc;
}

int pattern_key_run(struct ctl *ctl)
{
	const char *private = ctl_arg(ctl, "file");
	char *public = xasprintf("%s.pem", private);
	char id[SIGNING_ID_LEN + 1];
	struct err err;
	int rc = CTL_OK;

	if (signing_key_make(private, public, id, &err) < 0) {
		ctl_complain("%s", err.text);
		rc = CTL_ERROR;
	} else {
		printf(T("key %s\n%s signs: keep it where patterns are made\n"
			 "%s is to lie in %s/keys of each machine that trusts "
			 "it\n"),
		       id, private, public, paths()->conf_dir);
	}
	free(public);
	return rc;
}
