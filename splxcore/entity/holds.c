/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "holds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/procmaps.h"

bool holds_identify(int dir, const char *name, struct file_id *id_r)
{
	struct statx sx;

	if (statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO,
		  &sx) < 0)
		return false;
	id_r->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	id_r->ino = sx.stx_ino;
	return true;
}

bool holds_same(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool is_at(int dir, const char *name, const struct file_id *file)
{
	struct file_id id;

	return holds_identify(dir, name, &id) && holds_same(&id, file);
}

/* Of what could not be opened there. */
static enum holds unseen(void)
{
	return errno == EACCES || errno == EPERM ? HOLDS_UNKNOWN : HOLDS_NOT;
}

static enum holds has_open(int task, const struct file_id *file)
{
	int fd = openat(task, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum holds how = fd < 0 ? unseen() : HOLDS_NOT;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		fd_close(&fd);
		return how;
	}
	while (how == HOLDS_NOT && (de = readdir(d)))
		if (de->d_name[0] != '.' && is_at(dirfd(d), de->d_name, file))
			how = HOLDS_OPEN;
	closedir(d);
	return how;
}

/* ---- mappings ---- */

/*
 * What stands in the line is the file system's number of the inode's, which
 * is not everywhere the one that stat(2) tells: the link is asked where there
 * is one.
 */
static bool is_mapped_there(int map_files, const struct procmap *m,
			    const struct file_id *file)
{
	char name[PROCMAP_NAME_MAX];

	if (map_files < 0)
		return m->dev == file->dev && m->ino == file->ino;
	procmap_name(m, name);
	return is_at(map_files, name, file);
}

static enum holds has_mapped(int task, const struct file_id *file)
{
	int fd = openat(task, "maps", O_RDONLY | O_CLOEXEC);
	enum holds how = fd < 0 ? unseen() : HOLDS_NOT;
	int map_files =
		openat(task, "map_files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	struct procmap m;
	char *line = NULL;
	size_t size = 0;

	if (!in)
		fd_close(&fd);
	while (in && how != HOLDS_RUNS && getline(&line, &size, in) > 0) {
		if (!procmap_parse(line, &m) ||
		    (how == HOLDS_OPEN && !m.exec) ||
		    !is_mapped_there(map_files, &m, file))
			continue;
		how = m.exec ? HOLDS_RUNS : HOLDS_OPEN;
	}
	free(line);
	if (in)
		fclose(in);
	fd_close(&map_files);
	return how;
}

/* ---- tasks ---- */

static enum holds task_holds(int task, const struct file_id *file)
{
	enum holds how, open;

	if (is_at(task, "exe", file))
		return HOLDS_RUNS;
	how = has_mapped(task, file);
	if (how >= HOLDS_OPEN)
		return how;
	open = has_open(task, file);
	return open > how ? open : how;
}

static bool shares(pid_t a, pid_t b, int what)
{
	return syscall(SYS_kcmp, a, b, what, 0, 0) == 0;
}

enum holds holds_file(int proc, pid_t pid, const struct file_id *file)
{
	enum holds how = task_holds(proc, file), other;
	int fd = openat(proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int task;
	pid_t tid;

	if (!d) {
		fd_close(&fd);
		return how;
	}
	while (how != HOLDS_RUNS && (de = readdir(d))) {
		tid = atoi(de->d_name);
		if (tid <= 0 || tid == pid ||
		    (shares(pid, tid, KCMP_FILES) && shares(pid, tid, KCMP_VM)))
			continue;
		task = openat(dirfd(d), de->d_name,
			      O_PATH | O_DIRECTORY | O_CLOEXEC);
		other = task < 0 ? HOLDS_NOT : task_holds(task, file);
		if (other > how)
			how = other;
		fd_close(&task);
	}
	closedir(d);
	return how;
}
