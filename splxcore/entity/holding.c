/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "holding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "seal.h"

#define PREFIX ".splx-q-"
#define NAMESPACES_MAX 256
#define NAMES_MAX 1000
#define TAKE_TRIES 5
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

void (*holding_step)(const char *step);

void holding_at(const char *step)
{
	if (holding_step)
		holding_step(step);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- finding ---- */

static int walk_failed(const char *path, const char *end, int at,
		       const char *part, struct err *err)
{
	int code = errno;
	struct stat st;

	if (code == ENOTDIR &&
	    fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		code = ELOOP;
	if (code == ELOOP)
		return err_set(err, code, "%.*s is a symbolic link",
			       (int)(end - path), path);
	return err_set(err, code, "open %.*s", (int)(end - path), path);
}

int holding_walk(int root, const char *path, struct err *err)
{
	char part[NAME_MAX + 1];
	const char *p = path;
	int at, next;
	size_t len;

	if (*path != '/')
		return err_set(err, EINVAL, "%s: not a full path", path);
	at = fcntl(root, F_DUPFD_CLOEXEC, 0);
	while (at >= 0) {
		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (!len)
			return at;
		if (len > NAME_MAX || (len == 2 && !memcmp(p, "..", 2))) {
			err_set(err, EINVAL, "%s", path);
			close(at);
			return -1;
		}
		memcpy(part, p, len);
		part[len] = '\0';
		p += len;
		next = openat(at, part,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			walk_failed(path, p, at, part, err);
		close(at);
		at = next;
	}
	return at;
}

static int open_root(pid_t pid)
{
	char path[32] = "/";

	if (pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/root", pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Is what we look for under this root? Then dir and pid are set. */
typedef bool (*found_fn)(struct holding *h, int dir, const void *arg);

static bool try_root(struct holding *h, pid_t pid, found_fn found,
		     const void *arg)
{
	int root = open_root(pid);
	int dir;

	if (root < 0)
		return false;
	dir = holding_walk(root, h->dir_path, NULL);
	close(root);
	if (dir < 0)
		return false;
	if (fstat(dir, &h->dir_st) < 0 || !found(h, dir, arg)) {
		close(dir);
		return false;
	}
	h->dir = dir;
	h->pid = pid;
	return true;
}

static bool mount_namespace(pid_t pid, ino_t *ino_r)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	if (stat(path, &st) < 0)
		return false;
	*ino_r = st.st_ino;
	return true;
}

/* One process of every mount namespace, until one shows the file. */
static bool try_namespaces(struct holding *h, found_fn found, const void *arg)
{
	ino_t seen[NAMESPACES_MAX];
	size_t n = 0, i;
	DIR *proc = opendir("/proc");
	struct dirent *de;
	bool ok = false;
	ino_t ns;
	pid_t pid;

	if (!proc)
		return false;
	if (mount_namespace(getpid(), &ns))
		seen[n++] = ns;
	while (!ok && n < NAMESPACES_MAX && (de = readdir(proc))) {
		pid = atoi(de->d_name);
		if (pid <= 0 || !mount_namespace(pid, &ns))
			continue;
		for (i = 0; i < n && seen[i] != ns; i++)
			;
		if (i < n)
			continue;
		seen[n++] = ns;
		ok = try_root(h, pid, found, arg);
	}
	closedir(proc);
	return ok;
}

static bool try_everywhere(struct holding *h, pid_t pid, found_fn found,
			   const void *arg)
{
	return try_root(h, 0, found, arg) ||
	       (pid > 0 && try_root(h, pid, found, arg)) ||
	       try_namespaces(h, found, arg);
}

static bool has_file(struct holding *h, int dir, const void *arg)
{
	struct stat st;

	return fstatat(dir, h->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       same_file(&st, &h->st);
}

static void holding_init(struct holding *h)
{
	memset(h, 0, sizeof(*h));
	h->dir = h->priv = -1;
}

static int split_path(struct holding *h, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');

	if (path[0] != '/' || !slash[1] || strlen(slash + 1) > NAME_MAX)
		return err_set(err, ENOENT, "it has no path (%s)", path);
	str_copy(h->name, sizeof(h->name), slash + 1);
	str_copy(h->dir_path, sizeof(h->dir_path), path);
	h->dir_path[slash == path ? 1 : slash - path] = '\0';
	return 0;
}

int holding_locate(struct holding *h, int fd, pid_t pid, struct err *err)
{
	char path[PATH_MAX];

	holding_init(h);
	if (fstat(fd, &h->st) < 0)
		return err_set(err, errno, "fstat");
	if (!S_ISREG(h->st.st_mode))
		return err_set(err, EINVAL, "it is not a regular file");
	if (h->st.st_nlink == 0)
		return err_set(err, ENOENT, "it was deleted already");
	if (fd_path(fd, path, sizeof(path)) < 0)
		return err_set(err, errno, "its path");
	if (split_path(h, path, err) < 0)
		return -1;
	if (try_everywhere(h, pid, has_file, NULL))
		return 0;
	if (str_ends(path, " (deleted)"))
		return err_set(err, ENOENT,
			       "the name it was opened by is gone, it has %lu "
			       "others",
			       (unsigned long)h->st.st_nlink);
	return err_set(err, ENOENT, "it cannot be reached as %s", path);
}

char *holding_join(char *out, size_t size, const char *dir, const char *name)
{
	size_t len = strnlen(dir, size - 1);

	memmove(out, dir, len);
	out[len] = '\0';
	if (len > 1 && len + 1 < size) {
		out[len++] = '/';
		out[len] = '\0';
	}
	str_copy(out + len, size - len, name);
	return out;
}

/* ---- taking ---- */

void holding_name(struct holding *h)
{
	unsigned char random[8];

	seal_random(random, sizeof(random));
	str_copy(h->hold, sizeof(h->hold), PREFIX);
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(h->hold + strlen(PREFIX) + 2 * i, 3, "%02x",
			 random[i]);
}

static int open_private(struct holding *h, struct err *err)
{
	struct stat st;
	int fd = openat(h->dir, h->hold,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, errno, "open %s/%s", h->dir_path, h->hold);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    (st.st_mode & 077)) {
		close(fd);
		return err_set(err, EPERM, "%s/%s is not ours", h->dir_path,
			       h->hold);
	}
	h->priv = fd;
	return 0;
}

int holding_make(struct holding *h, struct err *err)
{
	holding_at("hold-mkdir");
	if (mkdirat(h->dir, h->hold, 0700) < 0)
		return err_set(err, errno, "mkdir %s/%s", h->dir_path, h->hold);
	if (open_private(h, err) == 0)
		return 0;
	unlinkat(h->dir, h->hold, AT_REMOVEDIR);
	return -1;
}

/* Where the file system cannot refuse to replace, a link can: it never does. */
static int rename_no_replace(int from_dir, const char *from, int to_dir,
			     const char *to)
{
	if (syscall(SYS_renameat2, from_dir, from, to_dir, to,
		    RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(from_dir, from, to_dir, to, 0) < 0)
		return -1;
	return unlinkat(from_dir, from, 0);
}

int holding_take(struct holding *h, struct err *err)
{
	struct stat st;
	int code;

	if (holding_make(h, err) < 0)
		return -1;
	holding_at("hold-rename");
	if (rename_no_replace(h->dir, h->name, h->priv, HOLDING_FILE) < 0) {
		code = errno;
		holding_clean(h);
		if (code == ENOENT)
			code = EAGAIN; /* the name went elsewhere */
		return err_set(err, code, "take %s/%s", h->dir_path, h->name);
	}
	holding_at("hold-verify");
	if (fstatat(h->priv, HOLDING_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    same_file(&st, &h->st))
		return 0;
	if (holding_back(h, err) != 0)
		log_error("quarantine: took another file: %s", err->text);
	return err_set(err, EAGAIN, "%s/%s was given to another file",
		       h->dir_path, h->name);
}

static int from_place(struct holding *h, const struct holding_place *place,
		      struct err *err)
{
	*h = place->h;
	h->priv = -1;
	if (h->dir < 0) {
		*err = place->err;
		return -1;
	}
	h->dir = fcntl(place->h.dir, F_DUPFD_CLOEXEC, 0);
	return h->dir < 0 ? err_set(err, errno, "dup") : 0;
}

int holding_begin(struct holding *h, struct store *store, struct intent *intent,
		  int fd, pid_t pid, const struct holding_place *place,
		  struct err *err)
{
	int tries = place ? 1 : TAKE_TRIES;
	int rc = -1;

	for (int i = 0; i < tries; i++) {
		if (place ? from_place(h, place, err) < 0
			  : holding_locate(h, fd, pid, err) < 0)
			return -1;
		holding_name(h);
		holding_to_intent(h, intent);
		holding_at("hold-intent");
		if (store_intent_begin(store, intent, err) < 0)
			return -1;
		rc = holding_take(h, err);
		if (rc == 0 || h->priv >= 0 || err->code != EAGAIN)
			break;
		store_intent_end(store, intent->id, NULL);
		intent->id = 0;
		holding_close(h);
	}
	return rc;
}

static void sync_dir(const struct holding *h)
{
	int fd = openat(h->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some file systems cannot; then their journal has to do. */
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

void holding_clean(struct holding *h)
{
	fd_close(&h->priv);
	if (h->dir >= 0 && h->hold[0])
		unlinkat(h->dir, h->hold, AT_REMOVEDIR);
}

int holding_out(struct holding *h, const char *name, bool replace,
		struct err *err)
{
	int rc;

	holding_at("hold-out");
	if (replace)
		rc = renameat(h->priv, HOLDING_FILE, h->dir, name);
	else
		rc = rename_no_replace(h->priv, HOLDING_FILE, h->dir, name);
	if (rc < 0)
		return err_set(err, errno, "rename to %s/%s", h->dir_path,
			       name);
	holding_at("hold-rmdir");
	holding_clean(h);
	sync_dir(h);
	return 0;
}

int holding_back(struct holding *h, struct err *err)
{
	char name[NAME_MAX + 1];
	struct err why;
	int rc = holding_out(h, h->name, false, &why);

	for (int i = 1; rc < 0 && why.code == EEXIST && i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "%.*s.splx-%d", NAME_MAX - 20,
			 h->name, i);
		if (holding_out(h, name, false, &why) < 0)
			continue;
		err_set(err, 0, "its name was taken meanwhile, it is %s/%s now",
			h->dir_path, name);
		return 1;
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

int holding_drop(struct holding *h, struct err *err)
{
	holding_at("hold-unlink");
	if (unlinkat(h->priv, HOLDING_FILE, 0) < 0 && errno != ENOENT)
		return err_set(err, errno, "delete %s/%s/%s", h->dir_path,
			       h->hold, HOLDING_FILE);
	holding_at("hold-rmdir");
	holding_clean(h);
	sync_dir(h);
	return 0;
}

void holding_close(struct holding *h)
{
	fd_close(&h->priv);
	fd_close(&h->dir);
}

/* ---- the journal ---- */

void holding_to_intent(const struct holding *h, struct intent *intent)
{
	str_copy(intent->dir, sizeof(intent->dir), h->dir_path);
	str_copy(intent->name, sizeof(intent->name), h->name);
	str_copy(intent->hold, sizeof(intent->hold), h->hold);
	intent->dir_dev = h->dir_st.st_dev;
	intent->dir_ino = h->dir_st.st_ino;
	intent->dev = h->st.st_dev;
	intent->ino = h->st.st_ino;
	intent->pid = h->pid;
}

/* Device numbers may change with a boot; within one they are compared. */
static bool same_boot(const struct intent *intent)
{
	char *text;
	size_t len;
	bool same;

	if (fd_read_file("/proc/sys/kernel/random/boot_id", 64, &text, &len,
			 NULL) < 0)
		return false;
	same = !strcmp(str_trim(text), intent->boot);
	free(text);
	return same;
}

static bool is_dir_of(struct holding *h, int dir, const void *arg)
{
	const struct intent *intent = arg;

	return h->dir_st.st_ino == intent->dir_ino &&
	       (h->dir_st.st_dev == intent->dir_dev || !same_boot(intent));
}

int holding_from_intent(struct holding *h, const struct intent *intent)
{
	holding_init(h);
	str_copy(h->dir_path, sizeof(h->dir_path), intent->dir);
	str_copy(h->name, sizeof(h->name), intent->name);
	str_copy(h->hold, sizeof(h->hold), intent->hold);
	if (!try_everywhere(h, intent->pid, is_dir_of, intent))
		return 0;
	open_private(h, NULL);
	return 1;
}

int holding_look(const struct holding *h, const struct intent *intent,
		 bool outside)
{
	const char *name = outside ? h->name : HOLDING_FILE;
	int dir = outside ? h->dir : h->priv;
	struct stat st;

	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (st.st_ino != intent->ino ||
	    (st.st_dev != intent->dev && same_boot(intent)))
		return 2;
	return 1;
}
