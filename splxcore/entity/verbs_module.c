/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* module.status, module.rivals: what the kernel module tells of itself. */
#include <errno.h>
#include <string.h>

#include "common/khm_json.h"
#include "dispatch.h"
#include "modlock.h"

void verb_module_status(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *data = khm_status_json();

	json_object_set_new(data, "load_lock", modlock_json(core));
	dispatch_reply(core, call, data);
}

void verb_module_rivals(struct core *core, struct ipc_call *call, json_t *args)
{
	json_t *rivals = khm_rivals_json();

	if (rivals)
		dispatch_reply(core, call,
			       json_pack("{s:o}", "rivals", rivals));
	else
		dispatch_fail(core, call, "not_found",
			      "the kernel module is not loaded: %s",
			      strerror(errno));
}
