/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * async: nobody waits. Opens, executions and closes after writing are events
 * of the notify group; back workers examine the files while they are in use.
 */
#include "interceptor.h"

static enum status_code async_probe(const struct interceptor_env *env,
				    struct err *err)
{
	if (env->notify < 0) {
		err_set(err, 0, "this kernel has no fanotify");
		return STATUS_NO_FANOTIFY;
	}
	return STATUS_OK;
}

static long async_arm(const struct interceptor_env *env,
		      const struct interceptor_want *want,
		      enum status_code *code_r, struct err *err)
{
	int64_t classes = want->conf->realtime_scan;
	struct marks_want marks = {0};

	if (classes & CONF_CLASS_OUTGOING)
		marks.notify |= FANGROUP_OPEN;
	if (classes & CONF_CLASS_RUNNING)
		marks.notify |= FANGROUP_EXEC;
	if (classes & CONF_CLASS_INCOMING)
		marks.notify |= FANGROUP_CLOSE;
	return (long)marks_apply(env->marks, want->plan, &marks);
}

static void async_disarm(const struct interceptor_env *env)
{
	marks_clear(env->marks);
}

const struct interceptor_ops interceptor_async = {
	.kind = INTERCEPTOR_ASYNC,
	.name = "async",
	.async = true,
	.by_marks = true,
	.probe = async_probe,
	.arm = async_arm,
	.disarm = async_disarm,
};
