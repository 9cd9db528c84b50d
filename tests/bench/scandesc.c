/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The bare engine, to measure against: scandesc DB TMPDIR DIR N opens and
 * scans DIR/0 … DIR/N-1 in this process; prints the times as opens does, and
 * the resident size of the one engine in KiB.
 */
#include <clamav.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv)
{
	struct cl_engine *engine;
	struct cl_scan_options options = {0};
	unsigned int sigs = 0;
	uint64_t *ns, start, total;
	unsigned long bytes = 0;
	const char *name;
	char path[4200];
	long n, found = 0;

	if (argc != 5)
		return 2;
	n = atol(argv[4]);
	ns = calloc((size_t)n + 1, sizeof(*ns));
	if (!ns || cl_init(CL_INIT_DEFAULT) || !(engine = cl_engine_new()))
		return 1;
	cl_engine_set_str(engine, CL_ENGINE_TMPDIR, argv[2]);
	cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1);
	if (cl_load(argv[1], engine, &sigs, CL_DB_STDOPT) ||
	    cl_engine_compile(engine))
		return 1;
	options.parse = ~0u;
	options.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
	start = now_ns();
	for (long i = 0; i < n; i++) {
		uint64_t t = now_ns();
		int fd;

		snprintf(path, sizeof(path), "%s/%ld", argv[3], i);
		fd = open(path, O_RDONLY);
		found += cl_scandesc(fd, NULL, &name, &bytes, engine,
				     &options) == CL_VIRUS;
		close(fd);
		ns[i] = now_ns() - t;
	}
	total = now_ns() - start;
	qsort(ns, (size_t)n, sizeof(*ns), compare);
	printf("{\"n\": %ld, \"total_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
	       ", \"p99_ns\": %" PRIu64 ", \"errors\": %ld, \"rss_kib\": %ld}\n",
	       n, total, n ? ns[n / 2] : 0, n ? ns[n * 99 / 100] : 0, found,
	       resident_kib());
	cl_engine_free(engine);
	free(ns);
	return 0;
}
