// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* The walls around a worker, tried from inside. */
#include "vsapi_workerbed.h"

#include <iconv.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

/* Runs fn behind the walls. Returns the wait status. */
static int behind_walls(int (*fn)(void))
{
	int slot = scoreboard_claim(sb, SLOT_FRONT), status;
	char *jail = jail_of(slot);
	struct worker_setup s;
	pid_t pid;

	mkdir(jail, 0755);
	xfree(&jail);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err;

		setup_of(&s, slot, SLOT_FRONT);
		/* Any socket: so it leaves the terminal. */
		s.log_sock = dup(finding_tx);
		become_worker(&s);
		if (worker_own_descriptors(&s, &err) < 0 ||
		    worker_walls(&s, &err) < 0)
			_exit(99);
		signal(SIGSEGV, SIG_DFL); /* cmocka's own is no end */
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	scoreboard_release(sb, slot);
	return status;
}

static int do_nothing(void)
{
	return 42;
}

static int do_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
	return 0;
}

static int do_unix_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
	return 0;
}

static int do_exec(void)
{
	execl("/bin/sh", "sh", "-c", "true", NULL);
	return 0;
}

static int do_fork(void)
{
	return fork() < 0;
}

static int do_kill(void)
{
	kill(getppid(), 0);
	return 0;
}

static int do_tgkill(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int do_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, 1, 0, 0);
}

static int do_vm_read(void)
{
	char c;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};

	return (int)process_vm_readv(1, &iov, 1, &iov, 1, 0);
}

static int do_mount(void)
{
	return mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
}

static int do_setuid(void)
{
	return setuid(0);
}

static int do_chroot(void)
{
	return chroot("..");
}

static int do_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int do_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int do_io_uring(void)
{
	return (int)syscall(425 /* io_uring_setup */, 8, NULL);
}

static int do_by_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

/* Of what is open it may make a handle; of no other file, and no use of it
 * (open_by_handle_at above). */
static int do_handle(void)
{
	struct known_trace t;
	int mount_id, fd = open("made", O_RDWR | O_CREAT, 0600);
	struct {
		struct file_handle h;
		char room[64];
	} u = {.h.handle_bytes = 64};

	known_trace_get(fd, 0, &t);
	if (name_to_handle_at(AT_FDCWD, "/etc/passwd", &u.h, &mount_id, 0) == 0)
		return 1;
	return t.len > 0 ? 0 : 2;
}

static void a_handle_is_made_of_what_is_open_alone(void **state)
{
	int status = behind_walls(do_handle);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void forbidden_calls_kill_the_worker(void **state)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} tries[] = {
		{"socket(inet)", do_socket},
		{"socket(unix)", do_unix_socket},
		{"exec", do_exec},
		{"fork", do_fork},
		{"kill", do_kill},
		{"tgkill", do_tgkill},
		{"ptrace", do_ptrace},
		{"process_vm_readv", do_vm_read},
		{"mount", do_mount},
		{"setuid", do_setuid},
		{"chroot", do_chroot},
		{"unshare", do_unshare},
		{"bpf", do_bpf},
		{"io_uring_setup", do_io_uring},
		{"open_by_handle_at", do_by_handle},
	};
	int status = behind_walls(do_nothing);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		status = behind_walls(tries[i].fn);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x", tries[i].name, status);
	}
}

static int can_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

/* Each bit of the status is a way out that was open. */
static int reach_for_files(void)
{
	char up[128] = "";

	for (int i = 0; i < 20; i++)
		strcat(up, "../");
	strcat(up, "etc/passwd");
	return can_open("/etc/passwd", O_RDONLY) << 0 |
	       can_open(up, O_RDONLY) << 1 |
	       can_open("/proc/1/environ", O_RDONLY) << 2 |
	       can_open("/new", O_WRONLY | O_CREAT) << 3 |
	       (mkdir("/dir", 0700) == 0) << 4 |
	       can_open("/proc/self/mem", O_RDWR) << 5 |
	       can_open("/proc/sys/kernel/core_pattern", O_RDONLY) << 6 |
	       can_open("/dev/null", O_RDWR) << 7;
}

static int fill_scratch(void)
{
	static char block[1 << 16];
	int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0600);
	uint64_t n = 0;
	ssize_t rc;

	if (fd < 0)
		return 1;
	while ((rc = write(fd, block, sizeof(block))) > 0)
		n += (uint64_t)rc;
	if (errno != EFBIG && errno != ENOSPC)
		return 2;
	return n <= conf->scratch_size ? 42 : 3;
}

static int keep_one_capability(void)
{
	char buf[4096], *at;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0 || getuid() != SCAN_UID || geteuid() != SCAN_UID)
		return 1;
	buf[n] = '\0';
	at = strstr(buf, "CapEff:");
	return at && strtoull(at + 7, NULL, 16) == 1ull << CAP_LEASE ? 42 : 2;
}

/* What libclamav asks for, when nothing can be loaded any more. */
static int convert_charsets(void)
{
	char in[] = "\x83\x41", out[8];
	char *from = in, *to = out;
	size_t left = 2, room = sizeof(out);
	iconv_t ic = iconv_open("UTF-16BE", "SHIFT_JIS");

	if (ic == (iconv_t)-1 ||
	    iconv_open("UTF-8", "WINDOWS-1251") == (iconv_t)-1)
		return 1;
	if (iconv(ic, &from, &left, &to, &room) == (size_t)-1)
		return 2;
	return out[0] == 0x30 && (unsigned char)out[1] == 0xa2 ? 42 : 3;
}

static int list_descriptors(void)
{
	/* Beyond those that belong to it, nothing of the parent's. */
	for (int fd = 3; fd < 2048; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue;
		if (fd < WORKER_FLOOR)
			return 1;
	}
	return 42;
}

static void nothing_outside_its_scratch_can_be_reached(void **state)
{
	int status;

	set("ScratchSize", "16M");
	status = behind_walls(reach_for_files);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("a way out: status %#x", status);
	status = behind_walls(fill_scratch);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(keep_one_capability);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(convert_charsets);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = behind_walls(list_descriptors);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static int own_slot; /* of who is behind the walls */

static int write_what_is_ours(void)
{
	struct slot *own = &sb->slots[own_slot];

	atomic_fetch_add(&own->counters[0], 1);
	own->samples[SLOT_SAMPLES - 1].path[0] = 'x';
	atomic_fetch_add(&sb->next_ticket, 1);
	atomic_store(&sb->holds[SCOREBOARD_SLOTS - 1][SLOT_NUMBERS - 1].ticket,
		     0);
	atomic_store(&sb->holds[0][0].ticket, 0);
	return 42;
}

static int switch_off(void)
{
	atomic_store(&sb->interceptor, INTERCEPTOR_OFF);
	return 0;
}

static int exempt_somebody(void)
{
	scoreboard_exempt(sb, 1);
	return 0;
}

static int open_breaker(void)
{
	atomic_store(&sb->timeouts_in_row, 1000);
	return 0;
}

static int change_retired(void)
{
	atomic_store(&sb->retired_scan.bucket[HIST_BUCKETS - 1], 1);
	return 0;
}

static int drain_the_next(void)
{
	atomic_store(&sb->slots[own_slot + 1].drain, 1);
	return 0;
}

static int drain_the_one_before(void)
{
	sb->slots[own_slot - 1].samples[SLOT_SAMPLES - 1].path[200] = 'x';
	return 0;
}

static int drain_the_last(void)
{
	atomic_store(&sb->slots[SCOREBOARD_SLOTS - 1].drain, 1);
	return 0;
}

static int make_it_writable(void)
{
	return mprotect(sb, SCOREBOARD_PAGE, PROT_READ | PROT_WRITE) < 0 &&
			       errno == EACCES &&
			       mprotect(&sb->slots[own_slot + 1],
					SCOREBOARD_PAGE,
					PROT_READ | PROT_WRITE) < 0
		       ? 42
		       : 1;
}

static int make_it_longer(void)
{
	return mremap(&sb->slots[own_slot], sizeof(struct slot),
		      2 * sizeof(struct slot), MREMAP_MAYMOVE) == MAP_FAILED;
}

static int show_it_once_more(void)
{
	return mremap(&sb->slots[own_slot], 0, 2 * sizeof(struct slot),
		      MREMAP_MAYMOVE) == MAP_FAILED;
}

static int grow_other_memory(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p = mremap(p, 1 << 20, 1 << 22, MREMAP_MAYMOVE);
	return p == MAP_FAILED ? 1 : 42;
}

static void only_what_a_worker_needs_of_the_scoreboard_can_be_written(
	void **state)
{
	static const struct {
		const char *name;
		int (*fn)(void);
		int sig;
	} tries[] = {
		{"what it needs", write_what_is_ours, 0},
		{"interceptor", switch_off, SIGSEGV},
		{"exempt", exempt_somebody, SIGSEGV},
		{"breaker", open_breaker, SIGSEGV},
		{"retired", change_retired, SIGSEGV},
		{"next slot", drain_the_next, SIGSEGV},
		{"slot before", drain_the_one_before, SIGSEGV},
		{"last slot", drain_the_last, SIGSEGV},
		{"mprotect", make_it_writable, 0},
		{"mremap", make_it_longer, SIGSYS},
		{"mremap of nothing", show_it_once_more, SIGSYS},
		{"mremap elsewhere", grow_other_memory, 0},
	};

	/* So that there is one before it. */
	assert_int_equal(scoreboard_claim(sb, SLOT_BACK), 0);
	own_slot = 1;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int status = behind_walls(tries[i].fn);

		if (tries[i].sig
			    ? !WIFSIGNALED(status) ||
				      WTERMSIG(status) != tries[i].sig
			    : !WIFEXITED(status) || WEXITSTATUS(status) != 42)
			fail_msg("%s: status %#x", tries[i].name, status);
	}
	scoreboard_release(sb, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BACK(forbidden_calls_kill_the_worker),
		BACK(a_handle_is_made_of_what_is_open_alone),
		BACK(nothing_outside_its_scratch_can_be_reached),
		BACK(only_what_a_worker_needs_of_the_scoreboard_can_be_written),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
