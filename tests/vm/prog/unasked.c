// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * unasked CASE [fsnotify]: what splxmod lets pass without a question, and what
 * it does not although it looks alike. Each case wants a module that was just
 * loaded, and leaves one that can be unloaded. Without a case it lists them.
 */
#include "dev.h"

#include <sys/sysmacros.h>

/* ---- nothing in it ---- */

static void an_empty_file_is_not_asked(void)
{
	struct stat st;
	int fd;

	/* Whatever is asked is denied. */
	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	fd = open(path_of("new"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	check(fd >= 0);
	close(fd);
	equal(open_once(path_of("new")), 0);
	equal(counter(EMPTY), 2);
	equal(counter(ASKED), 0);
	/* What is denied has not been emptied before. */
	fd = open(path_of("new"), O_WRONLY | O_CLOEXEC);
	file_write(fd, "x");
	close(fd);
	equal(open(path_of("new"), O_WRONLY | O_TRUNC | O_CLOEXEC), -1);
	equal(errno, EPERM);
	equal(stat(path_of("new"), &st), 0);
	equal(st.st_size, 1);
}

static void no_rules(void)
{
	struct splxmod_rules rules = {0};

	equal(ioctl(control, SPLXMOD_IOC_RULES, &rules), 0);
}

static void what_the_kernel_makes_up_is_not_asked(void)
{
	reader_start((struct serving){0});
	no_rules();
	equal(open_once("/proc/self/status"), 0);
	equal(open_once("/sys/kernel/uevent_seqnum"), 0);
	only_dir();
	equal(counter(ASKED), 0);
}

/* ---- who opens ---- */

static int go[2]; /* children wait here */

static void waiting_opener(void *arg)
{
	char c;

	equal(read(go[0], &c, 1), 1);
	opener_run(arg);
}

static void an_exempt_process_is_not_asked(void)
{
	pid_t pid;

	file_make(path_of("f"), "Denied");
	reader_start((struct serving){0});
	check(!pipe2(go, O_CLOEXEC));

	pid = child_start(waiting_opener, (void *)path_of("f"));
	equal(exempt(pid, 0), 0);
	equal(write(go[1], "", 1), 1);
	equal(child_wait(pid), 0);
	equal(counter(EXEMPT) > 0, true);

	pid = child_start(waiting_opener, (void *)path_of("f"));
	equal(exempt(pid, 0), 0);
	equal(exempt(pid, SPLXMOD_EXEMPT_REMOVE), 0);
	equal(exempt(pid, SPLXMOD_EXEMPT_REMOVE), ESRCH);
	equal(write(go[1], "", 1), 1);
	equal(child_wait(pid), EPERM);

	/* Nobody inherits it. */
	equal(exempt(0, 0), 0);
	equal(open_once(path_of("f")), 0);
	equal(child_wait(opener_start(path_of("f"))), EPERM);
	equal(exempt(0, SPLXMOD_EXEMPT_REMOVE), 0);
	equal(open_once(path_of("f")), EPERM);
}

/* Where this program runs: a copy that nobody else executes. */
#define SELF "/tmp/unasked-copy"

static void copy_self(void)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "cp /proc/%d/exe " SELF, getpid());
	equal(system(cmd), 0);
}

static void executor(void *arg)
{
	char c;

	equal(read(go[0], &c, 1), 1);
	execl(SELF, SELF, "-open", arg, NULL);
	_exit(200);
}

static void executing_ends_it(void)
{
	pid_t pid;

	copy_self();
	file_make(path_of("f"), "Denied");
	reader_start((struct serving){0});
	check(!pipe2(go, O_CLOEXEC));
	pid = child_start(executor, (void *)path_of("f"));
	equal(exempt(pid, 0), 0);
	equal(write(go[1], "", 1), 1);
	equal(child_wait(pid), EPERM);
}

static void with_nobody_there_all_passes(void)
{
	pid_t reader;

	file_make(path_of("f"), "Denied");
	reader = reader_start((struct serving){0});
	equal(open_once(path_of("f")), EPERM);
	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	child_kill(reader);
	equal(open_once(path_of("f")), EPERM);
	/* The last descriptor: nobody could undo it any more. */
	close(control);
	equal(open_once(path_of("f")), 0);
	control = open(DEVICE, O_RDWR | O_CLOEXEC);
	check(control >= 0);
	equal(counter(UNATTENDED), 1);
	equal(open_once(path_of("f")), EPERM);
}

/* ---- rules ---- */

static void rule_text(__u32 kind, const char *path, const char *text)
{
	struct splxmod_rule one = {.kind = kind};
	struct stat st;

	if (path) {
		equal(stat(path, &st), 0);
		one.dev = st.st_dev;
		one.ino = st.st_ino;
	}
	snprintf(one.text, sizeof(one.text), "%s", text);
	rule(one);
}

/* Rules other than ONLY_DEV have the whole machine asked about: it passes. */
static void bad_file(void)
{
	reader_start((struct serving){0});
	file_make(path_of("f"), "Denied");
	equal(open_once(path_of("f")), EPERM);
}

static void a_directory_is_excluded_where_it_was(void)
{
	reader_start((struct serving){0});
	check(!mkdir(path_of("a"), 0755) && !mkdir(path_of("a/b"), 0755));
	check(!mkdir(path_of("a/b/c"), 0755));
	file_make(path_of("a/b/c/f"), "Denied");
	file_make(path_of("a/f"), "Denied");
	rule_text(SPLXMOD_RULE_DIRECTORY, path_of("a/b"), "/a/b");
	equal(open_once(path_of("a/b/c/f")), 0);
	equal(open_once(path_of("a/f")), EPERM);
	/* Moved away it is another one; and so is what comes in its place. */
	check(!rename(path_of("a/b"), path_of("a/x")));
	equal(open_once(path_of("a/x/c/f")), EPERM);
	check(!rename(path_of("a/x/c"), path_of("a/b")));
	equal(open_once(path_of("a/b/f")), EPERM);
	check(!rename(path_of("a/b"), path_of("a/x/c")));
	check(!rename(path_of("a/x"), path_of("a/b")));
	equal(open_once(path_of("a/b/c/f")), 0);
	rule_text(SPLXMOD_RULE_DIRECTORY, DIR, "/");
	equal(open_once(path_of("a/f")), 0);
	only_dir();
}

static void renaming_does_not_harm_who_walks(void)
{
	pid_t renamer;

	reader_start((struct serving){0});
	check(!mkdir(path_of("a"), 0755) && !mkdir(path_of("a/b"), 0755));
	file_make(path_of("a/b/f"), "clean");
	rule_text(SPLXMOD_RULE_DIRECTORY, path_of("a"), "/a");
	renamer = fork();
	if (!renamer) {
		const char *one = path_of("a/a name that is not inline in it, "
					  "and some more");
		const char *two = path_of("a/b");

		for (;;) {
			rename(two, one);
			rename(one, two);
		}
	}
	for (int i = 0; i < 3000; i++) {
		int err = open_once(path_of("a/b/f"));

		check(!err || err == ENOENT);
	}
	child_kill(renamer);
	only_dir();
}

static void only_what_lies_below_is_asked(void)
{
	struct splxmod_rule one = {.kind = SPLXMOD_RULE_ONLY_BELOW};
	char again[64];
	int dir, fd;

	reader_start((struct serving){0});
	check(!mkdir(path_of("a"), 0755) && !mkdir(path_of("a/b"), 0755));
	check(!mkdir(path_of("a/b/c"), 0755) && !mkdir(path_of("bb"), 0755));
	file_make(path_of("a/b/c/f"), "Denied");
	file_make(path_of("a/f"), "Denied");
	file_make(path_of("bb/f"), "Denied");
	dir = open(path_of("a/b"), O_PATH | O_CLOEXEC);
	one.ino = dir;
	rule(one);
	close(dir);
	equal(open_once(path_of("a/b/c/f")), EPERM);
	equal(open_once(path_of("a/f")), 0);
	equal(open_once(path_of("bb/f")), 0);
	/* It is where it lies when it is opened. */
	check(!rename(path_of("a/f"), path_of("a/b/f")));
	equal(open_once(path_of("a/b/f")), EPERM);
	check(!rename(path_of("a/b/c"), path_of("bb/c")));
	equal(open_once(path_of("bb/c/f")), 0);
	/* Another directory in its place counts; what it was does not. */
	check(!rename(path_of("a/b"), path_of("a/was")));
	check(!mkdir(path_of("a/b"), 0755));
	file_make(path_of("a/b/new"), "Denied");
	equal(open_once(path_of("a/b/new")), EPERM);
	equal(open_once(path_of("a/was/f")), 0);
	/* What has no name any more lies nowhere that could be told. */
	fd = open(path_of("bb/f"), O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && !unlink(path_of("bb/f")));
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	equal(open_once(again), EPERM);
	close(fd);
	only_dir();
}

static void run_as(void *arg)
{
	check(!setresuid(1234, 1234, 1234));
	opener_run(arg);
}

static void a_user_is_excluded(void)
{
	bad_file();
	check(!chmod(DIR, 0755));
	equal(child_wait(child_start(run_as, (void *)path_of("f"))), EPERM);
	rule((struct splxmod_rule){.kind = SPLXMOD_RULE_UID, .ino = 1234});
	equal(child_wait(child_start(run_as, (void *)path_of("f"))), 0);
	equal(open_once(path_of("f")), EPERM);
	only_dir();
}

static int open_by_copy(void)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), SELF " -open %s", path_of("f"));
	return WEXITSTATUS(system(cmd));
}

static void a_program_is_excluded_by_its_file(void)
{
	copy_self();
	bad_file();
	equal(open_by_copy(), EPERM);
	rule_text(SPLXMOD_RULE_EXE, SELF, "");
	equal(open_by_copy(), 0);
	equal(open_once(path_of("f")), EPERM);
	/* The same name, the same content, another file. */
	check(!unlink(SELF));
	copy_self();
	equal(open_by_copy(), EPERM);
	only_dir();
}

static void a_file_system_is_excluded(void)
{
	struct stat st;

	bad_file();
	rule_text(SPLXMOD_RULE_FSTYPE, NULL, "tmpf");
	equal(open_once(path_of("f")), EPERM);
	rule_text(SPLXMOD_RULE_FSTYPE, NULL, "tmpfs");
	equal(open_once(path_of("f")), 0);
	equal(stat(DIR, &st), 0);
	rule((struct splxmod_rule){.kind = SPLXMOD_RULE_DEV,
				   .dev = st.st_dev + 1});
	equal(open_once(path_of("f")), EPERM);
	rule((struct splxmod_rule){.kind = SPLXMOD_RULE_DEV, .dev = st.st_dev});
	equal(open_once(path_of("f")), 0);
	only_dir();
}

/* ---- leases ---- */

static void opener_nonblock(void *arg)
{
	int fd = open(arg, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	_exit(fd >= 0 ? 0 : errno);
}

/* The opener is told to come again, or waits; and no reader stumbles over the
 * lease. */
static void a_lease_is_broken_by_the_opener(void)
{
	pid_t opener;
	int fd;

	file_make(path_of("f"), "Denied");
	signal(SIGIO, SIG_IGN);
	fd = open(path_of("f"), O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	reader_start((struct serving){0});
	equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	opener = child_start(opener_nonblock, (void *)path_of("f"));
	equal(child_wait(opener), EWOULDBLOCK);
	opener = opener_start(path_of("f"));
	sleep_ms(300);
	equal(counter(DENIED), 0);
	equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	equal(child_wait(opener), EPERM);
	equal(counter(DENIED), 1);
	equal(counter(NO_FILE), 0);
	close(fd);
}

/*
 * He who waits for the holder of a lease is inside for as long as that one
 * likes. Meanwhile nobody sees what is written; so nothing is known any more
 * when it goes on.
 */
static void a_lease_does_not_hold_up_disarming(void)
{
	const char *path, *held = path_of("held");
	pid_t opener;
	long began;
	char *map;
	int fd, writer;

	file_make(held, "clean");
	signal(SIGIO, SIG_IGN);
	fd = open(held, O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	remember();
	path = known_file("f");
	equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	opener = opener_start(held);
	sleep_ms(300);
	began = now_ms();
	equal(arming(SPLXMOD_IOC_DISARM), -1);
	equal(errno, EBUSY);
	check(now_ms() - began < 20000);
	equal(status().state, SPLXMOD_PASSIVE);

	writer = open(path, O_RDWR | O_CLOEXEC);
	check(writer >= 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	check(map != MAP_FAILED);
	memcpy(map, "Dirty", 5);
	munmap(map, 4096);
	close(writer);
	equal(arming(SPLXMOD_IOC_ARM), 0);
	equal(status().state, SPLXMOD_ARMED);
	equal(open_once(path), EPERM);

	equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	equal(child_wait(opener), 0);
	close(fd);
}

/* ---- overlays ---- */

#define OVER "/mnt/over"

static void overlay(void)
{
	mkdir(OVER, 0755);
	check(!mkdir(path_of("low"), 0755) && !mkdir(path_of("up"), 0755));
	check(!mkdir(path_of("work"), 0755));
	file_make(path_of("low/good"), "clean");
	file_make(path_of("low/bad"), "Denied");
	check(!mount("over", OVER, "overlay", 0,
		     "lowerdir=" DIR "/low,upperdir=" DIR "/up,workdir=" DIR
		     "/work"));
	/* Where mounts are followed, they are by now. */
	sleep_ms(1500);
}

static void below_an_overlay_it_is_asked_once(void)
{
	struct stat st;
	int fd;

	reader_start((struct serving){0});
	overlay();
	equal(stat(OVER, &st), 0);
	rule((struct splxmod_rule){.kind = SPLXMOD_RULE_ONLY_DEV,
				   .dev = st.st_dev});
	equal(open_once(OVER "/good"), 0);
	equal(counter(ASKED), 1);
	equal(open_once(OVER "/bad"), EPERM);
	equal(counter(ASKED), 2);
	/* Made new, it is empty. */
	fd = open(OVER "/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	check(fd >= 0);
	equal(counter(ASKED), 2);
	file_write(fd, "Dirty");
	close(fd);
	equal(open_once(OVER "/new"), EPERM);
	check(!umount(OVER));
	only_dir();
}

static void what_an_overlay_shows_is_known(void)
{
	int fd;

	remember();
	overlay();
	no_rules();
	sleep_ms(SETTLE);
	equal(open_once(OVER "/good"), 0);
	equal(counter(ASKED), 1);
	equal(open_once(OVER "/good"), 0);
	equal(counter(KNOWN), 1);
	/* It is the file below that is known, by whatever name. */
	equal(open_once(path_of("low/good")), 0);
	equal(counter(ASKED), 1);
	/* Written to, it is another one, in the upper layer. */
	fd = open(OVER "/good", O_WRONLY | O_CLOEXEC);
	check(fd >= 0);
	file_write(fd, "Dirty");
	close(fd);
	equal(open_once(OVER "/good"), EPERM);
	equal(open_once(path_of("low/good")), 0);
	equal(open_once(path_of("up/good")), EPERM);
	check(!umount(OVER));
	only_dir();
}

/* ---- classes ---- */

static void executor_plain(void *arg)
{
	execl(arg, "x", NULL);
	_exit(errno);
}

static void classes_that_are_off_pass(void)
{
	reader_start((struct serving){.classes = SPLXMOD_CLASSES});
	file_make(path_of("f"), "Denied");
	conf.classes = SPLXMOD_EXEC;
	configure();
	equal(open_once(path_of("f")), 0);
	equal(child_wait(child_start(executor_plain, (void *)path_of("f"))),
	      EPERM);
	/* To execute it, it is opened. */
	conf.classes = SPLXMOD_OPEN;
	configure();
	equal(open_once(path_of("f")), EPERM);
	equal(child_wait(child_start(executor_plain, (void *)path_of("f"))),
	      EPERM);
	conf.classes = SPLXMOD_CLOSE;
	configure();
	equal(open_once(path_of("f")), 0);
	conf.classes = 0;
	configure();
	equal(open_once(path_of("f")), 0);
	equal(counter(CLOSES), 0);
}

static void closing_without_content_or_name_passes(void)
{
	int fd;

	reader_start((struct serving){.classes = SPLXMOD_CLASSES});
	conf.classes = SPLXMOD_CLOSE;
	configure();
	fd = open(path_of("f"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	close(fd);
	equal(counter(CLOSES), 0);
	fd = open(path_of("f"), O_WRONLY | O_CLOEXEC);
	file_write(fd, "x");
	check(!unlink(path_of("f")));
	close(fd);
	equal(counter(CLOSES), 0);
	fd = open(path_of("g"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	file_write(fd, "x");
	close(fd);
	equal(counter(CLOSES), 1);
	eventually(!status().closes);
}

static const struct test_case cases[] = {
#define CASE(name)                                                             \
	{                                                                      \
#name, name                                                    \
	}
	CASE(an_empty_file_is_not_asked),
	CASE(what_the_kernel_makes_up_is_not_asked),
	CASE(an_exempt_process_is_not_asked),
	CASE(executing_ends_it),
	CASE(with_nobody_there_all_passes),
	CASE(a_directory_is_excluded_where_it_was),
	CASE(only_what_lies_below_is_asked),
	CASE(renaming_does_not_harm_who_walks),
	CASE(a_user_is_excluded),
	CASE(a_program_is_excluded_by_its_file),
	CASE(a_file_system_is_excluded),
	CASE(a_lease_is_broken_by_the_opener),
	CASE(a_lease_does_not_hold_up_disarming),
	CASE(below_an_overlay_it_is_asked_once),
	CASE(what_an_overlay_shows_is_known),
	CASE(classes_that_are_off_pass),
	CASE(closing_without_content_or_name_passes),
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-open"))
		return open_once(argv[2]);
	if (argc == 3 && !strcmp(argv[2], "fsnotify"))
		conf.method = SPLXMOD_METHOD_FSNOTIFY;
	return run_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
