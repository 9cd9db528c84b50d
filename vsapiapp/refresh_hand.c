/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The child that has files examined again. It shares the master's table and
 * scoreboard to look at them, and of the rest it is a copy of the master as it
 * was when the line began to serve.
 *
 * Openers come first: it sends little at a time, to back workers, which give
 * way to front ones (their priority), and stands back while front workers
 * scan.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "common/control.h"
#include "common/exclude.h"
#include "common/paths.h"
#include "common/scanjob.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/procmaps.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "master.h"
#include "refresh.h"
#include "refresh_in.h"

#define NICE 19
/* ioprio_set(2), which has no wrapper: the idle class. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)
/* How it stands back, and how long at most before one file. */
#define STEP_NS 2000000
#define STEPS_MAX 100

struct run {
	struct master *m;
	struct refresh_shared *shared;
	struct scanclient *client;
	unsigned int window;
	struct cover_list plan;
	struct {
		VEC(uint64_t);
	} running; /* inodes, ascending */
	struct err err;
};

/* ---- which first ---- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* By the inode alone: /proc may name another device than the file does, and
 * one that comes early without need does no harm. */
static void add_process(struct run *run, const char *pid)
{
	char name[64], *line = NULL;
	struct procmap map;
	uint64_t last = 0;
	size_t size = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%.20s/maps", pid);
	f = fopen(name, "re");
	if (!f)
		return;
	while (getline(&line, &size, f) > 0) {
		if (!procmap_parse(line, &map) || !map.exec || map.ino == last)
			continue;
		last = map.ino;
		vec_push(&run->running, last);
	}
	free(line);
	fclose(f);
}

static void find_running(struct run *run)
{
	struct dirent *e;
	DIR *proc = opendir("/proc");

	while (proc && (e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]))
			add_process(run, e->d_name);
	if (proc)
		closedir(proc);
	if (run->running.len)
		qsort(run->running.items, run->running.len, sizeof(uint64_t),
		      by_number);
}

static int by_use(const void *a, const void *b)
{
	const struct known_file *x = a, *y = b;

	if (x->trace.used_s != y->trace.used_s)
		return x->trace.used_s > y->trace.used_s ? -1 : 1;
	if (x->key.dev != y->key.dev)
		return x->key.dev < y->key.dev ? -1 : 1;
	return (x->key.ino > y->key.ino) - (x->key.ino < y->key.ino);
}

void refresh_order(struct known_file *files, size_t count,
		   const uint64_t *running, size_t n)
{
	size_t first = 0;

	for (size_t i = 0; n && i < count; i++) {
		struct known_file f = files[i];

		if (!bsearch(&f.key.ino, running, n, sizeof(*running),
			     by_number))
			continue;
		files[i] = files[first];
		files[first++] = f;
	}
	if (first > 1)
		qsort(files, first, sizeof(*files), by_use);
	if (count - first > 1)
		qsort(files + first, count - first, sizeof(*files), by_use);
}

/* ---- one file ---- */

/* A mount that is covered, rather of the whole file system. */
static const struct cover_row *row_of(const struct run *run, uint64_t dev)
{
	const struct cover_row *row, *found = NULL;

	vec_each (row, &run->plan) {
		if (!row->covered || !row->mount || row->ns->pid ||
		    row->mount->dev != dev)
			continue;
		if (!found || !strcmp(row->mount->root, "/"))
			found = row;
		if (!strcmp(found->mount->root, "/"))
			break;
	}
	return found;
}

/*
 * Its path, "" when it has none here: the kernel does not know one of a file
 * that nobody has looked up since it was forgotten, and a mount may hide it.
 */
static void name_of(int fd, const struct known_file *f, char *path, size_t size)
{
	struct stat st;

	if (fd_path(fd, path, size) < 0 || path[0] != '/' ||
	    lstat(path, &st) < 0 || st.st_dev != f->key.dev ||
	    st.st_ino != f->key.ino)
		path[0] = '\0';
}

/* Whether who opens it would be asked about. */
static bool is_wanted(const struct run *run, const char *path)
{
	const struct exclude *ex = run->m->exclude;

	if (!exclude_needs_path(ex))
		return true;
	return *path && exclude_included(ex, path) &&
	       !exclude_path(ex, path, NULL);
}

/* Not to be kept: it would hold up who unmounts. */
static int open_mount(const struct cover_row *row)
{
	int at = follow_open(row->ns, row->mount), fd;

	if (at < 0)
		return -1;
	/* For a handle O_PATH is not enough. */
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_close(&at);
	return fd;
}

/* As it was, but for what a rename or a chmod changes: whatever its verdict
 * will be, it is taken anew. */
static bool is_same(const struct file_key *now, const struct file_key *then)
{
	return now->fsid == then->fsid && now->dev == then->dev &&
	       now->ino == then->ino && now->size == then->size &&
	       now->mtime_ns == then->mtime_ns;
}

/* Opens what was known, if it still is that; -1: it is not, or not now. */
static int open_known(const struct run *run, const struct known_file *f)
{
	const struct cover_row *row = row_of(run, f->key.dev);
	struct file_key key;
	struct stat st;
	int mount, fd;

	if (!row || f->key.size > run->m->settings->conf->max_file_size)
		return -1;
	mount = open_mount(row);
	if (mount < 0)
		return -1;
	fd = known_trace_open(mount, &f->trace,
			      O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	fd_close(&mount);
	if (fd < 0)
		return -1;
	if (file_key_get(fd, &key, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !is_same(&key, &f->key))
		fd_close(&fd);
	return fd;
}

static void stand_back(const struct run *run)
{
	const struct timespec step = {.tv_nsec = STEP_NS};

	for (int n = 0; n < STEPS_MAX; n++) {
		bool busy = atomic_load(&run->m->sb->breaker_open);

		for (int i = 0; i < SCOREBOARD_SLOTS && !busy; i++) {
			const struct slot *s = &run->m->sb->slots[i];

			busy = atomic_load(&s->role) == SLOT_FRONT &&
			       atomic_load(&s->scan_start_ns) != 0;
		}
		if (!busy)
			return;
		nanosleep(&step, NULL);
	}
}

static void answered(const struct scanjob_reply *reply, const char *path,
		     void *arg)
{
	struct run *run = arg;

	if (reply->verdict == VERDICT_CLEAN)
		atomic_fetch_add(&run->shared->again, 1);
	else if (reply->verdict == VERDICT_INFECTED)
		atomic_fetch_add(&run->shared->found, 1);
	atomic_fetch_add(&run->m->sb->counters[COUNTER_REFRESHED], 1);
	atomic_fetch_sub(&run->shared->left, 1);
}

/* True when it is under way. *rc is -1 when the service is gone. */
static bool hand_in(struct run *run, const struct known_file *f, int *rc)
{
	char path[PATH_MAX];
	int fd = open_known(run, f);
	bool wanted;

	if (fd < 0)
		return false;
	name_of(fd, f, path, sizeof(path));
	wanted = is_wanted(run, path);
	if (wanted)
		*rc = scanclient_put(run->client, fd, path, 0, &run->err);
	fd_close(&fd);
	return wanted;
}

static int examine(struct run *run, const struct known_file *f)
{
	const struct known *known = remember_known(run->m->remember);
	int rc = 0;

	/* Somebody opened it meanwhile, or it was to be forgotten. */
	if (!known_has(known, &f->key, f->epoch)) {
		atomic_fetch_sub(&run->shared->left, 1);
		return 0;
	}
	stand_back(run);
	if (!hand_in(run, f, &rc))
		atomic_fetch_sub(&run->shared->left, 1);
	if (rc == 0 && scanclient_pending(run->client) >= run->window)
		rc = scanclient_drain(run->client, &run->err);
	return rc;
}

/* ---- the whole ---- */

static int begin(struct run *run, int out)
{
	struct master *m = run->m;
	int keep[] = {INHERIT_LOG, out};
	size_t n;
	const struct follow_ns *const *ns = follow_list(m->follow, &n);

	proc_title_set("vsapiapp: refresh");
	setpriority(PRIO_PROCESS, 0, NICE);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	cover_plan(m->cover, ns, n, m->settings->conf, m->exclude, &run->plan);
	find_running(run);
	/* What we hold of the master's, it could not let go of. */
	child_close_others(keep, 2);
	run->client =
		scanclient_open(paths()->scan_sock, SOURCE_REFRESH,
				conf_action(m->settings->conf, "FirstAction"),
				conf_action(m->settings->conf, "SecondAction"),
				answered, run, &run->err);
	if (!run->client)
		return -1;
	run->window = scanclient_workers(run->client) / 2;
	if (!run->window)
		run->window = 1;
	/* The second one: to leave the time of last access as it is. */
	return sandbox_become(0, 0,
			      1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER,
			      &run->err);
}

static int go_through(struct run *run, const struct known_file *files,
		      size_t count)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = examine(run, &files[i]);
	if (rc == 0)
		rc = scanclient_drain(run->client, &run->err);
	scanclient_close(&run->client);
	return rc;
}

int refresh_run(struct master *m, struct refresh_shared *shared, int out)
{
	struct run run = {.m = m, .shared = shared};
	struct known_file *files;
	pid_t parent = getppid();
	size_t count;

	count = known_former(remember_known(m->remember),
			     remember_current(m->remember), &files);
	atomic_store(&shared->total, count);
	atomic_store(&shared->left, count);
	if (!count)
		return 0;
	if (begin(&run, out) < 0)
		goto fail;
	/* With its rights went the wish to end with the master. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return 1;
	refresh_order(files, count, run.running.items, run.running.len);
	if (go_through(&run, files, count) == 0)
		return 0;
fail:
	dprintf(out, "%s", run.err.text);
	return 1;
}
