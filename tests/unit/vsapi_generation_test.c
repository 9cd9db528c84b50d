/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The process that holds an engine: what it becomes, sees and tells. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control.h"
#include "common/paths.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "vsapiapp/generation.h"

#define SCAN_UID 61184

static char root[64], mounted[80];
static struct loop *loop;
static struct scoreboard *sb;
static int sb_fd;
static struct conf *conf;
static struct gen *gen;
static bool is_ready, is_gone, is_taken;
static char failure[1024];

static void on_ready(struct gen *g, void *arg)
{
	is_ready = true;
}

static void on_failed(struct gen *g, const char *why, void *arg)
{
	str_copy(failure, sizeof(failure), why);
}

static void on_forked(struct gen *g, int slot, pid_t pid, int pidfd,
		      const char *why, void *arg)
{
	fd_close(&pidfd);
}

static void on_died(struct gen *g, int slot, pid_t pid, int status, void *arg)
{
}

static void on_settings(struct gen *g, const char *why, void *arg)
{
	is_taken = true;
	str_copy(failure, sizeof(failure), why ? why : "");
}

static void on_gone(struct gen *g, void *arg)
{
	is_gone = true;
}

static const struct gen_events events = {
	on_ready, on_failed, on_forked, on_died, on_settings, on_gone,
};

static void stop_loop(void *arg)
{
	loop_stop(loop);
}

static void run_until(bool *what)
{
	uint64_t end = clock_mono_ns() + 30 * CLOCK_NS_PER_S;

	while (!*what && clock_mono_ns() < end) {
		struct loop_event *ev =
			loop_timer(loop, 10, false, stop_loop, NULL);

		loop_run(loop);
		loop_cancel(&ev);
	}
	if (!*what)
		fail_msg("not within 30 s: %s", failure);
}

static void begin(void)
{
	struct generation_setup setup = {
		.number = 7,
		.sb = sb,
		.conf = conf,
		.notify = -1,
		.known = -1,
	};
	struct err err;

	gen = gen_start(loop, &setup, &events, NULL, &err);
	assert_non_null(gen);
}

static void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(conf, key, value, &err))
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct err err;
	char cmd[512];

	alarm(100);
	strcpy(root, "/tmp/splx-gen-XXXXXX");
	assert_non_null(mkdtemp(root));
	/* the scan user could not get here by itself */
	chmod(root, 0700);
	snprintf(mounted, sizeof(mounted), "%s/mounted", root);
	mkdir(mounted, 0755);
	assert_int_equal(mount("t", mounted, "tmpfs", 0, "size=1M"), 0);
	is_ready = is_gone = is_taken = false;
	failure[0] = '\0';
	sb = scoreboard_new(&sb_fd, &err);
	assert_non_null(sb);
	if (sb_fd != INHERIT_SCOREBOARD) {
		assert_true(dup2(sb_fd, INHERIT_SCOREBOARD) >= 0);
		close(sb_fd);
		sb_fd = INHERIT_SCOREBOARD;
	}
	loop = loop_new();
	conf = conf_new();
	set("ScanUser", "61184");
	set("ScratchSize", "16M");
	snprintf(cmd, sizeof(cmd), "mkdir -p '%s' && cp etc/patterns/* '%s'",
		 paths()->builtin_dir, paths()->builtin_dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	gen_free(&gen);
	conf_free(&conf);
	loop_free(&loop);
	close(sb_fd);
	umount2(mounted, MNT_DETACH);
	snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system '%s'", root);
	return system(cmd);
}

/* A line of /proc/PID/status. */
static void status_of(pid_t pid, const char *key, char *out, size_t size)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (str_starts(line, key) && line[strlen(key)] == ':')
			str_copy(out, size, str_trim(line + strlen(key) + 1));
	fclose(f);
}

static void test_it_becomes_the_scan_user_for_good(void **state)
{
	char text[128];

	begin();
	run_until(&is_ready);
	status_of(gen_pid(gen), "Uid", text, sizeof(text));
	assert_string_equal(text, "61184\t61184\t61184\t61184");
	status_of(gen_pid(gen), "Groups", text, sizeof(text));
	assert_string_equal(text, "");
	status_of(gen_pid(gen), "NoNewPrivs", text, sizeof(text));
	assert_string_equal(text, "1");
	/* CAP_LEASE (28) and CAP_SYS_CHROOT (18), for its workers */
	status_of(gen_pid(gen), "CapEff", text, sizeof(text));
	assert_int_equal(strtoull(text, NULL, 16), 1ull << 28 | 1ull << 18);
}

static void test_it_sees_nothing_but_what_loading_takes(void **state)
{
	static const char *const allowed[] = {
		"bin",	   "dev", "etc", "lib", "lib64", "proc",
		"scratch", "tmp", "usr", "var", ".",	 "..",
	};
	char path[512], *text;
	struct dirent *de;
	struct stat st;
	size_t i, len;
	DIR *d;

	begin();
	run_until(&is_ready);
	snprintf(path, sizeof(path), "/proc/%d/root/", gen_pid(gen));
	d = opendir(path);
	assert_non_null(d);
	while ((de = readdir(d))) {
		bool known = false;

		for (i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
			known = known || !strcmp(de->d_name, allowed[i]);
		if (!known)
			fail_msg("it sees /%s", de->d_name);
	}
	closedir(d);
	/* what is mounted elsewhere is not kept from being unmounted */
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", gen_pid(gen));
	assert_int_equal(fd_read_file(path, 1 << 20, &text, &len, NULL), 0);
	assert_null(strstr(text, "/mounted "));
	free(text);
	/* nothing of it is seen outside, and it has a network of its own */
	assert_int_equal(fd_read_file("/proc/self/mountinfo", 1 << 20, &text,
				      &len, NULL),
			 0);
	assert_null(strstr(text, "/scratch/0 "));
	free(text);
	snprintf(path, sizeof(path), "/proc/%d/root/scratch/47/tmp",
		 gen_pid(gen));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, SCAN_UID);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_it_tells_what_it_has_loaded(void **state)
{
	begin();
	run_until(&is_ready);
	assert_true(gen_is_ready(gen));
	assert_true(gen_pattern_id(gen) != 0);
	assert_true(json_integer_value(json_object_get(gen_describe(gen),
						       "signatures")) > 0);
	assert_int_equal(gen_waiting_since(gen), 0);
}

static void test_a_user_that_is_not_there_is_one_clear_line(void **state)
{
	set("ScanUser", "no-such-user");
	begin();
	run_until(&is_gone);
	assert_false(is_ready);
	assert_non_null(strstr(failure, "no-such-user"));
}

static void test_a_broken_pattern_file_is_named(void **state)
{
	char path[128], value[160];
	int fd;

	snprintf(path, sizeof(path), "%s/db", root);
	mkdir(path, 0755);
	snprintf(value, sizeof(value), "{\"%s\"}", path);
	set("PatternDirectory", value);
	snprintf(path, sizeof(path), "%s/db/broken.ndb", root);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(fd_write_all(fd, "no signature\n", 13), 0);
	close(fd);
	begin();
	run_until(&is_gone);
	assert_false(is_ready);
	assert_non_null(strstr(failure, "broken.ndb"));
}

static void test_settings_are_taken_over_without_a_new_engine(void **state)
{
	struct err err;

	begin();
	run_until(&is_ready);
	set("MaxRecursion", "5");
	assert_int_equal(gen_settings(gen, conf, -1, &err), 0);
	run_until(&is_taken);
	assert_string_equal(failure, "");
	assert_true(gen_alive(gen));
}

static void test_it_ends_with_its_master(void **state)
{
	struct proc_id id;
	int p[2], i;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		loop_forget(&loop);
		loop = loop_new();
		begin();
		run_until(&is_ready);
		proc_identify(gen_pid(gen), &id);
		if (write(p[1], &id, sizeof(id)) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(p[0], &id, sizeof(id)), sizeof(id));
	waitpid(pid, NULL, 0);
	for (i = 0; i < 100 && proc_alive(&id); i++)
		usleep(20000);
	assert_false(proc_alive(&id));
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_it_becomes_the_scan_user_for_good),
		T(test_it_sees_nothing_but_what_loading_takes),
		T(test_it_tells_what_it_has_loaded),
		T(test_a_user_that_is_not_there_is_one_clear_line),
		T(test_a_broken_pattern_file_is_named),
		T(test_settings_are_taken_over_without_a_new_engine),
		T(test_it_ends_with_its_master),
	};
	char stage[] = "/tmp/splx-genroot-XXXXXX", cmd[128];
	int rc;

	if (!mkdtemp(stage))
		return 1;
	paths_init(stage);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system '%s'", stage);
	return system(cmd) ? 1 : rc;
}
