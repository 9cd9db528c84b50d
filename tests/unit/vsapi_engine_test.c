// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
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

#define TESTFILES "/usr/share/clamav-testfiles"

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

static const char *in_root(const char *name)
{
	static char path[8][512];
	static int next;

	next = (next + 1) % 8;
	snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
	return path[next];
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static const char *eicar(void)
{
	static char s[80];

	snprintf(s, sizeof(s), "%s%s", eicar_halves[0], eicar_halves[1]);
	return s;
}

static const char *marker(void)
{
	static char s[80];

	snprintf(s, sizeof(s), "%s%s", marker_halves[0], marker_halves[1]);
	return s;
}

static struct engine_result scan_with(struct engine *e, const char *path)
{
	struct engine_result r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	engine_scan(e, fd, path, &r);
	close(fd);
	return r;
}

static struct engine_result scan(const char *path)
{
	return scan_with(engine, path);
}

static void expect_with(struct engine *e, const char *path, enum verdict v,
			const char *name)
{
	struct engine_result r = scan_with(e, path);

	if (r.verdict != v)
		fail_msg("%s: %s (%s), not %s", path, verdict_name(r.verdict),
			 r.name, verdict_name(v));
	if (name)
		assert_string_equal(r.name, name);
}

static void expect(const char *path, enum verdict v, const char *name)
{
	expect_with(engine, path, v, name);
}

/* An engine with one setting changed. */
static struct engine *engine_set(const char *key, const char *value)
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

static void eicar_is_found_by_its_makers_rules(void **state)
{
	const char *f = in_root("f");
	char buf[256];

	put_text(f, eicar());
	expect(f, VERDICT_INFECTED, "Splx.Test.EICAR");
	snprintf(buf, sizeof(buf), "%s \t\r\n\x1a", eicar());
	put_text(f, buf);
	expect(f, VERDICT_INFECTED, "Splx.Test.EICAR");
	snprintf(buf, sizeof(buf), "%s%60s", eicar(), "");
	put_text(f, buf);
	expect(f, VERDICT_INFECTED, "Splx.Test.EICAR");
	snprintf(buf, sizeof(buf), "%s%61s", eicar(), "");
	put_text(f, buf);
	expect(f, VERDICT_CLEAN, "");
	snprintf(buf, sizeof(buf), "%s is a test file", eicar());
	put_text(f, buf);
	expect(f, VERDICT_CLEAN, "");
	snprintf(buf, sizeof(buf), "see %s", eicar());
	put_text(f, buf);
	expect(f, VERDICT_CLEAN, "");
}

static void marker_is_found_at_any_offset(void **state)
{
	static const size_t sizes[] = {64, 4096, 65536, 65537, 3000000};
	const char *f = in_root("f");
	size_t len = strlen(marker());

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		char *data = xmalloc(size);
		size_t at[] = {0, 1, size / 2, size - len};

		for (size_t j = 0; j < sizeof(at) / sizeof(at[0]); j++) {
			for (size_t k = 0; k < size; k++)
				data[k] = (char)(k * 2654435761u >> 13);
			if (at[j] + len > size)
				continue;
			memcpy(data + at[j], marker(), len);
			put(f, data, size);
			expect(f, VERDICT_INFECTED, "Splx.Test.Marker");
		}
		xfree(&data);
	}
}

static void marker_is_found_in_text_and_markup(void **state)
{
	static const char *const around[][2] = {
		{"<html><body><p>", "</p></body></html>\n"},
		{"<html><!-- ", " --><body></body></html>\n"},
		{"#!/bin/sh\n# ", "\nexit 0\n"},
		{"<?xml version=\"1.0\"?><a b=\"", "\"/>\n"},
		{"%PDF-1.4\n%", "\n%%EOF\n"},
		{"From: a@b\nSubject: x\nMIME-Version: 1.0\n\n", "\n"},
	};
	const char *f = in_root("f");

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		char buf[512];

		snprintf(buf, sizeof(buf), "%s%s%s", around[i][0], marker(),
			 around[i][1]);
		put_text(f, buf);
		expect(f, VERDICT_INFECTED, "Splx.Test.Marker");
	}
}

static void both_are_found_inside_archives(void **state)
{
	put_text(in_root("in/eicar.com"), eicar());
	run("cd %s/in && tar cf ../a.tar eicar.com && gzip -c eicar.com "
	    ">../a.gz "
	    "&& tar czf ../a.tar.gz eicar.com && bzip2 -c eicar.com >../a.bz2 "
	    "&& xz -c eicar.com >../a.xz && python3 -c 'import zipfile as z;"
	    "a=z.ZipFile(\"../"
	    "a.zip\",\"w\",8);a.write(\"eicar.com\");a.close();"
	    "b=z.ZipFile(\"../b.zip\",\"w\",8);b.write(\"../a.zip\");b.write("
	    "\"../a.tar.gz\");b.close()'",
	    root);
	expect(in_root("a.tar"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("a.gz"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("a.tar.gz"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("a.bz2"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("a.xz"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("a.zip"), VERDICT_INFECTED, "Splx.Test.EICAR");
	expect(in_root("b.zip"), VERDICT_INFECTED, "Splx.Test.EICAR");
}

static void clean_files_are_clean(void **state)
{
	const char *f = in_root("f");

	put_text(f, "");
	expect(f, VERDICT_CLEAN, "");
	put_text(f, "abc");
	expect(f, VERDICT_CLEAN, "");
	put_text(f, "a text of some words\n");
	expect(f, VERDICT_CLEAN, "");
	put_text(f, marker_halves[0]);
	expect(f, VERDICT_CLEAN, "");
	expect("/bin/true", VERDICT_CLEAN, "");
	expect("/bin/bash", VERDICT_CLEAN, "");
	expect("/proc/self/exe", VERDICT_CLEAN, "");
}

static void the_offset_does_not_matter(void **state)
{
	const char *f = in_root("f");
	struct engine_result r;
	int fd;

	put_text(f, eicar());
	fd = open(f, O_RDONLY);
	assert_int_equal(lseek(fd, 50, SEEK_SET), 50);
	engine_scan(engine, fd, f, &r);
	assert_int_equal(r.verdict, VERDICT_INFECTED);
	close(fd);
}

static void an_unreadable_file_is_an_error(void **state)
{
	struct engine_result r;
	const char *f = in_root("f");
	int fd;

	run("head -c 300000 /dev/zero >%s", f);
	fd = open(f, O_WRONLY);
	engine_scan(engine, fd, f, &r);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	assert_string_equal(r.name, strerror(EBADF));
	assert_int_equal(ftruncate(fd, 100), 0);
	engine_scan(engine, fd, f, &r);
	assert_int_equal(r.verdict, VERDICT_ERROR);
	close(fd);
	engine_scan(engine, -1, f, &r);
	assert_int_equal(r.verdict, VERDICT_ERROR);
}

/* Limits: each has a way out, and it is never CLEAN --------------------------
 */

static void too_large_a_file_is_oversize(void **state)
{
	struct engine *e = engine_set("MaxFileSize", "64K");

	run("head -c 65536 /dev/zero >%s", in_root("f"));
	expect_with(e, in_root("f"), VERDICT_CLEAN, NULL);
	run("head -c 65537 /dev/zero >%s", in_root("f"));
	expect_with(e, in_root("f"), VERDICT_OVERSIZE, NULL);
	/* The same inside an archive. */
	run("cd %s && head -c 300000 /dev/urandom >in/big && "
	    "head -c 3000000 /dev/zero >in/zero && cd in && "
	    "python3 -c 'import zipfile as z;a=z.ZipFile(\"../z.zip\",\"w\",8);"
	    "a.write(\"zero\");a.close()'",
	    root);
	expect_with(e, in_root("z.zip"), VERDICT_OVERSIZE, NULL);
	run("cd %s/in && tar czf ../z.tgz zero && gzip -c zero >../z.gz && "
	    "xz -c zero >../z.xz",
	    root);
	expect_with(e, in_root("z.tgz"), VERDICT_OVERSIZE, NULL);
	expect_with(e, in_root("z.gz"), VERDICT_OVERSIZE, NULL);
	expect_with(e, in_root("z.xz"), VERDICT_OVERSIZE, NULL);
	engine_free(&e);
}

static void too_much_unpacked_is_oversize(void **state)
{
	struct engine *e = engine_set("MaxScanSize", "500K");

	run("cd %s/in && for i in 1 2 3 4 5 6; do head -c 400000 /dev/zero "
	    ">z$i; done && tar czf ../m.tgz z1 z2 z3 z4 z5 z6 && python3 -c '"
	    "import zipfile as z;a=z.ZipFile(\"../m.zip\",\"w\",8)\n"
	    "for i in range(1,7): a.write(\"z%%d\"%%i)\n"
	    "a.close()'",
	    root);
	expect_with(e, in_root("m.tgz"), VERDICT_OVERSIZE, NULL);
	expect_with(e, in_root("m.zip"), VERDICT_OVERSIZE, NULL);
	expect(in_root("m.tgz"), VERDICT_CLEAN, "");
	engine_free(&e);
}

/* A cabinet is cut without a word; its own table shows it. */
static void a_cabinet_cut_short_is_oversize(void **state)
{
	struct engine *e = engine_set("MaxScanSize", "500K");

	run("cd %s && python3 -c 'import struct as s,zlib\n"
	    "n=32768;k=100;c=zlib.compressobj(9,8,-15)\n"
	    "d=b\"CK\"+c.compress(bytes(n))+c.flush()\n"
	    "data=(s.pack(\"<IHH\",0,len(d),n)+d)*k;off=36+8+18\n"
	    "open(\"big.cab\",\"wb\").write(b\"MSCF\"+s.pack("
	    "\"<IIIIIBBHHHHH\",0,off+len(data),0,44,0,3,1,1,1,0,0,0)"
	    "+s.pack(\"<IHH\",off,k,1)"
	    "+s.pack(\"<IIHHHH\",n*k,0,0,0,0,32)+b\"a\\0\"+data)'",
	    root);
	expect_with(e, in_root("big.cab"), VERDICT_OVERSIZE, NULL);
	expect(in_root("big.cab"), VERDICT_CLEAN, "");
	engine_free(&e);
	e = engine_set("MaxFileSize", "1M");
	run("cd %s && gzip -kf big.cab", root);
	expect_with(e, in_root("big.cab.gz"), VERDICT_OVERSIZE, NULL);
	engine_free(&e);
}

static void too_deep_an_archive_is_oversize(void **state)
{
	struct engine *e = engine_set("MaxRecursion", "4");

	run("cd %s && echo text >n0 && python3 -c 'import zipfile as z\n"
	    "for i in range(8):\n"
	    " a=z.ZipFile(\"n%%d\"%%(i+1),\"w\");a.write(\"n%%d\"%%i);a.close()"
	    "'",
	    root);
	expect_with(e, in_root("n8"), VERDICT_OVERSIZE, NULL);
	expect_with(e, in_root("n1"), VERDICT_CLEAN, "");
	expect(in_root("n8"), VERDICT_CLEAN, "");
	engine_free(&e);
}

static void too_many_files_are_oversize(void **state)
{
	struct engine *e = engine_set("MaxFiles", "20");

	run("cd %s && python3 -c 'import zipfile as z,tarfile as t,io\n"
	    "a=z.ZipFile(\"many.zip\",\"w\");b=t.open(\"many.tar\",\"w\")\n"
	    "for i in range(60):\n"
	    " s=b\"text number %%d\"%%i;a.writestr(\"f%%d\"%%i,s)\n"
	    " x=t.TarInfo(\"f%%d\"%%i);x.size=len(s);"
	    "b.addfile(x,io.BytesIO(s))\n"
	    "a.close();b.close()'",
	    root);
	expect_with(e, in_root("many.zip"), VERDICT_OVERSIZE, NULL);
	expect_with(e, in_root("many.tar"), VERDICT_OVERSIZE, NULL);
	expect(in_root("many.zip"), VERDICT_CLEAN, "");
	engine_free(&e);
}

static void a_scan_past_its_time_is_a_timeout(void **state)
{
	struct conf *c = conf_copy(conf);
	struct engine *e = engine_set("MaxFileSize", "256M");
	struct err err;

	/* Many parts that take a while each; time is looked at between. */
	run("cd %s && python3 -c 'import zipfile as z,os\n"
	    "a=z.ZipFile(\"slow.zip\",\"w\")\n"
	    "for i in range(200): a.writestr(\"f%%d\"%%i,os.urandom(200000))\n"
	    "a.close()'",
	    root);
	c->scan_timeout = 50;
	assert_int_equal(engine_configure(e, c, &err), 0);
	expect_with(e, in_root("slow.zip"), VERDICT_TIMEOUT, NULL);
	conf_free(&c);
	engine_free(&e);
}

static void a_password_is_encrypted_and_no_finding(void **state)
{
	run("cd %s && python3 -c 'import zipfile as z\n"
	    "a=z.ZipFile(\"enc.zip\",\"w\");a.writestr(\"f\",b\"x\"*200)\n"
	    "a.close();d=bytearray(open(\"enc.zip\",\"rb\").read())\n"
	    "d[6]|=1;d[d.find(b\"PK\\1\\2\")+8]|=1\n"
	    "open(\"enc.zip\",\"wb\").write(d)'",
	    root);
	expect(in_root("enc.zip"), VERDICT_ENCRYPTED,
	       "Heuristics.Encrypted.Zip");
}

static void a_finding_beats_every_limit(void **state)
{
	struct engine *e = engine_set("MaxFiles", "20");

	run("cd %s && python3 -c 'import zipfile as z,sys\n"
	    "a=z.ZipFile(\"both.zip\",\"w\")\n"
	    "a.writestr(\"bad\",open(\"in/eicar.com\",\"rb\").read())\n"
	    "for i in range(60): a.writestr(\"f%%d\"%%i,b\"text %%d\"%%i)\n"
	    "a.close()'",
	    root);
	expect_with(e, in_root("both.zip"), VERDICT_INFECTED,
		    "Splx.Test.EICAR");
	engine_free(&e);
}

static void full_scratch_is_never_clean(void **state)
{
	static const char *const archives[] = {"fill.zip", "fill.tar.gz",
					       "fill.gz",  "fill.bz2",
					       "fill.xz",  "fill.cpio.gz"};
	const char *dir = in_root("small");
	struct err err;

	run("cd %s/in && head -c 8000000 /dev/zero >fill && "
	    "tar czf ../fill.tar.gz fill && gzip -c fill >../fill.gz && "
	    "bzip2 -c fill >../fill.bz2 && xz -c fill >../fill.xz && "
	    "(printf "
	    "'070701%%08X%%08X%%08X%%08X%%08X%%08X%%08X%%08X%%08X%%08X%%08X"
	    "%%08X%%08Xfill\\0\\0' 1 33188 0 0 1 0 8000000 0 0 0 0 5 0; "
	    "cat fill) | gzip >../fill.cpio.gz && "
	    "python3 -c 'import zipfile as z;"
	    "a=z.ZipFile(\"../fill.zip\",\"w\",8);a.write(\"fill\");a.close()'",
	    root);
	mkdir(dir, 0700);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=1m"), 0);
	assert_int_equal(engine_tmpdir(engine, dir, &err), 0);
	for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++) {
		struct engine_result r = scan(in_root(archives[i]));

		if (r.verdict != VERDICT_OVERSIZE && r.verdict != VERDICT_ERROR)
			fail_msg("%s: %s", archives[i],
				 verdict_name(r.verdict));
	}
	assert_int_equal(engine_tmpdir(engine, in_root("tmp"), &err), 0);
	assert_int_equal(umount(dir), 0);
	for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++)
		expect(in_root(archives[i]), VERDICT_CLEAN, "");
}

static void scans_leave_nothing_in_scratch(void **state)
{
	struct dirent **names;
	int n;

	expect(in_root("b.zip"), VERDICT_INFECTED, NULL);
	expect(in_root("fill.tar.gz"), VERDICT_CLEAN, NULL);
	n = scandir(in_root("tmp"), &names, NULL, alphasort);
	assert_int_equal(n, 2); /* . and .. */
	free(names[0]);
	free(names[1]);
	free(names);
}

/* Patterns ------------------------------------------------------------------
 */

static void fresh_pattern_dir(void)
{
	run("rm -rf %s && mkdir -p %s", paths()->pattern_dir,
	    paths()->pattern_dir);
}

/* An unsigned database container with one signature, for "ABCDEF". */
static void make_cud(const char *name, int version, const char *signature)
{
	run("rm -rf %s/cud && mkdir %s/cud && cd %s/cud && touch COPYING && "
	    "echo '%s:0:*:414243444546' >x.ndb && "
	    "SIGNDUSER=splx sigtool --build=x.cud --unsigned "
	    "--cvd-version=%d --max-bad-sigs=10 </dev/null >/dev/null 2>&1; "
	    "mv x.cud %s/%s",
	    root, root, root, signature, version, paths()->pattern_dir, name);
}

static void a_broken_pattern_file_is_named(void **state)
{
	static const struct {
		const char *name, *text;
	} broken[] = {
		{"a.ndb", "Name.Without.Signature\n"},
		{"b.ndb", "Odd.Hex:0:*:123\n"},
		{"c.hdb", "zzzz:12:Bad.Hash\n"},
		{"d.ldb", "Bad.Logic;Engine:81-255,Target:0;(0&;4142434445\n"},
		{"e.cvd", "no database at all\n"},
		{"daily.cld", "ClamAV-VDB:x"},
		{"f.hsb", ""},
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char path[600];
		struct err err;
		struct engine *e;

		fresh_pattern_dir();
		snprintf(path, sizeof(path), "%s/%s", paths()->pattern_dir,
			 broken[i].name);
		put_text(path, broken[i].text);
		e = engine_new(conf, &err);
		if (e)
			fail_msg("%s was loaded", broken[i].name);
		if (!strstr(err.text, path))
			fail_msg("%s: %s", broken[i].name, err.text);
	}
	fresh_pattern_dir();
}

static void what_is_no_pattern_file_is_passed_over(void **state)
{
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	run("cd %s && echo x >README && mkfifo pipe.ndb && mkdir dir.ndb",
	    paths()->pattern_dir);
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_pattern_id(e), engine_pattern_id(engine));
	engine_free(&e);
	fresh_pattern_dir();
}

static void missing_directories_are_none_but_the_built_in(void **state)
{
	struct engine *e = engine_set("PatternDirectory", "/nonexistent/dir");
	struct err err;

	engine_free(&e);
	run("mv %s %s.away", paths()->builtin_dir, paths()->builtin_dir);
	e = engine_new(conf, &err);
	run("mv %s.away %s", paths()->builtin_dir, paths()->builtin_dir);
	assert_null(e);
	assert_non_null(strstr(err.text, paths()->builtin_dir));
}

static void pattern_id_follows_the_content(void **state)
{
	char path[600];
	struct err err;
	struct engine *e;
	uint64_t id;

	fresh_pattern_dir();
	snprintf(path, sizeof(path), "%s/x.ndb", paths()->pattern_dir);
	put_text(path, "Foo.A:0:*:414243444546\n");
	e = engine_new(conf, &err);
	assert_non_null(e);
	id = engine_pattern_id(e);
	assert_int_not_equal(id, 0);
	assert_int_not_equal(id, engine_pattern_id(engine));
	engine_free(&e);
	e = engine_new(conf, &err);
	assert_true(engine_pattern_id(e) == id);
	engine_free(&e);
	put_text(path, "Foo.A:0:*:414243444547\n");
	e = engine_new(conf, &err);
	assert_true(engine_pattern_id(e) != id);
	engine_free(&e);
	fresh_pattern_dir();
}

static void names_of_others_are_left_as_they_are(void **state)
{
	char path[600];
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	snprintf(path, sizeof(path), "%s/x.ndb", paths()->pattern_dir);
	put_text(path, "Foo.Bar-1:0:*:66756c6c206f66207370616d\n");
	e = engine_new(conf, &err);
	assert_non_null(e);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	put_text(in_root("f"), "this is full of spam indeed");
	expect_with(e, in_root("f"), VERDICT_INFECTED, "Foo.Bar-1.UNOFFICIAL");
	engine_free(&e);
	fresh_pattern_dir();
}

static void description_tells_what_is_loaded(void **state)
{
	json_t *d = engine_describe(engine);
	int *rar = dlsym(RTLD_DEFAULT, "have_rar"), none = 0;
	char path[600], id[17];
	struct err err;
	struct engine *e;

	assert_true(json_is_true(json_object_get(d, "builtin_only")));
	assert_int_equal(json_integer_value(json_object_get(d, "signatures")),
			 2);
	assert_int_equal(json_integer_value(json_object_get(d, "pattern_time")),
			 0);
	snprintf(id, sizeof(id), "%016llx",
		 (unsigned long long)engine_pattern_id(engine));
	assert_string_equal(json_string_value(json_object_get(d, "pattern_id")),
			    id);
	assert_non_null(json_string_value(json_object_get(d, "engine")));
	rar = rar ? rar : &none;
	assert_int_equal(json_is_true(json_object_get(d, "rar")), *rar);
	*rar = !*rar;
	json_decref(d);

	fresh_pattern_dir();
	make_cud("t.cud", 7, "Foo.A");
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	d = engine_describe(e);
	assert_int_equal(json_is_true(json_object_get(d, "rar")), *rar);
	*rar = !*rar;
	assert_false(json_is_true(json_object_get(d, "builtin_only")));
	assert_true(json_integer_value(json_object_get(d, "pattern_time")) >
		    1700000000);
	snprintf(path, sizeof(path), "%s/t.cud", paths()->pattern_dir);
	for (size_t i = 0; i < json_array_size(json_object_get(d, "patterns"));
	     i++) {
		json_t *p = json_array_get(json_object_get(d, "patterns"), i);

		if (strcmp(json_string_value(json_object_get(p, "file")), path))
			continue;
		assert_string_equal(
			json_string_value(json_object_get(p, "kind")), "cud");
		assert_int_equal(
			json_integer_value(json_object_get(p, "version")), 7);
		assert_int_equal(
			json_integer_value(json_object_get(p, "signatures")),
			1);
		path[0] = '\0';
		break;
	}
	assert_int_equal(path[0], '\0');
	json_decref(d);
	engine_free(&e);
	fresh_pattern_dir();
}

static void of_two_containers_the_newer_is_loaded(void **state)
{
	struct err err;
	struct engine *e;

	fresh_pattern_dir();
	make_cud("t.CUD", 7, "Foo.V7");
	make_cud("t.cud", 8, "Foo.V8");
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	put_text(in_root("f"), "xx ABCDEF xx");
	expect_with(e, in_root("f"), VERDICT_INFECTED, "Foo.V8.UNOFFICIAL");
	engine_free(&e);
	fresh_pattern_dir();
}

static void new_settings_need_no_new_engine_but_for_patterns(void **state)
{
	struct conf *c = conf_copy(conf);
	struct err err;

	put_text(in_root("f"), eicar());
	assert_int_equal(conf_set(c, "ScanArchives", "no", &err), 0);
	assert_int_equal(engine_configure(engine, c, &err), 0);
	expect(in_root("a.zip"), VERDICT_CLEAN, NULL);
	expect(in_root("f"), VERDICT_INFECTED, NULL);
	assert_int_equal(conf_set(c, "DetectPUA", "yes", &err), 0);
	assert_int_equal(engine_configure(engine, c, &err), 1);
	assert_int_equal(engine_configure(engine, conf, &err), 0);
	expect(in_root("a.zip"), VERDICT_INFECTED, NULL);
	conf_free(&c);
}

static void every_test_file_of_clamav_is_found(void **state)
{
	struct dirent **names;
	int n = scandir(TESTFILES, &names, NULL, alphasort), seen = 0;
	struct err err;
	struct engine *e;

	assert_true(n > 2);
	fresh_pattern_dir();
	run("sigtool --md5 %s/clam.exe >%s/clam.hdb", TESTFILES,
	    paths()->pattern_dir);
	e = engine_new(conf, &err);
	if (!e)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(e, in_root("tmp"), &err), 0);
	for (int i = 0; i < n; i++) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", TESTFILES,
			 names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			expect_with(e, path, VERDICT_INFECTED,
				    "clam.exe.UNOFFICIAL");
			seen++;
		}
		free(names[i]);
	}
	free(names);
	assert_int_equal(seen, 44);
	engine_free(&e);
	fresh_pattern_dir();
}

static int set_up(void **state)
{
	struct err err;

	alarm(300);
	assert_non_null(mkdtemp(root));
	paths_init(root);
	run("mkdir -p %s %s/tmp %s/in && cp etc/patterns/* %s",
	    paths()->builtin_dir, root, root, paths()->builtin_dir);
	conf = conf_new();
	engine = engine_new(conf, &err);
	if (!engine)
		fail_msg("%s", err.text);
	assert_int_equal(engine_tmpdir(engine, in_root("tmp"), &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	engine_free(&engine);
	conf_free(&conf);
	run("rm -rf %s", root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eicar_is_found_by_its_makers_rules),
		cmocka_unit_test(marker_is_found_at_any_offset),
		cmocka_unit_test(marker_is_found_in_text_and_markup),
		cmocka_unit_test(both_are_found_inside_archives),
		cmocka_unit_test(clean_files_are_clean),
		cmocka_unit_test(the_offset_does_not_matter),
		cmocka_unit_test(an_unreadable_file_is_an_error),
		cmocka_unit_test(too_large_a_file_is_oversize),
		cmocka_unit_test(too_much_unpacked_is_oversize),
		cmocka_unit_test(a_cabinet_cut_short_is_oversize),
		cmocka_unit_test(too_deep_an_archive_is_oversize),
		cmocka_unit_test(too_many_files_are_oversize),
		cmocka_unit_test(a_scan_past_its_time_is_a_timeout),
		cmocka_unit_test(a_password_is_encrypted_and_no_finding),
		cmocka_unit_test(a_finding_beats_every_limit),
		cmocka_unit_test(full_scratch_is_never_clean),
		cmocka_unit_test(scans_leave_nothing_in_scratch),
		cmocka_unit_test(a_broken_pattern_file_is_named),
		cmocka_unit_test(what_is_no_pattern_file_is_passed_over),
		cmocka_unit_test(missing_directories_are_none_but_the_built_in),
		cmocka_unit_test(pattern_id_follows_the_content),
		cmocka_unit_test(names_of_others_are_left_as_they_are),
		cmocka_unit_test(description_tells_what_is_loaded),
		cmocka_unit_test(of_two_containers_the_newer_is_loaded),
		cmocka_unit_test(
			new_settings_need_no_new_engine_but_for_patterns),
		cmocka_unit_test(every_test_file_of_clamav_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
