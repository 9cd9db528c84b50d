/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The kernel module's place on the ladder. It is never armed where the
 * module is not there; the probe says which of the two reasons it has.
 */
#include <errno.h>
#include <unistd.h>

#include "interceptor.h"

#define KHM_DEVICE "/dev/splxmod"

static enum status_code khm_probe(const struct interceptor_env *env,
				  struct err *err)
{
	if (access("/proc/modules", F_OK)) {
		err_set(err, 0, "this kernel loads no modules");
		return STATUS_NO_MODULE;
	}
	if (access(KHM_DEVICE, F_OK)) {
		err_set(err, 0, "no kernel module is installed (%s)",
			KHM_DEVICE);
		return STATUS_NO_MODULE_BUILT;
	}
	err_set(err, 0, "%s is there, but this version cannot use it",
		KHM_DEVICE);
	return STATUS_NO_MODULE_BUILT;
}

static long khm_arm(const struct interceptor_env *env,
		    const struct interceptor_want *want, struct err *err)
{
	return err_set(err, ENODEV, "%s", KHM_DEVICE);
}

static void khm_disarm(const struct interceptor_env *env)
{
	/* never armed, see khm_probe() */
}

const struct interceptor_ops interceptor_khm = {
	.kind = INTERCEPTOR_KHM,
	.name = "khm",
	.probe = khm_probe,
	.arm = khm_arm,
	.disarm = khm_disarm,
};
