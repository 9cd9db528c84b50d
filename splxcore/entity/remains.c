/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "remains.h"

#include <dirent.h>
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

/* True for that program of ours, also when it was replaced meanwhile. */
static bool is_program(pid_t pid, const char *name)
{
	char exe[PATH_MAX], program[PATH_MAX];
	dev_t dev;
	ino_t ino;

	if (proc_exe(pid, exe, sizeof(exe), &dev, &ino) < 0)
		return false;
	snprintf(program, sizeof(program), "%s/%s", paths()->libexec_dir, name);
	return str_starts(exe, program);
}

static bool is_vsapiapp(pid_t pid)
{
	return is_program(pid, "vsapiapp");
}

static bool end_one(const struct proc_id *id, bool (*is_it)(pid_t pid),
		    bool end)
{
	int fd = proc_pidfd(id);

	if (fd < 0)
		return false;
	/* Asked while the pidfd holds it: the pid is still the same one's. */
	if (!is_it(id->pid)) {
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
		if (proc_identify(atoi(p), &id) == 0 &&
		    end_one(&id, is_vsapiapp, end))
			n++;
	for (i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *slot = &sb->slots[i];

		if (atomic_load(&slot->role) == SLOT_UNUSED)
			continue;
		id.pid = atomic_load(&slot->pid);
		id.start = atomic_load(&slot->start);
		if (id.pid > 1 && end_one(&id, is_vsapiapp, end))
			n++;
	}
	return n;
}

static bool is_orphan(pid_t pid)
{
	return is_program(pid, "splxnetmon");
}

void remains_of_netmon(pid_t monitor, bool stopped)
{
	char text[CHILDREN_MAX], *p, *save = NULL;
	struct proc_id id;

	read_children(text, sizeof(text));
	for (p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if (atoi(p) != monitor && proc_identify(atoi(p), &id) == 0 &&
		    (!stopped || proc_stopped(&id)))
			end_one(&id, is_orphan, true);
}

/* Not in a container, where a suite of its own may lie under the same path. */
static bool is_neighbour(pid_t pid)
{
	char path[40], theirs[64], own[64];
	ssize_t a, b;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	a = readlink(path, theirs, sizeof(theirs));
	b = readlink("/proc/self/ns/pid", own, sizeof(own));
	return a > 0 && a == b && !memcmp(theirs, own, (size_t)a);
}

/* By its title: others of this program are being started just now. */
static bool is_core(pid_t pid)
{
	static const char title[] = "entity: core";
	char path[40], text[sizeof(title)] = "";
	ssize_t n;
	int fd;

	if (!is_program(pid, "entity"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	return n == sizeof(title) - 1 && !strcmp(text, title);
}

static bool is_of_before(pid_t pid)
{
	return (is_vsapiapp(pid) || is_core(pid) ||
		is_program(pid, "splxnetmon")) &&
	       is_neighbour(pid);
}

int remains_of_before(void)
{
	DIR *proc = opendir("/proc");
	struct proc_id id;
	struct dirent *de;
	int n = 0;

	if (!proc)
		return 0;
	while ((de = readdir(proc)))
		if (proc_identify(atoi(de->d_name), &id) == 0 &&
		    id.pid != getpid() && end_one(&id, is_of_before, true))
			n++;
	closedir(proc);
	return n;
}
