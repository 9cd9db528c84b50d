/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_count.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "scan_filter.h"
#include "walk.h"

/* ioprio_set(2) has no wrapper; values from linux/ioprio.h. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

struct scan_count {
	pthread_t thread;
	char *const *paths;
	size_t n;
	struct scan_filter filter;
	uint64_t files;
	uint64_t bytes;
	atomic_bool done; /* files and bytes are final */
	atomic_bool stop;
};

static bool on_skip(const char *path, bool directory, void *arg)
{
	struct scan_count *c = arg;

	return scan_filter_skip(&c->filter, path);
}

static bool on_cross(const char *path, void *arg)
{
	struct scan_count *c = arg;

	return scan_filter_cross(&c->filter, path);
}

static int on_file(int fd, const struct stat *st, const char *path, void *arg)
{
	struct scan_count *c = arg;

	c->files++;
	c->bytes += (uint64_t)st->st_size;
	return 0;
}

static void on_error(const char *path, int code, void *arg)
{
	/* The scan itself reports what cannot be read. */
}

static bool on_stop(void *arg)
{
	struct scan_count *c = arg;

	return atomic_load(&c->stop);
}

void scan_count_lower(void)
{
	/* On Linux both mean the calling thread alone. */
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void *count(void *arg)
{
	static const struct walk_ops ops = {
		.skip = on_skip,
		.cross = on_cross,
		.file = on_file,
		.error = on_error,
		.stop = on_stop,
	};
	struct scan_count *c = arg;
	size_t i;

	scan_count_lower();
	for (i = 0; i < c->n; i++) {
		if (scan_filter_begin(&c->filter, c->paths[i], NULL) == 0 &&
		    walk_tree(c->paths[i], WALK_COUNT, &ops, c) != 0)
			return NULL;
	}
	atomic_store(&c->done, true);
	return NULL;
}

struct scan_count *scan_count_start(char *const *paths, size_t n,
				    const struct conf *conf, bool exclusions,
				    bool stay)
{
	struct scan_count *c = xcalloc(1, sizeof(*c));
	sigset_t all, old;
	int rc;

	c->paths = paths;
	c->n = n;
	scan_filter_init(&c->filter, conf, exclusions, stay);
	/* Ctrl-C is for the thread that waits for answers. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, NULL, count, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		scan_filter_deinit(&c->filter);
		xfree(&c);
	}
	return c;
}

bool scan_count_done(struct scan_count *c, uint64_t *files_r, uint64_t *bytes_r)
{
	if (!c || !atomic_load(&c->done))
		return false;
	*files_r = c->files;
	*bytes_r = c->bytes;
	return true;
}

void scan_count_free(struct scan_count **cp)
{
	struct scan_count *c = *cp;

	if (!c)
		return;
	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
	scan_filter_deinit(&c->filter);
	xfree(cp);
}
