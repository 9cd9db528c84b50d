/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_VSAPI_ENGINEBED_H
#define TESTS_UNIT_VSAPI_ENGINEBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "vsapiapp/engine.h"
#include "vsapiapp/scratch.h"

/* An engine, files for it, and what it says of them. */

/* What libclamav leaves behind in OpenSSL is not ours to free. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libcrypto\n";
}

static char root[] = "/tmp/splx-engine-XXXXXX";
static char scratch[64];
static struct conf *conf;
static struct engine *engine; /* built-in patterns, default settings */

/* Never whole in any file of ours. */
static const char *const eicar_halves[] = {
	"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-",
	"ANTIVIRUS-TEST-FILE!$H+H*",
};
static const char *const marker_halves[] = {
	"SPLX-MARKER-7c1f09e3",
	"-d52b86a4-NOT-A-VIRUS",
};

static inline const char *in_root(const char *name)
{
	static char path[8][512];
	static int next;

	next = (next + 1) % 8;
	snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
	return path[next];
}

static inline void run(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
static inline void run(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static inline void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static inline const char *eicar(void)
{
	static char s[80];

	snprintf(s, sizeof(s), "%s%s", eicar_halves[0], eicar_halves[1]);
	return s;
}

static inline const char *marker(void)
{
	static char s[80];

	snprintf(s, sizeof(s), "%s%s", marker_halves[0], marker_halves[1]);
	return s;
}

static inline struct engine_result scan_with(struct engine *e, const char *path)
{
	struct engine_result r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	engine_scan(e, fd, path, &r);
	close(fd);
	return r;
}

static inline struct engine_result scan(const char *path)
{
	return scan_with(engine, path);
}

static inline void expect_with(struct engine *e, const char *path,
			       enum verdict v, const char *name)
{
	struct engine_result r = scan_with(e, path);

	if (r.verdict != v)
		fail_msg("%s: %s (%s), not %s", path, verdict_name(r.verdict),
			 r.name, verdict_name(v));
	if (name)
		assert_string_equal(r.name, name);
}

static inline void expect(const char *path, enum verdict v, const char *name)
{
	expect_with(engine, path, v, name);
}

/* An engine with one setting changed. */
static inline struct engine *engine_set(const char *key, const char *value)
{
	struct conf *c = conf_copy(conf);
	struct err err;
	struct engine *e;

	if (conf_set(c, key, value, &err) < 0)
		fail_msg("%s", err.text);
	e = engine_new(c, &err);
	if (!e)
		fail_msg("%s", err.text);
	/* As in a worker. */
	snprintf(scratch, sizeof(scratch), "%s", in_root("tmp"));
	scratch_defer(scratch);
	if (engine_tmpdir(e, scratch, &err) < 0)
		fail_msg("%s", err.text);
	conf_free(&c);
	return e;
}

/* The PatternDirectory of these tests. */
static inline const char *db(void)
{
	return in_root("db");
}

static inline void fresh_pattern_dir(void)
{
	run("rm -rf %s && mkdir %s", db(), db());
}

static inline int set_up(void **state)
{
	char dirs[600];
	struct err err;

	alarm(300);
	assert_non_null(mkdtemp(root));
	paths_init(root);
	run("mkdir -p %s %s/tmp %s/in && cp etc/patterns/* %s",
	    paths()->builtin_dir, root, root, paths()->builtin_dir);
	conf = conf_new();
	snprintf(dirs, sizeof(dirs), "{\"%s\"}", db());
	assert_int_equal(conf_set(conf, "PatternDirectory", dirs, &err), 0);
	fresh_pattern_dir();
	engine = engine_new(conf, &err);
	if (!engine)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(engine, in_root("tmp"), &err), 0);
	return 0;
}

static inline int tear_down(void **state)
{
	engine_free(&engine);
	conf_free(&conf);
	run("rm -rf %s", root);
	return 0;
}

#endif
