/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdio.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "output.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

void config_show_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"key", "KEY", OUTPUT_TEXT},
		{"value", "VALUE", OUTPUT_TEXT},
		{"origin", "FROM", OUTPUT_TEXT},
	};

	output_rows(stdout, data, cols, N(cols),
		    "every setting is at its default");
}

void config_get_render(json_t *data)
{
	struct str b = {0};

	output_value(&b,
		     json_is_object(data) ? json_object_get(data, "value")
					  : data,
		     OUTPUT_TEXT);
	puts(str_get(&b));
	str_free(&b);
}

static void complain_void(json_t *list)
{
	json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		struct str b = {0};

		output_value(&b, json_object_get(o, "key"), OUTPUT_TEXT);
		str_add(&b, ": ");
		output_value(&b, json_object_get(o, "entry"), OUTPUT_TEXT);
		str_add(&b, ": ");
		output_value(&b, json_object_get(o, "reason"), OUTPUT_TEXT);
		ctl_complain("void: %s", str_get(&b));
		str_free(&b);
	}
}

void config_change_render(json_t *data)
{
	json_t *changed = json_object_get(data, "changed");
	struct str b = {0};

	output_value(&b, changed, OUTPUT_TEXT);
	if (json_array_size(changed) == 0)
		puts(T("nothing changed"));
	else
		printf(T("changed: %s\n"), str_get(&b));
	complain_void(json_object_get(data, "void"));
	str_clear(&b);
	output_value(&b, json_object_get(data, "note"), OUTPUT_TEXT);
	if (json_is_false(json_object_get(data, "applied")))
		ctl_complain("saved, but not in force yet: %s", str_get(&b));
	else if (b.len)
		puts(str_get(&b));
	str_free(&b);
}

int config_change_judge(json_t *data)
{
	return json_is_false(json_object_get(data, "applied")) ? CTL_NO
							       : CTL_OK;
}

void exclusion_list_render(json_t *data)
{
	static const struct output_column cols[] = {
		{"type", "TYPE", OUTPUT_TEXT},
		{"value", "VALUE", OUTPUT_TEXT},
		{"reason", "VOID BECAUSE", OUTPUT_SAID},
	};

	output_rows(stdout, data, cols, N(cols), "nothing is excluded");
}

int config_check_run(struct ctl *ctl)
{
	const char *file = ctl_arg(ctl, "file");
	struct err err = {0};
	struct conf *conf;
	json_t *o, *list;

	if (!file)
		file = paths()->conf;
	conf = conf_load(file, &err);
	list = conf ? exclude_void(conf) : json_array();
	if (ctl->output == CTL_JSON) {
		o = json_pack("{s:o, s:b, s:o, s:O}", "file",
			      jsontext_new(file), "right", conf != NULL,
			      "error",
			      conf ? json_null() : jsontext_new(err.text),
			      "void", list);
		output_json(stdout, o);
		json_decref(o);
	} else if (!conf) {
		ctl_complain("%s", err.text);
	} else {
		complain_void(list);
		printf("%s: %s\n", file,
		       json_array_size(list)
			       ? T("right, but for the void entries")
			       : T("right"));
	}
	json_decref(list);
	if (!conf)
		return CTL_ERROR;
	conf_free(&conf);
	return CTL_OK;
}

int config_sample_run(struct ctl *ctl)
{
	conf_sample(stdout);
	return CTL_OK;
}
