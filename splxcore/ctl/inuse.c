/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "inuse.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mounts.h"
#include "lib/procmaps.h"
#include "lib/str.h"
#include "lib/vec.h"

#define LINK_MAX 64 /* "/proc/4194304/map_files/7f…-7f…" */

struct file_id {
	dev_t dev;
	ino_t ino;
};

/* Sorted. */
struct id_set {
	VEC(struct file_id);
};

struct inuse {
	const struct conf *conf;
	const struct walk_ops *ops;
	void *arg;
	pid_t pid; /* whose turn it is */
	/* Files, and mappings by what maps says of them: it may name another
	 * device than the file does (btrfs, an overlay). */
	struct id_set files, mappings;
	struct {
		VEC(dev_t);
	} wanted, unwanted; /* devices that were looked up */
};

/* ---- each one once ---- */

static int compare(const struct file_id *a, const struct file_id *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return (a->ino > b->ino) - (a->ino < b->ino);
}

/* False when it is there already. */
static bool set_add(struct id_set *set, dev_t dev, ino_t ino)
{
	struct file_id id = {.dev = dev, .ino = ino};
	size_t from = 0, to = set->len;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int c = compare(&set->items[mid], &id);

		if (c == 0)
			return false;
		if (c < 0)
			from = mid + 1;
		else
			to = mid;
	}
	vec_push(set, id);
	memmove(&set->items[from + 1], &set->items[from],
		(set->len - 1 - from) * sizeof(id));
	set->items[from] = id;
	return true;
}

/* ---- which file systems ---- */

static bool is_kind_wanted(const struct inuse *u, const char *fstype)
{
	switch (mounts_kind(fstype)) {
	case MOUNT_PSEUDO:
		return false;
	case MOUNT_NETWORK:
		return u->conf->scan_network_fs;
	case MOUNT_FUSE:
		return u->conf->scan_fuse;
	case MOUNT_LOCAL:
		break;
	}
	return true;
}

/*
 * By the mounts that the process sees: to ask the file itself could wait for
 * a server that is dead. A device that is no mount of his (memory, the layers
 * of an overlay) is local.
 */
static bool is_wanted(struct inuse *u, dev_t dev)
{
	struct mount_list list = {0};
	const struct mount *m;
	bool wanted = true;
	const dev_t *d;

	vec_each (d, &u->wanted)
		if (*d == dev)
			return true;
	vec_each (d, &u->unwanted)
		if (*d == dev)
			return false;
	if (mounts_read(u->pid, &list, NULL) < 0)
		return true;
	vec_each (m, &list)
		if (m->dev == dev)
			wanted = is_kind_wanted(u, m->fstype);
	mounts_free(&list);
	if (wanted)
		vec_push(&u->wanted, dev);
	else
		vec_push(&u->unwanted, dev);
	return wanted;
}

/* ---- one file ---- */

static void report(const struct inuse *u, const char *link, int code)
{
	char path[PATH_MAX];
	ssize_t n;

	/* the process ended, or unmapped it */
	if (code == ENOENT || code == ESRCH)
		return;
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	u->ops->error(n > 0 ? path : link, code, u->arg);
}

/* By its link in /proc. Non-zero ends the walk. */
static int take(struct inuse *u, const char *link)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd, rc;

	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0) {
		report(u, link, errno);
		return 0;
	}
	path[n] = '\0';
	/* A device that is mapped must not be opened anew. */
	if (stat(link, &st) < 0) {
		report(u, link, errno);
		return 0;
	}
	if (!S_ISREG(st.st_mode) || !set_add(&u->files, st.st_dev, st.st_ino))
		return 0;
	if (u->ops->skip && u->ops->skip(path, false, u->arg))
		return 0;
	fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		report(u, link, errno);
		if (fd >= 0)
			close(fd);
		return 0;
	}
	rc = u->ops->file(fd, &st, path, u->arg);
	close(fd);
	return rc;
}

/* ---- one process ---- */

/* One line of its maps. Non-zero ends the walk. */
static int take_mapping(struct inuse *u, const char *line)
{
	char name[PROCMAP_NAME_MAX], link[LINK_MAX];
	struct procmap m;

	if (!procmap_parse(line, &m) || !m.exec || !is_wanted(u, m.dev))
		return 0;
	/* Most libraries were another process's before. */
	if (!set_add(&u->mappings, m.dev, m.ino))
		return 0;
	procmap_name(&m, name);
	snprintf(link, sizeof(link), "/proc/%d/map_files/%s", (int)u->pid,
		 name);
	return take(u, link);
}

static int take_process(struct inuse *u)
{
	char name[LINK_MAX], *line = NULL;
	size_t size = 0;
	int rc = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)u->pid);
	f = fopen(name, "re");
	if (!f) {
		report(u, name, errno);
		return 0;
	}
	/* The executable is mapped, too. */
	while (rc == 0 && getline(&line, &size, f) > 0)
		rc = u->ops->stop && u->ops->stop(u->arg)
			     ? 1
			     : take_mapping(u, line);
	free(line);
	fclose(f);
	return rc;
}

int inuse_walk(const struct conf *conf, const struct walk_ops *ops, void *arg)
{
	struct inuse u = {.conf = conf, .ops = ops, .arg = arg};
	struct dirent *e;
	DIR *proc = opendir("/proc");
	int rc = 0;

	if (!proc)
		return -1;
	while (rc == 0 && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		u.pid = (pid_t)strtol(e->d_name, NULL, 10);
		rc = take_process(&u);
	}
	closedir(proc);
	vec_free(&u.files);
	vec_free(&u.mappings);
	vec_free(&u.wanted);
	vec_free(&u.unwanted);
	return rc;
}
