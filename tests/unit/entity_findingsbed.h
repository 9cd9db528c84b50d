/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_ENTITY_FINDINGSBED_H
#define SPLX_TESTS_ENTITY_FINDINGSBED_H

#include "entity_storebed.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "common/finding.h"
#include "entity/findings.h"
#include "lib/clock.h"
#include "lib/str.h"

#define BED __attribute__((unused)) static

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

BED const struct conf *conf_of(void *arg)
{
	return bed.conf;
}

BED int up(void **state)
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

BED int down(void **state)
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

BED void set(const char *key, const char *value)
{
	struct err err;

	if (conf_set(bed.conf, key, value, &err) < 0)
		fail_msg("%s", err.text);
}

/* A finding as a worker would send it for the file at `path`. */
BED struct finding about(const char *path, int *fd_r)
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

BED void send_it(const struct finding *f, int fd)
{
	struct err err;

	assert_int_equal(finding_send(bed.tx, f, fd, &err), 0);
}

BED void send_about(const char *path)
{
	int fd;
	struct finding f = about(path, &fd);

	send_it(&f, fd);
	close(fd);
}

BED void stop(void *arg)
{
	loop_stop(bed.loop);
}

BED void run_for(uint64_t ms)
{
	struct loop_event *timer = loop_timer(bed.loop, ms, false, stop, NULL);

	loop_run(bed.loop);
	loop_cancel(&timer);
}

BED void collect(json_t *event, void *arg)
{
	json_array_append(arg, event);
}

BED json_t *events_now(void)
{
	struct event_query q = {.kind = EVENT_virus, .limit = 10000};
	json_t *all = json_array();
	struct err err;

	assert_true(store_events(bed.store, &q, collect, all, &err) >= 0);
	return all;
}

/* Until so many events are there, at most 10 s; then all of them. */
BED json_t *events(size_t want)
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

BED const char *text_of(json_t *all, size_t i, const char *name)
{
	static const char none[] = "";
	const char *text = json_string_value(
		json_object_get(json_array_get(all, i), name));

	return text ? text : none;
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

#endif
