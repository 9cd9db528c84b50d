/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A file system whose server is dead must not hold core's loop. */
#include "entity_storebed.h"

#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/finding.h"
#include "entity/findings.h"
#include "entity/look.h"
#include "lib/clock.h"
#include "lib/loop.h"
#include "lib/str.h"

#define VIRUS "infected content of the test\n"
#define LIMIT_MS 700
#define LIFE_NS (15 * CLOCK_NS_PER_S)
#define PAUSE_MAX (250 * CLOCK_NS_PER_MS)

static struct loop *loop;

static int up(void **state)
{
	sb_setup(state);
	loop = loop_new();
	sb_pause_watch(loop);
	return 0;
}

static int down(void **state)
{
	sb_pause_end();
	loop_free(&loop);
	return 0;
}

static void stop(void *arg)
{
	loop_stop(loop);
}

static void run_for(uint64_t ms)
{
	struct loop_event *timer = loop_timer(loop, ms, false, stop, NULL);

	loop_run(loop);
	loop_cancel(&timer);
}

/* ---- a server that begins well and then answers nothing ---- */

struct dead_fs {
	int dev;
	char at[256];
	pthread_t server;
	uint64_t begun_ns;
	_Atomic int asked; /* requests that wait for ever */
};

/*
 * Whoever waits for it cannot be killed: so that a test that fails does not
 * hang for ever too, its connection is cut after a while.
 */
static bool next_request(struct dead_fs *fs, char *request, size_t size)
{
	struct pollfd p = {.fd = fs->dev, .events = POLLIN};

	while (poll(&p, 1, 200) == 0)
		if (clock_mono_ns() - fs->begun_ns > LIFE_NS)
			umount2(fs->at, MNT_FORCE);
	return read(fs->dev, request, size) > 0;
}

static void *serve(void *arg)
{
	struct dead_fs *fs = arg;
	static char request[FUSE_MIN_READ_BUFFER * 32];
	struct {
		struct fuse_out_header head;
		struct fuse_init_out init;
	} answer = {
		.head = {.len = sizeof(answer)},
		.init = {.major = FUSE_KERNEL_VERSION,
			 .minor = FUSE_KERNEL_MINOR_VERSION,
			 .max_write = 4096},
	};
	struct fuse_in_header *in = (struct fuse_in_header *)request;

	while (next_request(fs, request, sizeof(request))) {
		if (in->opcode != FUSE_INIT) {
			fs->asked++;
			continue;
		}
		answer.head.unique = in->unique;
		if (write(fs->dev, &answer, sizeof(answer)) < 0)
			break;
	}
	return NULL;
}

/* Mounted over a directory that holds files: their paths lead into it. */
static void dead_mount(struct dead_fs *fs, const char *at)
{
	char data[100];

	memset(fs, 0, sizeof(*fs));
	fs->begun_ns = clock_mono_ns();
	str_copy(fs->at, sizeof(fs->at), at);
	fs->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs->dev < 0)
		skip();
	snprintf(data, sizeof(data),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", fs->dev);
	assert_int_equal(mount("dead", at, "fuse", 0, data), 0);
	assert_int_equal(pthread_create(&fs->server, NULL, serve, fs), 0);
}

static void dead_umount(struct dead_fs *fs)
{
	umount2(fs->at, MNT_FORCE);
	umount2(fs->at, MNT_DETACH);
	pthread_join(fs->server, NULL);
	close(fs->dev);
}

/* A file below DIR, held open; then the dead one is mounted over DIR. */
static int file_behind(struct dead_fs *fs)
{
	const char *dir = sb_path("dir");
	int fd;

	assert_int_equal(mkdir(dir, 0755), 0);
	sb_puts(sb_path("dir/f"), VIRUS);
	fd = open(sb_path("dir/f"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	dead_mount(fs, dir);
	return fd;
}

/* ---- what a look tells ---- */

struct seen {
	int calls;
	bool answered;
	struct look_result result;
	int fd;
	bool dir_open;
};

static void on_look(const struct look_result *result, int fd, void *arg)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->answered = result != NULL;
	if (result) {
		seen->result = *result;
		seen->dir_open = result->place.h.dir >= 0 &&
				 fcntl(result->place.h.dir, F_GETFD) >= 0;
	}
	seen->fd = fd;
	loop_stop(loop);
}

static struct seen look_at(int fd, const char *path)
{
	struct look_request request = {.loop = loop,
				       .fd = fd,
				       .path = path,
				       .locate = true,
				       .limit_ms = LIMIT_MS};
	struct seen seen = {.fd = -1};
	struct err err;

	assert_non_null(look_start(&request, on_look, &seen, &err));
	loop_run(loop);
	assert_int_equal(seen.calls, 1);
	return seen;
}

static void a_look_tells_what_a_file_is_and_where(void **state)
{
	struct seen seen;
	struct stat st;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	fd = open(sb_path("f"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	seen = look_at(fd, NULL);
	assert_true(seen.answered && seen.result.rc == 0 && seen.dir_open);
	assert_int_equal(seen.result.key.ino, st.st_ino);
	assert_string_equal(seen.result.place.h.name, "f");
	assert_string_equal(seen.result.place.h.dir_path, sb_files);
	assert_int_equal(seen.fd, -1);
	close(fd);

	seen = look_at(-1, sb_path("f"));
	assert_true(seen.answered && seen.result.rc == 0 && seen.dir_open);
	assert_true(seen.fd >= 0);
	assert_int_equal(fstat(seen.fd, &st), 0);
	assert_int_equal(seen.result.key.ino, st.st_ino);
	close(seen.fd);

	seen = look_at(-1, sb_path("nothing"));
	assert_true(seen.answered && seen.result.rc < 0 && !seen.dir_open);
	assert_int_equal(seen.fd, -1);
}

static void a_file_without_a_name_is_looked_at_and_not_found(void **state)
{
	struct seen seen;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	fd = open(sb_path("f"), O_RDONLY | O_CLOEXEC);
	unlink(sb_path("f"));
	seen = look_at(fd, NULL);
	assert_true(seen.answered && seen.result.rc == 0 && !seen.dir_open);
	assert_int_equal(seen.result.place.h.dir, -1);
	assert_non_null(strstr(seen.result.place.err.text, "deleted"));
	close(fd);
}

static void a_dead_server_holds_nobody_and_the_look_ends_in_time(void **state)
{
	uint64_t begun;
	struct dead_fs fs;
	struct seen seen;
	int fd = file_behind(&fs);

	begun = clock_mono_ns();
	seen = look_at(fd, NULL);
	assert_true(fs.asked > 0); /* not even SIGKILL ends that child */
	assert_false(seen.answered);
	seen = look_at(-1, sb_path("dir/f"));
	assert_false(seen.answered);
	assert_true(clock_mono_ns() - begun < 6 * CLOCK_NS_PER_S);
	assert_true(sb_longest_pause < PAUSE_MAX);
	dead_umount(&fs);
	close(fd);
}

/* ---- what findings do with it ---- */

static struct conf *conf;

static const struct conf *conf_of(void *arg)
{
	return conf;
}

static void send_finding(int tx, int fd, const char *path)
{
	struct finding f = {
		.magic = FINDING_MAGIC,
		.version = FINDING_VERSION,
		.source = SOURCE_OPEN,
		.verdict = VERDICT_INFECTED,
		.denied = 1,
		.first_action = ACTION_QUARANTINE,
		.second_action = ACTION_DENY,
		.when_ns = clock_real_ns(),
		.virus = "Test.Virus",
	};
	struct stat st;

	str_copy(f.path, sizeof(f.path), path);
	assert_int_equal(file_key_get(fd, &f.key, &st), 0);
	assert_int_equal(finding_send(tx, &f, fd, NULL), 0);
}

static void count_event(json_t *event, void *arg)
{
	const char *detail =
		json_string_value(json_object_get(event, "detail"));
	int *counts = arg;

	counts[0]++;
	counts[1] += detail && strstr(detail, "does not answer");
}

static void others_are_dealt_with_while_one_file_cannot_be_reached(void **state)
{
	struct event_query query = {.kind = EVENT_virus, .limit = 100};
	struct quarantine_setup qs = {.loop = loop};
	struct findings_setup setup = {
		.loop = loop, .conf = conf_of, .look_limit_ms = LIMIT_MS};
	struct dead_fs fs;
	struct findings *findings;
	int pair[2], fd, counts[2] = {0};

	conf = conf_new();
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	qs.store = setup.store = store_new(paths()->store);
	setup.quarantine = quarantine_new(&qs);
	setup.sock = pair[1];
	findings = findings_new(&setup);

	sb_puts(sb_path("near"), VIRUS);
	fd = file_behind(&fs);
	send_finding(pair[0], fd, sb_path("dir/f"));
	close(fd);
	fd = open(sb_path("near"), O_RDONLY | O_CLOEXEC);
	send_finding(pair[0], fd, sb_path("near"));
	close(fd);
	for (int i = 0; i < 100 && sb_exists(sb_path("near")); i++)
		run_for(20);
	assert_false(sb_exists(sb_path("near")));
	run_for(2 * LIMIT_MS + 1500);
	assert_int_equal(
		store_events(setup.store, &query, count_event, counts, NULL),
		0);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 1);
	assert_true(sb_longest_pause < PAUSE_MAX);

	dead_umount(&fs);
	assert_true(sb_is(sb_path("dir/f"), VIRUS));
	findings_free(&findings);
	quarantine_free(&setup.quarantine);
	store_free(&setup.store);
	conf_free(&conf);
	close(pair[0]);
	close(pair[1]);
}

static void a_start_waits_for_no_file_that_was_found_before(void **state)
{
	struct quarantine_setup qs = {.loop = loop};
	struct findings_setup setup = {.loop = loop,
				       .conf = conf_of,
				       .sock = -1,
				       .look_limit_ms = LIMIT_MS};
	uint64_t begun = clock_mono_ns();
	struct findings *findings;
	struct finding f = {.magic = FINDING_MAGIC,
			    .version = FINDING_VERSION,
			    .verdict = VERDICT_INFECTED,
			    .virus = "Test.Virus"};
	struct dead_fs fs;
	int64_t id;

	conf = conf_new();
	qs.store = setup.store = store_new(paths()->store);
	setup.quarantine = quarantine_new(&qs);
	close(file_behind(&fs));
	str_copy(f.path, sizeof(f.path), sb_path("dir/f"));
	store_spool_add(setup.store, &f, sizeof(f), &id);
	findings = findings_new(&setup);
	run_for(100);
	assert_true(clock_mono_ns() - begun < 2 * CLOCK_NS_PER_S);
	findings_free(&findings);
	dead_umount(&fs);
	quarantine_free(&setup.quarantine);
	store_free(&setup.store);
	conf_free(&conf);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_look_tells_what_a_file_is_and_where),
		T(a_file_without_a_name_is_looked_at_and_not_found),
		T(a_dead_server_holds_nobody_and_the_look_ends_in_time),
		T(others_are_dealt_with_while_one_file_cannot_be_reached),
		T(a_start_waits_for_no_file_that_was_found_before),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
