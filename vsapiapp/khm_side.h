/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_KHM_SIDE_H
#define SPLX_VSAPIAPP_KHM_SIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/codes.h"
#include "common/khm.h"
#include "common/scoreboard.h"
#include "cover.h"

/*
 * The master's hold of the kernel module: the inherited descriptor, what the
 * module was told last, and what it tells.
 */
struct khm_side;

/* Looks for the device; where there is none the reason is found out now, while
 * nothing is armed by us: it opens files. */
struct khm_side *khm_side_new(struct scoreboard *sb);
/* Leaves the module as it is. */
void khm_side_free(struct khm_side **side);

/* A process of ours is never asked about. */
void khm_side_exempt(struct khm_side *side, pid_t pid);
/* Before a new line of workers: looks again for a device that was not there. */
void khm_side_attach(struct khm_side *side);
/* Lets go of the device while another rung serves, so that the module can be
 * unloaded; not while a line comes that needs it. */
void khm_side_detach(struct khm_side *side);
/* A line to come has readers: until it serves or is given up the device is
 * kept, whatever the settings want that are still in force. */
void khm_side_coming(struct khm_side *side, bool comes);
/* The device, -1: there is none, and why. */
int khm_side_device(const struct khm_side *side, enum status_code *code_r,
		    struct err *err);

/*
 * A reader of the module for one worker alone: nobody keeps a copy, so that
 * with the worker its questions go to another one. -1, and the log says why.
 */
int khm_side_reader(enum slot_role role);
/* Called for each device that a plan names for the first time: what is known
 * of its files may be of other ones. */
typedef void (*khm_fresh_fn)(dev_t dev, void *arg);
void khm_side_on_fresh(struct khm_side *side, khm_fresh_fn fn, void *arg);

/* Whether the workers that serve have readers. */
void khm_side_readers(struct khm_side *side, bool have);
bool khm_side_has_readers(const struct khm_side *side);

/* What is told to the module. */
struct khm_want {
	const struct conf *conf;
	uint64_t epoch;
	const struct known *known; /* may be NULL */
	const struct cover_list *plan;
	const struct mount_list *mounts; /* of our own namespace */
};
/* Files have become known since it was armed: it is told of all. */
void khm_side_known(struct khm_side *side, const struct known *known,
		    uint64_t epoch);
/*
 * Tells it all and arms; again and again without harm. STATUS_OK, or why not
 * and *err.
 */
enum status_code khm_side_arm(struct khm_side *side,
			      const struct khm_want *want, struct err *err);
/* True when it is armed by a method that these settings do not want. */
bool khm_side_other_method(const struct khm_side *side,
			   const struct conf *conf);
/*
 * Nobody is asked about any more from here on, what was asked is still
 * answered by the workers; then it is disarmed, or made passive when a rival
 * does not let it. Does nothing when it is idle.
 */
void khm_side_disarm(struct khm_side *side);
/* Now and then: counters, the breaker, our own processes' exemption. False:
 * it is not armed any more, though it was. */
bool khm_side_tick(struct khm_side *side);

/* "hook" of common/state.h. New reference; NULL when there is no device. */
json_t *khm_side_tell(const struct khm_side *side);
/* What it does not see, for people; "" when it sees all. */
const char *khm_side_unseen(const struct khm_side *side);

/*
 * The rules that follow from a plan, besides those of the settings: with
 * Include the file systems that are asked about, and the directories on them
 * when it names these alone; else the file systems that are not.
 */
void khm_side_plan_rules(const struct conf *conf, const struct cover_list *plan,
			 struct khm_rules *rules);

#endif
