/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The load of the benchmark: opens, reads and spawns, timed one by one.
 *   opens known FILE N        open and close one file N times
 *   opens first DIR N PROCS   open DIR/0 … DIR/N-1 once each, shared by PROCS
 *   opens read FILE N         read the file in 4 KiB reads, N times
 *   opens spawn FILE N        fork, exec, wait, N times
 * Prints one JSON object: n, total_ns, p50_ns, p99_ns, max_ns, errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int open_close(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 1;
	close(fd);
	return 0;
}

static int read_all(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	close(fd);
	return n < 0;
}

static int spawn(const char *path)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return status != 0;
}

/* Shared between the processes of one run. */
struct shared {
	uint64_t errors;
	uint64_t ns[];
};

static void work(struct shared *sh, const char *kind, const char *path,
		 long from, long n, long step)
{
	char name[4200];
	uint64_t start;
	int bad;

	for (long i = from; i < n; i += step) {
		if (!strcmp(kind, "first"))
			snprintf(name, sizeof(name), "%s/%ld", path, i);
		start = now_ns();
		if (!strcmp(kind, "first"))
			bad = open_close(name);
		else if (!strcmp(kind, "read"))
			bad = read_all(path);
		else if (!strcmp(kind, "spawn"))
			bad = spawn(path);
		else
			bad = open_close(path);
		sh->ns[i] = now_ns() - start;
		if (bad)
			__atomic_add_fetch(&sh->errors, 1, __ATOMIC_RELAXED);
	}
}

int main(int argc, char **argv)
{
	struct shared *sh;
	uint64_t start, total;
	long n, procs;

	if (argc < 4 || (n = atol(argv[3])) < 1) {
		fprintf(stderr, "usage: opens known|first|read|spawn PATH N "
				"[PROCS]\n");
		return 2;
	}
	procs = argc > 4 ? atol(argv[4]) : 1;
	sh = mmap(NULL, sizeof(*sh) + (size_t)n * sizeof(sh->ns[0]),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		return 1;
	start = now_ns();
	for (long p = 1; p < procs; p++)
		if (fork() == 0) {
			work(sh, argv[1], argv[2], p, n, procs);
			_exit(0);
		}
	work(sh, argv[1], argv[2], 0, n, procs);
	while (wait(NULL) > 0)
		;
	total = now_ns() - start;
	qsort(sh->ns, (size_t)n, sizeof(sh->ns[0]), compare);
	printf("{\"n\": %ld, \"total_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
	       ", \"p99_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64
	       ", \"errors\": %" PRIu64 "}\n",
	       n, total, sh->ns[n / 2], sh->ns[n * 99 / 100], sh->ns[n - 1],
	       sh->errors);
	return 0;
}
