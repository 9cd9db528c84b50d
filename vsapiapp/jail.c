/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * A generation sees a file system of its own: a small tmpfs with read-only
 * views of the pattern directories and the system's libraries, the scratch
 * places of its slots, /proc and a few devices. So workers have nothing else
 * to look for; no other mount is kept from being unmounted by our copy of it;
 * and it does not matter whether the scan user could reach the stage's place.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/paths.h"
#include "generation.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define JAIL_ROOT_BYTES (16u << 20)
#define SCRATCH "/scratch"
/* Deeper than libclamav nests its scratch directories. */
#define CLEAN_DEPTH 64

static const char *const system_dirs[] = {"/usr", "/lib", "/lib64", "/bin",
					  "/etc"};
static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/random",
				      "/dev/urandom"};

/* True when `path` is already seen inside through a view of `dir`. */
static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

static int bind_read_only(const char *from, const char *to, struct err *err)
{
	if (mount(from, to, NULL, MS_BIND, NULL))
		return err_set(err, errno, "mount(%s)", from);
	if (mount(NULL, to, NULL,
		  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL))
		return err_set(err, errno, "mount(%s, read-only)", from);
	return 0;
}

/* A directory at the same path inside; a link stays the same link. */
static int show_directory(const char *root, const char *dir, struct err *err)
{
	char to[PATH_MAX], target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (snprintf(to, sizeof(to), "%s%s", root, dir) >= (int)sizeof(to))
		return err_set(err, ENAMETOOLONG, "%s", dir);
	if (lstat(dir, &st))
		return 0;
	if (S_ISLNK(st.st_mode) && strchr(dir + 1, '/') == NULL) {
		n = readlink(dir, target, sizeof(target) - 1);
		if (n > 0) {
			target[n] = '\0';
			if (symlink(target, to))
				return err_set(err, errno, "symlink(%s)", to);
		}
		return 0;
	}
	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return 0;
	if (fd_mkdirs(to, 0755, err))
		return -1;
	return bind_read_only(dir, to, err);
}

static int show_patterns(const char *root, const char *dir, struct err *err)
{
	struct stat st, sys;
	size_t i;

	if (dir[0] != '/' || stat(dir, &st))
		return 0;
	for (i = 0; i < sizeof(system_dirs) / sizeof(*system_dirs); i++)
		if (below(dir, system_dirs[i]) && !stat(system_dirs[i], &sys) &&
		    st.st_dev == sys.st_dev)
			return 0;
	return show_directory(root, dir, err);
}

static int show_devices(const char *root, struct err *err)
{
	char to[PATH_MAX];
	size_t i;
	int fd;

	snprintf(to, sizeof(to), "%s/dev", root);
	if (mkdir(to, 0755))
		return err_set(err, errno, "mkdir(%s)", to);
	for (i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		snprintf(to, sizeof(to), "%s%s", root, devices[i]);
		fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
		if (fd < 0)
			return err_set(err, errno, "open(%s)", to);
		fd_close(&fd);
		if (mount(devices[i], to, NULL, MS_BIND, NULL))
			return err_set(err, errno, "mount(%s)", devices[i]);
	}
	snprintf(to, sizeof(to), "%s/proc", root);
	if (mkdir(to, 0555) || mount("/proc", to, NULL, MS_BIND, NULL))
		return err_set(err, errno, "mount(/proc)");
	return 0;
}

/* libclamav wants it when the engine is tried. */
static int make_tmp(const char *root, uid_t uid, gid_t gid, struct err *err)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/tmp", root);
	if ((mkdir(dir, 0700) && errno != EEXIST) || chown(dir, uid, gid))
		return err_set(err, errno, "%s", dir);
	return 0;
}

static int show_all(const char *root, const struct conf *conf, struct err *err)
{
	char **dir;
	size_t i;

	for (i = 0; i < sizeof(system_dirs) / sizeof(*system_dirs); i++)
		if (show_directory(root, system_dirs[i], err))
			return -1;
	if (show_patterns(root, paths()->builtin_dir, err) ||
	    show_patterns(root, paths()->pattern_dir, err))
		return -1;
	vec_each (dir, &conf->pattern_directory) {
		if (show_patterns(root, *dir, err))
			return -1;
	}
	return show_devices(root, err);
}

void jail_scratch(int slot, char *out, size_t size)
{
	snprintf(out, size, "%s/%d", SCRATCH, slot);
}

static int make_scratch(const char *root, const struct conf *conf, uid_t uid,
			gid_t gid, struct err *err)
{
	char dir[PATH_MAX], inside[32];
	int slot;

	snprintf(dir, sizeof(dir), "%s%s", root, SCRATCH);
	if (mkdir(dir, 0755))
		return err_set(err, errno, "mkdir(%s)", dir);
	for (slot = 0; slot < SCOREBOARD_SLOTS; slot++) {
		jail_scratch(slot, inside, sizeof(inside));
		snprintf(dir, sizeof(dir), "%s%s", root, inside);
		if (mkdir(dir, 0700))
			return err_set(err, errno, "mkdir(%s)", dir);
		if (sandbox_tmpfs(dir, conf->scratch_size, uid, gid, err) ||
		    sandbox_jail_make(dir, uid, gid, err))
			return -1;
	}
	return 0;
}

int jail_enter(const struct conf *conf, uid_t uid, gid_t gid, struct err *err)
{
	const char *root = paths()->scratch_dir;

	umask(022);
	if (fd_mkdirs(root, 0700, err) || sandbox_unshare(err) ||
	    sandbox_tmpfs(root, JAIL_ROOT_BYTES, 0, 0, err))
		return -1;
	if (chmod(root, 0755))
		return err_set(err, errno, "chmod(%s)", root);
	if (show_all(root, conf, err) || make_tmp(root, uid, gid, err) ||
	    make_scratch(root, conf, uid, gid, err))
		return -1;
	/* pivot_root(2), "pivot_root(".", ".")": the old root lies on top of
	 * the new one until it is detached */
	if (chdir(root) || syscall(SYS_pivot_root, ".", ".") ||
	    umount2(".", MNT_DETACH) || chdir("/"))
		return err_set(err, errno, "pivot_root(%s)", root);
	return 0;
}

static void clean_at(int dir, int depth);

static void clean_entry(int dir, const char *name, int depth)
{
	int sub;

	if (!unlinkat(dir, name, 0) || depth >= CLEAN_DEPTH)
		return;
	sub = openat(dir, name,
		     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0 && errno == EACCES && !fchmodat(dir, name, 0700, 0))
		sub = openat(dir, name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub >= 0)
		clean_at(sub, depth + 1);
	unlinkat(dir, name, AT_REMOVEDIR);
}

/* Closes dir. The worker's root itself holds two directories to be kept, of
 * which proc is a mount. */
static void clean_at(int dir, int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *de;

	if (!d) {
		close(dir);
		return;
	}
	while ((de = readdir(d))) {
		const char *name = de->d_name;
		int sub;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    (!depth && !strcmp(name, "proc")))
			continue;
		if (depth || strcmp(name, "tmp") != 0) {
			clean_entry(dirfd(d), name, depth);
			continue;
		}
		sub = openat(dirfd(d), name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			clean_at(sub, depth + 1);
	}
	closedir(d);
}

void jail_clean(int slot)
{
	char path[32];
	int dir;

	jail_scratch(slot, path, sizeof(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		clean_at(dir, 0);
}
