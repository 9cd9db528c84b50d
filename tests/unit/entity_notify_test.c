/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* What waits for a channel: the log is the queue. */
#include "entity_storebed.h"

#include "entity/notify_impl.h"

static struct err err;

static struct notify_conf *conf_of(const char *lines)
{
	char text[512];
	struct notify_conf *conf;

	snprintf(text, sizeof(text), "[c]\nType = syslog\nServer = h\n%s",
		 lines);
	conf = notify_conf_parse(text, "f");
	if (!conf->entries.len)
		fail_msg("%s", conf->problems.items[0].text);
	return conf;
}

static void add(struct store *store, enum event_kind_id kind,
		enum event_severity severity, int n)
{
	for (int i = 0; i < n; i++)
		store_event(store, kind, severity, NULL, "event %d", i);
}

static void gather(struct gather *g, struct store *store,
		   const struct notify_conf *conf)
{
	int rc;

	g->more = true;
	while ((rc = gather_step(g, store, &conf->entries.items[0], &err)) > 0)
		;
	assert_int_equal(rc, 0);
}

static void what_was_told_is_on_the_disk(void **state)
{
	struct store *store = store_new(paths()->store);
	struct notify_mark mark = {.told = 5,
				   .sent = 4,
				   .dropped = 3,
				   .dropped_ns = 2,
				   .ok_ns = 1},
			   back = {0};

	assert_int_equal(store_notify_get(store, "a", &back, &err), 0);
	assert_int_equal(store_notify_save(store, "a", &mark, &err), 0);
	mark.told = 6;
	assert_int_equal(store_notify_save(store, "a", &mark, &err), 0);
	store_free(&store);
	store = store_new(paths()->store);
	assert_int_equal(store_notify_get(store, "a", &back, &err), 1);
	assert_memory_equal(&mark, &back, sizeof(mark));
	assert_int_equal(store_notify_remove(store, "a", &err), 0);
	assert_int_equal(store_notify_get(store, "a", &back, &err), 0);
	store_free(&store);
}

static void a_digest_counts_every_event_of_a_flood(void **state)
{
	struct store *store = store_new(paths()->store);
	struct notify_conf *conf = conf_of("Digest = 10\nKinds = virus, system"
					   "\n");
	struct gather g = {0};
	json_t *messages, *digest, *counts, *events;

	add(store, EVENT_system, EVENT_SEVERITY_MEDIUM, 300);
	add(store, EVENT_virus, EVENT_SEVERITY_HIGH, 2500);
	add(store, EVENT_audit, EVENT_SEVERITY_HIGH, 50);
	add(store, EVENT_virus, EVENT_SEVERITY_INFO, 50);
	gather_begin(&g, 100);
	gather(&g, store, conf);
	assert_int_equal(g.count, 2700);
	assert_int_equal(g.read, 2900);
	messages = gather_digest(&g);
	digest = json_object_get(json_array_get(messages, 0), "digest");
	assert_int_equal(json_integer_value(json_object_get(digest, "count")),
			 2700);
	counts = json_object_get(digest, "counts");
	assert_int_equal(json_array_size(counts), 2);
	/* The worst come first, and have the places. */
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(counts, 0), "kind")),
			    "virus");
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(counts, 0), "count")),
			 2500);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(counts, 1), "count")),
			 200);
	events = json_object_get(digest, "events");
	assert_int_equal(json_array_size(events), GATHER_WORST);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(events, 0), "id")),
			 301);
	json_decref(messages);
	gather_free(&g);
	notify_conf_free(&conf);
	store_free(&store);
}

static void without_digests_all_come_one_after_the_other(void **state)
{
	struct store *store = store_new(paths()->store);
	struct notify_conf *conf = conf_of("Digest = 0\nKinds = virus\n");
	struct gather g = {0};
	int64_t told = 0, events, sum = 0, last;
	json_t *messages;
	int rounds = 0;

	for (int i = 0; i < 70; i++) {
		add(store, EVENT_virus, EVENT_SEVERITY_HIGH, 3);
		add(store, EVENT_audit, EVENT_SEVERITY_HIGH, 9);
	}
	for (;; rounds++) {
		gather_begin(&g, told);
		gather(&g, store, conf);
		if (!g.count)
			break;
		assert_true(g.count <= GATHER_EVENTS);
		messages = gather_messages(&g, &conf->entries.items[0], 40);
		assert_true(json_array_size(messages) <= 40);
		/* Half of them arrived. */
		last = gather_last_id(
			messages, (json_array_size(messages) + 1) / 2, &events);
		assert_true(last > told);
		told = last;
		sum += events;
		json_decref(messages);
	}
	assert_int_equal(sum, 210);
	assert_true(rounds >= 210 / 20);
	assert_int_equal(g.read, 840);
	gather_free(&g);
	notify_conf_free(&conf);
	store_free(&store);
}

static void a_webhook_gets_many_in_one_request(void **state)
{
	struct store *store = store_new(paths()->store);
	struct notify_conf *conf = notify_conf_parse(
		"[c]\nType = webhook\nServer = https://h/\n", "f");
	struct gather g = {0};
	json_t *messages;
	int64_t events;

	add(store, EVENT_virus, EVENT_SEVERITY_HIGH, 120);
	gather_begin(&g, 0);
	gather(&g, store, conf);
	messages = gather_messages(&g, &conf->entries.items[0], 100);
	assert_int_equal(json_array_size(messages), 2);
	assert_int_equal(gather_last_id(messages, 1, &events), 50);
	assert_int_equal(events, 50);
	assert_int_equal(gather_last_id(messages, 2, &events), 100);
	assert_int_equal(gather_last_id(messages, 0, &events), 0);
	json_decref(messages);
	gather_free(&g);
	notify_conf_free(&conf);
	store_free(&store);
}

/* What is new comes to what was found before. */
static void what_comes_meanwhile_is_added(void **state)
{
	struct store *store = store_new(paths()->store);
	struct notify_conf *conf = conf_of("Digest = 5\n");
	struct gather g = {0};

	add(store, EVENT_virus, EVENT_SEVERITY_HIGH, 3);
	gather_begin(&g, 0);
	gather(&g, store, conf);
	assert_int_equal(g.count, 3);
	add(store, EVENT_virus, EVENT_SEVERITY_HIGH, 4);
	gather(&g, store, conf);
	assert_int_equal(g.count, 7);
	gather(&g, store, conf);
	assert_int_equal(g.count, 7);
	gather_free(&g);
	notify_conf_free(&conf);
	store_free(&store);
}

#define T(f) cmocka_unit_test_setup(f, sb_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_told_is_on_the_disk),
		T(a_digest_counts_every_event_of_a_flood),
		T(without_digests_all_come_one_after_the_other),
		T(a_webhook_gets_many_in_one_request),
		T(what_comes_meanwhile_is_added),
	};

	return cmocka_run_group_tests(tests, sb_group_setup, sb_group_teardown);
}
