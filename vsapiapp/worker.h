/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_WORKER_H
#define SPLX_VSAPIAPP_WORKER_H

#include <stdint.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "common/known.h"
#include "common/scoreboard.h"
#include "engine.h"

/*
 * A scan worker, forked from its generation as the scan user, with the
 * capabilities CAP_LEASE (known_has_writer()) and CAP_SYS_CHROOT (given up
 * once it stands in its jail) and nothing else.
 */
struct worker_setup {
	struct scoreboard *sb;
	int sb_readonly; /* scoreboard_readonly() */
	int slot;
	enum slot_role role;
	uint64_t generation;
	uint64_t policy_generation;
	struct engine *engine;
	const struct conf *conf;
	struct exclude *exclude;
	struct known *known; /* NULL when KnownClean is off */
	uint64_t epoch;	     /* known_epoch() of patterns and settings */
	int group;	     /* FRONT: permission group. -1 if not used */
	int notify;	     /* BACK: notify group. -1 if not used */
	int khm;	     /* reader of the kernel module; -1: none */
	int finding_sock;
	int master_sock; /* SEQPACKET to the master, see link.h */
	int log_sock;
	const char *scratch; /* its private tmpfs, empty, with a jail in it
				(sandbox_jail_make()) */
	int async;	     /* notify events stand for opens (async mode) */
};

/*
 * Closes all descriptors but those named above, puts up the walls and works
 * until told to drain or left alone; exits. Status 0: as told; 1: it could
 * not begin (the log says why).
 */
void worker_run(const struct worker_setup *setup) __attribute__((noreturn));

#endif
