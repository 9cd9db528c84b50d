/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "fangroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Newer than some distributions' headers. */
#ifndef FAN_MARK_FILESYSTEM
#define FAN_MARK_FILESYSTEM 0x00000100
#endif
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif
#ifndef FAN_OPEN_EXEC
#define FAN_OPEN_EXEC 0x00001000
#endif
#ifndef FAN_OPEN_EXEC_PERM
#define FAN_OPEN_EXEC_PERM 0x00040000
#endif

/*
 * The kernel's O_LARGEFILE. The C library of a 64-bit system defines it as
 * 0, but before 5.18 the kernel does not add it by itself here, and then the
 * event of a file over 2 GiB would fail with EOVERFLOW.
 */
#if defined(__aarch64__) || defined(__arm__)
#define KERNEL_O_LARGEFILE 0400000
#elif defined(__powerpc__)
#define KERNEL_O_LARGEFILE 0200000
#else
#define KERNEL_O_LARGEFILE 0100000
#endif

#define EVENT_FLAGS                                                            \
	(O_RDONLY | KERNEL_O_LARGEFILE | O_NOATIME | O_NONBLOCK | O_CLOEXEC)

static uint64_t event_mask(uint32_t what, bool permission)
{
	uint64_t mask = 0;

	if (what & FANGROUP_OPEN)
		mask |= permission ? FAN_OPEN_PERM : FAN_OPEN;
	if (what & FANGROUP_EXEC)
		mask |= permission ? FAN_OPEN_EXEC_PERM : FAN_OPEN_EXEC;
	if (what & FANGROUP_CLOSE)
		mask |= FAN_CLOSE_WRITE;
	return mask;
}

/*
 * Whether the kernel knows these flags and events, found out by removing a
 * mark that is not there: ENOENT when it does, EINVAL when it does not.
 * Nothing is marked at any time.
 */
static bool knows(int group, unsigned int flags, uint64_t mask)
{
	return fanotify_mark(group, FAN_MARK_REMOVE | flags, mask, AT_FDCWD,
			     "/") == 0 ||
	       errno == ENOENT;
}

int fangroup_probe(struct fangroup_caps *caps_r, struct err *err)
{
	int group;

	memset(caps_r, 0, sizeof(*caps_r));
	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, EVENT_FLAGS);
	if (group < 0 && errno == EINVAL)
		group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC,
				      EVENT_FLAGS);
	if (group < 0)
		return err_set(err, errno, "fanotify_init");
	caps_r->permission = knows(group, 0, FAN_OPEN_PERM);
	caps_r->evictable = knows(group, FAN_MARK_EVICTABLE, FAN_OPEN);
	caps_r->filesystem = knows(group, FAN_MARK_FILESYSTEM, FAN_OPEN);
	caps_r->exec = knows(group, 0, FAN_OPEN_EXEC_PERM);
	close(group);
	return 0;
}

int fangroup_new(bool permission, struct err *err)
{
	unsigned int flags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS;
	int group;

	/*
	 * A permission event that finds the queue full is allowed without a
	 * word, so that queue has no limit: each entry is a waiting process,
	 * which bounds it. A notify queue is left bounded; the kernel tells
	 * when it overflows.
	 */
	if (permission)
		flags |= FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE;
	else
		flags |= FAN_CLASS_NOTIF;
	group = fanotify_init(flags, EVENT_FLAGS);
	if (group < 0)
		return err_set(err, errno, "fanotify_init(%s)",
			       permission ? "permission" : "notify");
	return group;
}

static int change_mark(int group, unsigned int verb, enum fangroup_scope scope,
		       uint32_t what, bool permission, int dirfd,
		       const char *path, struct err *err)
{
	unsigned int flags =
		verb | (scope == FANGROUP_FILESYSTEM ? FAN_MARK_FILESYSTEM
						     : FAN_MARK_MOUNT);

	if (fanotify_mark(group, flags, event_mask(what, permission), dirfd,
			  path) == 0)
		return 0;
	return err_set(err, errno, "fanotify_mark(%s, %s, %s)",
		       verb == FAN_MARK_ADD ? "add" : "remove",
		       scope == FANGROUP_FILESYSTEM ? "filesystem" : "mount",
		       path ? path : "descriptor");
}

int fangroup_mark(int group, enum fangroup_scope scope, uint32_t what,
		  bool permission, int dirfd, const char *path, struct err *err)
{
	return change_mark(group, FAN_MARK_ADD, scope, what, permission, dirfd,
			   path, err);
}

bool fangroup_is_marked(int group, enum fangroup_scope scope, int dirfd,
			const char *path)
{
	unsigned int flags = scope == FANGROUP_FILESYSTEM ? FAN_MARK_FILESYSTEM
							  : FAN_MARK_MOUNT;

	/* Takes away an event that no mark of ours holds: nothing changes,
	 * but ENOENT tells that there is no mark. */
	return fanotify_mark(group, FAN_MARK_REMOVE | flags, FAN_CLOSE_NOWRITE,
			     dirfd, path) == 0;
}

int fangroup_unmark(int group, enum fangroup_scope scope, uint32_t what,
		    bool permission, int dirfd, const char *path,
		    struct err *err)
{
	return change_mark(group, FAN_MARK_REMOVE, scope, what, permission,
			   dirfd, path, err);
}

/*
 * An ignore mark on one inode. The group does not tell its class: a notify
 * group refuses permission events with EINVAL and is then asked again.
 */
static int change_ignore(int group, unsigned int flags, uint32_t what, int fd)
{
	flags |= FAN_MARK_IGNORED_MASK;
	if (fanotify_mark(group, flags, event_mask(what, true), fd, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	return fanotify_mark(group, flags, event_mask(what, false), fd, NULL);
}

int fangroup_ignore(int group, int fd, uint32_t what, bool evictable,
		    bool forever)
{
	unsigned int flags = FAN_MARK_ADD;

	if (forever)
		flags |= FAN_MARK_IGNORED_SURV_MODIFY;
	if (!evictable)
		return change_ignore(group, flags, what, fd);
	if (change_ignore(group, flags | FAN_MARK_EVICTABLE, what, fd) == 0)
		return 0;
	/* An older mark that is not evictable cannot become so. */
	if (errno != EEXIST)
		return -1;
	return change_ignore(group, flags, what, fd);
}

int fangroup_unignore(int group, int fd, uint32_t what)
{
	if (change_ignore(group, FAN_MARK_REMOVE, what, fd) == 0)
		return 0;
	/* Evicted, or dropped when the file was modified. */
	return errno == ENOENT ? 0 : -1;
}

int fangroup_flush_ignored(int group)
{
	return fanotify_mark(group, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
}

int fangroup_flush_all(int group)
{
	int rc = fangroup_flush_ignored(group);

	if (fanotify_mark(group, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, AT_FDCWD,
			  NULL) < 0)
		rc = -1;
	/* A kernel without this kind of mark has none to drop. */
	if (fanotify_mark(group, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0,
			  AT_FDCWD, NULL) < 0 &&
	    errno != EINVAL)
		rc = -1;
	return rc;
}

int fangroup_read(int group, struct fangroup_event *ev_r)
{
	/* Room for one event, so that the kernel hands out one. */
	struct fanotify_event_metadata meta;
	ssize_t n;

	do {
		n = read(group, &meta, sizeof(meta));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(meta) ||
	    meta.vers != FANOTIFY_METADATA_VERSION) {
		errno = EPROTO;
		return -1;
	}
	memset(ev_r, 0, sizeof(*ev_r));
	ev_r->fd = meta.fd;
	ev_r->pid = meta.pid;
	if (meta.mask & (FAN_OPEN | FAN_OPEN_PERM))
		ev_r->what |= FANGROUP_OPEN;
	if (meta.mask & (FAN_OPEN_EXEC | FAN_OPEN_EXEC_PERM))
		ev_r->what |= FANGROUP_EXEC;
	if (meta.mask & FAN_CLOSE_WRITE)
		ev_r->what |= FANGROUP_CLOSE;
	ev_r->overflow = (meta.mask & FAN_Q_OVERFLOW) != 0;
	return 1;
}

int fangroup_answer(int group, int number, bool allow)
{
	struct fanotify_response response = {
		.fd = number,
		.response = allow ? FAN_ALLOW : FAN_DENY,
	};
	ssize_t n;

	do {
		n = write(group, &response, sizeof(response));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOENT ? 1 : -1;
	return 0;
}

long fangroup_pending(int group)
{
	int bytes;

	if (ioctl(group, FIONREAD, &bytes) < 0)
		return -1;
	return bytes / (long)FAN_EVENT_METADATA_LEN;
}
