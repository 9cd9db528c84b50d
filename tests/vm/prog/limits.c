// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * limits CASE: like questions: what /dev/splxmod refuses, closings, and what
 * must come to an end: waiting, pinned mounts, verdicts that do not hold.
 */
#include "dev.h"

/* ---- misuse ---- */

/* The lowest number that is free: also one that is taken without a file. */
static int next_fd(void)
{
	int fd = dup(control);

	check(fd >= 0);
	close(fd);
	return fd;
}

static void a_bad_buffer_loses_nothing(void)
{
	struct splxmod_event ev;
	pid_t opener;
	int fd, before;

	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	before = next_fd();
	opener = opener_start(path_of("f"));
	eventually(status().pending == 1);
	for (int i = 0; i < 5; i++)
		check(syscall(SYS_read, fd, (void *)8, 4096) < 0 &&
		      errno == EFAULT);
	check(read(fd, &ev, sizeof(ev) - 1) < 0 && errno == EINVAL);
	equal(next_fd(), before);
	ev = event_read(fd);
	check(syscall(SYS_write, fd, (void *)8, 4096) < 0 && errno == EFAULT);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(opener), EPERM);
	close(fd);
}

static void bad_verdicts_are_refused(void)
{
	struct splxmod_verdict v, w;
	struct splxmod_event ev;
	pid_t opener;
	int fd, other;

	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	other = reader_open(conf.classes);
	opener = opener_start(path_of("f"));
	ev = event_read(fd);
	v = w = event_judge(&ev);
	v.verdict = 2;
	equal(verdict_write(fd, &v), -EINVAL);
	v = w;
	v.flags = 2;
	equal(verdict_write(fd, &v), -EINVAL);
	v = w;
	v.flags = SPLXMOD_REMEMBER; /* one that is denied */
	equal(verdict_write(fd, &v), -EINVAL);
	v = w;
	v.id = 0;
	equal(verdict_write(fd, &v), -ENOENT);
	v.id = ~0ull;
	equal(verdict_write(fd, &v), -ENOENT);
	equal(verdict_write(other, &w), -ENOENT);
	check(write(fd, &w, sizeof(w) - 1) < 0 && errno == EINVAL);
	equal(status().pending, 1);
	equal(verdict_write(fd, &w), 0);
	equal(verdict_write(fd, &w), -ENOENT);
	equal(child_wait(opener), EPERM);
	close(fd);
	close(other);
}

static void stranger_run(void *arg)
{
	(void)arg;
	check(!chmod(DEVICE, 0666));
	check(!setgid(1000) && !setuid(1000));
	check(open(DEVICE, O_RDWR) < 0 && errno == EPERM);
}

static void only_who_may(void)
{
	struct splxmod_reader_setup setup = {.classes = SPLXMOD_OPEN};
	static struct splxmod_arming a;
	struct splxmod_status s;
	struct splxmod_event ev;
	struct stat st;
	int fd;

	equal(stat(DEVICE, &st), 0);
	equal(st.st_mode & 07777, 0600);
	equal(child_wait(child_start(stranger_run, NULL)), 0);
	chmod(DEVICE, 0600);
	check(read(control, &ev, sizeof(ev)) < 0 && errno == EINVAL);
	check(write(control, &ev, sizeof(ev)) < 0 && errno == EINVAL);
	check(lseek(control, 0, SEEK_SET) < 0 && errno == ESPIPE);
	check(ioctl(control, 0, NULL) < 0 && errno == ENOTTY);
	fd = reader_open(SPLXMOD_OPEN);
	check(ioctl(fd, SPLXMOD_IOC_READER, &setup) && errno == EBUSY);
	check(ioctl(fd, SPLXMOD_IOC_DISARM, &a) && errno == EPERM);
	check(ioctl(fd, SPLXMOD_IOC_CONFIG, &conf) && errno == EPERM);
	check(ioctl(fd, SPLXMOD_IOC_FLUSH) && errno == EPERM);
	equal(ioctl(fd, SPLXMOD_IOC_STATUS, &s), 0);
	equal(s.state, SPLXMOD_ARMED);
	close(fd);
}

#define refused(cmd, arg, err)                                                 \
	check(ioctl(control, SPLXMOD_IOC_##cmd, arg) < 0 && errno == (err))

/* A descriptor that names no place excludes nothing. */
static void only_below(struct splxmod_rule *rule, struct splxmod_rules *rules)
{
	int dir;

	*rule = (struct splxmod_rule){.kind = SPLXMOD_RULE_ONLY_BELOW};
	rule->ino = 9999;
	refused(RULES, rules, EBADF);
	rule->ino = 1ull << 32;
	refused(RULES, rules, EINVAL);
	rule->ino = control;
	refused(RULES, rules, ENOTDIR);
	check(!mkdir(path_of("gone"), 0755));
	dir = open(path_of("gone"), O_PATH | O_CLOEXEC);
	rule->ino = dir;
	rule->dev = 1;
	refused(RULES, rules, EINVAL);
	rule->dev = 0;
	rule->text[0] = '/';
	refused(RULES, rules, EINVAL);
	rule->text[0] = 0;
	check(!rmdir(path_of("gone")));
	refused(RULES, rules, ENOENT);
	close(dir);
}

static void requests_are_checked(void)
{
	struct splxmod_reader_setup setup = {.classes = 8};
	struct splxmod_exempt_setup exempt = {.flags = 2};
	struct splxmod_rule rule = {.kind = 99};
	struct splxmod_rules rules = {.count = SPLXMOD_RULES_MAX + 1};
	struct splxmod_known known = {.reserved = 1};
	struct splxmod_known_list list = {.epoch = conf.epoch, .count = 1};
	static struct splxmod_arming a;
	struct splxmod_config c = conf;

	refused(READER, &setup, EINVAL);
	setup.classes = 0;
	refused(READER, &setup, EINVAL);
	setup = (struct splxmod_reader_setup){SPLXMOD_OPEN, 1};
	refused(READER, &setup, EINVAL);
	refused(READER, NULL, EFAULT);
	refused(EXEMPT, &exempt, EINVAL);
	exempt = (struct splxmod_exempt_setup){.pid = -1};
	refused(EXEMPT, &exempt, EINVAL);
	exempt.pid = 0x7fffffff;
	refused(EXEMPT, &exempt, ESRCH);
	refused(RULES, &rules, EINVAL);
	rules = (struct splxmod_rules){.count = 1, .rules = 8};
	refused(RULES, &rules, EFAULT);
	rules.rules = ~0ull - 7;
	refused(RULES, &rules, EFAULT);
	rules.rules = (unsigned long)&rule;
	refused(RULES, &rules, EINVAL);
	only_below(&rule, &rules);
	rules.reserved = 1;
	refused(RULES, &rules, EINVAL);
	list.known = (unsigned long)&known;
	refused(KNOWN, &list, EINVAL);
	list.count = SPLXMOD_KNOWN_MAX + 1;
	refused(KNOWN, &list, EINVAL);
	list.count = 1;
	list.known = 8;
	refused(KNOWN, &list, EFAULT);
	list.epoch++;
	refused(KNOWN, &list, EINVAL);
	c.max_pending = 15;
	refused(CONFIG, &c, EINVAL);
	c = conf;
	c.reserved[3] = 1;
	refused(CONFIG, &c, EINVAL);
	c = conf;
	c.verdict_timeout_ms = 120001;
	refused(CONFIG, &c, EINVAL);
	refused(CONFIG, (void *)8, EFAULT);
	a.flags = 2;
	refused(DISARM, &a, EINVAL);
	a.flags = SPLXMOD_DISARM_PASSIVE;
	refused(ARM, &a, EINVAL);
	a.flags = 0;
	a.reserved = 1;
	refused(ARM, &a, EINVAL);
	refused(STATUS, (void *)8, EFAULT);
#undef refused
}

static void inheritor_run(void *arg)
{
	int fd = *(int *)arg;
	struct splxmod_event ev;

	close(control);
	sleep_ms(200);
	ev = event_read(fd);
	equal(event_answer(fd, &ev), 0);
}

static void a_reader_can_be_handed_on(void)
{
	int fd = reader_open(conf.classes);
	pid_t child, opener;

	file_make(path_of("f"), "Denied");
	child = child_start(inheritor_run, &fd);
	close(fd);
	opener = opener_start(path_of("f"));
	equal(child_wait(opener), EPERM);
	equal(child_wait(child), 0);
	eventually(status().readers == 0);
}

/* ---- closings ---- */

static void write_to(const char *path, int times)
{
	for (int i = 0; i < times; i++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		check(fd >= 0);
		equal(write(fd, "text", 4), 4);
		close(fd);
	}
}

static void writer_run(void *arg)
{
	write_to(arg, 5);
}

static void closings_are_told(void)
{
	struct splxmod_event ev;
	int fd;

	conf.classes = SPLXMOD_CLOSE;
	configure();
	fd = reader_open(SPLXMOD_CLOSE);
	equal(child_wait(child_start(writer_run, (void *)path_of("f"))), 0);
	eventually(status().closes == 1);
	equal(counter(CLOSES), 5);
	equal(counter(CLOSES_MERGED), 4);
	ev = event_read(fd);
	equal(ev.kind, SPLXMOD_CLOSE);
	equal(ev.flags, 0);
	equal(status().closes, 0);
	/* written again while it is scanned: once more */
	equal(child_wait(child_start(writer_run, (void *)path_of("f"))), 0);
	eventually(status().closes == 1);
	equal(event_answer(fd, &ev), 0);
	ev = event_read(fd);
	equal(event_answer(fd, &ev), 0);
	equal(counter(LATE), 0);
	close(fd);
}

static void many_written_run(void *arg)
{
	char name[16];

	(void)arg;
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		write_to(path_of(name), 1);
	}
}

static void closings_have_a_limit(void)
{
	struct splxmod_event ev;
	pid_t opener;
	int fd;

	conf.classes = SPLXMOD_CLOSE | SPLXMOD_OPEN;
	conf.max_close = 16;
	configure();
	file_make(path_of("open"), "Denied");
	equal(child_wait(child_start(many_written_run, NULL)), 0);
	eventually(status().closes == 16);
	check(counter(CLOSES_LOST) >= 24);
	fd = reader_open(conf.classes);
	opener = opener_start(path_of("open"));
	eventually(status().pending == 1);
	/* who waits comes first */
	ev = event_read(fd);
	equal(ev.kind, SPLXMOD_OPEN);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(opener), EPERM);
	for (int i = 0; i < 16; i++) {
		ev = event_read(fd);
		equal(ev.kind, SPLXMOD_CLOSE);
		if (i < 8)
			equal(event_answer(fd, &ev), 0);
	}
	/* half of them are held by a reader that ends */
	close(fd);
	equal(status().closes, 8);
	equal(counter(REQUEUED), 8);
}

/* ---- the end of it all ---- */

static void sleepers_are_let_go(void)
{
	pid_t opener[16];
	char name[16];
	long begin;

	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	holder_start(8);
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		file_make(path_of(name), "f");
		opener[i] = opener_start(path_of(name));
	}
	eventually(status().pending == 16);
	begin = now_ms();
	equal(arming(SPLXMOD_IOC_DISARM), 0);
	check(now_ms() - begin < 10000);
	for (int i = 0; i < 16; i++)
		equal(child_wait(opener[i]), EPERM);
	equal(counter(RELEASED), 16);
	equal(status().state, SPLXMOD_IDLE);
	equal(arming(SPLXMOD_IOC_ARM), 0);
	end_children();
	conf.deny = 0;
	configure();
	equal(open_once(path_of("f1")), 0);
	equal(counter(NO_READER), 1);
}

/* A question must not keep a file system mounted after its end. */
static void mounts_are_let_go(void)
{
	struct splxmod_event ev;
	pid_t opener;
	int fd;

	conf.classes = SPLXMOD_OPEN | SPLXMOD_CLOSE;
	conf.verdict_timeout_ms = 300;
	configure();
	reader_start((struct serving){.classes = SPLXMOD_OPEN});
	for (int i = 0; i < 50; i++) {
		file_make(path_of("f"), i % 2 ? "Denied" : "f");
		equal(open_once(path_of("f")), i % 2 ? EPERM : 0);
	}
	/* closings wait: they are dropped with the hook */
	check(status().closes > 0);
	equal(arming(SPLXMOD_IOC_DISARM), 0);
	check(!umount(DIR));
	check(!mount("asked", DIR, "tmpfs", 0, NULL));
	only_dir();
	conf.classes = SPLXMOD_OPEN;
	configure();
	equal(arming(SPLXMOD_IOC_ARM), 0);
	for (int i = 0; i < 50; i++) {
		file_make(path_of("f"), i % 2 ? "Denied" : "f");
		equal(open_once(path_of("f")), i % 2 ? EPERM : 0);
		check(!umount(DIR));
		check(!mount("asked", DIR, "tmpfs", 0, NULL));
		only_dir();
	}
	end_children();
	/* killed while a reader holds it: the reader's file alone pins it */
	fd = reader_open(SPLXMOD_OPEN);
	file_make(path_of("f"), "f");
	opener = opener_start(path_of("f"));
	ev = event_read(fd);
	check(umount(DIR) && errno == EBUSY);
	child_kill(opener);
	close(ev.fd);
	check(!umount(DIR));
	check(!mount("asked", DIR, "tmpfs", 0, NULL));
	ev.fd = -1;
	equal(event_answer(fd, &ev), -ESTALE);
	close(fd);
}

/* ---- the cache must not lie ---- */

static void racer_run(void *arg)
{
	const char *path = arg;
	struct splxmod_exempt_setup self = {0};

	/* To write is not asked about. Who opens is another process. */
	equal(ioctl(control, SPLXMOD_IOC_EXEMPT, &self), 0);
	for (int i = 0; i < 200; i++) {
		pid_t one, two;
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		check(fd >= 0);
		equal(write(fd, "clean", 5), 5);
		close(fd);
		one = opener_start(path);
		two = opener_start(path);
		if (i % 3 == 1)
			sleep_ms(i % 7);
		if (i % 3 == 2) {
			waitpid(one, NULL, 0);
			waitpid(two, NULL, 0);
		}
		fd = open(path, O_WRONLY | O_CLOEXEC);
		check(fd >= 0);
		equal(pwrite(fd, "Dirty", 5, 0), 5);
		close(fd);
		equal(child_wait(opener_start(path)), EPERM);
		if (i % 3 != 2) {
			waitpid(one, NULL, 0);
			waitpid(two, NULL, 0);
		}
		started_count = 0;
	}
}

/* Nobody holds the device any more: nobody will ever come for it. */
static void a_closing_that_nobody_wants_pins_nothing(void)
{
	long began;

	conf.classes = SPLXMOD_CLOSE;
	configure();
	file_make(path_of("f"), "f");
	equal(status().closes, 1);
	check(umount(DIR) && errno == EBUSY);
	began = now_ms();
	close(control);
	eventually(!umount(DIR));
	check(now_ms() - began < 5000);
	control = open(DEVICE, O_RDWR | O_CLOEXEC);
	check(control >= 0);
	equal(counter(CLOSES_LOST), 1);
	check(!mount("asked", DIR, "tmpfs", 0, NULL));
}

static void nothing_stale(void)
{
	conf.flags = SPLXMOD_CACHE;
	configure();
	file_make(path_of("f"), "clean");
	reader_start((struct serving){0});
	reader_start((struct serving){0});
	equal(child_wait(child_start(racer_run, (void *)path_of("f"))), 0);
	equal(counter(TIMEOUT), 0);
	/* and it does remember */
	file_make(path_of("g"), "clean");
	sleep_ms(100);
	for (int i = 0; i < 10; i++)
		equal(open_once(path_of("g")), 0);
	check(counter(KNOWN) >= 9);
}

/* ---- freezing ---- */

static void say_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s", path);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %s", path, text);
	close(fd);
}

static bool says(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char said[32] = "";
	ssize_t n = read(fd, said, sizeof(said) - 1);

	close(fd);
	return n > 0 && !strcmp(said, text);
}

static void a_sleeper_freezes(void)
{
	char text[32] = "";
	struct splxmod_event ev;
	pid_t opener;
	int fd;

	mkdir("/run/freezer", 0755);
	check(!mount("freezer", "/run/freezer", "cgroup", 0, "freezer"));
	mkdir("/run/freezer/g", 0755);
	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	opener = opener_start(path_of("f"));
	ev = event_read(fd);
	snprintf(text, sizeof(text), "%d", opener);
	say_to("/run/freezer/g/cgroup.procs", text);
	say_to("/run/freezer/g/freezer.state", "FROZEN");
	eventually(says("/run/freezer/g/freezer.state", "FROZEN\n"));
	/* a verdict that comes meanwhile is found later */
	equal(event_answer(fd, &ev), 0);
	sleep_ms(200);
	equal(waitpid(opener, NULL, WNOHANG), 0);
	say_to("/run/freezer/g/freezer.state", "THAWED");
	equal(child_wait(opener), EPERM);
	equal(counter(DENIED), 1);
	rmdir("/run/freezer/g");
	check(!umount("/run/freezer"));
	close(fd);
}

static void the_machine_freezes(void)
{
	struct splxmod_event ev;
	pid_t opener;
	long begin;
	int fd;

	if (access("/sys/power/pm_test", W_OK)) {
		printf("skipped: no pm_test\n");
		return;
	}
	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	opener = opener_start(path_of("f"));
	ev = event_read(fd);
	say_to("/sys/power/pm_test", "freezer");
	begin = now_ms();
	say_to("/sys/power/state", "freeze"); /* for 5 s, then back */
	check(now_ms() - begin < 15000);
	say_to("/sys/power/pm_test", "none");
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(opener), EPERM);
	close(fd);
}

static const struct test_case cases[] = {
	CASE(a_bad_buffer_loses_nothing),
	CASE(bad_verdicts_are_refused),
	CASE(only_who_may),
	CASE(requests_are_checked),
	CASE(a_reader_can_be_handed_on),
	CASE(closings_are_told),
	CASE(closings_have_a_limit),
	CASE(sleepers_are_let_go),
	CASE(mounts_are_let_go),
	CASE(a_closing_that_nobody_wants_pins_nothing),
	CASE(nothing_stale),
	CASE(a_sleeper_freezes),
	CASE(the_machine_freezes),
};

int main(int argc, char **argv)
{
	return run_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
