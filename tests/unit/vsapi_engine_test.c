// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* What the engine finds, and what it says when it cannot look. */
#include "vsapi_enginebed.h"

#include <dirent.h>

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
		cmocka_unit_test(
			new_settings_need_no_new_engine_but_for_patterns),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
