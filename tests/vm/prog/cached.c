// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * cached CASE [fsnotify]: like unasked: what splxmod knows to be clean, and
 * what makes it ask again.
 */
#include "dev.h"

static void known_is_not_asked(void)
{
	const char *path;

	remember();
	path = known_file("f");
	equal(counter(ASKED), 1);
	equal(counter(REMEMBERED), 1);
	for (int i = 0; i < 10; i++)
		equal(open_once(path), 0);
	equal(counter(KNOWN), 10);
	equal(counter(ASKED), 1);
	equal(ioctl(control, SPLXMOD_IOC_FLUSH), 0);
	equal(status().cached, 0);
	equal(open_once(path), 0);
	equal(counter(ASKED), 2);
}

static void without_the_flag_nothing_is_known(void)
{
	const char *path;

	remember();
	path = known_file("f");
	conf.flags = 0;
	configure();
	equal(open_once(path), 0);
	equal(counter(ASKED), 2);
}

static void another_epoch_knows_nothing(void)
{
	const char *path;

	remember();
	path = known_file("f");
	conf.epoch++;
	configure();
	equal(status().cached, 0);
	/* the reader still speaks of the old one */
	equal(open_once(path), 0);
	equal(open_once(path), 0);
	equal(counter(ASKED), 3);
	equal(counter(KNOWN), 0);
	equal(status().cached, 0);
}

static void while_it_can_be_written_it_is_asked(void)
{
	const char *path;
	int fd;

	remember();
	path = known_file("f");
	fd = open(path, O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	equal(open_once(path), 0);
	equal(open_once(path), 0);
	equal(counter(KNOWN), 0);
	close(fd);
	equal(counter(FORGOTTEN), 1);
	equal(open_once(path), 0);
	equal(counter(KNOWN), 0);
	equal(open_once(path), 0);
	equal(counter(KNOWN), 1);
}

/* In memory such a write does not even change the ctime. */
static void a_write_through_a_mapping_is_seen(void)
{
	const char *path;
	char *map;
	int fd;

	remember();
	path = known_file("f");
	fd = open(path, O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED);
	close(fd);
	equal(open_once(path), 0);
	memcpy(map, "Dirty", 5);
	equal(open_once(path), EPERM);
	munmap(map, 4096);
	equal(open_once(path), EPERM);
}

static void what_was_written_is_asked(void)
{
	const char *path;
	int fd;

	remember();
	path = known_file("f");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0);
	file_write(fd, "Dirty");
	close(fd);
	equal(open_once(path), EPERM);
}

/* Another file under the same name, and under the same inode number. */
static void another_file_is_asked(void)
{
	const char *path;

	remember();
	path = known_file("f");
	file_make(path_of("g"), "Dirty");
	check(!rename(path_of("g"), path));
	equal(open_once(path), EPERM);
	for (int i = 0; i < 50; i++) {
		file_make(path, i % 2 ? "Dirty" : "clean");
		equal(open_once(path), i % 2 ? EPERM : 0);
	}
}

/* Tells the module that this file is known; 0 or the errno. */
static int tell_known(const char *path, __u64 epoch)
{
	struct splxmod_known known = {0};
	struct splxmod_known_list list = {
		.epoch = epoch,
		.count = 1,
		.known = (unsigned long)&known,
	};
	struct stat st;

	equal(stat(path, &st), 0);
	known.dev = st.st_dev;
	known.ino = st.st_ino;
	known.size = st.st_size;
	known.ctime_sec = st.st_ctim.tv_sec;
	known.ctime_nsec = st.st_ctim.tv_nsec;
	return ioctl(control, SPLXMOD_IOC_KNOWN, &list) ? errno : 0;
}

static void of_memory_nothing_is_known_from_before(void)
{
	remember();
	file_make(path_of("f"), "clean");
	equal(tell_known(path_of("f"), conf.epoch), 0);
	equal(status().cached, 1);
	equal(open_once(path_of("f")), 0);
	equal(counter(KNOWN), 0);
}

/* Who makes one can write to it and map it, and does not count as a writer; and
 * a write through a mapping changes no ctime. */
static void a_memory_file_is_asked_each_time(void)
{
	struct splxmod_rule one = {.kind = SPLXMOD_RULE_ONLY_DEV};
	char path[64], *map;
	struct stat st;
	int fd = memfd_create("f", MFD_CLOEXEC);

	check(fd >= 0);
	check(!ftruncate(fd, 4096) && !fstat(fd, &st));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED);
	memcpy(map, "clean", 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	remember();
	one.dev = st.st_dev;
	rule(one);
	sleep_ms(SETTLE);
	equal(open_once(path), 0);
	equal(open_once(path), 0);
	memcpy(map, "Dirty", 5);
	equal(open_once(path), EPERM);
	munmap(map, 4096);
	only_dir();
}

#define DISK "/mnt/disk"

static void disk(void)
{
	struct splxmod_rule one = {.kind = SPLXMOD_RULE_ONLY_DEV};
	struct stat st;

	mkdir(DISK, 0755);
	equal(system("dd if=/dev/zero of=/tmp/disk bs=1M count=4 2>/dev/null &&"
		     "busybox mke2fs -F /tmp/disk >/dev/null 2>&1 &&"
		     "mount -o loop -t ext4 /tmp/disk " DISK),
	      0);
	/* Where mounts are followed, it is by now. */
	sleep_ms(1500);
	equal(stat(DISK, &st), 0);
	one.dev = st.st_dev;
	rule(one);
}

/* Since 5.15. */
static bool medium_is_known(void)
{
	return !access("/sys/block/loop0/diskseq", F_OK);
}

static void what_is_told_to_be_known_is(void)
{
	int fd;

	remember();
	disk();
	file_make(DISK "/f", "Denied");
	equal(open_once(DISK "/f"), EPERM);
	equal(tell_known(DISK "/f", conf.epoch + 1), EINVAL);
	equal(tell_known(DISK "/f", conf.epoch), 0);
	equal(open_once(DISK "/f"), 0);
	equal(counter(KNOWN), 1);
	/* To open it for writing is asked about. */
	equal(exempt(0, 0), 0);
	fd = open(DISK "/f", O_WRONLY | O_CLOEXEC);
	check(fd >= 0);
	file_write(fd, "D");
	close(fd);
	equal(exempt(0, SPLXMOD_EXEMPT_REMOVE), 0);
	equal(counter(FORGOTTEN), 1);
	equal(open_once(DISK "/f"), EPERM);
	/* This one counts time in seconds: it is settled after two of them. */
	file_make(DISK "/g", "clean");
	equal(open_once(DISK "/g"), 0);
	equal(open_once(DISK "/g"), 0);
	equal(counter(KNOWN), 1);
	sleep_ms(2100);
	equal(open_once(DISK "/g"), 0);
	equal(open_once(DISK "/g"), 0);
	equal(counter(KNOWN), 2);
	check(!umount(DISK));
	only_dir();
}

/* The same bytes but for a few, under the same number. */
static void another_medium_is_asked(void)
{
	static char image[4 << 20];
	struct stat before, after;
	char *at;
	int fd;

	remember();
	disk();
	file_make(DISK "/f", "clean: the first");
	sleep_ms(2100);
	equal(open_once(DISK "/f"), 0);
	equal(open_once(DISK "/f"), 0);
	equal(counter(KNOWN), 1);
	check(!stat(DISK "/f", &before) && !umount(DISK));
	fd = open("/tmp/disk", O_RDWR | O_CLOEXEC);
	equal(pread(fd, image, sizeof(image), 0), sizeof(image));
	at = memmem(image, sizeof(image), "clean: the first", 16);
	check(at && pwrite(fd, "D", 1, at - image) == 1);
	close(fd);
	equal(system("mount -o loop -t ext4 /tmp/disk " DISK), 0);
	sleep_ms(1500);
	check(!stat(DISK "/f", &after));
	equal(after.st_dev, before.st_dev);
	equal(after.st_ino, before.st_ino);
	equal(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
	if (!medium_is_known())
		puts("this kernel does not tell media apart");
	else
		equal(open_once(DISK "/f"), EPERM);
	check(!umount(DISK));
	only_dir();
}

static const struct test_case cases[] = {
	CASE(known_is_not_asked),
	CASE(without_the_flag_nothing_is_known),
	CASE(another_epoch_knows_nothing),
	CASE(while_it_can_be_written_it_is_asked),
	CASE(a_write_through_a_mapping_is_seen),
	CASE(what_was_written_is_asked),
	CASE(another_file_is_asked),
	CASE(of_memory_nothing_is_known_from_before),
	CASE(a_memory_file_is_asked_each_time),
	CASE(what_is_told_to_be_known_is),
	CASE(another_medium_is_asked),
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[2], "fsnotify"))
		conf.method = SPLXMOD_METHOD_FSNOTIFY;
	return run_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
