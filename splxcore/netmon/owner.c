/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "owner.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "lib/vec.h"

#define KNOWN 32
/* After a walk nobody walks for so many times what it took. */
#define REST 9

struct owners {
	pid_t known[KNOWN]; /* the last found first */
	uint64_t next_walk_ns;
};

struct owners *owners_new(void)
{
	return xcalloc(1, sizeof(struct owners));
}

void owners_free(struct owners **owners)
{
	free(*owners);
	*owners = NULL;
}

static void remember(struct owners *o, pid_t pid)
{
	size_t i = 0;

	while (i < KNOWN - 1 && o->known[i] != pid)
		i++;
	memmove(o->known + 1, o->known, i * sizeof(*o->known));
	o->known[0] = pid;
}

static size_t missing(const struct owner_wanted *w, size_t n)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++)
		count += w[i].inode && !w[i].pid;
	return count;
}

/* One descriptor's link: "socket:[inode]". Returns how many it was. */
static size_t match(const char *link, pid_t pid, struct owner_wanted *w,
		    size_t n)
{
	unsigned int inode;
	size_t i, count = 0;

	if (sscanf(link, "socket:[%u]", &inode) != 1)
		return 0;
	for (i = 0; i < n; i++)
		if (w[i].inode == inode && !w[i].pid) {
			w[i].pid = pid;
			count++;
		}
	return count;
}

/* Looks through a process' descriptors; true when it had one. */
static bool look_at(struct owners *o, pid_t pid, struct owner_wanted *w,
		    size_t n)
{
	char path[64], link[64];
	const struct dirent *d;
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((d = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), d->d_name, link,
					 sizeof(link) - 1);

		if (len <= 0)
			continue;
		link[len] = '\0';
		count += match(link, pid, w, n);
	}
	closedir(dir);
	if (count)
		remember(o, pid);
	return count != 0;
}

static int newest_first(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void walk(struct owners *o, struct owner_wanted *w, size_t n)
{
	struct {
		VEC(pid_t);
	} pids = {0};
	const struct dirent *d;
	DIR *dir = opendir("/proc");
	size_t i;

	while (dir && (d = readdir(dir))) {
		pid_t pid = (pid_t)atoi(d->d_name);

		if (pid > 0)
			vec_push(&pids, pid);
	}
	if (dir)
		closedir(dir);
	if (pids.len)
		qsort(pids.items, pids.len, sizeof(*pids.items), newest_first);
	for (i = 0; i < pids.len && missing(w, n); i++)
		look_at(o, pids.items[i], w, n);
	vec_free(&pids);
}

void owners_find(struct owners *o, struct owner_wanted *w, size_t n)
{
	uint64_t begin = clock_mono_ns(), end;
	pid_t known[KNOWN];
	size_t i;

	memcpy(known, o->known, sizeof(known));
	for (i = 0; i < KNOWN && known[i] && missing(w, n); i++)
		look_at(o, known[i], w, n);
	if (!missing(w, n) || begin < o->next_walk_ns)
		return;
	begin = clock_mono_ns();
	walk(o, w, n);
	end = clock_mono_ns();
	o->next_walk_ns = end + REST * (end - begin);
}

void owner_program(pid_t pid, char *out, size_t size)
{
	char link[40], path[PATH_MAX];
	ssize_t len;

	*out = '\0';
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	/* Nothing more: a stat(2) could wait for a server that is gone. */
	len = pid > 0 ? readlink(link, path, sizeof(path) - 1) : -1;
	if (len < 0)
		return;
	path[len] = '\0';
	str_copy(out, size,
		 (size_t)len < size ? path : path + len - (size - 1));
}
