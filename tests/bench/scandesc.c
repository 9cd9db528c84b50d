/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The bare engine, to measure against: scandesc DB TMPDIR DIR N [PROCS] opens
 * and scans DIR/0 … DIR/N-1, shared by PROCS processes that are forked when
 * the engine is loaded; prints the times as opens does, and the resident size
 * of the one engine in KiB.
 */
#include <clamav.h>
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

static long resident_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Shared between the processes of one run. */
struct shared {
	uint64_t errors;
	uint64_t ns[];
};

static void work(struct shared *sh, struct cl_engine *engine, const char *dir,
		 long from, long n, long step)
{
	struct cl_scan_options options = {
		.parse = ~0u,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX,
	};
	unsigned long bytes = 0;
	const char *name;
	char path[4200];

	for (long i = from; i < n; i += step) {
		uint64_t start = now_ns();
		int fd;

		snprintf(path, sizeof(path), "%s/%ld", dir, i);
		fd = open(path, O_RDONLY);
		if (cl_scandesc(fd, NULL, &name, &bytes, engine, &options) !=
		    CL_CLEAN)
			__atomic_add_fetch(&sh->errors, 1, __ATOMIC_RELAXED);
		close(fd);
		sh->ns[i] = now_ns() - start;
	}
}

int main(int argc, char **argv)
{
	struct cl_engine *engine;
	struct shared *sh;
	unsigned int sigs = 0;
	uint64_t start, total;
	long n, procs, kib;

	if (argc < 5)
		return 2;
	n = atol(argv[4]);
	procs = argc > 5 ? atol(argv[5]) : 1;
	sh = mmap(NULL, sizeof(*sh) + (size_t)(n + 1) * sizeof(sh->ns[0]),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED || cl_init(CL_INIT_DEFAULT) ||
	    !(engine = cl_engine_new()))
		return 1;
	cl_engine_set_str(engine, CL_ENGINE_TMPDIR, argv[2]);
	cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1);
	if (cl_load(argv[1], engine, &sigs, CL_DB_STDOPT) ||
	    cl_engine_compile(engine))
		return 1;
	kib = resident_kib();
	start = now_ns();
	for (long p = 1; p < procs; p++)
		if (fork() == 0) {
			work(sh, engine, argv[3], p, n, procs);
			_exit(0);
		}
	work(sh, engine, argv[3], 0, n, procs);
	while (wait(NULL) > 0)
		;
	total = now_ns() - start;
	qsort(sh->ns, (size_t)n, sizeof(sh->ns[0]), compare);
	printf("{\"n\": %ld, \"total_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
	       ", \"p99_ns\": %" PRIu64 ", \"errors\": %" PRIu64
	       ", \"rss_kib\": %ld}\n",
	       n, total, n ? sh->ns[n / 2] : 0, n ? sh->ns[n * 99 / 100] : 0,
	       sh->errors, kib);
	cl_engine_free(engine);
	return 0;
}
