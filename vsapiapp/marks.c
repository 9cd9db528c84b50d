/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/sysmacros.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/vec.h"

/* A file system (by device) or a mount (by mount id) with marks. */
struct mark {
	enum fangroup_scope scope;
	uint64_t id;
	uint32_t perm;
	uint32_t notify;
	bool seen;
};

struct marks {
	int group;
	int notify;
	struct {
		VEC(struct mark);
	} known;
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

void marks_free(struct marks **marks)
{
	if (!*marks)
		return;
	vec_free(&(*marks)->known);
	xfree(marks);
}

static uint64_t row_id(const struct cover_row *row)
{
	return row->scope == FANGROUP_MOUNT ? (uint64_t)row->mount->id :
					      (uint64_t)row->mount->dev;
}

static struct mark *mark_of(struct marks *marks, enum fangroup_scope scope,
			    uint64_t id)
{
	struct mark *m;

	vec_each(m, &marks->known) {
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
	if (want && fangroup_mark(group, scope, want, permission, AT_FDCWD,
				  path, err))
		return -1;
	if (*have & ~want)
		fangroup_unmark(group, scope, *have & ~want, permission,
				AT_FDCWD, path, NULL);
	*have = want;
	return 0;
}

/* Puts the marks for one row. 0, 1 when nobody can reach it, -1. */
static int set_row(struct marks *marks, struct cover_row *row,
		   const struct marks_want *want, struct err *err)
{
	struct mark *m;
	int rc = 0;
	int fd = follow_open(row->ns, row->mount);

	if (fd < 0 && (errno == ESTALE || errno == ENOENT))
		return 1;
	if (fd < 0)
		return err_set(err, errno, "cannot be reached");
	m = mark_of(marks, row->scope, row_id(row));
	if (!m) {
		struct mark fresh = {.scope = row->scope, .id = row_id(row)};

		vec_push(&marks->known, fresh);
		m = &marks->known.items[marks->known.len - 1];
	}
	rc = set_one(marks->group, m->scope, true, fd, want->perm, &m->perm,
		     err);
	if (!rc)
		rc = set_one(marks->notify, m->scope, false, fd, want->notify,
			     &m->notify, err);
	m->seen = !rc;
	fd_close(&fd);
	return rc;
}

/* A mark that is not wanted any more; it goes by any mount of its file
 * system that is left. Where none is the kernel has dropped it already. */
static void unset(struct marks *marks, struct mark *m,
		  const struct cover_list *plan)
{
	const struct cover_row *row;

	vec_each(row, plan) {
		struct cover_row as = *row;
		struct err err;
		int fd;

		as.scope = m->scope;
		if (!row->mount || row_id(&as) != m->id)
			continue;
		fd = follow_open(row->ns, row->mount);
		if (fd < 0)
			continue;
		set_one(marks->group, m->scope, true, fd, 0, &m->perm, &err);
		set_one(marks->notify, m->scope, false, fd, 0, &m->notify,
			&err);
		fd_close(&fd);
		return;
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
	free(plan->items[i].point);
	free(plan->items[i].reason);
	vec_remove(plan, i);
}

static bool done_already(struct marks *marks, const struct cover_row *row)
{
	struct mark *m = mark_of(marks, row->scope, row_id(row));

	return m && m->seen && row->scope == FANGROUP_FILESYSTEM;
}

size_t marks_apply(struct marks *marks, struct cover_list *plan,
		   const struct marks_want *want)
{
	size_t covered = 0;
	struct mark *m;
	size_t i;

	vec_each(m, &marks->known)
		m->seen = false;
	for (i = 0; i < plan->len; i++) {
		struct cover_row *row = &plan->items[i];
		struct err err = {0};
		int rc;

		if (!row->covered)
			continue;
		rc = done_already(marks, row) ?
			     0 :
			     set_row(marks, row, want, &err);
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
