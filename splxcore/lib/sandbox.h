/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_SANDBOX_H
#define SPLX_LIB_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * The walls around a process that reads hostile bytes. Each function does one
 * wall and says so in *err when it cannot; sandbox_* are called in the order
 * in which they stand here.
 */

/*
 * Own mount, network, IPC and UTS namespaces; mounts made in it do not reach
 * the rest of the machine (MS_PRIVATE).
 */
int sandbox_unshare(struct err *err);

/* A tmpfs of `bytes` at dir (0700, owned uid:gid), nosuid, nodev, noexec. */
int sandbox_tmpfs(const char *dir, uint64_t bytes, uid_t uid, gid_t gid,
		  struct err *err);

/*
 * Becomes uid:gid with no supplementary groups and keeps only the
 * capabilities whose bits are set in `keep` (1ull << CAP_x), in the permitted
 * and effective sets; no_new_privs, not dumpable.
 */
int sandbox_become(uid_t uid, gid_t gid, uint64_t keep, struct err *err);

/*
 * Landlock: nothing can be opened but below `dir` (read, write, make,
 * remove). Returns 1 when it holds, 0 when this kernel has none (then the
 * other walls stand alone and health says so), -1 on failure.
 */
int sandbox_landlock(const char *dir, struct err *err);

/*
 * seccomp: only the system calls in names[n] (libseccomp names; those that
 * this architecture lacks are skipped). Any other kills the process
 * (SIGSYS), with `log_only` it fails with EPERM.
 */
int sandbox_seccomp(const char *const *names, size_t n, bool log_only,
		    struct err *err);

#endif
