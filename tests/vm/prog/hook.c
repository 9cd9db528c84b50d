// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * hook: opens files in every way there is, and says what came of each.
 *
 *   hook make DIR          makes DIR/good and DIR/bad, each with the files
 *                          data, prog, script (whose interpreter is prog),
 *                          plain (a script whose interpreter is good/prog);
 *                          those in bad end with the mark
 *   hook mark              prints the mark
 *   hook run DIR [CASE...] opens DIR's files; a line for each case:
 *                          "CASE ERRNO NAME", or "CASE skip WHY"
 *   hook list              names the cases
 *
 * Whoever is tested decides by the mark at a file's end, so that copies, and
 * programs in memory, are judged like the file itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD "SPLX_HOOK_CHILD"
#define SKIP (-1)
#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

static char dir[512];	 /* whose files are opened */
static char work[600];	 /* a tmpfs for what a case needs */
static char why[200];	 /* a case was skipped */
static char detail[200]; /* what else came of it */

static const char *mark(void)
{
	static char text[32];

	/* Not whole in this program's own file. */
	snprintf(text, sizeof(text), "%s%s", "SPLX-HOOK", "-DENY-ME");
	return text;
}

static const char *in(const char *folder, const char *name)
{
	static char path[4][1024];
	static unsigned int n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int skip(const char *text)
{
	snprintf(why, sizeof(why), "%s: %s", text, strerror(errno));
	return SKIP;
}

/* The errno of an open; what it opened is read and closed. */
static int result(int fd)
{
	char byte;

	if (fd < 0)
		return errno;
	if (read(fd, &byte, 1) < 0 && errno != EBADF && errno != EISDIR)
		snprintf(detail, sizeof(detail), " read: %s", strerror(errno));
	close(fd);
	return 0;
}

/* Whether what a case makes gets the mark. */
static bool in_bad(void)
{
	return strstr(dir, "bad") != NULL;
}

static void copy_to(int to, const char *from, bool with_mark)
{
	char buf[65536];
	int fd = open(from, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		die(from);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			die("write");
	close(fd);
	if (with_mark && write(to, mark(), strlen(mark())) < 0)
		die("write");
}

/* -- opens */

static int case_open(void)
{
	return result(syscall(SYS_open, in(dir, "data"), O_RDONLY));
}

static int case_openat(void)
{
	int at = open(dir, O_PATH), e;

	e = result(syscall(SYS_openat, at, "data", O_RDONLY));
	close(at);
	return e;
}

static int case_openat2(void)
{
	struct open_how how = {.flags = O_RDONLY};

	return result(syscall(SYS_openat2, AT_FDCWD, in(dir, "data"), &how,
			      sizeof(how)));
}

static int case_write(void)
{
	return result(open(in(dir, "data"), O_WRONLY | O_APPEND));
}

/* A path alone gives no access to data: always allowed. */
static int case_path(void)
{
	return result(open(in(dir, "data"), O_PATH));
}

/* Through the link in /proc of a descriptor without access. */
static int case_reopen(void)
{
	char name[64];
	int fd = open(in(dir, "data"), O_PATH), e;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	e = result(open(name, O_RDONLY));
	close(fd);
	return e;
}

/* An open that is refused must not have emptied the file. */
static int case_truncate(void)
{
	char file[700];
	struct stat st;
	int fd, e;

	snprintf(file, sizeof(file), "%s/truncated", dir);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return skip("truncated");
	copy_to(fd, "/proc/self/exe", in_bad());
	close(fd);
	e = result(open(file, O_RDWR | O_TRUNC));
	if (!stat(file, &st))
		snprintf(detail, sizeof(detail), " %s",
			 st.st_size ? "kept" : "emptied");
	unlink(file);
	return e;
}

/* A new file has nothing bad in it. */
static int case_create(void)
{
	const char *file = in(dir, "created");
	struct stat st;
	int e = result(open(file, O_RDWR | O_CREAT | O_EXCL, 0600));

	snprintf(detail, sizeof(detail), " %s",
		 stat(file, &st) ? "none" : "there");
	unlink(file);
	return e;
}

static int case_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = {.h.handle_bytes = MAX_HANDLE_SZ};
	int mount_id, at, e;

	if (name_to_handle_at(AT_FDCWD, in(dir, "data"), &handle.h, &mount_id,
			      0))
		return skip("name_to_handle_at");
	at = open(dir, O_RDONLY | O_DIRECTORY);
	e = result(open_by_handle_at(at, &handle.h, O_RDONLY));
	close(at);
	return e;
}

/* -- io_uring, without a library */

struct ring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static int ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return skip("io_uring_setup");
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4,
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		     IORING_OFF_SQ_RING);
	r->cq = mmap(NULL,
		     r->p.cq_off.cqes +
			     r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		     IORING_OFF_CQ_RING);
	r->sqe = mmap(NULL, r->p.sq_entries * sizeof(struct io_uring_sqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      IORING_OFF_SQES);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqe == MAP_FAILED)
		die("mmap of io_uring");
	return 0;
}

static int ring_openat(unsigned char flags)
{
	struct io_uring_cqe *cqe;
	struct ring r;
	unsigned int *tail;
	int n;

	if (ring_open(&r))
		return SKIP;
	memset(r.sqe, 0, sizeof(*r.sqe));
	r.sqe->opcode = IORING_OP_OPENAT;
	r.sqe->flags = flags;
	r.sqe->fd = AT_FDCWD;
	r.sqe->addr = (unsigned long)in(dir, "data");
	r.sqe->open_flags = O_RDONLY;
	((unsigned int *)(r.sq + r.p.sq_off.array))[0] = 0;
	tail = (unsigned int *)(r.sq + r.p.sq_off.tail);
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	do {
		n = syscall(SYS_io_uring_enter, r.fd, 1, 1,
			    IORING_ENTER_GETEVENTS, NULL, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		die("io_uring_enter");
	cqe = (struct io_uring_cqe *)(r.cq + r.p.cq_off.cqes);
	n = cqe->res;
	close(r.fd);
	if (n < 0)
		return -n;
	return result(n);
}

static int case_uring(void)
{
	return ring_openat(0);
}

static int case_uring_async(void)
{
	return ring_openat(IOSQE_ASYNC);
}

/* -- programs */

struct program {
	const char *path; /* NULL: the descriptor */
	int fd;
};

/* The errno of an execve, which a child tries. */
static int run_program(struct program p)
{
	char *argv[] = {(char *)(p.path ? p.path : "memory"), NULL};
	char *envp[] = {CHILD "=1", NULL};
	int ends[2], e = 0, status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		if (p.path)
			execve(p.path, argv, envp);
		else
			syscall(SYS_execveat, p.fd, "", argv, envp,
				AT_EMPTY_PATH);
		e = errno;
		_exit(write(ends[1], &e, sizeof(e)) < 0);
	}
	close(ends[1]);
	if (read(ends[0], &e, sizeof(e)) < 0)
		die("read");
	close(ends[0]);
	waitpid(pid, &status, 0);
	if (!e && status)
		snprintf(detail, sizeof(detail), " status %x", status);
	return e;
}

static int case_execve(void)
{
	return run_program((struct program){.path = in(dir, "prog")});
}

static int case_script(void)
{
	return run_program((struct program){.path = in(dir, "plain")});
}

/* The script is of the good folder, its interpreter of this one. */
static int case_interpreter(void)
{
	return run_program((struct program){.path = in(dir, "script")});
}

static int case_execveat(void)
{
	struct program p = {.fd = open(in(dir, "prog"), O_PATH)};
	int e = run_program(p);

	close(p.fd);
	return e;
}

/* A copy in memory; its kernel-internal file system has no mount. */
static int memory_copy(void)
{
	int fd = memfd_create("hook", 0);

	if (fd < 0)
		die("memfd_create");
	copy_to(fd, "/proc/self/exe", in_bad());
	return fd;
}

static int case_memfd(void)
{
	int fd = memory_copy(), e;
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	e = result(open(name, O_RDONLY));
	close(fd);
	return e;
}

static int case_fexecve(void)
{
	int fd = memory_copy(), e;
	char name[64];
	struct program p;

	/* It may not be open for writing. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	p = (struct program){.fd = open(name, O_PATH)};
	close(fd);
	e = run_program(p);
	close(p.fd);
	return e;
}

/* -- places */

struct outcome {
	int e;
	char why[sizeof(why)];
	char detail[sizeof(detail)];
};

/* Runs a case in a child with mounts of its own. */
static int apart(int (*what)(void))
{
	struct outcome o = {.e = EIO};
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			o.e = skip("unshare");
		else
			o.e = what();
		memcpy(o.why, why, sizeof(why));
		memcpy(o.detail, detail, sizeof(detail));
		_exit(write(ends[1], &o, sizeof(o)) != sizeof(o));
	}
	close(ends[1]);
	if (read(ends[0], &o, sizeof(o)) != sizeof(o))
		die("a case in a child");
	close(ends[0]);
	waitpid(pid, NULL, 0);
	memcpy(why, o.why, sizeof(why));
	memcpy(detail, o.detail, sizeof(detail));
	return o.e;
}

static int case_namespace(void)
{
	return apart(case_open);
}

static int in_new_mount(void)
{
	char file[700];
	int fd;

	if (mount("hook", work, "tmpfs", 0, NULL))
		return skip("mount of tmpfs");
	snprintf(file, sizeof(file), "%s/data", work);
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		return errno;
	copy_to(fd, "/proc/self/exe", in_bad());
	close(fd);
	return result(open(file, O_RDONLY));
}

static int case_new_mount(void)
{
	return apart(in_new_mount);
}

/* A mount that is attached nowhere, and in no namespace. */
static int case_detached(void)
{
	int fs = syscall(SYS_fsopen, "tmpfs", 0), at, fd, e;

	if (fs < 0)
		return skip("fsopen");
	if (syscall(SYS_fsconfig, fs, 6 /* CMD_CREATE */, NULL, NULL, 0))
		return skip("fsconfig");
	at = syscall(SYS_fsmount, fs, 0, 0);
	if (at < 0)
		return skip("fsmount");
	fd = openat(at, "data", O_WRONLY | O_CREAT, 0600);
	if (fd < 0) {
		e = errno;
	} else {
		copy_to(fd, "/proc/self/exe", in_bad());
		close(fd);
		e = result(openat(at, "data", O_RDONLY));
	}
	close(at);
	close(fs);
	return e;
}

static int mount_overlay(void)
{
	char options[3000], merged[700];
	const char *folders[] = {"upper", "work", "merged"};

	if (mount("hook", work, "tmpfs", 0, NULL))
		return skip("mount of tmpfs");
	for (unsigned int i = 0; i < 3; i++)
		if (mkdir(in(work, folders[i]), 0755))
			return skip("mkdir");
	snprintf(options, sizeof(options),
		 "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", dir, work,
		 work);
	snprintf(merged, sizeof(merged), "%s/merged", work);
	return mount("overlay", merged, "overlay", 0, options)
		       ? skip("mount of overlay")
		       : 0;
}

static int in_overlay(void)
{
	int e = mount_overlay();

	return e ? e : result(open(in(work, "merged/data"), O_RDONLY));
}

static int in_overlay_written(void)
{
	int e = mount_overlay();

	return e ? e
		 : result(open(in(work, "merged/data"), O_WRONLY | O_APPEND));
}

static int in_overlay_run(void)
{
	int e = mount_overlay();

	return e ? e
		 : run_program(
			   (struct program){.path = in(work, "merged/prog")});
}

static int case_overlay(void)
{
	return apart(in_overlay);
}

static int case_overlay_copy_up(void)
{
	return apart(in_overlay_written);
}

static int case_overlay_exec(void)
{
	return apart(in_overlay_run);
}

static const struct {
	const char *name;
	int (*run)(void);
} cases[] = {
	{"open", case_open},
	{"openat", case_openat},
	{"openat2", case_openat2},
	{"write", case_write},
	{"path", case_path},
	{"reopen", case_reopen},
	{"truncate", case_truncate},
	{"create", case_create},
	{"handle", case_handle},
	{"uring", case_uring},
	{"uring_async", case_uring_async},
	{"execve", case_execve},
	{"script", case_script},
	{"interpreter", case_interpreter},
	{"execveat", case_execveat},
	{"memfd", case_memfd},
	{"fexecve", case_fexecve},
	{"namespace", case_namespace},
	{"new_mount", case_new_mount},
	{"detached", case_detached},
	{"overlay", case_overlay},
	{"overlay_copy_up", case_overlay_copy_up},
	{"overlay_exec", case_overlay_exec},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void write_file(const char *folder, const char *name,
		       const char *interpreter, bool bad)
{
	int fd = open(in(folder, name), O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (fd < 0)
		die(name);
	if (interpreter)
		dprintf(fd, "#!%s\n%s", interpreter, bad ? mark() : "");
	else
		copy_to(fd, "/proc/self/exe", bad);
	close(fd);
}

static void make_folder(const char *top, const char *name)
{
	char folder[700], good[800], own[800];
	bool bad = !strcmp(name, "bad");

	snprintf(folder, sizeof(folder), "%s/%s", top, name);
	snprintf(good, sizeof(good), "%s/good/prog", top);
	snprintf(own, sizeof(own), "%s/prog", folder);
	if (mkdir(folder, 0755) && errno != EEXIST)
		die(folder);
	write_file(folder, "data", NULL, bad);
	write_file(folder, "prog", NULL, bad);
	/* Itself without the mark: it is the interpreter that has it. */
	write_file(folder, "script", own, false);
	write_file(folder, "plain", good, bad);
}

static void run_case(unsigned int i)
{
	int e;

	why[0] = detail[0] = 0;
	e = cases[i].run();
	if (e == SKIP)
		printf("%s skip %s\n", cases[i].name, why);
	else
		printf("%s %d %s%s\n", cases[i].name, e,
		       e ? strerrorname_np(e) : "ok", detail);
	fflush(stdout);
}

static int run_cases(int count, char **names)
{
	int known = 0;

	snprintf(work, sizeof(work), "/tmp/hook-%d", getpid());
	if (mkdir(work, 0700))
		die(work);
	for (unsigned int i = 0; i < CASES; i++) {
		bool wanted = count == 0;

		for (int n = 0; n < count; n++)
			wanted = wanted || !strcmp(names[n], cases[i].name);
		if (wanted) {
			known++;
			run_case(i);
		}
	}
	rmdir(work);
	return known >= (count ? count : 1) ? 0 : 2;
}

int main(int argc, char **argv)
{
	if (getenv(CHILD))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "mark"))
		return puts(mark()) < 0;
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (unsigned int i = 0; i < CASES; i++)
			puts(cases[i].name);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "make")) {
		make_folder(argv[2], "good");
		make_folder(argv[2], "bad");
		return 0;
	}
	if (argc >= 3 && !strcmp(argv[1], "run")) {
		snprintf(dir, sizeof(dir), "%s", argv[2]);
		return run_cases(argc - 3, argv + 3);
	}
	fputs("hook: see the head of its source\n", stderr);
	return 2;
}
