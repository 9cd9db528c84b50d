/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The part "local": files by hand. One that is named, or all that somebody laid
 * straight into the directory of the sets.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "common/patternlaid.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "output.h"
#include "pattern.h"
#include "render.h"

/* The manifest of the files by hand, with its next version. */
static void begin(const struct patternset *now, struct manifest *m)
{
	const struct patternset_part *is =
		patternset_part(now, PATTERNSET_LOCAL);
	const struct manifest_file *f;

	memset(m, 0, sizeof(*m));
	str_copy(m->name, sizeof(m->name), PATTERNSET_LOCAL);
	m->created = time(NULL);
	m->version = is ? is->m.version + 1 : 1;
	if (is)
		vec_each (f, &is->m)
			vec_push(m, *f);
}

static struct manifest_file *file_of(struct manifest *m, const char *name)
{
	struct manifest_file *f;

	vec_each (f, m)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/* The file's name, size and hash. */
static int look(const char *dir, const char *name, struct manifest_file *f,
		struct err *err)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd, rc;

	memset(f, 0, sizeof(*f));
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		rc = errno == ELOOP ? err_set(err, 0,
					      "%s is a link: put the file "
					      "itself there, or name it "
					      "(--from=FILE)",
					      path)
				    : err_set(err, errno, "%s", path);
	else if (!manifest_is_name(name))
		rc = err_set(err, 0,
			     "%s: its name has to be of letters, digits and "
			     "._-, at most %d long",
			     path, MANIFEST_NAME_MAX);
	else if ((rc = hash_fd_hex(fd, f->sha256, &f->size, err)) < 0)
		err_add(err, "%s", path);
	else
		str_copy(f->name, sizeof(f->name), name);
	fd_close(&fd);
	free(path);
	return rc;
}

/* 1, 0 when it is in the manifest as it is, -1 and *err. */
static int add(struct manifest *m, const struct manifest_file *f,
	       struct err *err)
{
	struct manifest_file *old = file_of(m, f->name);

	if (old && old->size == f->size && !strcmp(old->sha256, f->sha256))
		return 0;
	if (!old && m->len >= MANIFEST_FILES_MAX)
		return err_set(err, 0,
			       "%s: there are %d files by hand already, and "
			       "more are not taken: put them together",
			       f->name, MANIFEST_FILES_MAX);
	if (old)
		*old = *f;
	else
		vec_push(m, *f);
	return 1;
}

static int take(struct pattern_change *c, struct manifest *m, const char *dir,
		const char *origin, struct err *err)
{
	return patternset_stage_part(&c->stage, m, dir, origin, "", err) < 0
		       ? -1
		       : 1;
}

int pattern_from_file(struct pattern_change *c, const char *file,
		      struct err *err)
{
	char *a = xstrdup(file), *b = xstrdup(file);
	char *origin = xasprintf("by hand, last %s", file);
	const char *dir = dirname(b);
	struct manifest_file f;
	struct manifest m;
	int rc;

	begin(&c->stage.set, &m);
	rc = look(dir, basename(a), &f, err);
	if (rc == 0)
		rc = add(&m, &f, err);
	if (rc > 0)
		rc = take(c, &m, dir, origin, err);
	manifest_free(&m);
	free(a);
	free(b);
	free(origin);
	return rc;
}

/* ---- what lies there ---- */

int pattern_from_laid(struct pattern_change *c, struct err *err)
{
	const char *dir = paths()->pattern_dir;
	char *origin = xasprintf("by hand, from %s", dir);
	int changed = 0, rc = 0;
	struct patternlaid laid;
	struct manifest_file f;
	struct manifest m;
	char **name;

	patternlaid_list(&laid);
	begin(&c->stage.set, &m);
	if (!laid.len)
		puts(T("no pattern files lie there but those of the sets"));
	vec_each (name, &laid) {
		rc = look(dir, *name, &f, err);
		if (rc == 0)
			rc = add(&m, &f, err);
		if (rc < 0)
			break;
		changed |= rc;
		rc = 0;
		vec_push(&c->laid, f);
	}
	if (rc == 0 && changed)
		rc = take(c, &m, dir, origin, err);
	patternlaid_free(&laid);
	manifest_free(&m);
	free(origin);
	return rc;
}

void pattern_laid_done(struct pattern_change *c)
{
	const char *dir = paths()->pattern_dir;
	struct manifest_file now, *f;
	struct err err;

	vec_each (f, &c->laid) {
		char *path = xasprintf("%s/%s", dir, f->name);

		/* Another one by now: that one was not taken. */
		if (look(dir, f->name, &now, &err) == 0 &&
		    !strcmp(now.sha256, f->sha256) && unlink(path) == 0)
			printf(T("%s is in the part %s now\n"), f->name,
			       PATTERNSET_LOCAL);
		else
			ctl_complain("%s was taken, and still lies there",
				     path);
		free(path);
	}
}
