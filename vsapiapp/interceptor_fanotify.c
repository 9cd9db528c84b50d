/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * fanotify: opens and executions are questions in the permission group, which
 * front workers answer; closing after writing is an event of the notify
 * group, which back workers examine.
 */
#include "interceptor.h"

/* fangroup_probe() makes groups; the answer does not change. */
static const struct fangroup_caps *caps(struct err *err)
{
	static struct fangroup_caps found;
	static int state; /* 0: not asked, 1: known, -1: failed */
	static struct err why;

	if (!state)
		state = fangroup_probe(&found, &why) ? -1 : 1;
	if (state < 0 && err)
		*err = why;
	return state > 0 ? &found : NULL;
}

static enum status_code fanotify_probe(const struct interceptor_env *env,
				       struct err *err)
{
	const struct fangroup_caps *c = caps(err);

	if (!c)
		return STATUS_NO_FANOTIFY;
	if (!c->permission) {
		err_set(err, 0, "this kernel has no permission events");
		return STATUS_NO_FANOTIFY;
	}
	if (env->group < 0) {
		err_set(err, 0, "there is no permission group");
		return STATUS_NO_FANOTIFY;
	}
	return STATUS_OK;
}

static long fanotify_arm(const struct interceptor_env *env,
			 const struct interceptor_want *want,
			 enum status_code *code_r, struct err *err)
{
	int64_t classes = want->conf->realtime_scan;
	const struct fangroup_caps *c = caps(NULL);
	struct marks_want marks = {0};

	/* An execution opens its file: OPEN covers it. Without the event for
	 * executions alone (before 5.0) the wider one stands in. */
	if (classes & CONF_CLASS_OUTGOING)
		marks.perm = FANGROUP_OPEN;
	else if (classes & CONF_CLASS_RUNNING)
		marks.perm = c && c->exec ? FANGROUP_EXEC : FANGROUP_OPEN;
	if (classes & CONF_CLASS_INCOMING)
		marks.notify = FANGROUP_CLOSE;
	return (long)marks_apply(env->marks, want->plan, &marks);
}

static void fanotify_disarm(const struct interceptor_env *env)
{
	marks_clear(env->marks);
}

const struct interceptor_ops interceptor_fanotify = {
	.kind = INTERCEPTOR_FANOTIFY,
	.name = "fanotify",
	.by_marks = true,
	.probe = fanotify_probe,
	.arm = fanotify_arm,
	.disarm = fanotify_disarm,
};
