// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "scratch.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"

_Static_assert(sizeof(off_t) == 8, "struct stat is struct stat64");

/*
 * Under the C library's names. The calls go on by those of its functions that
 * are not replaced here, so this needs nothing of the kernel that was not
 * needed before.
 */
#define STANDS_FOR(name) __asm__(#name) __attribute__((visibility("default")))

int scratch_mkdir(const char *path, mode_t mode) STANDS_FOR(mkdir);
int scratch_chmod(const char *path, mode_t mode) STANDS_FOR(chmod);
DIR *scratch_opendir(const char *path) STANDS_FOR(opendir);
int scratch_open(const char *path, int flags, ...) STANDS_FOR(open);
int scratch_open64(const char *path, int flags, ...) STANDS_FOR(open64);
FILE *scratch_fopen(const char *path, const char *mode) STANDS_FOR(fopen);
FILE *scratch_fopen64(const char *path, const char *mode) STANDS_FOR(fopen64);
int scratch_rename(const char *from, const char *to) STANDS_FOR(rename);
int scratch_symlink(const char *to, const char *path) STANDS_FOR(symlink);
int scratch_access(const char *path, int mode) STANDS_FOR(access);
int scratch_stat(const char *path, struct stat *st) STANDS_FOR(stat64);
int scratch_lstat(const char *path, struct stat *st) STANDS_FOR(lstat64);

static const char *deferred; /* the scratch directory */
static char owed[256];	     /* empty: none */
static unsigned long spared;

/* Looked up while all files can still be seen. */
static DIR *(*real_opendir)(const char *path);
static FILE *(*real_fopen)(const char *path, const char *mode);

static void look_up(void)
{
	if (real_fopen)
		return;
	*(void **)&real_opendir = dlsym(RTLD_NEXT, "opendir");
	*(void **)&real_fopen = dlsym(RTLD_NEXT, "fopen64");
	if (!real_opendir || !real_fopen)
		panic("the C library has no opendir, fopen64");
}

void scratch_defer(const char *dir)
{
	look_up();
	deferred = dir;
	owed[0] = '\0';
}

unsigned long scratch_spared(void)
{
	return spared;
}

/* Directly in the scratch directory, not further below. */
static bool is_to_be_deferred(const char *path)
{
	size_t len = deferred ? strlen(deferred) : 0;

	return len > 0 && !strncmp(path, deferred, len) && path[len] == '/' &&
	       path[len + 1] && !strchr(path + len + 1, '/') &&
	       strlen(path) < sizeof(owed);
}

/* What is owed is made if the path is it or lies in it. A failure shows at
 * once, in what the caller is about to do there. */
static void settle(const char *path)
{
	size_t len;

	if (!owed[0] || !path)
		return;
	len = strlen(owed);
	if (strncmp(path, owed, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return;
	mkdirat(AT_FDCWD, owed, 0700);
	owed[0] = '\0';
}

int scratch_mkdir(const char *path, mode_t mode)
{
	settle(path);
	if (!owed[0] && mode == 0700 && is_to_be_deferred(path)) {
		str_copy(owed, sizeof(owed), path);
		return 0;
	}
	return mkdirat(AT_FDCWD, path, mode);
}

/* These two are how libclamav begins to remove it. */
int scratch_chmod(const char *path, mode_t mode)
{
	if (owed[0] && !strcmp(path, owed))
		return 0;
	return fchmodat(AT_FDCWD, path, mode, 0);
}

DIR *scratch_opendir(const char *path)
{
	look_up();
	if (owed[0] && !strcmp(path, owed)) {
		owed[0] = '\0';
		spared++;
		errno = ENOENT;
		return NULL;
	}
	return real_opendir(path);
}

int scratch_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	settle(path);
	return openat(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int scratch_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	settle(path);
	return openat(AT_FDCWD, path, flags, mode);
}

FILE *scratch_fopen64(const char *path, const char *mode)
{
	look_up();
	settle(path);
	return real_fopen(path, mode);
}

FILE *scratch_fopen(const char *path, const char *mode)
{
	return scratch_fopen64(path, mode);
}

int scratch_rename(const char *from, const char *to)
{
	settle(from);
	settle(to);
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int scratch_symlink(const char *to, const char *path)
{
	settle(path);
	return symlinkat(to, AT_FDCWD, path);
}

int scratch_access(const char *path, int mode)
{
	settle(path);
	return faccessat(AT_FDCWD, path, mode, 0);
}

int scratch_stat(const char *path, struct stat *st)
{
	settle(path);
	return fstatat(AT_FDCWD, path, st, 0);
}

int scratch_lstat(const char *path, struct stat *st)
{
	settle(path);
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
