/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * network.conf: whatever stands in it, what is taken has a name, an action and
 * sound ports; what is told of it can be set again and is the same then; moving
 * a rule loses none; and every connection gets an answer that names a rule
 * that is there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/netrules.h"
#include "fuzz.h"
#include "lib/alloc.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static void set_again(const struct netrule *r)
{
	json_t *told = netrule_json(r), *row, *back;
	char *text = xstrdup(""), *next;
	const struct netrule *again;
	struct netconf *conf;
	size_t i;

	json_array_foreach (told, i, row) {
		next = netconf_edit(
			text, r->name,
			json_string_value(json_object_get(row, "key")),
			json_string_value(json_object_get(row, "value")), NULL);
		check(next != NULL);
		free(text);
		text = next;
	}
	conf = netconf_parse(text, "again");
	again = netconf_find(conf, r->name);
	/* What is no UTF-8 is shown in another way than it stands. */
	if (again && !strchr(text, '\\')) {
		back = netrule_json(again);
		check(json_equal(told, back));
		json_decref(back);
	}
	netconf_free(&conf);
	json_decref(told);
	free(text);
}

static void move(const char *text, const struct netconf *conf)
{
	const struct netrule *first = &conf->entries.items[0];
	const struct netrule *last =
		&conf->entries.items[conf->entries.len - 1];
	char *now = netconf_move(text, last->name, first->name, NULL);
	struct netconf *after;

	check(now != NULL);
	after = netconf_parse(now, "moved");
	check(netconf_check(after, NULL) == 0);
	check(after->entries.len == conf->entries.len);
	check(!strcmp(after->entries.items[0].name, last->name));
	netconf_free(&after);
	free(now);
}

static void judge(struct netconf *conf, const uint8_t *data, size_t size)
{
	struct netlists none = {0};
	struct netrules *rules = netrules_new(conf, &none);
	struct conn_answer answer;
	struct conn c;

	memset(&c, 0, sizeof(c));
	c.uid = -1;
	for (size_t i = 0; i + 16 <= size && i < 256; i += 16) {
		memcpy(c.remote, data + i, 16);
		c.in = data[i] & 1;
		c.local_port = c.remote_port = data[i + 1];
		judge_conn(rules, &c, &answer);
		check(answer.verdict < CONN_VERDICTS && answer.list == -1);
		check((answer.verdict == CONN_ALLOW && answer.rule == -1) ||
		      *netrules_rule_name(rules, answer.rule));
	}
	netrules_free(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct netconf *conf = netconf_parse(text, "fuzz");
	const struct netrule *r;

	vec_each (r, &conf->entries) {
		check(netrule_name_valid(r->name));
		check(*netrule_action(r->action));
		for (size_t i = 0; i < r->ports.len; i++)
			check(r->ports.items[i].first > 0 &&
			      r->ports.items[i].first <=
				      r->ports.items[i].last);
		set_again(r);
		free(netrule_summary(r));
	}
	if (netconf_check(conf, NULL) == 0) {
		if (conf->entries.len)
			move(text, conf);
		judge(conf, data, size);
	} else {
		netconf_free(&conf);
	}
	free(text);
	return 0;
}
