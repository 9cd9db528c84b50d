/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_REMEMBER_H
#define SPLX_VSAPIAPP_REMEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/known.h"
#include "common/scoreboard.h"
#include "lib/loop.h"
#include "link.h"

/*
 * What is known to be clean: the table (the master is its one writer), its
 * file across restarts, and the ignore marks of the permission group.
 */
struct remember;

struct remember *remember_new(struct loop *loop, struct scoreboard *sb,
			      int group);
void remember_free(struct remember **r);

/*
 * By the settings: a table as large as they say, or none. An existing one is
 * kept when its size is right.
 */
void remember_configure(struct remember *r, const struct conf *conf);
/*
 * A read-only descriptor of the table for a generation; the caller's. -1:
 * there is none.
 */
int remember_fd(const struct remember *r);
/*
 * From now on verdicts of this epoch count. The first time the file is read
 * (it opens one: before anything is armed, or what is armed is served).
 */
void remember_epoch(struct remember *r, uint64_t epoch);
/* The table itself, NULL: there is none. Borrowed. */
const struct known *remember_known(const struct remember *r);
uint64_t remember_current(const struct remember *r);

/* WORK_REMEMBER of a worker of the line that serves. */
void remember_put(struct remember *r, const struct work_msg *msg);
/* A device was newly mounted: what is known of it may be another's. */
void remember_forget(struct remember *r, uint64_t dev);
/* WORK_MARK of such a worker. */
void remember_mark(struct remember *r, const struct work_msg *msg, int fd);
/* WORK_UNMARK of any worker. */
void remember_unmark(struct remember *r, int fd);

/* Now and then (each tick): saves when due, by a hand. */
void remember_tick(struct remember *r);
/* Saves now, by itself: at the end. */
void remember_save(struct remember *r);

#endif
