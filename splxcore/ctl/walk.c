/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "lib/vec.h"

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define LEASE_TRIES 5
#define LEASE_PAUSE_MS 20
/* File systems that keep times by whole or by two seconds round them down. */
#define STAMP_SLACK_NS (3 * (int64_t)CLOCK_NS_PER_S)

/* A directory on the way from the beginning to here. */
struct frame {
	DIR *dir; /* NULL while closed to save descriptors */
	long pos; /* where to go on in a closed one */
	dev_t dev;
	ino_t ino;
	size_t len; /* of its path */
	/* The name in it that the walk goes on from, in struct walk's from;
	 * NULL: all of it is walked. */
	const char *seek;
};

struct walk {
	const struct walk_ops *ops;
	void *arg;
	unsigned int flags;
	struct {
		VEC(struct frame);
	} frames;
	size_t closed;	  /* frames 1 .. closed-1 are closed */
	struct str path;  /* of the entry at hand; "" stands for "/" */
	int64_t from_ns;  /* what changed since is not passed over */
	const char *seek; /* of the directory that is entered next */
	bool ended;
};

/* True for what happens when others change the tree meanwhile. */
static bool is_change(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ELOOP ||
	       code == ESTALE;
}

static const char *path_of(const struct walk *w)
{
	return w->path.len ? w->path.s : "/";
}

static void complain(struct walk *w, int code)
{
	if (!is_change(code))
		w->ops->error(path_of(w), code, w->arg);
}

static void path_cut(struct walk *w, size_t len)
{
	w->path.len = len;
	if (w->path.s)
		w->path.s[len] = '\0';
}

static void path_join(struct walk *w, const char *name)
{
	path_cut(w, w->frames.items[w->frames.len - 1].len);
	str_add(&w->path, "/");
	str_add(&w->path, name);
}

/* Only owners may open with O_NOATIME: others get EPERM and go without. */
static int open_quietly(int at, const char *name, int flags)
{
	int fd = openat(at, name, OPEN_FLAGS | O_NOATIME | flags);

	if (fd < 0 && errno == EPERM)
		fd = openat(at, name, OPEN_FLAGS | flags);
	return fd;
}

/* A write lease makes a non-blocking open fail once while it is broken. */
static int open_file(int at, const char *name, int flags)
{
	static const struct timespec pause = {0, LEASE_PAUSE_MS * 1000000L};
	int fd, i;

	for (i = 0; i < LEASE_TRIES; i++) {
		fd = open_quietly(at, name, flags);
		if (fd >= 0 || errno != EWOULDBLOCK)
			return fd;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

/* Closes the highest of the open directories but the first. */
static void close_one(struct walk *w)
{
	struct frame *f;

	if (w->frames.len - w->closed < WALK_OPEN_DIRS)
		return;
	f = &w->frames.items[w->closed++];
	f->pos = telldir(f->dir);
	closedir(f->dir);
	f->dir = NULL;
}

/* True when `fd` is that directory. */
static bool is_frame(const struct frame *f, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == f->dev &&
	       st.st_ino == f->ino;
}

/* The directory of frame `index` by its path, name after name. */
static int open_again(struct walk *w, size_t index)
{
	int fd = -1, next;
	size_t i, from;
	char *name;

	fd = fcntl(dirfd(w->frames.items[0].dir), F_DUPFD_CLOEXEC, 0);
	for (i = 1; fd >= 0 && i <= index; i++) {
		from = w->frames.items[i - 1].len + 1;
		name = xstrndup(w->path.s + from,
				w->frames.items[i].len - from);
		next = openat(fd, name, OPEN_FLAGS | O_DIRECTORY | O_NOFOLLOW);
		free(name);
		close(fd);
		fd = next;
		if (fd >= 0 && !is_frame(&w->frames.items[i], fd))
			fd_close(&fd);
	}
	return fd;
}

/*
 * Opens the last frame's directory again, where it was left. `below` is a
 * directory in it: "..", if it is still the same, costs one call, while the
 * path may be thousands of names long. False when it is gone.
 */
static bool reopen(struct walk *w, int below)
{
	struct frame *f = &w->frames.items[w->frames.len - 1];
	int fd = -1;

	if (below >= 0)
		fd = openat(below, "..", OPEN_FLAGS | O_DIRECTORY);
	if (fd >= 0 && !is_frame(f, fd))
		fd_close(&fd);
	if (fd < 0)
		fd = open_again(w, w->frames.len - 1);
	if (fd < 0)
		return false;
	f->dir = fdopendir(fd);
	if (!f->dir) {
		close(fd);
		return false;
	}
	seekdir(f->dir, f->pos);
	w->closed = w->frames.len - 1;
	return true;
}

/* Leaves the last directory; what is above it is open again afterwards. */
static void leave(struct walk *w)
{
	struct frame last = w->frames.items[--w->frames.len];
	struct frame *up;

	while (w->frames.len > 0) {
		up = &w->frames.items[w->frames.len - 1];
		if (up->dir || reopen(w, last.dir ? dirfd(last.dir) : -1))
			break;
		/* It was moved or removed: the rest of it is not there. */
		w->frames.len--;
		w->closed = w->frames.len;
		if (last.dir)
			closedir(last.dir);
		last.dir = NULL;
	}
	if (last.dir)
		closedir(last.dir);
}

/* A directory that is one of its own parents: a bind mount into itself. */
static bool is_loop(const struct walk *w, const struct stat *st)
{
	const struct frame *f;

	vec_each (f, &w->frames) {
		if (f->dev == st->st_dev && f->ino == st->st_ino)
			return true;
	}
	return false;
}

/* Enters the directory that `fd` (taken over) has open. */
static void enter(struct walk *w, int fd)
{
	struct frame f = {.len = w->path.len, .seek = w->seek};
	struct stat st;

	if (fstat(fd, &st) < 0) {
		complain(w, errno);
		close(fd);
		return;
	}
	if (is_loop(w, &st)) {
		close(fd);
		return;
	}
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	f.dir = fdopendir(fd);
	if (!f.dir) {
		complain(w, errno);
		close(fd);
		return;
	}
	if (w->frames.len > 0)
		close_one(w);
	vec_push(&w->frames, f);
}

/*
 * Looked at before it is opened: opening would mount what autofs keeps, or
 * wait for a server that is gone.
 */
static bool is_crossing(struct walk *w, int at, const char *name)
{
	const struct frame *f = &w->frames.items[w->frames.len - 1];
	struct statx sx;

	if (!w->ops->cross ||
	    statx(at, name,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_INO, &sx) < 0)
		return false;
	if (makedev(sx.stx_dev_major, sx.stx_dev_minor) == f->dev)
		return false;
	return w->ops->cross(path_of(w), w->arg);
}

static void do_directory(struct walk *w, int at, const char *name)
{
	int fd;

	if (w->ops->skip && w->ops->skip(path_of(w), true, w->arg))
		return;
	if (is_crossing(w, at, name))
		return;
	fd = open_quietly(at, name, O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		complain(w, errno);
	else
		enter(w, fd);
}

static void do_file(struct walk *w, int at, const char *name, int flags)
{
	struct stat st;
	int fd = -1, rc;

	if (w->ops->skip && w->ops->skip(path_of(w), false, w->arg))
		return;
	if (w->flags & WALK_COUNT) {
		rc = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW);
	} else {
		fd = open_file(at, name, flags);
		rc = fd < 0 ? -1 : fstat(fd, &st);
	}
	if (rc < 0)
		complain(w, errno);
	else if (S_ISREG(st.st_mode))
		w->ended = w->ops->file(fd, &st, path_of(w), w->arg) != 0;
	if (fd >= 0)
		close(fd);
}

static unsigned char entry_type(int at, const struct dirent *de)
{
	struct stat st;

	if (de->d_type != DT_UNKNOWN)
		return de->d_type;
	if (fstatat(at, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return IFTODT(st.st_mode);
}

/* ---- going on from where an earlier walk stood ---- */

/* The part of `seek` that comes after this name; NULL when it is another name,
 * "" when nothing does. */
static const char *seek_after(const char *seek, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(seek, name, n) != 0 || (seek[n] && seek[n] != '/'))
		return NULL;
	return seek[n] ? seek + n + 1 : seek + n;
}

static bool is_changed(const struct walk *w, int at, const char *name)
{
	struct statx sx;
	int64_t ns;

	if (statx(at, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_CTIME,
		  &sx) < 0 ||
	    !(sx.stx_mask & STATX_CTIME))
		return true;
	ns = sx.stx_ctime.tv_sec * (int64_t)CLOCK_NS_PER_S +
	     sx.stx_ctime.tv_nsec;
	return ns >= w->from_ns - STAMP_SLACK_NS;
}

/*
 * True when the earlier walk came by this entry. The one that it stood at is
 * where this one begins; a directory is gone on in, by w->seek.
 */
static bool is_passed(struct walk *w, int at, const char *name)
{
	struct frame *f = &w->frames.items[w->frames.len - 1];
	const char *after;

	w->seek = NULL;
	if (!f->seek)
		return false;
	after = seek_after(f->seek, name);
	if (!after)
		return !is_changed(w, at, name);
	f->seek = NULL;
	if (*after)
		w->seek = after;
	return false;
}

/* At the end of a directory: true when what was looked for is not there, and
 * all of it is walked. */
static bool is_sought_in_vain(struct frame *f)
{
	if (!f->seek)
		return false;
	f->seek = NULL;
	rewinddir(f->dir);
	return true;
}

static void do_entry(struct walk *w, const struct dirent *de)
{
	int at = dirfd(w->frames.items[w->frames.len - 1].dir);
	unsigned char type;

	if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
	    is_passed(w, at, de->d_name))
		return;
	path_join(w, de->d_name);
	type = entry_type(at, de);
	if (type == DT_DIR)
		do_directory(w, at, de->d_name);
	else if (type == DT_REG)
		do_file(w, at, de->d_name, O_NOFOLLOW);
}

static void walk_frames(struct walk *w)
{
	struct frame *f;
	struct dirent *de;

	while (w->frames.len > 0 && !w->ended) {
		if (w->ops->stop && w->ops->stop(w->arg)) {
			w->ended = true;
			return;
		}
		f = &w->frames.items[w->frames.len - 1];
		errno = 0;
		de = readdir(f->dir);
		if (de) {
			do_entry(w, de);
			continue;
		}
		path_cut(w, f->len);
		if (errno)
			complain(w, errno);
		if (is_sought_in_vain(f))
			continue;
		leave(w);
	}
}

bool walk_is_below(const char *tree, const char *path)
{
	size_t n = strlen(tree);

	if (strcmp(tree, "/") == 0)
		return *path == '/';
	return strncmp(path, tree, n) == 0 && (!path[n] || path[n] == '/');
}

/* Where to go on from, as the names below the beginning. */
static void set_from(struct walk *w, const char *path,
		     const struct walk_from *from)
{
	const char *rest;

	if (!from || !walk_is_below(path, from->path))
		return;
	rest = from->path + (strcmp(path, "/") == 0 ? 0 : strlen(path));
	rest += strspn(rest, "/");
	w->seek = *rest ? rest : NULL;
	w->from_ns = from->time_ns;
	/* A clock that was set back tells nothing of what changed when. */
	if (clock_real_ns() < from->time_ns)
		w->seek = NULL;
}

int walk_tree(const char *path, unsigned int flags, const struct walk_ops *ops,
	      void *arg)
{
	return walk_tree_from(path, NULL, flags, ops, arg);
}

int walk_tree_from(const char *path, const struct walk_from *from,
		   unsigned int flags, const struct walk_ops *ops, void *arg)
{
	struct walk w = {.ops = ops, .arg = arg, .flags = flags, .closed = 1};
	struct frame *f;
	struct stat st;
	int fd;

	if (strcmp(path, "/") != 0)
		str_add(&w.path, path);
	set_from(&w, path, from);
	if (lstat(path, &st) < 0) {
		ops->error(path, errno, arg);
	} else if (S_ISREG(st.st_mode)) {
		do_file(&w, AT_FDCWD, path, O_NOFOLLOW);
	} else if (!S_ISDIR(st.st_mode)) {
		ops->error(path, EINVAL, arg);
	} else if (!(ops->skip && ops->skip(path, true, arg))) {
		fd = open_quietly(AT_FDCWD, path, O_DIRECTORY | O_NOFOLLOW);
		if (fd < 0)
			ops->error(path, errno, arg);
		else
			enter(&w, fd);
		walk_frames(&w);
	}
	vec_each (f, &w.frames) {
		if (f->dir)
			closedir(f->dir);
	}
	vec_free(&w.frames);
	str_free(&w.path);
	return w.ended;
}
