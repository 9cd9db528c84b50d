/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Where the console's certificate lies. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cert_impl.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define CURRENT "current"
#define PREFIX "set-"

/* The number of a set's name; -1: it is none. */
static long number_of(const char *name)
{
	int64_t n;

	return str_starts(name, PREFIX) && str_to_i64(name + strlen(PREFIX), 1,
						      1 << 30, &n, NULL) == 0
		       ? (long)n
		       : -1;
}

static long highest(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	long most = 0, n;

	while (d && (e = readdir(d))) {
		n = number_of(e->d_name);
		most = n > most ? n : most;
	}
	if (d)
		closedir(d);
	return most;
}

static int put(const char *set, const char *name, const char *text, gid_t gid,
	       struct err *err)
{
	char *path = xasprintf("%s/%s", set, name);
	int rc = fd_replace_file(path, text, strlen(text), 0640, err);

	if (rc == 0 && chown(path, 0, gid) < 0)
		rc = err_set(err, errno, "chown %s", path);
	free(path);
	return rc;
}

static void remove_set(const char *set)
{
	static const char *const names[] = {"certificate.pem", "key.pem"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = xasprintf("%s/%s", set, names[i]);

		unlink(path);
		free(path);
	}
	rmdir(set);
}

/* Makes the link point at the set; on the disk when it returns 0. */
static int take_over(const char *dir, const char *name, struct err *err)
{
	char *tmp = xasprintf("%s/" CURRENT ".new", dir);
	char *link = xasprintf("%s/" CURRENT, dir);
	int rc = 0, fd;

	unlink(tmp);
	if (symlink(name, tmp) < 0 || rename(tmp, link) < 0)
		rc = err_set(err, errno, "%s", link);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(tmp);
	free(link);
	return rc;
}

/* All but the newest two. */
static void remove_old(const char *dir, long newest)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	long former = 0, n;

	while (d && (e = readdir(d))) {
		n = number_of(e->d_name);
		if (n < newest && n > former)
			former = n;
	}
	if (d)
		rewinddir(d);
	while (d && (e = readdir(d))) {
		char *set;

		n = number_of(e->d_name);
		if (n < 0 || n == newest || n == former)
			continue;
		set = xasprintf("%s/%s", dir, e->d_name);
		remove_set(set);
		free(set);
	}
	if (d)
		closedir(d);
}

int cert_install(const char *dir, const struct cert *cert, gid_t gid,
		 struct err *err)
{
	char name[32], *set;
	long n;
	int rc;

	if (fd_mkdirs(dir, 0755, err) < 0)
		return -1;
	n = highest(dir) + 1;
	snprintf(name, sizeof(name), PREFIX "%ld", n);
	set = xasprintf("%s/%s", dir, name);
	if (mkdir(set, 0750) < 0)
		rc = err_set(err, errno, "mkdir %s", set);
	else if (chown(set, 0, gid) < 0)
		rc = err_set(err, errno, "chown %s", set);
	else if (put(set, "key.pem", cert->key, gid, err) < 0 ||
		 put(set, "certificate.pem", cert->chain, gid, err) < 0)
		rc = -1;
	else
		rc = take_over(dir, name, err);
	if (rc == 0)
		remove_old(dir, n);
	else
		remove_set(set);
	free(set);
	return rc;
}

int cert_show(const char *dir, struct cert_info *info_r, struct err *err)
{
	char *path = xasprintf("%s/" CURRENT "/certificate.pem", dir);
	char *text = NULL;
	size_t len;
	int rc = fd_read_file(path, CERT_CHAIN_MAX, &text, &len, err);

	free(path);
	if (rc < 0)
		return -1;
	rc = cert_describe(text, info_r, err);
	free(text);
	return rc;
}
