/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/fdutil.h"

static char dir[PATH_MAX]; /* a small tmpfs */
static char path[PATH_MAX + 32];

static int setup(void **state)
{
	strcpy(dir, "/tmp/splx-fdutil-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	alarm(60);
	return mount("tmpfs", dir, "tmpfs", 0, "size=128k,nr_inodes=16");
}

static int teardown(void **state)
{
	alarm(0);
	umount2(dir, MNT_DETACH);
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int count_entries(const char *name)
{
	DIR *d = opendir(name);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(d);
	return n;
}

static int open_fds(void)
{
	/* Without the one that looks. */
	return count_entries("/proc/self/fd") - 1;
}

static void assert_holds(const char *name, const char *text)
{
	char *data;
	size_t len;

	assert_int_equal(fd_read_file(name, 1 << 20, &data, &len, NULL), 0);
	assert_string_equal(data, text);
	assert_int_equal(len, strlen(text));
	free(data);
}

static void close_ends_it_once_and_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY), before = open_fds();

	errno = ENOTTY;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(open_fds(), before - 1);
}

static void move_takes_the_lowest_free_number_from_the_floor(void **state)
{
	int fd = open("/dev/null", O_RDONLY), other, before = open_fds();

	fd = fd_move(fd, 200);
	assert_int_equal(fd, 200);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	other = fd_move(open("/dev/null", O_RDONLY), 200);
	assert_int_equal(other, 201);
	assert_int_equal(fd_move(fd, 200), 200);
	assert_int_equal(open_fds(), before + 1);
	fd_close(&fd);
	fd_close(&other);
}

static void a_failed_move_leaves_the_old_one_open(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(fd_move(fd, INT_MAX), -1);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fd_close(&fd);
}

static void fill_leaves_no_number_free_below(void **state)
{
	struct err err;
	int status, i, fd;
	pid_t pid = fork();

	if (pid == 0) {
		fd = open("/dev/null", O_RDONLY);
		if (fd_move(fd, 20) != 20) /* one hole less */
			_exit(1);
		if (fd_fill(64, &err) < 0)
			_exit(2);
		for (i = 0; i < 64; i++)
			if (fcntl(i, F_GETFD) < 0)
				_exit(3);
		if (open("/dev/null", O_RDONLY) != 64)
			_exit(4);
		if (fd_fill(64, &err) < 0 || open("/dev/null", 0) != 65)
			_exit(5);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void a_failed_fill_gives_its_numbers_back(void **state)
{
	struct rlimit few = {40, 40};
	struct err err;
	int status, before;
	pid_t pid = fork();

	if (pid == 0) {
		before = open_fds();
		setrlimit(RLIMIT_NOFILE, &few);
		if (fd_fill(64, &err) != -1 || err.code != EMFILE)
			_exit(1);
		_exit(open_fds() == before ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void flags_are_set_and_cleared_alone(void **state)
{
	int fd = open("/dev/null", O_RDWR | O_APPEND);

	assert_int_equal(fd_set_cloexec(fd, true), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(fd, false), 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fd_set_nonblock(fd, true), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fd, false), 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFL) & O_APPEND);
	fd_close(&fd);
	assert_int_equal(fd_set_cloexec(fd, true), -1);
	assert_int_equal(fd_set_nonblock(fd, true), -1);
}

static void on_alarm(int sig)
{
}

static void whole_transfers_survive_pieces_and_signals(void **state)
{
	struct sigaction sa = {.sa_handler = on_alarm}, old;
	static char out[300000], in[300000];
	const struct timespec pause = {.tv_nsec = 2000000};
	int ends[2], status;
	pid_t parent = getpid(), pid;
	size_t i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	sigaction(SIGUSR1, &sa, &old); /* no SA_RESTART */
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		for (i = 0; i < 20; i++) {
			kill(parent, SIGUSR1);
			nanosleep(&pause, NULL);
			if (fd_write_all(ends[1], out + i * 15000, 15000) < 0)
				_exit(1);
		}
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(fd_read_all(ends[0], in, 1), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[0]);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	sigaction(SIGUSR1, &old, NULL);
}

static void descriptors_travel_with_a_record(void **state)
{
	int pair[2], fds[FD_PASS_MAX], got[FD_PASS_MAX], n, i, before;
	char text[16] = "";

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_fds();
	for (i = 0; i < FD_PASS_MAX; i++)
		fds[i] = open(i % 2 ? "/dev/zero" : "/dev/null", O_RDONLY);
	assert_int_equal(fd_send(pair[0], "hello", 6, fds, FD_PASS_MAX, 0), 0);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n, 0), 6);
	assert_string_equal(text, "hello");
	assert_int_equal(n, FD_PASS_MAX);
	for (i = 0; i < FD_PASS_MAX; i++) {
		char link[64];

		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(fd_path(got[i], link, sizeof(link)), 0);
		assert_string_equal(link, i % 2 ? "/dev/zero" : "/dev/null");
		assert_true(fcntl(fds[i], F_GETFD) >= 0);
		fd_close(&fds[i]);
		fd_close(&got[i]);
	}
	/* None at all. */
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0, 0), 0);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n, 0), 1);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	close(pair[0]);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n, 0), 0);
	close(pair[1]);
}

static void credentials_beside_descriptors_do_no_harm(void **state)
{
	int pair[2], fds[FD_PASS_MAX], got[FD_PASS_MAX], n, i, on = 1;
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	for (i = 0; i < FD_PASS_MAX; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	assert_int_equal(fd_send(pair[0], "x", 1, fds, FD_PASS_MAX, 0), 0);
	assert_int_equal(fd_recv(pair[1], &c, 1, got, &n, 0), 1);
	assert_int_equal(n, FD_PASS_MAX);
	for (i = 0; i < FD_PASS_MAX; i++) {
		fd_close(&fds[i]);
		fd_close(&got[i]);
	}
	close(pair[0]);
	close(pair[1]);
}

/* What fd_send() itself refuses: more than FD_PASS_MAX. */
static void send_raw(int sock, int count, size_t len)
{
	char buf[CMSG_SPACE(32 * sizeof(int))], data[64] = "data";
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = buf,
			     .msg_controllen =
				     CMSG_SPACE((size_t)count * sizeof(int))};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int i, fd = open("/dev/null", O_RDONLY);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &fd,
		       sizeof(fd));
	assert_true(sendmsg(sock, &msg, 0) >= 0);
	close(fd);
}

static void a_hostile_record_is_refused_and_nothing_leaks(void **state)
{
	int pair[2], got[FD_PASS_MAX], n, count, before;
	char data[16];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_fds();
	for (count = FD_PASS_MAX + 1; count <= 32; count++) {
		send_raw(pair[0], count, 4);
		assert_int_equal(fd_recv(pair[1], data, 16, got, &n, 0), -1);
		assert_int_equal(errno, EMSGSIZE);
		assert_int_equal(n, 0);
		assert_int_equal(open_fds(), before);
	}
	/* A record longer than the buffer, with descriptors. */
	send_raw(pair[0], 3, 64);
	assert_int_equal(fd_recv(pair[1], data, 16, got, &n, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(open_fds(), before);
	/* An empty one that carries descriptors reads as the end. */
	send_raw(pair[0], 3, 0);
	assert_int_equal(fd_recv(pair[1], data, 16, got, &n, 0), 0);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	close(pair[0]);
	close(pair[1]);
}

static void send_tells_full_and_gone_without_signal_or_wait(void **state)
{
	int pair[2], nine[9] = {0}, rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(fd_send(pair[0], "x", 1, nine, 9, 0), -1);
	assert_int_equal(errno, EINVAL);
	do
		rc = fd_send(pair[0], "x", 1, NULL, 0, MSG_DONTWAIT);
	while (rc == 0);
	assert_int_equal(errno, EAGAIN);
	close(pair[1]);
	/* Once that what it had not read is lost, then that it is gone. */
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0, 0), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[0]);
	/* Of our kinds of socket only a stream would raise SIGPIPE. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0, 0), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[0]);
}

static void replace_makes_and_replaces_with_the_given_mode(void **state)
{
	struct err err;
	struct stat st;
	mode_t mask = umask(077);

	in_dir("conf");
	assert_int_equal(fd_replace_file(path, "one", 3, 0640, &err), 0);
	assert_holds(path, "one");
	assert_int_equal(fd_replace_file(path, "second", 6, 0644, &err), 0);
	umask(mask);
	assert_holds(path, "second");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(count_entries(dir), 1);
}

static void replace_in_the_working_directory_needs_no_slash(void **state)
{
	char cwd[PATH_MAX];
	struct err err;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(fd_replace_file("plain", "x", 1, 0600, &err), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_holds(in_dir("plain"), "x");
}

static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state)
{
	static char big[1 << 20];
	int before = open_fds();
	struct err err;

	in_dir("conf");
	assert_int_equal(fd_replace_file(path, "old", 3, 0600, &err), 0);
	assert_int_equal(fd_replace_file(path, big, sizeof(big), 0600, &err),
			 -1);
	assert_int_equal(err.code, ENOSPC);
	assert_non_null(strstr(err.text, path));
	assert_holds(path, "old");
	assert_int_equal(count_entries(dir), 1);
	assert_int_equal(open_fds(), before);
}

static void no_inode_left_leaves_the_old_file_and_nothing_else(void **state)
{
	struct err err;
	char name[16];
	int i, fd, n;

	assert_int_equal(fd_replace_file(in_dir("conf"), "old", 3, 0600, &err),
			 0);
	for (i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "fill%d", i);
		fd = open(in_dir(name), O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	n = count_entries(dir);
	assert_int_equal(fd_replace_file(in_dir("conf"), "new", 3, 0600, &err),
			 -1);
	assert_int_equal(err.code, ENOSPC);
	assert_holds(path, "old");
	assert_int_equal(count_entries(dir), n);
}

static void a_target_that_cannot_be_replaced_leaves_no_temporary(void **state)
{
	int before = open_fds();
	struct err err;

	assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
	assert_int_equal(fd_replace_file(path, "x", 1, 0600, &err), -1);
	assert_int_equal(err.code, EISDIR);
	assert_int_equal(count_entries(dir), 1);
	in_dir("none/conf");
	assert_int_equal(fd_replace_file(path, "x", 1, 0600, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(mount("", dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	in_dir("conf");
	assert_int_equal(fd_replace_file(path, "x", 1, 0600, &err), -1);
	assert_int_equal(err.code, EROFS);
	assert_int_equal(open_fds(), before);
}

static void read_file_takes_up_to_max_bytes_and_no_more(void **state)
{
	static char big[10000];
	struct err err;
	char *data;
	size_t len;

	memset(big, 'b', sizeof(big));
	in_dir("file");
	assert_int_equal(fd_replace_file(path, big, sizeof(big), 0600, &err),
			 0);
	assert_int_equal(fd_read_file(path, 10000, &data, &len, &err), 0);
	assert_int_equal(len, 10000);
	assert_int_equal(data[10000], 0);
	assert_memory_equal(data, big, len);
	free(data);
	assert_int_equal(fd_read_file(path, 9999, &data, &len, &err), -1);
	assert_int_equal(err.code, EFBIG);
	assert_int_equal(fd_replace_file(path, "", 0, 0600, &err), 0);
	assert_int_equal(fd_read_file(path, 0, &data, &len, &err), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");
	free(data);
}

static void read_file_reads_what_has_no_size(void **state)
{
	struct err err;
	char *data;
	size_t len;

	assert_int_equal(
		fd_read_file("/proc/self/status", 1 << 16, &data, &len, &err),
		0);
	assert_true(len > 100);
	assert_non_null(strstr(data, "VmRSS"));
	free(data);
}

static void read_file_refuses_what_is_no_file_without_hanging(void **state)
{
	int before = open_fds();
	struct err err;
	char *data;
	size_t len;

	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(fd_read_file(path, 10, &data, &len, &err), -1);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(fd_read_file(dir, 10, &data, &len, &err), -1);
	assert_int_equal(fd_read_file(in_dir("none"), 10, &data, &len, &err),
			 -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(open_fds(), before);
}

static void mkdirs_makes_all_parts_with_the_mode(void **state)
{
	mode_t mask = umask(077);
	struct err err;
	struct stat st;

	assert_int_equal(fd_mkdirs(in_dir("a//b/c/"), 0751, &err), 0);
	umask(mask);
	assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	/* Again, and with another mode: left as they are. */
	assert_int_equal(fd_mkdirs(in_dir("a/b"), 0700, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(fd_mkdirs("/", 0700, &err), 0);
}

static void mkdirs_tells_what_stands_in_the_way(void **state)
{
	struct err err;

	fd_replace_file(in_dir("file"), "", 0, 0600, &err);
	assert_int_equal(fd_mkdirs(in_dir("file"), 0700, &err), -1);
	assert_int_equal(err.code, ENOTDIR);
	assert_int_equal(fd_mkdirs(in_dir("file/x"), 0700, &err), -1);
	assert_int_equal(err.code, ENOTDIR);
}

static void mkdirs_follows_a_link_to_a_directory(void **state)
{
	struct err err;

	assert_int_equal(fd_mkdirs(in_dir("real"), 0700, &err), 0);
	assert_int_equal(symlink("real", in_dir("link")), 0);
	assert_int_equal(fd_mkdirs(in_dir("link/sub"), 0700, &err), 0);
	assert_int_equal(access(in_dir("real/sub"), F_OK), 0);
}

static void path_tells_the_name_and_that_it_is_gone(void **state)
{
	char out[PATH_MAX], want[PATH_MAX + 64];
	int fd = open(in_dir("name"), O_CREAT | O_RDWR, 0600);

	assert_int_equal(fd_path(fd, out, sizeof(out)), 0);
	assert_string_equal(out, path);
	assert_int_equal(unlink(path), 0);
	snprintf(want, sizeof(want), "%s (deleted)", path);
	assert_int_equal(fd_path(fd, out, sizeof(out)), 0);
	assert_string_equal(out, want);
	assert_int_equal(fd_path(fd, out, 5), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	fd_close(&fd);
	assert_int_equal(fd_path(fd, out, sizeof(out)), -1);
}

#define TEST(f) cmocka_unit_test(f)
#define DISK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(close_ends_it_once_and_keeps_errno),
		TEST(move_takes_the_lowest_free_number_from_the_floor),
		TEST(a_failed_move_leaves_the_old_one_open),
		TEST(fill_leaves_no_number_free_below),
		TEST(a_failed_fill_gives_its_numbers_back),
		TEST(flags_are_set_and_cleared_alone),
		TEST(whole_transfers_survive_pieces_and_signals),
		TEST(descriptors_travel_with_a_record),
		TEST(credentials_beside_descriptors_do_no_harm),
		TEST(a_hostile_record_is_refused_and_nothing_leaks),
		TEST(send_tells_full_and_gone_without_signal_or_wait),
		DISK(replace_makes_and_replaces_with_the_given_mode),
		DISK(replace_in_the_working_directory_needs_no_slash),
		DISK(a_full_disk_leaves_the_old_file_and_nothing_else),
		DISK(no_inode_left_leaves_the_old_file_and_nothing_else),
		DISK(a_target_that_cannot_be_replaced_leaves_no_temporary),
		DISK(read_file_takes_up_to_max_bytes_and_no_more),
		TEST(read_file_reads_what_has_no_size),
		DISK(read_file_refuses_what_is_no_file_without_hanging),
		DISK(mkdirs_makes_all_parts_with_the_mode),
		DISK(mkdirs_tells_what_stands_in_the_way),
		DISK(mkdirs_follows_a_link_to_a_directory),
		DISK(path_tells_the_name_and_that_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
