/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_JUDGE_H
#define SPLX_NETMON_JUDGE_H

#include <stdint.h>
#include <sys/types.h>

#include "seat.h"

/* What a judge is made with. */
struct judge_job {
	struct seat *seat;
	uint16_t queue; /* number */
	uint32_t mark;	/* of a packet that is to be reset */
	uid_t uid;
	gid_t gid;
	int queue_fd;
	int report_fd; /* towards the looker */
	int life_fd;   /* its end tells that the monitor is gone */
};

/*
 * The judge's life: reads rules and lists, gives up every right but the one
 * to answer, and answers. In a child that the monitor forked; its descriptors
 * are those of the job and the log. Returns its exit status.
 */
int judge_run(const struct judge_job *job);

#endif
