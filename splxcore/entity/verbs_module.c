/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* module.status, module.rivals: what the kernel module tells of itself. */
#include <errno.h>
#include <string.h>

#include "common/khm_json.h"
#include "dispatch.h"

void verb_module_status(struct core *core, struct ipc_call *call, json_t *args)
{
	dispatch_reply(core, call, khm_status_json());
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
