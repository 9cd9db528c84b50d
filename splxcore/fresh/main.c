/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * splxfresh: brings ClamAV's own databases into a directory. Started by
 * splxctl as the scan user, which can write there and nowhere else; what it
 * brings and says is not trusted.
 *
 * Prints one JSON object: {"ok": true, "databases": {NAME: {"version": n} or
 * {"why": text}, …}, "not_before": seconds since 1970 or 0}, or {"ok": false,
 * "why": text, "not_before": …}.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cvd.h"
#include "common/fetch.h"
#include "common/jsontext.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "library.h"

#define OFFICIAL "https://database.clamav.net"
/* As the library has it, where the server says nothing else. */
#define WAIT_FORBIDDEN 86400
#define WAIT_TOO_MANY 14400

struct job {
	struct library library;
	bool fetch;
	int64_t not_before;
	json_t *databases;
};

/* ---- versions ---- */

static void note_refusal(struct job *j, const struct fetch_answer *answer)
{
	uint64_t wait = answer->retry_after;

	if (answer->status != 403 && answer->status != 429)
		return;
	if (!wait)
		wait = answer->status == 403 ? WAIT_FORBIDDEN : WAIT_TOO_MANY;
	j->not_before = (int64_t)time(NULL) + (int64_t)wait;
}

/* What a private mirror has: a .cld where it has one, else a .cvd, in the
 * library's own order. */
static int64_t ask_mirror(struct job *j, const char *name, struct err *err)
{
	static const char *const ends[] = {"cld", "cvd"};
	struct fetch_answer answer = {0};
	struct fetch f = {
		.base = j->library.server,
		.proxy = "environment",
		.patience_ms = (uint64_t)j->library.seconds * 1000,
		.answer = &answer,
	};
	char head[CVD_HEAD_LEN];
	struct cvd_head h;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		char *file = xasprintf("%s.%s", name, ends[i]);
		int rc = fetch_beginning(&f, file, head, sizeof(head), err);

		if (rc == 0 && cvd_head_parse(head, sizeof(head), &h, err) < 0)
			rc = err_add(err, "%s", file);
		free(file);
		if (rc == 0)
			return (int64_t)h.version;
		note_refusal(j, &answer);
		if (answer.status != 404)
			break;
	}
	return -1;
}

static int64_t ask(struct job *j, const char *name, struct err *err)
{
	int64_t version = j->library.official
				  ? library_version(&j->library, name, err)
				  : ask_mirror(j, name, err);

	if (version == 0)
		return err_set(err, 0, "ClamAV has no such database");
	return version;
}

/* ---- the databases ---- */

static int64_t version_here(const struct job *j, const char *name)
{
	static const char *const ends[] = {"cld", "cvd"};
	struct cvd_head h = {0};
	uint64_t version = 0;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		char *path =
			xasprintf("%s/%s.%s", j->library.dir, name, ends[i]);
		int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && cvd_head_read(fd, &h, NULL) == 0 &&
		    h.version > version)
			version = h.version;
		fd_close(&fd);
		free(path);
	}
	return (int64_t)version;
}

/*
 * The library is content with what it has when the one difference that is
 * missing is not on the mirror. A private one may have none at all.
 */
static int64_t fetch_one(struct job *j, const char *name, int64_t wanted,
			 struct err *err)
{
	struct library *l = &j->library;
	int64_t now = time(NULL), until;
	int rc = library_update(l, name, false, err);

	if (rc == 0 && !l->official && version_here(j, name) < wanted &&
	    library_not_before(l) <= now)
		rc = library_update(l, name, true, err);
	until = library_not_before(l);
	if (until > now) {
		/* It calls that a success. */
		if (rc == 0)
			err_set(err, 0, "the server refuses to answer");
		rc = -1;
		j->not_before = until;
	}
	return rc < 0 ? -1 : version_here(j, name);
}

/* "NAME" or "NAME=VERSION". */
static void do_one(struct job *j, char *word)
{
	char *name = strsep(&word, "=");
	struct err err = {0};
	int64_t version;
	json_t *o;

	if (!cvd_is_name(name))
		version = err_set(&err, 0, "that is no name of a database");
	else if (j->not_before > time(NULL))
		version = err_set(&err, 0, "not asked for any more");
	else if (j->fetch)
		version = fetch_one(j, name, word ? atoll(word) : 0, &err);
	else
		version = ask(j, name, &err);
	o = version < 0 ? json_pack("{s:o}", "why", jsontext_new(err.text))
			: json_pack("{s:I}", "version", (json_int_t)version);
	json_object_set_new(j->databases, name, o);
}

/* ---- */

static int remove_one(const char *path, const struct stat *st, int what,
		      struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

/* What a run that was killed left is of no use. Returns the file for what the
 * library says. */
static int make_tmp(const char *tmp, struct err *err)
{
	char *path;
	int fd;

	nftw(tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (mkdir(tmp, 0700) < 0)
		return err_set(err, errno, "%s", tmp);
	path = xasprintf("%s/said", tmp);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		err_set(err, errno, "%s", path);
	free(path);
	return fd;
}

static void answer(int out, struct job *j, int rc, const struct err *err)
{
	json_t *o = rc < 0 ? json_pack("{s:b, s:o, s:I}", "ok", 0, "why",
				       jsontext_new(err->text), "not_before",
				       (json_int_t)j->not_before)
			   : json_pack("{s:b, s:O, s:I}", "ok", 1, "databases",
				       j->databases, "not_before",
				       (json_int_t)j->not_before);

	json_dumpfd(o, out, JSON_COMPACT);
	json_decref(o);
}

static int usage(void)
{
	fputs("usage: splxfresh versions|update DIR SERVER SECONDS "
	      "NAME[=VERSION]...\n"
	      "Started by splxctl pattern update. SERVER is an address, or "
	      "\"official\".\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct job j = {0};
	int out, rc;

	if (argc < 6)
		return usage();
	j.databases = json_object();
	j.fetch = strcmp(argv[1], "update") == 0;
	j.library.dir = argv[2];
	j.library.tmp = xasprintf("%s/tmp", argv[2]);
	j.library.official = strcmp(argv[3], "official") == 0;
	j.library.server = j.library.official ? OFFICIAL : argv[3];
	j.library.seconds = (unsigned int)atoi(argv[4]);
	/* Not the library's: the answer. */
	out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	j.library.said = make_tmp(j.library.tmp, &err);
	rc = out < 0 || j.library.said < 0 ? -1
					   : library_start(&j.library, &err);
	for (int i = 5; rc == 0 && i < argc; i++)
		do_one(&j, argv[i]);
	answer(out, &j, rc, &err);
	return rc == 0 ? 0 : 1;
}
