/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * A signed bundle from a web server. What comes from the net is read by a
 * child that is the scan user and nothing else, into a directory that is its
 * own; root copies from there, and compares what it copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fetch.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "pattern.h"
#include "pattern_child.h"

struct download {
	const struct conf *conf;
	struct fetch fetch;
	const struct manifest *m; /* NULL: the manifest itself */
	const struct patternset_part *have;
	uid_t uid;
	gid_t gid;
};

/* ---- in the child ---- */

/* The same file lies in the part that is installed. */
static bool is_there(const struct download *d, const struct manifest_file *f)
{
	const struct manifest_file *of;

	if (d->have)
		vec_each (of, &d->have->m)
			if (strcmp(of->name, f->name) == 0 &&
			    strcmp(of->sha256, f->sha256) == 0)
				return true;
	return false;
}

/* Came whole, this time or before. */
static bool is_whole(const struct download *d, const struct manifest_file *f,
		     struct err *err)
{
	int dir = open(d->fetch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool whole = dir >= 0 && manifest_check_file(f, dir, err) == 0;

	fd_close(&dir);
	return whole;
}

static int fetch_one(const struct download *d, const struct manifest_file *f,
		     struct err *err)
{
	struct err why;

	if (is_there(d, f) || is_whole(d, f, &why))
		return 0;
	if (fetch_file(&d->fetch, f->name, f->size, true, err) < 0)
		return -1;
	if (is_whole(d, f, err))
		return 0;
	/* Its beginning may have been another file's: once more. */
	return fetch_file(&d->fetch, f->name, f->size, false, err) < 0 ||
			       !is_whole(d, f, err)
		       ? -1
		       : 0;
}

static int fetch_all(const struct download *d, struct err *err)
{
	const struct manifest_file *f;

	if (!d->m)
		return fetch_file(&d->fetch, MANIFEST_FILE, MANIFEST_MAX, false,
				  err) < 0 ||
				       fetch_file(&d->fetch, MANIFEST_SIGNATURE,
						  MANIFEST_MAX, false, err) < 0
			       ? -1
			       : 0;
	vec_each (f, d->m)
		if (fetch_one(d, f, err) < 0)
			return -1;
	return 0;
}

static int work(const void *arg, int out, struct err *err)
{
	(void)out;
	return fetch_all(arg, err);
}

/* ---- root ---- */

static int download(const struct download *d, struct err *err)
{
	struct pattern_child c = {.uid = d->uid,
				  .gid = d->gid,
				  .dir = d->fetch.dir,
				  .work = work,
				  .arg = d};
	struct str said = {0};
	int dir = pattern_child_dir(&c, err), rc;

	if (dir < 0)
		return -1;
	fd_close(&dir);
	rc = pattern_child_run(&c, &said, err);
	str_free(&said);
	return rc;
}

static void remove_incoming(const struct download *d, const struct manifest *m)
{
	const struct manifest_file *f;

	vec_each (f, m) {
		char *path = xasprintf("%s/%s", d->fetch.dir, f->name);

		unlink(path);
		free(path);
	}
}

static int take(struct pattern_change *c, struct download *d,
		struct pattern_bundle *b, const char *origin, struct err *err)
{
	d->m = &b->m;
	d->have = patternset_part(&c->stage.set, b->m.name);
	if (download(d, err) < 0)
		return -1;
	return pattern_from_dir(c, d->fetch.dir, origin, err);
}

int pattern_from_url(struct pattern_change *c, const char *url, struct err *err)
{
	char *dir = xasprintf("%s/incoming", paths()->pattern_dir);
	char *base = xstrdup(url);
	struct download d = {
		.conf = c->conf,
		.fetch = {.base = base,
			  .dir = dir,
			  .proxy = c->conf->pattern_proxy,
			  .patience_ms = (uint64_t)c->conf->pattern_timeout,
			  .progress = isatty(STDERR_FILENO)},
	};
	struct pattern_bundle b;
	int rc = -1;

	while (str_ends(base, "/"))
		base[strlen(base) - 1] = '\0';
	if (proc_user(c->conf->scan_user, &d.uid, &d.gid, err) == 0 &&
	    download(&d, err) == 0 &&
	    pattern_bundle_read(&b, dir, &c->stage.set, err) == 0) {
		rc = b.known ? 0 : take(c, &d, &b, url, err);
		if (rc > 0)
			remove_incoming(&d, &b.m);
		pattern_bundle_free(&b);
	}
	free(base);
	free(dir);
	return rc;
}
