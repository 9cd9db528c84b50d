/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsontext.h"
#include "common/paths.h"
#include "lib/clock.h"

#define TELL_NS CLOCK_NS_PER_S
/* An entity that does not answer must not slow the scan down. */
#define ANSWER_MS 1000
#define AWAY_NS (5 * CLOCK_NS_PER_S)
#define END_MS 5000

static void set_number(json_t *args, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	json_object_set_new(args, name, json_string(text));
}

static uint64_t number_of(const struct scan_tally *t, enum scan_number n)
{
	switch (n) {
	case SCAN_FILES:
		return t->files;
	case SCAN_BYTES:
		return t->bytes;
	case SCAN_KNOWN:
		return t->known;
	case SCAN_INFECTED:
		return t->infected;
	case SCAN_PARTLY:
		return t->partly;
	case SCAN_ERRORS:
		return t->errors;
	case SCAN_EXCLUDED:
		return t->excluded;
	case SCAN_SKIPPED:
		return t->skipped;
	default:
		return 0;
	}
}

static void set_path(json_t *args, const char *path)
{
	struct scan_position pos = {.time_ns = clock_real_ns()};
	char *text;

	if (!path || strlen(path) >= sizeof(pos.path))
		return;
	memcpy(pos.path, path, strlen(path) + 1);
	text = scan_position_text(&pos);
	json_object_set_new(args, "position", json_string(text));
	free(text);
}

static json_t *told_json(const struct scan_link *link,
			 const struct scan_told *told)
{
	json_t *args = json_object();

	if (link->id)
		set_number(args, "job", (uint64_t)link->id);
	for (int i = 0; i < SCAN_NUMBERS; i++)
		set_number(args, scan_number_name((enum scan_number)i),
			   number_of(told->tally, (enum scan_number)i));
	set_number(args, "duration", told->elapsed_ns / CLOCK_NS_PER_MS);
	if (told->all_files) {
		set_number(args, "all-files", told->all_files);
		set_number(args, "all-bytes", told->all_bytes);
	}
	set_path(args, told->path);
	return args;
}

/* scan.begin over a connection that is there. */
static int begin(struct scan_link *link, json_t **data_r, char code[32],
		 struct err *err)
{
	json_t *data;

	if (link->id)
		set_number(link->begin, "job", (uint64_t)link->id);
	if (ipc_call_sync(link->client, "scan.begin", link->begin, &data, code,
			  err) < 0) {
		ipc_client_free(&link->client);
		return -1;
	}
	link->wanted = true;
	link->id = json_integer_value(json_object_get(data, "job"));
	if (data_r)
		*data_r = data;
	else
		json_decref(data);
	return 0;
}

int scan_link_begin(struct scan_link *link, json_t *args, int timeout_ms,
		    json_t **data_r, char code[32], struct err *err)
{
	*code = '\0';
	link->begin = args;
	link->client = ipc_connect(paths()->entity_sock, timeout_ms, err);
	link->next_ns = clock_mono_ns() + TELL_NS;
	if (!link->client || begin(link, data_r, code, err) < 0)
		return -1;
	/* From now on nothing may wait long. */
	ipc_client_free(&link->client);
	return 0;
}

static void tell(struct scan_link *link, const struct scan_told *told)
{
	json_t *args = told_json(link, told), *data = NULL;
	char code[32];
	struct err err;
	int order;

	json_object_set_new(
		args, "state",
		json_string(scan_state_name(told->paused ? SCAN_PAUSED
							 : SCAN_RUNNING)));
	if (ipc_call_sync(link->client, "scan.progress", args, &data, code,
			  &err) == 0) {
		order = scan_order_parse(
			json_string_value(json_object_get(data, "order"))
				?: "");
		if (order >= 0)
			link->order = (enum scan_order)order;
	} else if (strcmp(code, "not_found") == 0) {
		/* Another core, which has lost us. */
		begin(link, NULL, code, &err);
	} else {
		ipc_client_free(&link->client);
	}
	json_decref(data);
	json_decref(args);
}

enum scan_order scan_link_tell(struct scan_link *link,
			       const struct scan_told *told)
{
	uint64_t now = clock_mono_ns();

	if (now < link->next_ns)
		return link->order;
	if (!link->client)
		link->client =
			ipc_connect(paths()->entity_sock, ANSWER_MS, NULL);
	if (link->client)
		tell(link, told);
	link->next_ns = clock_mono_ns() + (link->client ? TELL_NS : AWAY_NS);
	return link->order;
}

void scan_link_end(struct scan_link *link, const struct scan_told *told,
		   enum scan_state state, const char *why)
{
	json_t *args;

	if (!link->wanted)
		return;
	args = told_json(link, told);
	json_object_set_new(args, "state", json_string(scan_state_name(state)));
	if (why)
		json_object_set_new(args, "reason", jsontext_new(why));
	/* The old connection may be one to a core that is no more. */
	ipc_client_free(&link->client);
	link->client = ipc_connect(paths()->entity_sock, END_MS, NULL);
	if (link->client)
		ipc_call_sync(link->client, "scan.end", args, NULL, NULL, NULL);
	json_decref(args);
}

void scan_link_free(struct scan_link *link)
{
	ipc_client_free(&link->client);
	json_decref(link->begin);
	link->begin = NULL;
}
