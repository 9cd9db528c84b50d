/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "common/version.h"

#include <stdio.h>

#include "output.h"
#include "render.h"

/* A service that does not answer has no version to tell, and that is all. */
int version_run(struct ctl *ctl)
{
	static const struct output_column cols[] = {
		{"splxctl", "splxctl", OUTPUT_TEXT},
		{"entity", "entity", OUTPUT_TEXT},
		{"engine", "engine", OUTPUT_TEXT},
		{"signatures", "signatures", OUTPUT_NUMBER},
	};
	json_t *o = json_object(), *none = json_object(), *data;
	json_t *member;

	json_object_set_new(o, "splxctl", json_string(SPLX_VERSION));
	if (ctl_call(ctl, "status", none, &data, NULL) == CTL_OK) {
		if ((member = json_object_get(data, "version")))
			json_object_set(o, "entity", member);
		if ((member = output_member(data, "patterns.engine")))
			json_object_set(o, "engine", member);
		if ((member = output_member(data, "patterns.signatures")))
			json_object_set(o, "signatures", member);
	}
	if (ctl->output == CTL_JSON)
		output_json(stdout, o);
	else
		output_pairs(stdout, o, cols, sizeof(cols) / sizeof(cols[0]),
			     false);
	json_decref(data);
	json_decref(none);
	json_decref(o);
	return CTL_OK;
}
