/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/jsontext.h"
#include "common/netlist.h"
#include "common/paths.h"
#include "database.h"
#include "engine.h"
#include "generation.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/procmaps.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "lib/vec.h"

/* What a machine cannot do without, where it is there. */
static const char *const system_files[] = {
	"/usr/sbin/init",    "/usr/lib/systemd/systemd",
	"/usr/bin/sh",	     "/usr/bin/bash",
	"/usr/bin/busybox",  "/usr/bin/login",
	"/usr/bin/mount",    "/usr/bin/ls",
	"/usr/bin/sed",	     "/usr/bin/grep",
	"/usr/bin/ssh",	     "/usr/sbin/sshd",
	"/usr/sbin/cron",    "/usr/sbin/agetty",
	"/usr/sbin/getty",   "/usr/bin/dpkg",
	"/usr/bin/apt-get",  "/usr/bin/rpm",
	"/usr/bin/python3",  "/usr/bin/perl",
	"/usr/sbin/service", "/etc/passwd",
};

struct trial {
	struct conf *conf;
	struct engine *engine;
	struct engine_result result;
	struct {
		VEC(char *);
	} files;
	int passed;
	uint64_t load_ns;
	size_t lists, networks;
};

static void add_file(struct trial *t, const char *path)
{
	char **have;

	vec_each (have, &t->files)
		if (strcmp(*have, path) == 0)
			return;
	vec_push(&t->files, xstrdup(path));
}

/* The libraries that we use ourselves: the C library, the loader, … */
static void add_own_mappings(struct trial *t)
{
	FILE *in = fopen("/proc/self/maps", "re");
	struct procmap m;
	char *line = NULL, *path;
	size_t size = 0;

	while (in && getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		path = strchr(line, '/');
		if (path && procmap_parse(line, &m) && m.exec)
			add_file(t, path);
	}
	free(line);
	if (in)
		fclose(in);
}

static void list_files(struct trial *t)
{
	struct str path = {0};

	add_own_mappings(t);
	str_addf(&path, "%s/entity", paths()->libexec_dir);
	add_file(t, str_get(&path));
	str_free(&path);
	for (size_t i = 0; i < sizeof(system_files) / sizeof(*system_files);
	     i++)
		add_file(t, system_files[i]);
}

static int pass_file(struct trial *t, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	/* What is not there, or not for the scan user's eyes, is no witness. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fd_close(&fd);
		return 0;
	}
	engine_scan(t->engine, fd, path, &t->result);
	close(fd);
	if (t->result.verdict == VERDICT_INFECTED)
		return err_set(err, 0,
			       "these patterns call %s of this machine %s: "
			       "they are wrong, or that file is infected and "
			       "has to be dealt with first",
			       path, t->result.name);
	t->passed += t->result.verdict == VERDICT_CLEAN;
	return 0;
}

/* The network monitor's: the engine does not see them. */
static int try_lists(struct trial *t, const char *dir, struct err *err)
{
	struct netlists lists;
	const struct netlist *list;

	if (netlists_load_dir(dir, &lists, err) < 0)
		return -1;
	t->lists = lists.len;
	vec_each (list, &lists)
		t->networks += addrset_count(list->set);
	netlists_free(&lists);
	return 0;
}

static int try_all(struct trial *t, const char *dir, struct err *err)
{
	uint64_t begin = clock_mono_ns();
	char **path;

	if (try_lists(t, dir, err) < 0)
		return -1;
	t->engine = engine_new_of(t->conf, dir, err);
	if (!t->engine || engine_tmpdir(t->engine, "/tmp", err) < 0)
		return -1;
	t->load_ns = clock_mono_ns() - begin;
	list_files(t);
	vec_each (path, &t->files)
		if (pass_file(t, *path, err) < 0)
			return -1;
	if (t->passed < 3)
		return err_set(err, 0,
			       "only %d files of the system could be scanned",
			       t->passed);
	return 0;
}

/* The sanitizer's shadow of the address space counts as data and is beyond any
 * limit. */
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_HAS_LIMITS false
#else
#define MEMORY_HAS_LIMITS true
#endif

static int limit(int what, unsigned long long value, struct err *err)
{
	struct rlimit l = {value, value};

	if (what == RLIMIT_DATA && (!value || !MEMORY_HAS_LIMITS))
		return 0;
	return setrlimit(what, &l) < 0 ? err_set(err, errno, "setrlimit") : 0;
}

/*
 * What may be taken without driving others out: the engine that serves stays
 * beside this one. 0 where the kernel does not tell.
 */
static unsigned long long free_memory(void)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (in && !kib && fgets(line, sizeof(line), in))
		if (sscanf(line, "MemAvailable: %llu", &kib) != 1)
			kib = 0;
	if (in)
		fclose(in);
	return kib * 1024 / 100 * TRIAL_SHARE;
}

/* As a generation does, with limits before. */
static int enter(struct trial *t, const struct trial_limits *limits,
		 struct err *err)
{
	unsigned int seconds =
		limits->seconds ? limits->seconds : TRIAL_SECONDS;
	unsigned long long memory =
		limits->memory ? limits->memory : free_memory();
	uid_t uid;
	gid_t gid;

	t->conf = conf_in_force(err);
	if (!t->conf)
		return -1;
	if (limit(RLIMIT_CORE, 0, err) < 0 ||
	    limit(RLIMIT_CPU, seconds, err) < 0 ||
	    limit(RLIMIT_DATA, memory, err) < 0 ||
	    proc_user(t->conf->scan_user, &uid, &gid, err) < 0 ||
	    jail_enter(t->conf, uid, gid, err) < 0 ||
	    sandbox_become(uid, gid, 0, err) < 0)
		return -1;
	/* The kernel forgot it when the user changed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(seconds);
	return 0;
}

static json_t *good_news(const struct trial *t)
{
	json_t *about = engine_describe(t->engine);
	json_t *o = json_pack(
		"{s:b, s:O, s:O, s:i, s:I, s:I, s:I}", "ok", 1, "signatures",
		json_object_get(about, "signatures"), "pattern_time",
		json_object_get(about, "pattern_time"), "files", t->passed,
		"load_ms", (json_int_t)(t->load_ns / CLOCK_NS_PER_MS), "lists",
		(json_int_t)t->lists, "networks", (json_int_t)t->networks);

	json_decref(about);
	return o;
}

/* Takes `o`. Ends the process, and all that is left goes with it: to give an
 * engine back piece by piece takes longer than to try it. */
static void answer(json_t *o, int rc, const struct err *err)
	__attribute__((noreturn));
static void answer(json_t *o, int rc, const struct err *err)
{
	if (rc < 0)
		o = json_pack("{s:b, s:o, s:b}", "ok", 0, "why",
			      jsontext_new(err->text), "short",
			      err->code == ENOMEM);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	_exit(rc == 0 ? 0 : 1);
}

void trial_run(const char *dir, const struct trial_limits *limits)
{
	struct trial t = {0};
	struct err err = {0};
	int rc = enter(&t, limits, &err);

	if (rc == 0)
		rc = try_all(&t, dir, &err);
	answer(rc == 0 ? good_news(&t) : NULL, rc, &err);
}

void trial_check(const char *file, const struct trial_limits *limits)
{
	struct trial t = {0};
	struct cvd_head head;
	struct err err = {0};
	int rc = enter(&t, limits, &err);

	if (rc == 0)
		rc = database_check(file, &head, &err);
	answer(rc == 0 ? json_pack("{s:b, s:I, s:I, s:I}", "ok", 1, "version",
				   (json_int_t)head.version, "signatures",
				   (json_int_t)head.signatures, "time",
				   (json_int_t)head.time)
		       : NULL,
	       rc, &err);
}
