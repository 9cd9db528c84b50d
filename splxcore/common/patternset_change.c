/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: how a new one comes to be, and goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "paths.h"
#include "patternset_impl.h"

#define COPY_BUF (256 * 1024)

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *st, int what,
		      struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int sync_path(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_set(err, errno, "%s", path);
	fd_close(&fd);
	return rc;
}

/* All bytes, to the disk. Who owns the source may let it grow meanwhile. */
static int copy_bytes(int in, int out, uint64_t max, struct err *err)
{
	char *buf = xmalloc(COPY_BUF);
	uint64_t left = max;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(in, buf, COPY_BUF)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_set(err, errno, "read");
		else if ((uint64_t)n > left)
			rc = err_set(err, 0, "more than %llu bytes come",
				     (unsigned long long)max);
		else if (fd_write_all(out, buf, (size_t)n) < 0)
			rc = err_set(err, errno, "write");
		else
			left -= (uint64_t)n;
	}
	if (rc == 0 && fsync(out) < 0)
		rc = err_set(err, errno, "fsync");
	free(buf);
	return rc;
}

/* A regular file of at most `max` bytes; ENOENT in err->code when there is
 * none. */
static int copy_file(const char *from_dir, const char *to_dir, const char *name,
		     uint64_t max, struct err *err)
{
	char *from = xasprintf("%s/%s", from_dir, name);
	char *to = xasprintf("%s/%s", to_dir, name);
	int in = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int out = -1, rc;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		rc = err_set(err, errno, "%s", from);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, 0, "%s is no regular file", from);
	else if ((uint64_t)st.st_size > max)
		rc = err_set(err, 0, "%s has %lld bytes, more than %llu", from,
			     (long long)st.st_size, (unsigned long long)max);
	else if ((out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			     0644)) < 0)
		rc = err_set(err, errno, "%s", to);
	else if ((rc = copy_bytes(in, out, max, err)) < 0)
		err_add(err, "%s", to);
	fd_close(&in);
	fd_close(&out);
	free(from);
	free(to);
	return rc;
}

/* ---- a set that is being made ---- */

static int link_file(const char *from_dir, const char *to_dir, const char *name,
		     struct err *err)
{
	char *from = xasprintf("%s/%s", from_dir, name);
	char *to = xasprintf("%s/%s", to_dir, name);
	int rc = link(from, to);

	if (rc < 0)
		err_set(err, errno, "link(%s, %s)", from, to);
	free(from);
	free(to);
	return rc;
}

static int link_part(const struct patternset *set,
		     const struct patternset_part *p, const char *stage,
		     struct err *err)
{
	char *from = patternset_path(set->number, p->m.name);
	char *to = xasprintf("%s/%s", stage, p->m.name);
	const struct manifest_file *f;
	int rc = 0;

	if (mkdir(to, 0755) < 0)
		rc = err_set(err, errno, "mkdir(%s)", to);
	if (rc == 0)
		rc = link_file(from, to, MANIFEST_FILE, err);
	if (rc == 0)
		vec_each (f, &p->m)
			if (rc == 0)
				rc = link_file(from, to, f->name, err);
	if (rc == 0 && p->signed_by[0])
		rc = link_file(from, to, MANIFEST_SIGNATURE, err);
	free(from);
	free(to);
	return rc;
}

int patternset_stage_begin(struct patternset_stage *stage, struct err *err)
{
	const struct patternset_part *p;
	int rc;

	memset(stage, 0, sizeof(*stage));
	if (patternset_current(&stage->set, err) < 0)
		return -1;
	stage->dir = patternset_below(SETS "/" STAGE_PREFIX "XXXXXX");
	if (!mkdtemp(stage->dir)) {
		rc = err_set(err, errno, "mkdtemp(%s)", stage->dir);
		xfree(&stage->dir);
		patternset_stage_end(stage);
		return rc;
	}
	rc = chmod(stage->dir, 0755) < 0
		     ? err_set(err, errno, "chmod(%s)", stage->dir)
		     : 0;
	vec_each (p, &stage->set)
		if (rc == 0)
			rc = link_part(&stage->set, p, stage->dir, err);
	if (rc < 0)
		patternset_stage_end(stage);
	return rc;
}

void patternset_stage_end(struct patternset_stage *stage)
{
	if (stage->dir)
		remove_tree(stage->dir);
	xfree(&stage->dir);
	patternset_free(&stage->set);
}

bool patternset_stage_drop(struct patternset_stage *stage, const char *name)
{
	char *dir;

	for (size_t i = 0; i < stage->set.len; i++) {
		if (strcmp(stage->set.items[i].m.name, name) != 0)
			continue;
		patternset_part_free(&stage->set.items[i]);
		vec_remove(&stage->set, i);
		dir = xasprintf("%s/%s", stage->dir, name);
		remove_tree(dir);
		free(dir);
		return true;
	}
	return false;
}

static int write_manifest(const struct manifest *m, const char *from,
			  const char *to, bool signed_, struct err *err)
{
	char *path, *text;
	int rc;

	/* A signature is over the very bytes that came. */
	if (signed_)
		return copy_file(from, to, MANIFEST_FILE, MANIFEST_MAX, err) <
					       0 ||
				       copy_file(from, to, MANIFEST_SIGNATURE,
						 MANIFEST_MAX, err) < 0
			       ? -1
			       : 0;
	path = xasprintf("%s/" MANIFEST_FILE, to);
	text = manifest_text(m);
	rc = fd_replace_file(path, text, strlen(text), 0644, err);
	free(path);
	free(text);
	return rc;
}

/* The former part's, when it is the same: bytes that are there already. */
static bool link_old(const struct patternset_stage *stage,
		     const struct patternset_part *old,
		     const struct manifest_file *f, const char *to)
{
	const struct manifest_file *of;
	struct err ignored;
	bool linked = false;
	char *from;

	if (!old)
		return false;
	from = patternset_path(stage->set.number, old->m.name);
	vec_each (of, &old->m)
		if (!linked && strcmp(of->name, f->name) == 0 &&
		    of->size == f->size && strcmp(of->sha256, f->sha256) == 0)
			linked = link_file(from, to, f->name, &ignored) == 0;
	free(from);
	return linked;
}

static int fill_part(const struct patternset_stage *stage,
		     const struct manifest *m, const char *from, const char *to,
		     bool signed_, struct err *err)
{
	const struct patternset_part *old = NULL;
	const struct manifest_file *f;
	struct patternset now;
	int dir, rc = 0;

	if (patternset_current(&now, err) < 0)
		return -1;
	old = patternset_part(&now, m->name);
	vec_each (f, m)
		if (rc == 0 && !link_old(stage, old, f, to))
			rc = copy_file(from, to, f->name, f->size, err);
	patternset_free(&now);
	if (rc == 0)
		rc = write_manifest(m, from, to, signed_, err);
	if (rc < 0)
		return -1;
	dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = dir < 0 ? err_set(err, errno, "%s", to)
		     : manifest_check_dir(m, dir, err);
	fd_close(&dir);
	return rc;
}

/* It is shown by pattern list. */
static void take_origin(struct patternset_part *part, const char *origin)
{
	char *shown = address_mask(origin);

	str_copy(part->origin, sizeof(part->origin), shown);
	free(shown);
}

int patternset_stage_part(struct patternset_stage *stage, struct manifest *m,
			  const char *from, const char *origin,
			  const char *signed_by, struct err *err)
{
	struct patternset_part part = {0};
	char *to = xasprintf("%s/%s", stage->dir, m->name);
	int rc;

	patternset_stage_drop(stage, m->name);
	if (stage->set.len >= PATTERNSET_PARTS_MAX)
		rc = err_set(err, 0, "a set has at most %d parts",
			     PATTERNSET_PARTS_MAX);
	else if (mkdir(to, 0755) < 0)
		rc = err_set(err, errno, "mkdir(%s)", to);
	else
		rc = fill_part(stage, m, from, to, signed_by[0] != '\0', err);
	if (rc < 0) {
		remove_tree(to);
	} else {
		part.m = *m;
		memset(m, 0, sizeof(*m));
		take_origin(&part, origin);
		str_copy(part.signed_by, sizeof(part.signed_by), signed_by);
		vec_push(&stage->set, part);
	}
	free(to);
	return rc;
}

/* ---- into its place ---- */

static int write_set(const struct patternset_stage *stage, struct err *err)
{
	char *path = xasprintf("%s/" SET_FILE, stage->dir);
	const struct patternset_part *p;
	json_t *parts = json_array(), *o;
	int rc;

	vec_each (p, &stage->set)
		json_array_append_new(parts,
				      json_pack("{s:s, s:s, s:s}", "name",
						p->m.name, "origin", p->origin,
						"signed_by", p->signed_by));
	o = json_pack("{s:i, s:I, s:o}", "format", PATTERNSET_FORMAT, "created",
		      (json_int_t)time(NULL), "parts", parts);
	rc = patternset_json_write(path, o, err);
	json_decref(o);
	free(path);
	return rc;
}

/* The directories; the files were written so. */
static int sync_stage(const struct patternset_stage *stage, struct err *err)
{
	const struct patternset_part *p;
	int rc = 0;

	vec_each (p, &stage->set) {
		char *dir = xasprintf("%s/%s", stage->dir, p->m.name);

		if (rc == 0)
			rc = sync_path(dir, err);
		free(dir);
	}
	return rc == 0 ? sync_path(stage->dir, err) : -1;
}

int patternset_stage_seal(const struct patternset_stage *stage, struct err *err)
{
	return write_set(stage, err) < 0 || sync_stage(stage, err) < 0 ? -1 : 0;
}

/* One more than any that there is or was current. */
static uint64_t next_number(void)
{
	char *path = patternset_below(SETS);
	DIR *d = opendir(path);
	uint64_t last = 0, number;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		number = patternset_number(de->d_name);
		if (number > last)
			last = number;
	}
	if (d)
		closedir(d);
	free(path);
	return last + 1;
}

int patternset_install(struct patternset_stage *stage, uint64_t *number_r,
		       struct err *err)
{
	char *sets = patternset_below(SETS), *to = NULL;
	int rc = -1;

	*number_r = next_number();
	to = patternset_path(*number_r, NULL);
	if (patternset_stage_seal(stage, err) < 0)
		goto out;
	if (rename(stage->dir, to) < 0) {
		err_set(err, errno, "rename(%s, %s)", stage->dir, to);
		goto out;
	}
	xfree(&stage->dir);
	rc = sync_path(sets, err);
out:
	free(sets);
	free(to);
	return rc;
}

static int set_link(const char *target, const char *at, struct err *err)
{
	char *next = xasprintf("%s.new", at);
	int rc = 0;

	unlink(next);
	if (symlink(target, next) < 0 || rename(next, at) < 0)
		rc = err_set(err, errno, "%s", at);
	if (rc < 0)
		unlink(next);
	free(next);
	return rc;
}

int patternset_switch(uint64_t number, struct err *err)
{
	char *now = patternset_below(CURRENT);
	char *target = xasprintf(SETS "/%llu", (unsigned long long)number);
	int rc = 0;

	if (!number) {
		if (unlink(now) < 0 && errno != ENOENT)
			rc = err_set(err, errno, "unlink(%s)", now);
	} else {
		rc = set_link(target, now, err);
		if (rc < 0 && patternset_room_give(err->code))
			rc = set_link(target, now, err);
	}
	if (rc == 0)
		rc = sync_path(paths()->pattern_dir, err);
	free(now);
	free(target);
	return rc;
}

/* What fd_replace_file() left when it was killed. */
static void remove_torn(void)
{
	static const char *const files[] = {"state.json.", "last.json."};
	DIR *d = opendir(paths()->pattern_dir);
	struct dirent *de;

	while (d && (de = readdir(d)))
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			if (str_starts(de->d_name, files[i]))
				unlinkat(dirfd(d), de->d_name, 0);
	if (d)
		closedir(d);
}

void patternset_prune(unsigned int keep)
{
	char *path = patternset_below(SETS), *one;
	struct patternset_list list;
	struct dirent *de;
	size_t at, i;
	DIR *d = opendir(path);

	while (d && (de = readdir(d))) {
		if (!str_starts(de->d_name, STAGE_PREFIX))
			continue;
		one = xasprintf("%s/%s", path, de->d_name);
		remove_tree(one);
		free(one);
	}
	if (d)
		closedir(d);
	free(path);
	remove_torn();
	patternset_list(&list, NULL);
	for (at = 0; at < list.len && !list.items[at].current; at++)
		;
	/* Where none is current nobody knows which are old. */
	for (i = 0; at < list.len && i < list.len; i++) {
		if (i <= at && at - i <= keep)
			continue;
		one = patternset_path(list.items[i].number, NULL);
		remove_tree(one);
		free(one);
	}
	patternset_list_free(&list);
}
