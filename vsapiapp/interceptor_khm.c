/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * khm: the kernel module asks about opens and executions, and tells of closes
 * after writing, whatever they are of: each worker has a reader of its own. A
 * file system needs no mark; what is not to be examined is a rule.
 */
#include "interceptor.h"

static enum status_code khm_probe(const struct interceptor_env *env,
				  struct err *err)
{
	enum status_code code;

	switch ((enum module_lock)atomic_load(&env->sb->module_lock)) {
	case MODULE_LOCK_LOCKED:
		return STATUS_LOCKED;
	case MODULE_LOCK_OPEN:
	case MODULE_LOCK_UNJUDGED:
		break;
	}
	if (khm_side_device(env->khm, &code, err) < 0)
		return code;
	if (!khm_side_has_readers(env->khm)) {
		err_set(err, 0,
			"the module was loaded after the workers were "
			"started");
		return STATUS_MODULE_UNLOADED;
	}
	if (atomic_load(&env->sb->module_lock) != MODULE_LOCK_OPEN) {
		err_set(err, 0,
			"the module came a moment ago: the load lock has "
			"not been asked yet");
		return STATUS_MODULE_UNLOADED;
	}
	return STATUS_OK;
}

static long count_covered(const struct cover_list *plan)
{
	const struct cover_row *row;
	long n = 0;

	vec_each (row, plan)
		n += row->covered;
	return n;
}

/*
 * Another method can only be taken disarmed: meanwhile marks stand in. They
 * go when what holds is entered, see interceptor.c.
 */
static void change_method(const struct interceptor_env *env,
			  const struct interceptor_want *want)
{
	enum status_code code;
	struct err err;

	if (env->group >= 0)
		interceptor_fanotify.arm(env, want, &code, &err);
	khm_side_disarm(env->khm);
}

static long khm_take(const struct interceptor_env *env,
		     const struct interceptor_want *want,
		     enum status_code *code_r, struct err *err)
{
	const struct khm_want tell = {
		.conf = want->conf,
		.epoch = want->epoch,
		.known = want->known,
		.plan = want->plan,
		.mounts = want->mounts,
	};
	bool change = khm_side_other_method(env->khm, want->conf);

	if (change)
		change_method(env, want);
	*code_r = khm_side_arm(env->khm, &tell, err);
	if (change && *code_r == STATUS_OK)
		interceptor_fanotify.disarm(env);
	return *code_r == STATUS_OK ? count_covered(want->plan) : -1;
}

static void khm_leave(const struct interceptor_env *env)
{
	khm_side_disarm(env->khm);
}

static bool khm_pump(const struct interceptor_env *env)
{
	return khm_side_tick(env->khm);
}

static json_t *khm_tell(const struct interceptor_env *env)
{
	return khm_side_tell(env->khm);
}

const struct interceptor_ops interceptor_khm = {
	.kind = INTERCEPTOR_KHM,
	.name = "khm",
	.probe = khm_probe,
	.arm = khm_take,
	.disarm = khm_leave,
	.pump = khm_pump,
	.tell = khm_tell,
};
