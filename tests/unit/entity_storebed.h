/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_ENTITY_STOREBED_H
#define TESTS_UNIT_ENTITY_STOREBED_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/paths.h"
#include "entity/holding.h"
#include "entity/quarantine.h"
#include "entity/store.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/loop.h"

/*
 * What the tests of store, quarantine and findings share: one root directory
 * for the program, on a tmpfs of its own, emptied before each test; a place
 * for victims beside it, on another tmpfs.
 */
#define SB_ROOT "/tmp/splx-test-storebed"
static char sb_root[64], sb_files[80];

static inline int sb_remove(const char *path, const struct stat *st, int type,
			    struct FTW *ftw)
{
	if (ftw->level > 0)
		(void)remove(path);
	return 0;
}

static inline void sb_empty(const char *dir)
{
	nftw(dir, sb_remove, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static inline void sb_mount(const char *dir, const char *options)
{
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mount("splx-test", dir, "tmpfs", 0, options), 0);
}

static inline int sb_group_setup(void **state)
{
	static char run[96];

	snprintf(sb_root, sizeof(sb_root), SB_ROOT "-%d", getpid());
	snprintf(sb_files, sizeof(sb_files), "%s/files", sb_root);
	snprintf(run, sizeof(run), "%s/root", sb_root);
	if (mkdir(sb_root, 0755) < 0)
		return -1;
	sb_mount(run, "size=64m,mode=755");
	sb_mount(sb_files, "size=64m,mode=755");
	paths_init(run);
	alarm(280); /* never hangs the machine's tests */
	return 0;
}

static inline int sb_group_teardown(void **state)
{
	char run[96];

	snprintf(run, sizeof(run), "%s/root", sb_root);
	umount2(run, MNT_DETACH);
	umount2(sb_files, MNT_DETACH);
	rmdir(run);
	rmdir(sb_files);
	rmdir(sb_root);
	return 0;
}

static inline int sb_setup(void **state)
{
	sb_empty(paths()->root);
	sb_empty(sb_files);
	return fd_mkdirs(paths()->lib_dir, 0700, NULL);
}

/* A path in the files' place; it stays valid. */
static inline const char *sb_path(const char *name)
{
	static char kept[64][256];
	static int n;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", sb_files, name);
	for (int i = 0; i < n; i++)
		if (!strcmp(kept[i], path))
			return kept[i];
	assert_true(n < 64);
	return strcpy(kept[n++], path);
}

static inline void sb_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, len), 0);
	close(fd);
}

static inline void sb_puts(const char *path, const char *text)
{
	sb_write(path, text, strlen(text));
}

static inline bool sb_is(const char *path, const char *text)
{
	char *data = NULL;
	size_t len = 0;
	bool same;

	if (fd_read_file(path, 1 << 26, &data, &len, NULL) < 0)
		return false;
	same = len == strlen(text) && !memcmp(data, text, len);
	free(data);
	return same;
}

static inline bool sb_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* How many names in a directory begin with `prefix`. */
static inline int sb_count(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, "..") &&
		    !strncmp(de->d_name, prefix, strlen(prefix)))
			n++;
	if (d)
		closedir(d);
	return n;
}

static inline void sb_count_intent(const struct intent *intent, void *arg)
{
	++*(int *)arg;
}

static inline int sb_intents(struct store *store)
{
	int n = 0;

	assert_int_equal(store_intents(store, sb_count_intent, &n, NULL), 0);
	return n;
}

static inline int64_t sb_items(struct store *store)
{
	uint64_t bytes = 0;
	int64_t n = -1;

	assert_int_equal(store_item_totals(store, &n, &bytes, NULL), 0);
	return n;
}

/* A store and a quarantine without a loop. */
struct sb_both {
	struct store *store;
	struct quarantine *q;
};

static inline struct sb_both sb_open(struct scoreboard *sb)
{
	struct sb_both b;
	struct quarantine_setup setup = {0};

	b.store = store_new(paths()->store);
	setup.store = b.store;
	setup.sb = sb;
	b.q = quarantine_new(&setup);
	return b;
}

static inline void sb_close(struct sb_both *b)
{
	quarantine_free(&b->q);
	store_free(&b->store);
}

static inline struct quarantine_file sb_file(int fd)
{
	return (struct quarantine_file){
		.fd = fd,
		.source = SOURCE_OPEN,
		.virus = "Test.Virus",
		.opener_uid = 1000,
		.program = "/bin/cat",
	};
}

/* ---- dying at a step ---- */

static int sb_die_at, sb_steps;

static inline void sb_step(const char *step)
{
	if (++sb_steps == sb_die_at)
		kill(getpid(), SIGKILL);
}

/*
 * Runs fn in a child that is killed at its step number `at` (0: at none).
 * True when it was killed there, false when it came to its end.
 */
static inline bool sb_killed_at(int at, void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		sb_die_at = at;
		sb_steps = 0;
		holding_step = sb_step;
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* ---- the longest pause of a loop ---- */

static struct loop_event *sb_ticks;
static uint64_t sb_last_tick, sb_longest_pause; /* CLOCK_MONOTONIC, ns */

static inline void sb_on_tick(void *arg)
{
	uint64_t now = clock_mono_ns();

	if (sb_last_tick && now - sb_last_tick > sb_longest_pause)
		sb_longest_pause = now - sb_last_tick;
	sb_last_tick = now;
}

static inline void sb_pause_watch(struct loop *loop)
{
	sb_last_tick = sb_longest_pause = 0;
	sb_ticks = loop_timer(loop, 10, true, sb_on_tick, NULL);
}

static inline void sb_pause_end(void)
{
	loop_cancel(&sb_ticks);
}

#endif
