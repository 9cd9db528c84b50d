/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_FOLLOW_H
#define SPLX_VSAPIAPP_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mounts.h"

/*
 * The mount follower: what is mounted, here and in every other mount
 * namespace that a process lives in. A change in a table that is known is
 * noticed at once (the kernel wakes who polls an open mountinfo file); a new
 * namespace within FOLLOW_SCAN_MS.
 */
#define FOLLOW_SCAN_MS 1000

/* One mount namespace. */
struct follow_ns {
	ino_t id;  /* of its /proc/PID/ns/mnt */
	pid_t pid; /* a process in it; 0: our own */
	struct mount_list mounts;
};

/* True for a namespace that is not to be followed: our own processes'. */
typedef bool (*follow_skip_fn)(pid_t pid, ino_t ns, void *arg);

struct follow;

/*
 * Reads all once; from then on `changed` is called, from the loop, whenever
 * any table differs or may have been changed and back (and now and then
 * unasked): marks are then to be put anew. NULL and *err when not even our own
 * can be read.
 */
struct follow *follow_new(struct loop *loop, follow_skip_fn skip,
			  loop_fn changed, void *arg, struct err *err);
void follow_free(struct follow **follow);

/* All of them, our own first; valid until the loop turns. */
const struct follow_ns *const *follow_list(const struct follow *follow,
					   size_t *n_r);
/* Looks for new and vanished namespaces now. */
void follow_scan(struct follow *follow);

/*
 * Opens (O_PATH, nothing is held up by it) the root of a mount in its
 * namespace: no symbolic link is followed and it is that very mount. The
 * descriptor is the caller's. -1: ESTALE when it is hidden below another
 * mount or gone, else as open(2).
 */
int follow_open(const struct follow_ns *ns, const struct mount *m);

#endif
