/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "marks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/vec.h"

/* How long a server is waited for, and not asked again. */
#define APART_MS 150
#define MUTE_NS (60 * CLOCK_NS_PER_S)
#define APART_HIDDEN 255 /* no errno value */

/* A file system (by device) or a mount (by mount id) with marks. */
struct mark {
	enum fangroup_scope scope;
	uint64_t id;
	uint32_t perm;
	uint32_t notify;
	bool seen;		/* in this plan */
	bool set;		/* and the kernel went along */
	uint64_t mute_until_ns; /* its server did not answer */
};

struct marks {
	int group;
	int notify;
	marks_fresh_fn fresh;
	void *fresh_arg;
	struct {
		VEC(struct mark);
	} known;
	struct {
		VEC(pid_t);
	} stuck; /* children that were killed and not waited for */
};

static uint32_t what_of(unsigned long long mask)
{
	return (mask & FAN_OPEN_PERM ? FANGROUP_OPEN : 0) |
	       (mask & FAN_OPEN_EXEC_PERM ? FANGROUP_EXEC : 0);
}

/* What the group holds already, see proc(5), /proc/PID/fdinfo. */
static void learn(struct marks *marks)
{
	char path[64], line[256];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", marks->group);
	in = fopen(path, "re");
	if (!in)
		return;
	while (fgets(line, sizeof(line), in)) {
		struct mark m = {0};
		unsigned int dev, id;
		unsigned long long mask;

		if (sscanf(line, "fanotify sdev:%x mflags:%*x mask:%llx", &dev,
			   &mask) == 2) {
			/* the kernel's dev_t: 12 bits major, 20 minor */
			m.scope = FANGROUP_FILESYSTEM;
			m.id = makedev(dev >> 20, dev & 0xfffff);
		} else if (sscanf(line,
				  "fanotify mnt_id:%x mflags:%*x mask:%llx",
				  &id, &mask) == 2) {
			m.scope = FANGROUP_MOUNT;
			m.id = id;
		} else {
			continue;
		}
		m.perm = what_of(mask);
		vec_push(&marks->known, m);
	}
	fclose(in);
	if (marks->known.len)
		log_info("marks found count=%zu", marks->known.len);
}

struct marks *marks_new(int group, int notify)
{
	struct marks *marks = xcalloc(1, sizeof(*marks));

	marks->group = group;
	marks->notify = notify;
	if (group >= 0)
		learn(marks);
	return marks;
}

void marks_on_fresh(struct marks *marks, marks_fresh_fn fn, void *arg)
{
	marks->fresh = fn;
	marks->fresh_arg = arg;
}

void marks_free(struct marks **marks)
{
	if (!*marks)
		return;
	vec_free(&(*marks)->known);
	vec_free(&(*marks)->stuck);
	xfree(marks);
}

static uint64_t row_id(const struct cover_row *row)
{
	return row->scope == FANGROUP_MOUNT ? (uint64_t)row->mount->id
					    : (uint64_t)row->mount->dev;
}

static struct mark *mark_of(struct marks *marks, enum fangroup_scope scope,
			    uint64_t id)
{
	struct mark *m;

	vec_each (m, &marks->known) {
		if (m->scope == scope && m->id == id)
			return m;
	}
	return NULL;
}

static int set_one(int group, enum fangroup_scope scope, bool permission,
		   int fd, uint32_t want, uint32_t *have, struct err *err)
{
	char path[64];

	if (group < 0)
		return 0;
	/* An O_PATH descriptor names its object by this link alone. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (want &&
	    fangroup_mark(group, scope, want, permission, AT_FDCWD, path, err))
		return -1;
	if (*have & ~want)
		fangroup_unmark(group, scope, *have & ~want, permission,
				AT_FDCWD, path, NULL);
	*have = want;
	return 0;
}

static void tell_if_fresh(struct marks *marks, const struct cover_row *row,
			  enum fangroup_scope scope, int fd)
{
	int group = marks->group >= 0 ? marks->group : marks->notify;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (marks->fresh && group >= 0 &&
	    !fangroup_is_marked(group, scope, AT_FDCWD, path))
		marks->fresh(row->mount->dev, marks->fresh_arg);
}

/* Puts the marks for one row. 0, 1 when nobody can reach it, -1. */
static int put_marks(struct marks *marks, const struct cover_row *row,
		     struct mark *m, const struct marks_want *want,
		     struct err *err)
{
	int rc;
	int fd = follow_open(row->ns, row->mount);

	if (fd < 0 && (errno == ESTALE || errno == ENOENT))
		return 1;
	if (fd < 0)
		return err_set(err, errno, "cannot be reached");
	if (want->perm || want->notify)
		tell_if_fresh(marks, row, m->scope, fd);
	rc = set_one(marks->group, m->scope, true, fd, want->perm, &m->perm,
		     err);
	if (!rc)
		rc = set_one(marks->notify, m->scope, false, fd, want->notify,
			     &m->notify, err);
	fd_close(&fd);
	return rc;
}

/*
 * The same in a child, for a file system whose server may not answer: a look
 * at its root could hold up the master for ever.
 */
static int put_marks_apart(struct marks *marks, const struct cover_row *row,
			   struct mark *m, const struct marks_want *want,
			   struct err *err)
{
	struct pollfd p = {.events = POLLIN};
	int status = 0, rc, pidfd;
	pid_t pid;

	if (m->mute_until_ns > clock_mono_ns())
		return err_set(err, 0, "its server does not answer");
	pid = child_fork(&pidfd);
	if (pid < 0)
		return err_set(err, errno, "fork");
	if (pid == 0) {
		rc = put_marks(marks, row, m, want, err);
		_exit(rc < 0   ? (err->code ? err->code : EIO)
		      : rc > 0 ? APART_HIDDEN
			       : 0);
	}
	p.fd = pidfd;
	rc = poll(&p, 1, APART_MS);
	if (rc <= 0) {
		/* nor is it waited for: it may not die before its server
		 * answers, and is collected later */
		proc_signal(pidfd, SIGKILL);
		fd_close(&pidfd);
		vec_push(&marks->stuck, pid);
		m->mute_until_ns = clock_mono_ns() + MUTE_NS;
		return err_set(err, 0, "its server does not answer");
	}
	waitpid(pid, &status, 0);
	fd_close(&pidfd);
	if (!WIFEXITED(status))
		return err_set(err, 0, "the try was killed");
	if (WEXITSTATUS(status) == APART_HIDDEN)
		return 1;
	if (WEXITSTATUS(status))
		return err_set(err, WEXITSTATUS(status), "fanotify_mark");
	m->perm = marks->group >= 0 ? want->perm : 0;
	m->notify = marks->notify >= 0 ? want->notify : 0;
	return 0;
}

static bool is_local(const struct cover_row *row)
{
	return mounts_kind(row->mount->fstype) == MOUNT_LOCAL;
}

static int set_row(struct marks *marks, const struct cover_row *row,
		   const struct marks_want *want, struct err *err)
{
	struct mark *m = mark_of(marks, row->scope, row_id(row));
	int rc;

	if (!m) {
		struct mark fresh = {.scope = row->scope, .id = row_id(row)};

		vec_push(&marks->known, fresh);
		m = &marks->known.items[marks->known.len - 1];
	}
	if (is_local(row))
		rc = put_marks(marks, row, m, want, err);
	else
		rc = put_marks_apart(marks, row, m, want, err);
	/* A mute one is kept for the sake of its time. */
	m->seen = !rc || m->mute_until_ns > clock_mono_ns();
	m->set = !rc;
	return rc;
}

/* A mark that is not wanted any more; it goes by any mount of its file
 * system that is left. Where none is the kernel has dropped it already. */
static void unset(struct marks *marks, struct mark *m,
		  const struct cover_list *plan)
{
	const struct marks_want none = {0};
	const struct cover_row *row;

	vec_each (row, plan) {
		struct cover_row as = *row;
		struct err err;

		as.scope = m->scope;
		if (!row->mount || row_id(&as) != m->id)
			continue;
		if (is_local(row)) {
			if (put_marks(marks, row, m, &none, &err) == 0)
				return;
		} else {
			put_marks_apart(marks, row, m, &none, &err);
			return;
		}
	}
}

static void forget_unseen(struct marks *marks, const struct cover_list *plan)
{
	size_t i;

	for (i = marks->known.len; i-- > 0;) {
		struct mark *m = &marks->known.items[i];

		if (m->seen)
			continue;
		unset(marks, m, plan);
		vec_remove(&marks->known, i);
	}
}

/* Takes out what is hidden below other mounts. */
static void drop_row(struct cover_list *plan, size_t i)
{
	cover_row_free(&plan->items[i]);
	vec_remove(plan, i);
}

static bool done_already(struct marks *marks, const struct cover_row *row)
{
	struct mark *m = mark_of(marks, row->scope, row_id(row));

	return m && m->seen && m->set && row->scope == FANGROUP_FILESYSTEM;
}

static void reap_mute(struct marks *marks)
{
	size_t i;

	for (i = marks->stuck.len; i-- > 0;)
		if (waitpid(marks->stuck.items[i], NULL, WNOHANG) != 0)
			vec_remove(&marks->stuck, i);
}

size_t marks_apply(struct marks *marks, struct cover_list *plan,
		   const struct marks_want *want)
{
	size_t covered = 0;
	struct mark *m;
	size_t i;

	reap_mute(marks);
	vec_each (m, &marks->known)
		m->seen = m->set = false;
	for (i = 0; i < plan->len; i++) {
		struct cover_row *row = &plan->items[i];
		struct err err = {0};
		int rc;

		if (!row->covered)
			continue;
		rc = done_already(marks, row) ? 0
					      : set_row(marks, row, want, &err);
		if (rc > 0) {
			drop_row(plan, i--);
			continue;
		}
		if (rc < 0)
			cover_set_reason(row, "kernel refused: %s", err.text);
		else
			covered++;
	}
	forget_unseen(marks, plan);
	return covered;
}

void marks_clear(struct marks *marks)
{
	if (marks->group >= 0)
		fangroup_flush_all(marks->group);
	if (marks->notify >= 0)
		fangroup_flush_all(marks->notify);
	marks->known.len = 0;
}

void marks_flush_ignored(struct marks *marks)
{
	if (marks->group >= 0 && fangroup_flush_ignored(marks->group))
		log_warn("marks flush: %m");
}
