/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_LOOKER_H
#define SPLX_NETMON_LOOKER_H

#include <sys/types.h>

/*
 * The looker: finds out which process a connection belongs to, after the
 * verdict and off its path, and hands it on to core. Of what it is sent
 * (netreport.h; the judge is not trusted) every record is checked.
 */
struct looker_job {
	uid_t uid;
	gid_t gid;
	int from_fd; /* records of judges */
	int to_fd;   /* core; -1: told on standard output, a line each */
	int life_fd; /* its end tells that the monitor is gone */
};

/* Its life, in a child that the monitor forked. Returns the exit status. */
int looker_run(const struct looker_job *job);

#endif
