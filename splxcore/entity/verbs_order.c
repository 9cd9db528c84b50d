/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* conflicts, order.show, order.check: who is in the kernel module's way, and
 * the order in which services start. */
#include "common/order.h"
#include "dispatch.h"

void verb_conflicts(struct core *core, struct ipc_call *call, json_t *args)
{
	dispatch_reply(core, call,
		       conflicts_json(json_is_true(
			       json_object_get(args, "blocking"))));
}

void verb_order_show(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *word = dispatch_arg(args, "runlevel");
	char level = word ? boot_level_parse(word) : 0;
	struct err err = {0};
	json_t *data;

	if (word && !level) {
		dispatch_fail(core, call, "bad_request",
			      "runlevel: allowed: 0 to 6 and S");
		return;
	}
	data = order_json(level, &err);
	if (data)
		dispatch_reply(core, call, data);
	else
		dispatch_fail(core, call, "not_found", "%s", err.text);
}

void verb_order_check(struct core *core, struct ipc_call *call, json_t *args)
{
	verb_order_show(core, call, args);
}
