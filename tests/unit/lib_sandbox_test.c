/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/sandbox.h"

#include "fanbed.h"

static char dir[64];
static struct bed bed;	    /* of the one test that needs it */
static int outside_fd = -1; /* a file that the sandboxed process holds */
static char outside_path[128];

/* In a child: what does not hold ends it with a message. */
#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond)) {                                                 \
			dprintf(2, "%s:%d: not so: %s (errno: %s)\n",          \
				__FILE__, __LINE__, #cond, strerror(errno));   \
			_exit(99);                                             \
		}                                                              \
	} while (0)
#define WALL(call)                                                             \
	do {                                                                   \
		struct err e_;                                                 \
		err_clear(&e_);                                                \
		if ((call) < 0) {                                              \
			dprintf(2, "%s: %s\n", #call, e_.text);                \
			_exit(98);                                             \
		}                                                              \
	} while (0)
#define FAILS(call, code) MUST((errno = 0, (call) < 0) && errno == (code))

/* Runs fn in a child; its exit status, or 256 + the signal that ended it. */
static int in_child(void (*fn)(void))
{
	int status;
	pid_t pid = bed_fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static int up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/splx-box-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	/* As most systems have it: mounts reach other namespaces unless the
	 * sandbox makes them private. It goes with all that is left in it. */
	if (mount("splx-box", dir, "tmpfs", 0, "mode=0755") < 0 ||
	    mount(NULL, dir, NULL, MS_SHARED, NULL) < 0)
		return -1;
	snprintf(outside_path, sizeof(outside_path), "%s/outside", dir);
	outside_fd = open(outside_path, O_RDWR | O_CREAT, 0644);
	if (outside_fd < 0 || write(outside_fd, "hello", 5) != 5)
		return -1;
	close(outside_fd);
	outside_fd = open(outside_path, O_RDONLY);
	return outside_fd < 0 ? -1 : 0;
}

static int down(void **state)
{
	(void)state;
	fd_close(&outside_fd);
	umount2(dir, MNT_DETACH);
	if (*bed.dir)
		bed_down(&bed);
	*bed.dir = '\0';
	return rmdir(dir);
}

static char *inner(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/in%s%s", dir, *name ? "/" : "", name);
	return path;
}

/* A value of /proc/self/status. */
static unsigned long long status_value(const char *key, int base)
{
	char *text = NULL, *at;
	size_t len;
	unsigned long long v;

	MUST(fd_read_file("/proc/self/status", 65536, &text, &len, NULL) == 0);
	at = strstr(text, key);
	MUST(at);
	v = strtoull(at + strlen(key) + 1, NULL, base);
	free(text);
	return v;
}

/* --- namespaces, tmpfs ---------------------------------------------------- */

static void child_unshare(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int sock;

	WALL(sandbox_unshare(&e_));
	MUST(mkdir(inner(""), 0700) == 0);
	WALL(sandbox_tmpfs(inner(""), 1 << 20, 0, 0, &e_));
	MUST(close(open(inner("file"), O_CREAT | O_WRONLY, 0600)) == 0);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(sock >= 0 && ioctl(sock, SIOCGIFFLAGS, &ifr) == 0);
	MUST(!(ifr.ifr_flags & IFF_UP)); /* not even loopback works */
	for (unsigned int i = 2; i < 10; i++)
		MUST(!if_indextoname(i, ifr.ifr_name) ||
		     strncmp(ifr.ifr_name, "eth", 3) != 0);
}

static void unshared_process_has_no_network_and_its_mounts_stay_its_own(
	void **state)
{
	(void)state;
	assert_int_equal(in_child(child_unshare), 0);
	assert_int_equal(access(inner(""), F_OK), 0);
	assert_int_equal(access(inner("file"), F_OK), -1);
}

static void child_tmpfs(void)
{
	static char block[65536];
	struct statvfs fs;
	struct stat st;
	long total = 0;
	ssize_t n;
	int fd, files = 0;

	WALL(sandbox_unshare(&e_));
	MUST(mkdir(inner(""), 0755) == 0);
	WALL(sandbox_tmpfs(inner(""), 1 << 20, BED_USER, BED_USER, &e_));
	MUST(stat(inner(""), &st) == 0 && st.st_uid == BED_USER &&
	     st.st_gid == BED_USER && (st.st_mode & 07777) == 0700);
	MUST(statvfs(inner(""), &fs) == 0 && (fs.f_flag & ST_NOEXEC) &&
	     (fs.f_flag & ST_NODEV) && (fs.f_flag & ST_NOSUID));
	fd = open(inner("big"), O_CREAT | O_WRONLY, 0600);
	while ((n = write(fd, block, sizeof(block))) > 0)
		total += n;
	MUST(errno == ENOSPC && total <= 1 << 20);
	MUST(close(fd) == 0 && unlink(inner("big")) == 0);
	for (;; files++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", files);
		fd = open(inner(name), O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
		MUST(files < 100000);
	}
	MUST(errno == ENOSPC);
}

static void tmpfs_has_its_owner_and_bounds_for_bytes_and_files(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_tmpfs), 0);
}

/* --- identity --------------------------------------------------------------
 */

static void check_powerless(uint64_t keep)
{
	uid_t r, e, s;

	MUST(getresuid(&r, &e, &s) == 0 && r == BED_USER && e == BED_USER &&
	     s == BED_USER);
	MUST(getgroups(0, NULL) == 0 && getegid() == BED_USER);
	MUST(status_value("CapPrm:", 16) == keep);
	MUST(status_value("CapEff:", 16) == keep);
	MUST(status_value("CapInh:", 16) == 0);
	MUST(status_value("CapBnd:", 16) == 0);
	MUST(status_value("CapAmb:", 16) == 0);
	MUST(status_value("NoNewPrivs:", 10) == 1);
	MUST(prctl(PR_GET_DUMPABLE) == 0);
	FAILS(setuid(0), EPERM);
	FAILS(setgid(0), EPERM);
}

static void child_become(void)
{
	gid_t groups[2] = {4, 6};
	uint64_t lease = 1ull << CAP_LEASE;
	int fd;

	MUST(setgroups(2, groups) == 0);
	WALL(sandbox_become(BED_USER, BED_USER, lease | 1ull << CAP_SYS_CHROOT,
			    &e_));
	check_powerless(lease | 1ull << CAP_SYS_CHROOT);
	WALL(sandbox_become(BED_USER, BED_USER, lease, &e_));
	check_powerless(lease);
	FAILS(chroot("/tmp"), EPERM);
	/* CAP_LEASE is really there: a lease on somebody else's file. */
	fd = open(outside_path, O_RDONLY);
	MUST(fd >= 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0);
	/* What was dropped does not come back. */
	MUST(sandbox_become(BED_USER, BED_USER, 1ull << CAP_SYS_ADMIN, NULL) <
	     0);
	MUST(sandbox_become(0, 0, 0, NULL) < 0);
}

static void child_dumpable(void)
{
	WALL(sandbox_become(0, 0, 0, &e_));
	MUST(prctl(PR_GET_DUMPABLE) == 0);
}

static void become_leaves_only_the_named_capabilities_for_good(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_become), 0);
	assert_int_equal(in_child(child_dumpable), 0);
}

/* Another process of that user, behind no wall but this. */
static pid_t twin;

static void twin_start(void)
{
	twin = bed_fork();
	if (twin == 0) {
		WALL(sandbox_become(BED_USER, BED_USER, 0, &e_));
		for (;;)
			pause();
	}
	usleep(200000);
}

static void child_ptrace(void)
{
	WALL(sandbox_become(BED_USER, BED_USER, 0, &e_));
	FAILS(ptrace(PTRACE_SEIZE, twin, 0, 0), EPERM);
	FAILS(ptrace(PTRACE_ATTACH, twin, 0, 0), EPERM);
}

static void processes_of_one_user_cannot_look_into_each_other(void **state)
{
	int status;

	(void)state;
	twin_start();
	status = in_child(child_ptrace);
	bed_kill(twin);
	assert_int_equal(status, 0);
}

/* --- jail ------------------------------------------------------------------
 */

static void jail(uint64_t keep)
{
	WALL(sandbox_unshare(&e_));
	MUST(mkdir(inner(""), 0700) == 0 || errno == EEXIST);
	WALL(sandbox_tmpfs(inner(""), 1 << 20, BED_USER, BED_USER, &e_));
	WALL(sandbox_jail_make(inner(""), BED_USER, BED_USER, &e_));
	WALL(sandbox_become(BED_USER, BED_USER, keep | 1ull << CAP_SYS_CHROOT,
			    &e_));
	WALL(sandbox_jail_enter(inner(""), &e_));
	WALL(sandbox_become(BED_USER, BED_USER, keep, &e_));
}

static void child_jail(void)
{
	char path[4096];
	int fd;

	jail(0);
	FAILS(open("/etc/passwd", O_RDONLY), ENOENT);
	FAILS(open("../../../../etc/passwd", O_RDONLY), ENOENT);
	FAILS(open(outside_path, O_RDONLY), ENOENT);
	FAILS(open("/proc/1/status", O_RDONLY), ENOENT);
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", getppid());
	FAILS(open(path, O_RDONLY), ENOENT);
	FAILS(open("/proc/sys/kernel/hostname", O_RDONLY), ENOENT);
	FAILS(open("/proc/self/root/etc/passwd", O_RDONLY), ENOENT);
	FAILS(chroot("/tmp"), EPERM);
	/* A file that was handed over still tells where it lies. */
	MUST(fd_path(outside_fd, path, sizeof(path)) == 0);
	MUST(strcmp(path, outside_path) == 0);
	/* What it is for works. */
	MUST(mkdir("/tmp/scratch", 0700) == 0);
	fd = open("/tmp/scratch/file", O_CREAT | O_RDWR, 0600);
	MUST(fd >= 0 && write(fd, "x", 1) == 1);
	MUST(unlink("/tmp/scratch/file") == 0 && rmdir("/tmp/scratch") == 0);
}

static void in_the_jail_no_other_file_has_a_name(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_jail), 0);
}

/* --- Landlock --------------------------------------------------------------
 */

/* Files of its own user outside the directory: only Landlock is between. */
static void landlocked(void)
{
	MUST(mkdir(inner(""), 0777) == 0 || errno == EEXIST);
	MUST(chown(dir, BED_USER, BED_USER) == 0);
	MUST(chown(inner(""), BED_USER, BED_USER) == 0);
	MUST(chown(outside_path, BED_USER, BED_USER) == 0);
	WALL(sandbox_become(BED_USER, BED_USER, 0, &e_));
	if (sandbox_landlock(inner(""), NULL) != 1)
		_exit(77);
}

static void child_landlock_outside(void)
{
	char path[256];

	landlocked();
	FAILS(open(outside_path, O_WRONLY), EACCES);
	FAILS(truncate(outside_path, 0), EACCES);
	FAILS(unlink(outside_path), EACCES);
	FAILS(rename(outside_path, inner("moved")), EACCES);
	snprintf(path, sizeof(path), "%s/new", dir);
	FAILS(open(path, O_WRONLY | O_CREAT, 0600), EACCES);
	FAILS(mkdir(path, 0700), EACCES);
	FAILS(open(dir, O_RDONLY | O_DIRECTORY), EACCES);
	FAILS(execl("/bin/true", "true", (char *)NULL), EACCES);
	/* Not ruled, see the header. */
	MUST(open(outside_path, O_RDONLY) >= 0);
}

static void child_landlock_inside(void)
{
	char other[128];
	int fd;

	landlocked();
	MUST(mkdir(inner("d"), 0700) == 0);
	fd = open(inner("d/file"), O_CREAT | O_RDWR, 0600);
	MUST(fd >= 0 && write(fd, "abc", 3) == 3);
	MUST(truncate(inner("d/file"), 1) == 0);
	strcpy(other, inner("d/file"));
	MUST(rename(other, inner("file")) == 0);
	MUST(open(inner("d"), O_RDONLY | O_DIRECTORY) >= 0);
	FAILS(mkfifo(inner("fifo"), 0600), EACCES);
	FAILS(symlink("/etc/passwd", inner("link")), EACCES);
	MUST(unlink(inner("file")) == 0 && rmdir(inner("d")) == 0);
}

static void child_landlock_others(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	landlocked();
	errno = 0;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6) {
		FAILS(kill(twin, SIGKILL), EPERM);
		FAILS(connect(sock, (struct sockaddr *)&to, sizeof(to)),
		      EACCES);
	}
}

static void need_landlock(int status)
{
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

static void landlocked_process_changes_nothing_outside(void **state)
{
	(void)state;
	need_landlock(in_child(child_landlock_outside));
	assert_int_equal(access(outside_path, F_OK), 0);
}

static void landlocked_process_works_inside(void **state)
{
	(void)state;
	need_landlock(in_child(child_landlock_inside));
}

static void landlocked_process_reaches_no_socket_and_no_process(void **state)
{
	int status;

	(void)state;
	twin_start();
	status = in_child(child_landlock_others);
	bed_kill(twin);
	need_landlock(status);
}

/* --- seccomp ---------------------------------------------------------------
 */

static const char *const few[] = {
	"sigaltstack", /* of the sanitizers, at _exit() */
	"read",
	"write",
	"close",
	"openat",
	"fstat",
	"exit_group",
	"getpid",
	"newfstatat",
	"no_such_call_anywhere",
	"arm_fadvise64_64",
	"futex",
	"mmap",
	"munmap",
	"brk",
	"rt_sigreturn",
};

static void filtered(bool log_only)
{
	WALL(sandbox_become(BED_USER, BED_USER, 0, &e_));
	WALL(sandbox_seccomp(few, sizeof(few) / sizeof(*few), NULL, log_only,
			     &e_));
}

static void child_seccomp_allowed(void)
{
	char c;
	int fd;

	filtered(false);
	fd = open("/etc/passwd", O_RDONLY);
	MUST(fd >= 0 && read(fd, &c, 1) == 1 && close(fd) == 0);
	MUST(getpid() > 0);
}

static void child_seccomp_socket(void)
{
	filtered(false);
	socket(AF_INET, SOCK_STREAM, 0);
}

static void child_seccomp_ptrace(void)
{
	filtered(false);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static void child_seccomp_execve(void)
{
	filtered(false);
	execl("/bin/true", "true", (char *)NULL);
}

static void child_seccomp_log_only(void)
{
	filtered(true);
	FAILS(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	FAILS(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0), EPERM);
	MUST(getpid() > 0);
}

static void listed_calls_work_and_unknown_names_are_passed_over(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_seccomp_allowed), 0);
}

static void any_other_call_kills_the_process(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_seccomp_socket), 256 + SIGSYS);
	assert_int_equal(in_child(child_seccomp_ptrace), 256 + SIGSYS);
	assert_int_equal(in_child(child_seccomp_execve), 256 + SIGSYS);
}

static void with_log_only_any_other_call_fails(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_seccomp_log_only), 0);
}

/* --- all of them, around a reader of events --------------------------------
 */

static int group = -1;

static const char *const reader_calls[] = {
	"sigaltstack", /* as above */
	"read",	       "write",	       "close",	  "poll",
	"ppoll",       "exit_group",   "pread64", "readlink",
	"readlinkat",  "fcntl",	       "brk",	  "mmap",
	"munmap",      "rt_sigreturn", "fstat",	  "newfstatat",
};

static void child_reader(void)
{
	struct pollfd p = {.fd = group, .events = POLLIN};
	struct fangroup_event ev;
	char path[4096], c;

	fd_close(&outside_fd);
	jail(1ull << CAP_LEASE);
	WALL(sandbox_landlock("/tmp", &e_));
	WALL(sandbox_seccomp(reader_calls,
			     sizeof(reader_calls) / sizeof(*reader_calls), NULL,
			     false, &e_));
	MUST(poll(&p, 1, 5000) == 1 && fangroup_read(group, &ev) == 1);
	MUST(pread(ev.fd, &c, 1, 0) == 1 && c == 'c');
	MUST(fd_path(ev.fd, path, sizeof(path)) == 0);
	MUST(strncmp(path, bed.dir, strlen(bed.dir)) == 0);
	MUST(fcntl(ev.fd, F_SETLEASE, F_RDLCK) == 0);
	MUST(fcntl(ev.fd, F_SETLEASE, F_UNLCK) == 0);
	MUST(fangroup_answer(group, ev.fd, true) == 0);
}

static void behind_all_walls_events_are_read_and_answered(void **state)
{
	struct err err;
	int status;

	(void)state;
	if (!bed_up(&bed))
		skip();
	group = fangroup_new(true, &err);
	assert_int_equal(fangroup_mark(group, FANGROUP_FILESYSTEM,
				       FANGROUP_OPEN, true, AT_FDCWD, bed.dir,
				       &err),
			 0);
	bed_opener(&bed, 0);
	status = in_child(child_reader);
	fd_close(&group);
	bed_reap(bed.openers[0].pid);
	assert_int_equal(status, 0);
	assert_int_equal(bed.openers[0].error, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unshared_process_has_no_network_and_its_mounts_stay_its_own),
		T(tmpfs_has_its_owner_and_bounds_for_bytes_and_files),
		T(become_leaves_only_the_named_capabilities_for_good),
		T(processes_of_one_user_cannot_look_into_each_other),
		T(in_the_jail_no_other_file_has_a_name),
		T(landlocked_process_changes_nothing_outside),
		T(landlocked_process_works_inside),
		T(landlocked_process_reaches_no_socket_and_no_process),
		T(listed_calls_work_and_unknown_names_are_passed_over),
		T(any_other_call_kills_the_process),
		T(with_log_only_any_other_call_fails),
		T(behind_all_walls_events_are_read_and_answered),
	};

	bed_watchdog();
	if (geteuid() != 0) {
		fprintf(stderr, "needs root: skipped\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
