/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/known.h"
#include "lib/fdutil.h"
#include "lib/sandbox.h"

#include "fanbed.h"

static struct err err;
static struct known *known;
static int known_fd = -1;
static char dir[64], path[128];

static int up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/splx-known-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	chmod(dir, 0755);
	snprintf(path, sizeof(path), "%s/table", dir);
	known = known_new(1024, &known_fd, &err);
	return known ? 0 : -1;
}

static int down(void **state)
{
	(void)state;
	known_free(&known);
	assert_null(known);
	fd_close(&known_fd);
	snprintf(path, sizeof(path), "%s.img", dir);
	unlink(path);
	/* Left over where a test failed. */
	while (umount2(dir, MNT_DETACH) == 0)
		;
	snprintf(path, sizeof(path), "%s/table", dir);
	unlink(path);
	return rmdir(dir);
}

static struct file_key some_key(uint64_t ino)
{
	struct file_key k = {.fsid = 11,
			     .dev = 22,
			     .ino = ino,
			     .size = 4096,
			     .ctime_ns = 1700000000123456789 + (int64_t)ino,
			     .mtime_ns = 1700000000000000001};

	return k;
}

/* --- the table ------------------------------------------------------------ */

static void only_what_was_put_is_known_and_only_whole(void **state)
{
	struct file_key k = some_key(1), other;

	(void)state;
	assert_false(known_has(known, &k, 9));
	known_put(known, &k, 9);
	assert_true(known_has(known, &k, 9));
	assert_false(known_has(known, &k, 8));
	for (size_t i = 0; i < sizeof(k) / sizeof(uint64_t); i++) {
		other = k;
		((uint64_t *)&other)[i]++;
		assert_false(known_has(known, &other, 9));
	}
	assert_int_equal(known_count(known, 9), 1);
	assert_int_equal(known_count(known, 8), 0);
}

static void what_was_known_of_a_device_is_forgotten_and_no_other(void **state)
{
	struct file_key a = some_key(1), b = some_key(2), c = some_key(3);

	(void)state;
	b.dev = 23;
	known_put(known, &a, 9);
	known_put(known, &b, 9);
	known_put(known, &c, 9);
	known_forget(known, 24);
	assert_int_equal(known_count(known, 9), 3);
	known_forget(known, 22);
	assert_false(known_has(known, &a, 9));
	assert_true(known_has(known, &b, 9));
	assert_false(known_has(known, &c, 9));
	/* More devices than are counted. */
	for (a.dev = 100; a.dev < 200; a.dev++)
		known_put(known, &a, 9);
	a.dev = 199;
	assert_true(known_has(known, &a, 9));
	known_forget(known, 199);
	assert_false(known_has(known, &a, 9));
}

static void empty_key_is_not_found_in_empty_places(void **state)
{
	struct file_key zero = {0};

	(void)state;
	assert_false(known_has(known, &zero, 0));
	assert_int_equal(known_count(known, 0), 0);
}

static void new_state_of_a_file_takes_the_place_of_the_old(void **state)
{
	struct file_key k = some_key(1);

	(void)state;
	for (int i = 0; i < 50; i++) {
		k.ctime_ns++;
		known_put(known, &k, 9);
	}
	assert_int_equal(known_count(known, 9), 1);
	assert_true(known_has(known, &k, 9));
}

static void old_patterns_entries_go_first_then_the_oldest(void **state)
{
	struct known *small;
	int fd;

	(void)state;
	small = known_new(1, &fd, &err); /* one bucket of four */
	assert_non_null(small);
	for (uint64_t i = 0; i < 4; i++) {
		struct file_key k = some_key(i);

		known_put(small, &k, i == 2 ? 1 : 9);
	}
	for (uint64_t i = 4; i < 6; i++) {
		struct file_key k = some_key(i);

		known_put(small, &k, 9);
	}
	/* 4 took the place of 2 (another epoch), 5 that of 0 (the oldest). */
	for (uint64_t i = 0; i < 6; i++) {
		struct file_key k = some_key(i);

		assert_int_equal(known_has(small, &k, 9), i != 0 && i != 2);
	}
	known_free(&small);
	close(fd);
}

static void most_of_a_full_table_is_kept(void **state)
{
	unsigned int kept = 0;

	(void)state;
	for (uint64_t i = 0; i < 1024; i++) {
		struct file_key k = some_key(i);

		known_put(known, &k, 9);
	}
	for (uint64_t i = 0; i < 1024; i++) {
		struct file_key k = some_key(i);

		kept += known_has(known, &k, 9);
	}
	assert_true(kept > 750);
	assert_int_equal(known_count(known, 9), kept);
}

static void readers_see_and_cannot_write(void **state)
{
	struct file_key k = some_key(1);
	struct known *reader = known_map(known_fd, &err);
	char byte = 1;

	(void)state;
	assert_non_null(reader);
	assert_false(known_has(reader, &k, 9));
	known_put(known, &k, 9);
	assert_true(known_has(reader, &k, 9));
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			 known_fd, 0) == MAP_FAILED);
	assert_int_equal(pwrite(known_fd, &byte, 1, 0), -1);
	assert_int_equal(ftruncate(known_fd, 0), -1);
	known_free(&reader);
}

static void what_is_no_table_is_not_mapped(void **state)
{
	int null = open("/dev/null", O_RDWR);

	(void)state;
	assert_null(known_map(null, &err));
	close(null);
	null = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(null, 64 + 64 * 4), 0);
	assert_int_equal(fcntl(null, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_null(known_map(null, &err));
	close(null);
}

static _Atomic bool stop;

static void *put_two_in_turn(void *arg)
{
	const struct file_key *k = arg;

	while (!atomic_load(&stop)) {
		known_put(known, &k[0], 9);
		known_put(known, &k[1], 9);
	}
	return NULL;
}

/* Two states of one file share a place; no mixture of them is ever known. */
static void half_written_entries_are_not_believed(void **state)
{
	struct known *reader = known_map(known_fd, &err);
	struct file_key k[2] = {some_key(1), some_key(1)}, mix[4];
	uint64_t end = clock_mono_ns() + CLOCK_NS_PER_S;
	unsigned int seen = 0, wrong = 0;
	pthread_t thread;

	(void)state;
	k[1].size = 5000;
	k[1].ctime_ns += 77;
	k[1].mtime_ns += 88;
	for (int i = 0; i < 4; i++)
		mix[i] = k[i / 2];
	mix[0].size = k[1].size;
	mix[1].mtime_ns = k[1].mtime_ns;
	mix[2].size = k[0].size;
	mix[3].mtime_ns = k[0].mtime_ns;
	atomic_store(&stop, false);
	pthread_create(&thread, NULL, put_two_in_turn, k);
	while (clock_mono_ns() < end) {
		for (int i = 0; i < 4; i++)
			wrong += known_has(reader, &mix[i], 9);
		seen += known_has(reader, &k[0], 9);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	known_free(&reader);
	assert_int_equal(wrong, 0);
	assert_true(seen > 0);
}

static void epochs_differ_and_are_never_zero(void **state)
{
	(void)state;
	assert_true(known_epoch(0, 0) != 0);
	assert_true(known_epoch(1, 2) != known_epoch(2, 1));
	assert_true(known_epoch(1, 2) != known_epoch(1, 3));
	assert_true(known_epoch(1, 2) != known_epoch(2, 2));
	assert_true(known_epoch(1, 2) == known_epoch(1, 2));
}

/* --- across restarts ------------------------------------------------------ */

#define HEAD 32
#define RECORD 96

static void fill(void)
{
	for (uint64_t i = 0; i < 100; i++) {
		struct file_key k = some_key(i);

		known_put(known, &k, i < 90 ? 9 : 8);
	}
}

static size_t former(uint64_t epoch)
{
	struct known_file *list;
	size_t n = known_former(known, epoch, &list);

	for (size_t i = 0; i < n; i++)
		assert_true(list[i].epoch != epoch);
	free(list);
	return n;
}

static long load_anew(uint64_t epoch)
{
	known_free(&known);
	fd_close(&known_fd);
	known = known_new(1024, &known_fd, &err);
	return known_load(known, path, epoch, &err);
}

static void patch(off_t at, int with)
{
	int fd = open(path, O_RDWR);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= (char)with;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void what_is_saved_is_known_after_a_restart(void **state)
{
	struct stat st;

	(void)state;
	fill();
	assert_int_equal(known_save(known, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(load_anew(9), 90);
	for (uint64_t i = 0; i < 100; i++) {
		struct file_key k = some_key(i);

		assert_int_equal(known_has(known, &k, 9), i < 90);
	}
	/* By other patterns it is not known, but that it was is. */
	assert_int_equal(load_anew(7), 0);
	assert_int_equal(known_count(known, 7), 0);
	assert_int_equal(former(7), 100);
	/* Each under its own, as before. */
	assert_int_equal(load_anew(8), 10);
	assert_int_equal(former(8), 90);
}

/* In a full bucket what was known gives way to what is. */
static void what_was_known_before_pushes_nothing_out(void **state)
{
	struct file_key k;

	(void)state;
	known_free(&known);
	fd_close(&known_fd);
	known = known_new(1, &known_fd, &err); /* one bucket of four */
	for (uint64_t i = 0; i < 4; i++) {
		k = some_key(i);
		known_put(known, &k, i < 3 ? 8 : 9);
	}
	assert_int_equal(known_save(known, path, &err), 0);
	known_free(&known);
	fd_close(&known_fd);
	known = known_new(1, &known_fd, &err);
	for (uint64_t i = 10; i < 12; i++) {
		k = some_key(i);
		known_put(known, &k, 9);
	}
	assert_int_equal(known_load(known, path, 9, &err), 1);
	assert_int_equal(known_count(known, 9), 3);
	assert_int_equal(former(9), 1);
}

static struct known_trace some_trace(uint32_t used_s, uint8_t len)
{
	struct known_trace t = {.used_s = used_s, .type = 1, .len = len};

	memset(t.handle, 7, sizeof(t.handle));
	return t;
}

static void a_trace_is_kept_over_patterns_and_restarts(void **state)
{
	struct file_key k = some_key(1);
	struct known_trace t = some_trace(500, 8);
	struct known_file *list;

	(void)state;
	known_put_trace(known, &k, 9, &t);
	assert_int_equal(known_used(known, &k, 9), 500);
	assert_int_equal(known_used(known, &k, 8), 0);
	/* Looked at again, but used at no later time; then used. */
	t = some_trace(400, 0);
	k.mtime_ns++;
	known_put_trace(known, &k, 9, &t);
	assert_int_equal(known_used(known, &k, 9), 500);
	t = some_trace(600, 0);
	known_put_trace(known, &k, 9, &t);
	assert_int_equal(known_used(known, &k, 9), 600);
	assert_int_equal(known_save(known, path, &err), 0);
	assert_int_equal(load_anew(9), 1);
	assert_int_equal(known_former(known, 9, &list), 0);
	free(list);
	assert_int_equal(known_former(known, 10, &list), 1);
	assert_true(file_key_same(&list->key, &k));
	assert_int_equal(list->epoch, 9);
	assert_int_equal(list->trace.used_s, 600);
	assert_int_equal(list->trace.len, 8);
	assert_int_equal(list->trace.type, 1);
	assert_int_equal(list->trace.handle[7], 7);
	free(list);
	/* What is forgotten leaves none for who comes to its place. */
	known_forget(known, k.dev);
	known_put(known, &k, 9);
	assert_int_equal(known_used(known, &k, 9), 0);
	known_former(known, 10, &list);
	assert_int_equal(list->trace.len, 0);
	free(list);
}

/* A length that cannot be leads nowhere. */
static void a_spoilt_trace_leads_to_nothing(void **state)
{
	struct file_key k = some_key(1);
	struct known_trace t = some_trace(1, 8);
	struct known_file *list;

	(void)state;
	known_put_trace(known, &k, 9, &t);
	assert_int_equal(known_save(known, path, &err), 0);
	patch(HEAD + 64 + 5, 0xff);
	assert_int_equal(load_anew(9), 1);
	assert_int_equal(known_former(known, 1, &list), 1);
	assert_int_equal(list->trace.len, 0);
	free(list);
	t.len = 255;
	assert_int_equal(known_trace_open(known_fd, &t, O_RDONLY), -1);
	assert_int_equal(errno, ESTALE);
}

static void a_file_is_found_by_its_trace_wherever_it_is(void **state)
{
	struct known_trace t;
	struct stat before, st;
	int fd, at, mount;

	(void)state;
	mount = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(mount >= 0 && fd >= 0);
	known_trace_get(fd, 77, &t);
	assert_int_equal(t.used_s, 77);
	if (!t.len)
		skip(); /* a file system without */
	fstat(fd, &before);
	assert_int_equal(renameat(mount, "table", mount, "moved"), 0);
	at = known_trace_open(mount, &t, O_RDONLY | O_CLOEXEC);
	assert_true(at >= 0);
	assert_int_equal(fstat(at, &st), 0);
	assert_int_equal(st.st_ino, before.st_ino);
	fd_close(&at);
	fd_close(&fd);
	unlinkat(mount, "moved", 0);
	assert_int_equal(known_trace_open(mount, &t, O_RDONLY), -1);
	assert_int_equal(errno, ESTALE);
	fd_close(&mount);
	/* Not a file. */
	known_trace_get(-1, 5, &t);
	assert_int_equal(t.len, 0);
}

static void spoilt_entry_is_left_out_the_others_are_taken(void **state)
{
	(void)state;
	fill();
	known_save(known, path, &err);
	for (int byte = 0; byte < 56; byte++) {
		patch(HEAD + RECORD * 7 + byte, 1);
		assert_int_equal(load_anew(9), 89);
		patch(HEAD + RECORD * 7 + byte, 1);
	}
	assert_int_equal(load_anew(9), 90);
}

static void file_that_is_torn_or_foreign_is_ignored_with_a_reason(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(load_anew(9), -1);
	assert_int_equal(err.code, ENOENT);
	fill();
	known_save(known, path, &err);
	stat(path, &st);
	for (int at = 0; at < HEAD; at += 8) {
		err_clear(&err);
		patch(at, 1); /* magic, version, count, check */
		assert_int_equal(load_anew(9), -1);
		assert_true(strlen(err.text) > 10);
		patch(at, 1);
	}
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(load_anew(9), -1);
	assert_non_null(strstr(err.text, "torn"));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(load_anew(9), -1);
	assert_int_equal(known_count(known, 9), 0);
}

static void file_that_others_could_write_is_ignored(void **state)
{
	char link[140];

	(void)state;
	fill();
	known_save(known, path, &err);
	assert_int_equal(load_anew(9), 90);
	chmod(path, 0620);
	assert_int_equal(load_anew(9), -1);
	chmod(path, 0600);
	assert_int_equal(chown(path, BED_USER, 0), 0);
	assert_int_equal(load_anew(9), -1);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(load_anew(9), 90);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(known_load(known, link, 9, &err), -1);
	unlink(link);
	/* Nor does one that cannot be read at once hang it. */
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load_anew(9), -1);
}

/* --- promise 7, on real file systems ---------------------------------------
 */

/* A file system at `dir`: 0 tmpfs, 1 ext4 in a file; -1 where it cannot be. */
static int mount_at(int kind)
{
	char cmd[512];

	if (kind == 0)
		return mount("tmpfs", dir, "tmpfs", 0, "size=8m");
	snprintf(cmd, sizeof(cmd),
		 "dd if=/dev/zero of=%s.img bs=1M count=16 status=none && "
		 "mkfs.ext4 -q -F %s.img && mount -o loop %s.img %s",
		 dir, dir, dir, dir);
	return system(cmd) == 0 ? 0 : -1;
}

static void unmount_at(int kind)
{
	char image[128];

	umount2(dir, MNT_DETACH);
	snprintf(image, sizeof(image), "%s.img", dir);
	if (kind == 1)
		unlink(image);
}

static void on_each_fs(void (*check)(void))
{
	for (int kind = 0; kind < 2; kind++) {
		if (mount_at(kind) < 0) {
			print_message("file system %d cannot be mounted\n",
				      kind);
			if (kind == 0)
				skip();
			unmount_at(kind);
			continue;
		}
		check();
		unmount_at(kind);
	}
}

static char *file_at(void)
{
	static char file[128];

	snprintf(file, sizeof(file), "%s/file", dir);
	return file;
}

static void check_writers(void)
{
	int w = open(file_at(), O_RDWR | O_CREAT, 0644);
	int r = open(file_at(), O_RDONLY | O_NONBLOCK);
	char *map;

	assert_int_equal(ftruncate(w, 4096), 0);
	assert_int_equal(known_has_writer(r), 1);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, w, 0);
	close(w);
	/* The descriptor is gone, the mapping is not. */
	assert_int_equal(known_has_writer(r), 1);
	map[0] = 'x';
	assert_int_equal(known_has_writer(r), 1);
	munmap(map, 4096);
	assert_int_equal(known_has_writer(r), 0);
	/* A private mapping and readers do not count. */
	w = open(file_at(), O_RDONLY);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, w, 0);
	assert_int_equal(known_has_writer(r), 0);
	munmap(map, 4096);
	close(w);
	/* Nothing stays behind that a writer would have to wait for. */
	w = open(file_at(), O_WRONLY | O_NONBLOCK);
	assert_true(w >= 0);
	assert_int_equal(known_has_writer(r), 1);
	close(w);
	close(r);
}

static void writer_is_seen_as_long_as_it_can_write(void **state)
{
	(void)state;
	on_each_fs(check_writers);
}

static void check_rights(void)
{
	int fd = open(file_at(), O_RDONLY | O_CREAT, 0644);
	int status;
	pid_t pid;

	for (int lease = 0; lease < 2; lease++) {
		pid = bed_fork();
		if (pid == 0) {
			sandbox_become(BED_USER, BED_USER,
				       lease ? 1ull << CAP_LEASE : 0, &err);
			_exit(known_has_writer(fd) == (lease ? 0 : -1) ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	close(fd);
}

static void stranger_needs_cap_lease_and_is_told_when_it_lacks_it(void **state)
{
	(void)state;
	on_each_fs(check_rights);
}

static void where_it_cannot_be_told_it_says_so(void **state)
{
	int p[2], d = open("/", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(known_has_writer(p[0]), -1);
	assert_int_equal(known_has_writer(d), -1);
	assert_int_equal(known_has_writer(-1), -1);
	close(p[0]);
	close(p[1]);
	close(d);
}

/* A lease that a writer breaks in that instant must not end the worker. */
static void breaking_the_lease_does_not_kill(void **state)
{
	uint64_t end = clock_mono_ns() + CLOCK_NS_PER_S / 2;
	int r = open(path, O_RDONLY | O_CREAT, 0644);
	unsigned int looked = 0;
	pid_t pid = bed_fork();
	struct sigaction now;

	(void)state;
	if (pid == 0) {
		for (;;) {
			int w = open(path, O_WRONLY);

			close(w);
		}
	}
	for (; clock_mono_ns() < end; looked++)
		assert_int_not_equal(known_has_writer(r), -1);
	bed_kill(pid);
	assert_true(looked > 10);
	assert_int_equal(sigaction(SIGIO, NULL, &now), 0);
	assert_true(now.sa_handler == SIG_IGN);
	close(r);
}

/*
 * The rule as a whole: a file is changed again and again at odd moments and
 * "scanned" in between; what is then put into the table by the rule must
 * never be found for other content.
 */
static void check_never_stale(void)
{
	int r, stale = 0, answers = 0;
	char file[128];
	struct stat st;
	unsigned int seed = 7;

	strcpy(file, file_at());
	close(open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	r = open(file, O_RDONLY);
	for (int i = 0; i < 200; i++) {
		char in_file = 0, scanned = 0;
		struct file_key before, now;
		int64_t start;
		int w;

		usleep((useconds_t)(rand_r(&seed) % 3) * 15000);
		start = clock_coarse_ns();
		assert_int_equal(file_key_get(r, &before, &st), 0);
		(void)!pread(r, &scanned, 1, 0);
		/* Now and then it changes right behind the scanner's back. */
		if (rand_r(&seed) % 2) {
			char c = (char)('a' + i % 26);

			w = open(file, O_WRONLY);
			assert_int_equal(pwrite(w, &c, 1, 0), 1);
			close(w);
		}
		file_key_get(r, &now, &st);
		if (known_settled(&before, start) &&
		    file_key_same(&before, &now) && known_has_writer(r) == 0)
			known_put(known, &before, (uint64_t)(scanned + 1));
		if (rand_r(&seed) % 2) {
			char c = (char)('A' + i % 26);

			w = open(file, O_WRONLY);
			assert_int_equal(pwrite(w, &c, 1, 0), 1);
			close(w);
		}
		/* The next opener. */
		file_key_get(r, &now, &st);
		(void)!pread(r, &in_file, 1, 0);
		for (int e = 1; e < 128; e++) {
			if (!known_has(known, &now, (uint64_t)e))
				continue;
			answers++;
			stale += e != in_file + 1;
		}
	}
	close(r);
	assert_int_equal(stale, 0);
	assert_true(answers > 10);
}

static void no_stale_answer_in_two_hundred(void **state)
{
	(void)state;
	on_each_fs(check_never_stale);
}

static void just_changed_is_not_settled(void **state)
{
	int64_t now = 1700000000 * (int64_t)CLOCK_NS_PER_S + 500000001;
	struct file_key k = {.ctime_ns = now};

	(void)state;
	assert_false(known_settled(&k, now));
	assert_false(known_settled(&k, now - 1));
	assert_false(known_settled(&k, now + 10000000));
	assert_true(known_settled(&k, now + 21000000));
	/* A stamp from the future is never old enough. */
	k.ctime_ns = now + 5000000000;
	assert_false(known_settled(&k, now));
	/* A file system that stamps whole seconds. */
	k.ctime_ns = 1700000000 * (int64_t)CLOCK_NS_PER_S;
	assert_false(known_settled(&k, k.ctime_ns + 1990000000));
	assert_true(known_settled(&k, k.ctime_ns + 2100000000));
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_what_was_put_is_known_and_only_whole),
		T(what_was_known_of_a_device_is_forgotten_and_no_other),
		T(empty_key_is_not_found_in_empty_places),
		T(new_state_of_a_file_takes_the_place_of_the_old),
		T(old_patterns_entries_go_first_then_the_oldest),
		T(most_of_a_full_table_is_kept),
		T(readers_see_and_cannot_write),
		T(what_is_no_table_is_not_mapped),
		T(half_written_entries_are_not_believed),
		T(epochs_differ_and_are_never_zero),
		T(what_is_saved_is_known_after_a_restart),
		T(what_was_known_before_pushes_nothing_out),
		T(a_trace_is_kept_over_patterns_and_restarts),
		T(a_spoilt_trace_leads_to_nothing),
		T(a_file_is_found_by_its_trace_wherever_it_is),
		T(spoilt_entry_is_left_out_the_others_are_taken),
		T(file_that_is_torn_or_foreign_is_ignored_with_a_reason),
		T(file_that_others_could_write_is_ignored),
		T(writer_is_seen_as_long_as_it_can_write),
		T(stranger_needs_cap_lease_and_is_told_when_it_lacks_it),
		T(where_it_cannot_be_told_it_says_so),
		T(breaking_the_lease_does_not_kill),
		T(no_stale_answer_in_two_hundred),
		T(just_changed_is_not_settled),
	};

	bed_watchdog();
	if (geteuid() != 0) {
		fprintf(stderr, "needs root: skipped\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
