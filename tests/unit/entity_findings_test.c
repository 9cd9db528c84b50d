/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity_storebed.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "common/finding.h"
#include "common/pass.h"
#include "entity/findings.h"
#include "entity/holders.h"
#include "lib/clock.h"
#include "lib/str.h"

#define VIRUS "infected content of the test\n"
#define OTHER "an innocent file that nobody may touch\n"

/* Findings with all that belongs to them, and a worker's end of the socket. */
struct bed {
	struct loop *loop;
	struct scoreboard *sb;
	int sbfd;
	struct store *store;
	struct quarantine *q;
	struct findings *fs;
	int tx, rx;
	struct conf *conf;
};
static struct bed bed;

static const struct conf *conf_of(void *arg)
{
	return bed.conf;
}

static int up(void **state)
{
	struct quarantine_setup qs = {0};
	struct findings_setup setup = {.conf = conf_of};
	struct err err;
	int pair[2];

	sb_setup(state);
	bed.loop = loop_new();
	bed.sb = scoreboard_new(&bed.sbfd, &err);
	bed.store = store_new(paths()->store);
	qs.loop = bed.loop;
	qs.store = bed.store;
	qs.sb = bed.sb;
	bed.q = quarantine_new(&qs);
	bed.conf = conf_new();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	bed.tx = pair[0];
	bed.rx = pair[1];
	setup.loop = bed.loop;
	setup.store = bed.store;
	setup.quarantine = bed.q;
	setup.sb = bed.sb;
	setup.sock = bed.rx;
	bed.fs = findings_new(&setup);
	return 0;
}

static int down(void **state)
{
	findings_free(&bed.fs);
	quarantine_free(&bed.q);
	store_free(&bed.store);
	conf_free(&bed.conf);
	loop_free(&bed.loop);
	munmap(bed.sb, sizeof(*bed.sb));
	close(bed.sbfd);
	close(bed.tx);
	close(bed.rx);
	return 0;
}

static void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(bed.conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
}

/* A finding as a worker would send it for the file at `path`. */
static struct finding about(const char *path, int *fd_r)
{
	struct finding f = {
		.magic = FINDING_MAGIC,
		.version = FINDING_VERSION,
		.source = SOURCE_OPEN,
		.verdict = VERDICT_INFECTED,
		.denied = 1,
		.pid = getpid(),
		.first_action = ACTION_QUARANTINE,
		.second_action = ACTION_DENY,
		.when_ns = clock_real_ns(),
		.virus = "Test.Virus",
	};
	struct stat st;

	snprintf(f.path, sizeof(f.path), "%s", path);
	*fd_r = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*fd_r >= 0);
	assert_int_equal(file_key_get(*fd_r, &f.key, &st), 0);
	return f;
}

static void send_it(const struct finding *f, int fd)
{
	struct err err;

	assert_int_equal(finding_send(bed.tx, f, fd, &err), 0);
}

static void send_about(const char *path)
{
	int fd;
	struct finding f = about(path, &fd);

	send_it(&f, fd);
	close(fd);
}

static void stop(void *arg)
{
	loop_stop(bed.loop);
}

static void run_for(uint64_t ms)
{
	struct loop_event *timer = loop_timer(bed.loop, ms, false, stop, NULL);

	loop_run(bed.loop);
	loop_cancel(&timer);
}

static void collect(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

static json_t *events_now(void)
{
	struct event_query q = {.kind = EVENT_virus, .limit = 10000};
	json_t *all = json_array();
	struct err err;

	assert_true(store_events(bed.store, &q, collect, all, &err) >= 0);
	return all;
}

/* Until so many events are there, at most 10 s; then all of them. */
static json_t *events(size_t want)
{
	json_t *all;

	for (int i = 0; i < 500; i++) {
		all = events_now();
		if (json_array_size(all) >= want) {
			assert_int_equal(json_array_size(all), want);
			return all;
		}
		json_decref(all);
		run_for(20);
	}
	fail_msg("only %zu events", json_array_size(events_now()));
	return NULL;
}

static const char *text_of(json_t *all, size_t i, const char *name)
{
	static const char none[] = "";
	const char *text = json_string_value(
		json_object_get(json_array_get(all, i), name));

	return text ? text : none;
}

/* ---- */

static void a_finding_becomes_an_action_and_an_event(void **state)
{
	json_t *all;
	char exe[PATH_MAX];
	ssize_t n;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	all = events(1);
	assert_false(sb_exists(sb_path("f")));
	assert_int_equal(sb_items(bed.store), 1);
	assert_string_equal(text_of(all, 0, "virus"), "Test.Virus");
	assert_string_equal(text_of(all, 0, "path"), sb_path("f"));
	assert_string_equal(text_of(all, 0, "source"), "open");
	assert_string_equal(text_of(all, 0, "result"), "denied");
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	assert_string_equal(text_of(all, 0, "severity"), "medium");
	assert_int_equal(strlen(text_of(all, 0, "sha256")), 64);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	assert_string_equal(text_of(all, 0, "program"), exe);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 0), "uid")),
			 getuid());
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 0), "pid")),
			 getpid());
	json_decref(all);
}

static void a_storm_is_one_action_and_two_events(void **state)
{
	json_t *all;
	struct findings_stats stats;
	struct finding f;
	int fd;

	set("FirstAction", "deny");
	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	for (int i = 0; i < 200; i++) {
		f.pid = i % 2 ? getpid() : 1;
		send_it(&f, fd);
		if (i % 10 == 0)
			run_for(5);
	}
	close(fd);
	all = events(2);
	assert_string_equal(text_of(all, 0, "action"), "deny");
	assert_non_null(strstr(text_of(all, 1, "message"), "199 more times"));
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.received, 200);
	assert_int_equal(stats.repeated, 199);
	json_decref(all);
	run_for(2500);
	json_decref(events(2)); /* and no more */
}

static void different_files_are_not_one(void **state)
{
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		sb_puts(sb_path(name), VIRUS);
		send_about(sb_path(name));
		if (i % 10 == 0)
			run_for(1);
	}
	json_decref(events(40));
	assert_int_equal(sb_items(bed.store), 40);
	assert_int_equal(sb_count(sb_files, ""), 0);
}

static void nothing_but_infected_is_acted_upon(void **state)
{
	struct findings_stats stats;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), OTHER);
	f = about(sb_path("f"), &fd);
	for (uint32_t v = VERDICT_CLEAN; v <= VERDICT_ERROR; v++) {
		f.verdict = v;
		if (v != VERDICT_INFECTED)
			send_it(&f, fd);
	}
	close(fd);
	run_for(300);
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.refused, VERDICT_ERROR);
	assert_true(sb_is(sb_path("f"), OTHER));
	assert_int_equal(sb_items(bed.store), 0);
	json_decref(events(0));
}

static void another_file_than_the_one_named_is_left_alone(void **state)
{
	json_t *all;
	struct finding f;
	int fd, other;

	sb_puts(sb_path("f"), VIRUS);
	sb_puts(sb_path("other"), OTHER);
	f = about(sb_path("f"), &fd);
	other = open(sb_path("other"), O_RDONLY);
	send_it(&f, other);
	f.virus[0] = 'B';
	send_it(&f, -1);
	close(fd);
	fd = open(sb_files, O_RDONLY | O_DIRECTORY);
	f.virus[0] = 'C';
	send_it(&f, fd);
	close(fd);
	close(other);
	all = events(3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(text_of(all, i, "action"), "none");
		assert_string_equal(text_of(all, i, "severity"), "high");
	}
	assert_true(sb_is(sb_path("other"), OTHER));
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
}

static void a_file_changed_since_its_scan_is_left_alone(void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	usleep(20000);
	sb_puts(sb_path("f"), OTHER);
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_non_null(strstr(text_of(all, 0, "detail"), "changed"));
	assert_true(sb_is(sb_path("f"), OTHER));
	json_decref(all);
}

static void a_renamed_or_touched_file_is_still_the_one(void **state)
{
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	usleep(20000);
	assert_int_equal(rename(sb_path("f"), sb_path("g")), 0);
	send_it(&f, fd);
	close(fd);
	json_decref(events(1));
	assert_false(sb_exists(sb_path("g")));
	assert_int_equal(sb_items(bed.store), 1);
}

static void what_a_worker_asks_for_does_not_count_but_a_clients_does(
	void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	set("FirstAction", "deny");
	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	f.first_action = ACTION_DELETE;
	send_it(&f, fd);
	all = events(1);
	assert_string_equal(text_of(all, 0, "action"), "deny");
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
	f.source = SOURCE_MANUAL;
	f.denied = 0;
	f.job = 42;
	send_it(&f, fd);
	close(fd);
	all = events(2);
	assert_string_equal(text_of(all, 1, "action"), "delete");
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(all, 1), "job")),
			 42);
	assert_int_equal(strlen(text_of(all, 1, "sha256")), 64);
	assert_false(sb_exists(sb_path("f")));
	json_decref(all);
}

static void a_late_finding_is_acted_upon_and_of_high_severity(void **state)
{
	json_t *all;
	struct finding f;
	int fd;

	sb_puts(sb_path("f"), VIRUS);
	f = about(sb_path("f"), &fd);
	f.denied = 0;
	f.late = 1;
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_non_null(strstr(text_of(all, 0, "result"), "too late"));
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	json_decref(all);
}

static void records_that_make_no_sense_change_nothing(void **state)
{
	char junk[5000];
	struct findings_stats stats;

	memset(junk, 0x41, sizeof(junk));
	for (int i = 0; i < 20; i++)
		assert_true(send(bed.tx, junk, (size_t)i * 200 + 1, 0) > 0);
	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	json_decref(events(1));
	findings_stats(bed.fs, &stats);
	assert_int_equal(stats.refused, 20);
	assert_int_equal(sb_items(bed.store), 1);
}

static void a_restored_file_is_not_taken_again(void **state)
{
	struct item item;
	struct err err;
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	json_decref(events(1));
	run_for(1500);
	assert_int_equal(
		quarantine_restore_now(bed.q, 1, NULL, false, &item, &err), 0);
	send_about(sb_path("f"));
	all = events(2);
	assert_string_equal(text_of(all, 1, "action"), "pass");
	assert_string_equal(text_of(all, 1, "detail"), "passed by restore");
	assert_string_equal(text_of(all, 1, "severity"), "low");
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);

	/* Touched and without the shared table: by its hash. */
	run_for(1500);
	pass_clear(bed.sb);
	chmod(sb_path("f"), 0640);
	send_about(sb_path("f"));
	all = events(3);
	assert_string_equal(text_of(all, 2, "action"), "pass");
	json_decref(all);

	/* Another infected file in its place has no pass. */
	run_for(1500);
	sb_puts(sb_path("f"), "infected content of the tesT\n");
	send_about(sb_path("f"));
	all = events(4);
	assert_string_equal(text_of(all, 3, "action"), "quarantine");
	json_decref(all);
}

/* ---- holders ---- */

enum holder { HOLDS_FD, RUNS, BYSTANDER };

/* Another program than the test's own: that one counts as ours. */
static pid_t start_holder(enum holder how, const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (how == HOLDS_FD && open(path, O_RDONLY) < 0)
			_exit(1);
		execl(how == RUNS ? path : "/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1); /* the exec closes it */
	close(ready[0]);
	return pid;
}

static bool ended(pid_t pid)
{
	int status;

	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) &&
			       WTERMSIG(status) == SIGKILL;
		usleep(10000);
	}
	return false;
}

static void put_down(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void copy_program(const char *to)
{
	char *data;
	size_t len;

	assert_int_equal(fd_read_file("/bin/sleep", 1 << 24, &data, &len, NULL),
			 0);
	sb_write(to, data, len);
	chmod(to, 0755);
	free(data);
}

static void async_ends_who_runs_or_holds_the_file_and_nobody_else(void **state)
{
	pid_t runs, holds, bystander, spared;
	json_t *all;
	struct finding f;
	int fd;

	copy_program(sb_path("prog"));
	runs = start_holder(RUNS, sb_path("prog"));
	spared = start_holder(RUNS, sb_path("prog"));
	scoreboard_exempt(bed.sb, spared);
	holds = start_holder(HOLDS_FD, sb_path("prog"));
	bystander = start_holder(BYSTANDER, NULL);
	f = about(sb_path("prog"), &fd);
	f.source = SOURCE_ASYNC;
	f.denied = 0;
	send_it(&f, fd);
	close(fd);
	all = events(1);
	assert_true(ended(runs));
	assert_true(ended(holds));
	assert_int_equal(kill(bystander, 0), 0);
	assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(spared, NULL, WNOHANG), 0);
	assert_string_equal(text_of(all, 0, "severity"), "high");
	assert_string_equal(text_of(all, 0, "action"), "quarantine");
	assert_non_null(strstr(text_of(all, 0, "detail"), "2 processes ended"));
	put_down(bystander);
	put_down(spared);
	json_decref(all);
}

static void without_async_nobody_is_ended(void **state)
{
	pid_t holds;

	sb_puts(sb_path("f"), VIRUS);
	holds = start_holder(HOLDS_FD, sb_path("f"));
	send_about(sb_path("f"));
	json_decref(events(1));
	assert_int_equal(waitpid(holds, NULL, WNOHANG), 0);
	put_down(holds);
}

static void a_mapping_alone_is_holding(void **state)
{
	struct holders_spare spare = {.count = 0};
	struct holders found;
	struct stat st;
	pid_t pid;

	copy_program(sb_path("prog"));
	/* The dynamic loader maps it, and closes what it mapped it from. */
	pid = fork();
	if (pid == 0) {
		execl("/lib64/ld-linux-x86-64.so.2", "ld", sb_path("prog"),
		      "60", NULL);
		_exit(1);
	}
	usleep(300000);
	assert_int_equal(stat(sb_path("prog"), &st), 0);
	holders_end(&st, &spare, &found);
	assert_int_equal(found.ended, 1);
	assert_true(ended(pid));
}

static void an_opener_that_came_later_is_not_taken_for_it(void **state)
{
	char program[PATH_MAX];
	int64_t uid;

	assert_true(holders_opener(getpid(), clock_real_ns(), program,
				   sizeof(program), &uid));
	assert_int_equal(uid, getuid());
	assert_false(holders_opener(getpid(),
				    clock_real_ns() - 3600ll * 1000000000,
				    program, sizeof(program), &uid));
	assert_string_equal(program, "");
	assert_int_equal(uid, -1);
}

/* ---- the loop goes on ---- */

static void the_loop_goes_on_while_a_large_file_is_sealed(void **state)
{
	size_t len = 24 << 20;
	unsigned int x = 1;
	uint32_t *data = malloc(len);

	for (size_t i = 0; i < len / 4; i++)
		data[i] = x = x * 1664525 + 1013904223;
	sb_write(sb_path("large"), data, len);
	free(data);
	sb_pause_watch(bed.loop);
	send_about(sb_path("large"));
	json_decref(events(1));
	sb_pause_end();
	print_message("longest pause %llu ms\n",
		      (unsigned long long)sb_longest_pause / 1000000);
	assert_true(sb_longest_pause < 250 * CLOCK_NS_PER_MS);
	assert_int_equal(sb_items(bed.store), 1);
}

static void ending_in_the_middle_leaves_one_copy(void **state)
{
	size_t len = 24 << 20;
	char *data = calloc(1, len);
	struct err err;

	sb_write(sb_path("large"), data, len);
	free(data);
	send_about(sb_path("large"));
	for (int i = 0; i < 200 && sb_exists(sb_path("large")); i++)
		run_for(1);
	assert_false(sb_exists(sb_path("large")));
	findings_free(&bed.fs);
	quarantine_free(&bed.q);
	bed.q = quarantine_new(&(struct quarantine_setup){.store = bed.store});
	assert_int_equal(quarantine_recover(bed.q, &err), 0);
	assert_int_equal(sb_items(bed.store) + sb_exists(sb_path("large")), 1);
	assert_int_equal(sb_count(sb_files, ".splx"), 0);
}

static void a_core_that_was_killed_leaves_its_findings_to_the_next(void **state)
{
	struct findings_setup setup = {.conf = conf_of};
	char name[32];
	json_t *all;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		sb_puts(sb_path(name), VIRUS);
		send_about(sb_path(name));
	}
	run_for(1); /* received, and little more */
	findings_free(&bed.fs);
	quarantine_free(&bed.q);
	bed.q = quarantine_new(&(struct quarantine_setup){
		.loop = bed.loop, .store = bed.store, .sb = bed.sb});
	assert_true(quarantine_recover(bed.q, NULL) >= 0);
	unlink(sb_path("f19"));
	setup.loop = bed.loop;
	setup.store = bed.store;
	setup.quarantine = bed.q;
	setup.sb = bed.sb;
	setup.sock = bed.rx;
	bed.fs = findings_new(&setup);
	all = events(20);
	assert_int_equal(sb_items(bed.store), 19);
	assert_int_equal(sb_count(sb_files, ""), 0);
	json_decref(all);
	/* Nothing is left to do for a third. */
	findings_free(&bed.fs);
	bed.fs = findings_new(&setup);
	run_for(300);
	json_decref(events(20));
}

static void a_finding_that_ends_core_each_time_is_given_up(void **state)
{
	struct findings_setup setup = {.conf = conf_of};
	json_t *all;

	sb_puts(sb_path("f"), VIRUS);
	send_about(sb_path("f"));
	setup.loop = bed.loop;
	setup.store = bed.store;
	setup.sb = bed.sb;
	setup.sock = bed.rx;
	run_for(0);
	for (int i = 0; i < 4; i++) {
		/* Killed before anything was done. */
		findings_free(&bed.fs);
		quarantine_free(&bed.q);
		bed.q = quarantine_new(&(struct quarantine_setup){
			.loop = bed.loop, .store = bed.store});
		quarantine_recover(bed.q, NULL);
		setup.quarantine = bed.q;
		bed.fs = findings_new(&setup);
	}
	all = events(1);
	assert_string_equal(text_of(all, 0, "action"), "none");
	assert_non_null(strstr(text_of(all, 0, "detail"), "given up"));
	assert_true(sb_is(sb_path("f"), VIRUS));
	json_decref(all);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_finding_becomes_an_action_and_an_event),
		T(a_storm_is_one_action_and_two_events),
		T(different_files_are_not_one),
		T(nothing_but_infected_is_acted_upon),
		T(another_file_than_the_one_named_is_left_alone),
		T(a_file_changed_since_its_scan_is_left_alone),
		T(a_renamed_or_touched_file_is_still_the_one),
		T(what_a_worker_asks_for_does_not_count_but_a_clients_does),
		T(a_late_finding_is_acted_upon_and_of_high_severity),
		T(records_that_make_no_sense_change_nothing),
		T(a_restored_file_is_not_taken_again),
		T(async_ends_who_runs_or_holds_the_file_and_nobody_else),
		T(without_async_nobody_is_ended),
		T(a_mapping_alone_is_holding),
		T(an_opener_that_came_later_is_not_taken_for_it),
		T(the_loop_goes_on_while_a_large_file_is_sealed),
		T(ending_in_the_middle_leaves_one_copy),
		T(a_core_that_was_killed_leaves_its_findings_to_the_next),
		T(a_finding_that_ends_core_each_time_is_given_up),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
