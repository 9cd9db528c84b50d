/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/fanotify.h>
#include <cmocka.h>

#include "lib/fangroup.h"
#include "lib/fdutil.h"

#include "fanbed.h"

static struct bed bed;
static int group = -1, notify = -1;
static struct err err;

static int up(void **state)
{
	(void)state;
	if (!bed_up(&bed))
		return -1;
	group = fangroup_new(true, &err);
	notify = fangroup_new(false, &err);
	if (group < 0 || notify < 0 ||
	    fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true,
			  AT_FDCWD, bed.dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	return 0;
}

static int down(void **state)
{
	(void)state;
	fd_close(&group);
	fd_close(&notify);
	bed_down(&bed);
	return 0;
}

/* The next event, waiting up to ms for it; false when none came. */
static bool next(int from, struct fangroup_event *ev, int ms)
{
	struct pollfd p = {.fd = from, .events = POLLIN};

	if (poll(&p, 1, ms) <= 0)
		return false;
	assert_int_equal(fangroup_read(from, ev), 1);
	return true;
}

static void answer_all(int ms)
{
	struct fangroup_event ev;

	while (next(group, &ev, ms)) {
		fangroup_answer(group, ev.fd, true);
		fd_close(&ev.fd);
	}
}

/* Whether opening file i asks the group; the opener is let go. */
static bool asks(int i)
{
	struct fangroup_event ev;
	bool asked = false;

	bed_opener(&bed, i);
	while (!bed_done(&bed, i)) {
		if (!next(group, &ev, 20))
			continue;
		asked = true;
		assert_int_equal(fangroup_answer(group, ev.fd, true), 0);
		fd_close(&ev.fd);
	}
	bed_reap(bed.openers[i].pid);
	return asked;
}

static void probe_finds_what_6_1_and_later_have(void **state)
{
	struct fangroup_caps caps;

	(void)state;
	assert_int_equal(fangroup_probe(&caps, &err), 0);
	assert_true(caps.permission && caps.evictable && caps.filesystem &&
		    caps.exec);
}

static void opener_waits_and_gets_the_answer(void **state)
{
	struct fangroup_event ev;

	(void)state;
	for (int i = 0; i < 2; i++) {
		bed_opener(&bed, i);
		assert_true(next(group, &ev, 5000));
		assert_int_equal(ev.what, FANGROUP_OPEN);
		assert_int_equal(ev.pid, bed.openers[i].pid);
		assert_false(ev.overflow);
		usleep(50000);
		assert_false(bed_done(&bed, i));
		assert_int_equal(fangroup_answer(group, ev.fd, i == 0), 0);
		bed_reap(bed.openers[i].pid);
		assert_int_equal(bed.openers[i].error, i == 0 ? 0 : EPERM);
		/* Nobody waits for that number any more. */
		assert_int_equal(fangroup_answer(group, ev.fd, true), 1);
		fd_close(&ev.fd);
	}
}

static void event_descriptor_cannot_stall_and_leaves_no_trace(void **state)
{
	struct fangroup_event ev;
	int flags;

	(void)state;
	bed_opener(&bed, 0);
	assert_true(next(group, &ev, 5000));
	flags = fcntl(ev.fd, F_GETFL);
	assert_int_equal(flags & O_ACCMODE, O_RDONLY);
	assert_true(flags & O_NONBLOCK);
	assert_true(flags & O_NOATIME);
	assert_true(fcntl(ev.fd, F_GETFD) & FD_CLOEXEC);
	fangroup_answer(group, ev.fd, true);
	fd_close(&ev.fd);
	bed_reap(bed.openers[0].pid);
}

static void a_read_takes_one_event_and_pending_tells_the_rest(void **state)
{
	struct fangroup_event ev;

	(void)state;
	assert_int_equal(fangroup_read(group, &ev), 0);
	for (int i = 0; i < 5; i++)
		bed_opener(&bed, i);
	while (fangroup_pending(group) < 5)
		usleep(1000);
	assert_int_equal(fangroup_read(group, &ev), 1);
	assert_int_equal(fangroup_pending(group), 4);
	fangroup_answer(group, ev.fd, true);
	fd_close(&ev.fd);
	answer_all(100);
	for (int i = 0; i < 5; i++)
		bed_reap(bed.openers[i].pid);
	assert_int_equal(fangroup_pending(0) < 0, 1);
}

static void any_holder_may_answer_by_the_readers_number(void **state)
{
	int pipe_fd[2];
	int number = 0;
	pid_t reader;

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	reader = bed_fork();
	if (reader == 0) {
		struct fangroup_event ev;

		/* Without any right of its own. */
		if (setgroups(0, NULL) ||
		    setresgid(BED_USER, BED_USER, BED_USER) ||
		    setresuid(BED_USER, BED_USER, BED_USER) ||
		    fd_fill(777, &err) < 0 || !next(group, &ev, 5000) ||
		    write(pipe_fd[1], &ev.fd, sizeof(ev.fd)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	usleep(50000);
	bed_opener(&bed, 0);
	assert_int_equal(read(pipe_fd[0], &number, sizeof(number)),
			 sizeof(number));
	assert_int_equal(number, 777);
	assert_int_equal(fangroup_answer(group, number, false), 0);
	bed_reap(bed.openers[0].pid);
	assert_int_equal(bed.openers[0].error, EPERM);
	bed_kill(reader);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void ignored_file_is_not_asked_for_until_it_changes(void **state)
{
	int fd, writer;

	(void)state;
	fangroup_unmark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true,
			AT_FDCWD, bed.dir, &err);
	fd = open(bed_file(&bed, 0), O_RDONLY);
	writer = open(bed_file(&bed, 0), O_WRONLY);
	assert_int_equal(fangroup_mark(group, FANGROUP_FILESYSTEM,
				       FANGROUP_OPEN, true, AT_FDCWD, bed.dir,
				       &err),
			 0);
	assert_true(asks(0));
	/* Not while somebody may write. */
	assert_int_equal(fangroup_ignore(group, fd, FANGROUP_OPEN, true, false),
			 0);
	assert_true(asks(0));
	close(writer);
	writer = -1;
	assert_int_equal(fangroup_ignore(group, fd, FANGROUP_OPEN, true, false),
			 0);
	assert_false(asks(0));
	assert_true(asks(1));
	/* Written through its path by a child of the event's kind. */
	if ((writer = bed_fork()) == 0) {
		int w = open(bed_file(&bed, 0), O_WRONLY);

		_exit(w < 0 || write(w, "new", 3) != 3);
	}
	bed_reap(writer);
	assert_true(asks(0));
	close(fd);
}

static void ignoring_for_good_survives_writing_and_can_be_undone(void **state)
{
	int fd;
	pid_t writer;

	(void)state;
	fangroup_flush_all(group);
	fd = open(bed_file(&bed, 0), O_RDONLY);
	fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true, AT_FDCWD,
		      bed.dir, &err);
	assert_int_equal(fangroup_ignore(group, fd, FANGROUP_OPEN, false, true),
			 0);
	if ((writer = bed_fork()) == 0) {
		int w = open(bed_file(&bed, 0), O_WRONLY);

		_exit(w < 0 || write(w, "new", 3) != 3);
	}
	bed_reap(writer);
	assert_false(asks(0));
	/* An evictable mark where one that is not stands already. */
	assert_int_equal(fangroup_ignore(group, fd, FANGROUP_OPEN, true, true),
			 0);
	assert_int_equal(fangroup_unignore(group, fd, FANGROUP_OPEN), 0);
	assert_true(asks(0));
	assert_int_equal(fangroup_unignore(group, fd, FANGROUP_OPEN), 0);
	close(fd);
}

static void flushing_ignored_files_keeps_the_file_system_watched(void **state)
{
	int fds[3];

	(void)state;
	fangroup_flush_all(group);
	assert_false(asks(0));
	for (int i = 0; i < 3; i++)
		fds[i] = open(bed_file(&bed, i), O_RDONLY);
	fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true, AT_FDCWD,
		      bed.dir, &err);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fangroup_ignore(group, fds[i], FANGROUP_OPEN,
						 i == 0, i == 1),
				 0);
		assert_false(asks(i));
	}
	assert_int_equal(fangroup_flush_ignored(group), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(asks(i));
		close(fds[i]);
	}
}

static void a_stranger_may_ignore_only_what_it_may_read(void **state)
{
	int own, secret, status;
	pid_t pid;

	(void)state;
	fangroup_flush_all(group);
	own = open(bed_file(&bed, 0), O_RDONLY);
	secret = open(bed_file(&bed, 1), O_RDONLY);
	fchmod(secret, 0600);
	pid = bed_fork();
	if (pid == 0) {
		if (setgroups(0, NULL) ||
		    setresgid(BED_USER, BED_USER, BED_USER) ||
		    setresuid(BED_USER, BED_USER, BED_USER))
			_exit(1);
		if (fangroup_ignore(group, own, FANGROUP_OPEN, true, false))
			_exit(2);
		if (fangroup_ignore(group, secret, FANGROUP_OPEN, true,
				    false) != -1 ||
		    errno != EACCES)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fangroup_mark(group, FANGROUP_FILESYSTEM, FANGROUP_OPEN, true, AT_FDCWD,
		      bed.dir, &err);
	assert_false(asks(0));
	assert_true(asks(1));
	close(own);
	close(secret);
}

static void notify_group_tells_of_closed_files_and_holds_nobody(void **state)
{
	struct fangroup_event ev;
	pid_t writer;

	(void)state;
	fangroup_flush_all(group);
	assert_int_equal(fangroup_mark(notify, FANGROUP_FILESYSTEM,
				       FANGROUP_CLOSE, false, AT_FDCWD, bed.dir,
				       &err),
			 0);
	writer = bed_fork();
	if (writer == 0) {
		int w = open(bed_file(&bed, 3), O_WRONLY);

		_exit(w < 0 || write(w, "x", 1) != 1);
	}
	bed_reap(writer);
	assert_true(next(notify, &ev, 2000));
	assert_int_equal(ev.what, FANGROUP_CLOSE);
	assert_int_equal(ev.pid, writer);
	/* The notify group knows ignoring as well. */
	assert_int_equal(fangroup_ignore(notify, ev.fd,
					 FANGROUP_CLOSE | FANGROUP_OPEN, true,
					 true),
			 0);
	fd_close(&ev.fd);
	if ((writer = bed_fork()) == 0) {
		int w = open(bed_file(&bed, 3), O_WRONLY);

		_exit(w < 0 || write(w, "x", 1) != 1);
	}
	bed_reap(writer);
	assert_false(next(notify, &ev, 100));
}

static void notify_group_says_when_events_were_lost(void **state)
{
	struct fangroup_event ev;
	long most;
	char *text;
	size_t len;
	bool overflow = false;

	(void)state;
	fangroup_flush_all(group);
	assert_int_equal(fd_read_file("/proc/sys/fs/fanotify/max_queued_events",
				      64, &text, &len, &err),
			 0);
	most = atol(text);
	free(text);
	if (most > 100000)
		skip();
	assert_int_equal(fangroup_mark(notify, FANGROUP_FILESYSTEM,
				       FANGROUP_CLOSE, false, AT_FDCWD, bed.dir,
				       &err),
			 0);
	/* Equal events merge, so each is of another file. */
	for (long i = 0; i < most + 10; i++) {
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "%s/many", bed.dir);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		unlink(path);
		close(fd);
	}
	while (fangroup_read(notify, &ev) == 1 && !overflow) {
		overflow = ev.overflow;
		if (overflow)
			assert_int_equal(ev.fd, -1);
		fd_close(&ev.fd);
	}
	assert_true(overflow);
}

static void exec_is_told_apart_from_open(void **state)
{
	struct fangroup_event ev;
	char path[128];
	int in, out, saw = 0;
	char buf[65536];
	ssize_t n;
	pid_t pid;

	(void)state;
	fangroup_flush_all(group);
	snprintf(path, sizeof(path), "%s/true", bed.dir);
	in = open("/bin/true", O_RDONLY);
	out = open(path, O_WRONLY | O_CREAT, 0755);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
	assert_int_equal(fangroup_mark(group, FANGROUP_FILESYSTEM,
				       FANGROUP_EXEC, true, AT_FDCWD, bed.dir,
				       &err),
			 0);
	pid = bed_fork();
	if (pid == 0) {
		execl(path, "true", (char *)NULL);
		_exit(9);
	}
	while (next(group, &ev, 300)) {
		saw |= ev.what;
		fangroup_answer(group, ev.fd, true);
		fd_close(&ev.fd);
	}
	bed_reap(pid);
	assert_int_equal(saw, FANGROUP_EXEC);
	assert_false(asks(0));
}

static void mount_scope_watches_only_what_comes_through_the_mount(void **state)
{
	char other[80];
	int fd;

	(void)state;
	fangroup_flush_all(group);
	strcpy(other, "/tmp/splx-bed-XXXXXX");
	assert_non_null(mkdtemp(other));
	assert_int_equal(mount(bed.dir, other, NULL, MS_BIND, NULL), 0);
	assert_int_equal(fangroup_mark(group, FANGROUP_MOUNT, FANGROUP_OPEN,
				       true, AT_FDCWD, bed.dir, &err),
			 0);
	assert_true(asks(0));
	strcat(other, "/file0");
	fd = open(other, O_RDONLY); /* asks nobody, so it cannot hang */
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fangroup_unmark(group, FANGROUP_MOUNT, FANGROUP_OPEN,
					 true, AT_FDCWD, bed.dir, &err),
			 0);
	assert_false(asks(0));
	*strrchr(other, '/') = '\0';
	umount2(other, MNT_DETACH);
	rmdir(other);
}

static void marking_what_is_not_there_says_so(void **state)
{
	(void)state;
	assert_int_equal(fangroup_mark(group, FANGROUP_MOUNT, FANGROUP_OPEN,
				       true, AT_FDCWD, "/no/such/place", &err),
			 -1);
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "/no/such/place"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(probe_finds_what_6_1_and_later_have),
		T(opener_waits_and_gets_the_answer),
		T(event_descriptor_cannot_stall_and_leaves_no_trace),
		T(a_read_takes_one_event_and_pending_tells_the_rest),
		T(any_holder_may_answer_by_the_readers_number),
		T(ignored_file_is_not_asked_for_until_it_changes),
		T(ignoring_for_good_survives_writing_and_can_be_undone),
		T(flushing_ignored_files_keeps_the_file_system_watched),
		T(a_stranger_may_ignore_only_what_it_may_read),
		T(notify_group_tells_of_closed_files_and_holds_nobody),
		T(notify_group_says_when_events_were_lost),
		T(exec_is_told_apart_from_open),
		T(mount_scope_watches_only_what_comes_through_the_mount),
		T(marking_what_is_not_there_says_so),
	};

	bed_watchdog();
	if (geteuid() != 0) {
		fprintf(stderr, "needs root: skipped\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
