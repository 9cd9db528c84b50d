/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "remains.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"

#define CHILDREN_MAX 4096

/* True for vsapiapp's program, also when it was replaced meanwhile. */
static bool is_vsapiapp(pid_t pid)
{
	char exe[PATH_MAX], program[PATH_MAX];
	dev_t dev;
	ino_t ino;

	if (proc_exe(pid, exe, sizeof(exe), &dev, &ino) < 0)
		return false;
	snprintf(program, sizeof(program), "%s/vsapiapp", paths()->libexec_dir);
	return str_starts(exe, program);
}

static bool end_one(const struct proc_id *id, bool end)
{
	int fd = proc_pidfd(id);

	if (fd < 0)
		return false;
	/* Asked while the pidfd holds it: the pid is still the same one's. */
	if (!is_vsapiapp(id->pid)) {
		fd_close(&fd);
		return false;
	}
	if (end)
		proc_signal(fd, SIGKILL);
	fd_close(&fd);
	return true;
}

/* The text of /proc/.../children; kernels without it leave it empty. */
static void read_children(char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	text[0] = '\0';
	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	fd_close(&fd);
}

int remains_of_vsapiapp(const struct scoreboard *sb, bool end)
{
	char text[CHILDREN_MAX], *p, *save = NULL;
	struct proc_id id;
	int i, n = 0;

	read_children(text, sizeof(text));
	for (p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if (proc_identify(atoi(p), &id) == 0 && end_one(&id, end))
			n++;
	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *slot = &sb->slots[i];

		if (atomic_load(&slot->role) == SLOT_UNUSED)
			continue;
		id.pid = atomic_load(&slot->pid);
		id.start = atomic_load(&slot->start);
		if (id.pid > 1 && end_one(&id, end))
			n++;
	}
	return n;
}
