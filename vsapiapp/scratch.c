// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "scratch.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <features.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"

/* On 64 bits alone are open() and open64() one, and struct stat and stat64. */
_Static_assert(sizeof(long) == 8 && sizeof(off_t) == 8, "64 bits");

/*
 * Under the C library's names: a program's own functions are found before
 * those of a library, whatever version is asked for, by all that the program
 * links or loads. The calls go on by functions of the C library that are not
 * replaced here, so this needs nothing of the kernel that was not needed
 * before.
 *
 * What all of it rests on: a scan runs in one thread, and between the making
 * of its directory and the removal it names no file unless it wants to put
 * something there. So nobody compares paths here: whoever comes by any of
 * these functions with any path has what is owed made first. Of the functions
 * by which a file can be made, libclamav imports these and no other
 * (tests/unit/vsapi_scratch_test.c looks), and relative to an open directory
 * nothing can be made in one that is not there. Those with which a file is
 * looked for but not made say that there is none, which is so. None of them is
 * called by a signal handler. Without scratch_defer(), thus in every process
 * but a worker, they do what the C library does.
 */
#define STANDS_FOR(name) __asm__(#name) __attribute__((visibility("default")))

int scratch_mkdir(const char *path, mode_t mode) STANDS_FOR(mkdir);
int scratch_chmod(const char *path, mode_t mode) STANDS_FOR(chmod);
DIR *scratch_opendir(const char *path) STANDS_FOR(opendir);
int scratch_rmdir(const char *path) STANDS_FOR(rmdir);
int scratch_open(const char *path, int flags, ...) STANDS_FOR(open);
int scratch_open64(const char *path, int flags, ...) STANDS_FOR(open64);
FILE *scratch_fopen(const char *path, const char *mode) STANDS_FOR(fopen);
FILE *scratch_fopen64(const char *path, const char *mode) STANDS_FOR(fopen64);
int scratch_rename(const char *from, const char *to) STANDS_FOR(rename);
int scratch_symlink(const char *to, const char *path) STANDS_FOR(symlink);
int scratch_access(const char *path, int mode) STANDS_FOR(access);
int scratch_stat(const char *path, struct stat *st) STANDS_FOR(stat64);
int scratch_lstat(const char *path, struct stat *st) STANDS_FOR(lstat64);

/* The mode that libclamav gives it, and gives it again to remove it. */
#define MODE 0700

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
#if __GLIBC_PREREQ(2, 33)
	deferred = dir;
#else /* there stat64() is called by another name */
	(void)dir;
#endif
	owed[0] = '\0';
}

unsigned long scratch_spared(void)
{
	return spared;
}

/* Directly in the scratch directory, not further below, and not what is there
 * anyhow: ".", "..". */
static bool is_to_be_deferred(const char *path)
{
	size_t len = deferred ? strlen(deferred) : 0;

	return len > 0 && !strncmp(path, deferred, len) && path[len] == '/' &&
	       path[len + 1] && path[len + 1] != '.' &&
	       !strchr(path + len + 1, '/') && strlen(path) < sizeof(owed);
}

static bool is_owed(const char *path)
{
	return owed[0] && !strcmp(path, owed);
}

/* Whoever owned it is done with it, and never used it. */
static void forgive(void)
{
	owed[0] = '\0';
	spared++;
}

/*
 * What is owed is made. -1 (errno) when that fails: it is what mkdir() should
 * have said, so the caller says it now (a full scratch directory must not
 * look like an archive with nothing in it), and it stays owed.
 */
static int settle(void)
{
	int before = errno;

	if (!owed[0])
		return 0;
	if (mkdirat(AT_FDCWD, owed, MODE) < 0 && errno != EEXIST)
		return -1;
	owed[0] = '\0';
	errno = before;
	return 0;
}

int scratch_mkdir(const char *path, mode_t mode)
{
	if (settle() < 0)
		return -1;
	if (mode == MODE && is_to_be_deferred(path)) {
		str_copy(owed, sizeof(owed), path);
		return 0;
	}
	return mkdirat(AT_FDCWD, path, mode);
}

/*
 * This and opening it to see what is in it is how libclamav begins to remove
 * a directory; when it cannot be opened libclamav leaves it at that. Should it
 * once look into one that it has not used for another reason, it finds none
 * where it would have found an empty one.
 */
int scratch_chmod(const char *path, mode_t mode)
{
	if (mode == MODE && is_owed(path))
		return 0;
	if (settle() < 0)
		return -1;
	return fchmodat(AT_FDCWD, path, mode, 0);
}

DIR *scratch_opendir(const char *path)
{
	look_up();
	if (is_owed(path)) {
		forgive();
		errno = ENOENT;
		return NULL;
	}
	if (settle() < 0)
		return NULL;
	return real_opendir(path);
}

/* Should it once be removed without a look into it. */
int scratch_rmdir(const char *path)
{
	if (is_owed(path)) {
		forgive();
		return 0;
	}
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* Only then there is a third argument. */
static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Calls with checks (__open64_2()) never come with O_CREAT. */
int scratch_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (takes_mode(flags)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (settle() < 0)
		return -1;
	return openat(AT_FDCWD, path, flags, mode);
}

int scratch_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (takes_mode(flags)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (settle() < 0)
		return -1;
	return openat(AT_FDCWD, path, flags, mode);
}

FILE *scratch_fopen64(const char *path, const char *mode)
{
	look_up();
	if (settle() < 0)
		return NULL;
	return real_fopen(path, mode);
}

FILE *scratch_fopen(const char *path, const char *mode)
{
	return scratch_fopen64(path, mode);
}

int scratch_rename(const char *from, const char *to)
{
	if (settle() < 0)
		return -1;
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int scratch_symlink(const char *to, const char *path)
{
	if (settle() < 0)
		return -1;
	return symlinkat(to, AT_FDCWD, path);
}

/* These make nothing, but may ask for the directory itself. */
int scratch_access(const char *path, int mode)
{
	if (settle() < 0)
		return -1;
	return faccessat(AT_FDCWD, path, mode, 0);
}

int scratch_stat(const char *path, struct stat *st)
{
	if (settle() < 0)
		return -1;
	return fstatat(AT_FDCWD, path, st, 0);
}

int scratch_lstat(const char *path, struct stat *st)
{
	if (settle() < 0)
		return -1;
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}
