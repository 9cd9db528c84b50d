/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_REFRESH_H
#define SPLX_VSAPIAPP_REFRESH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/known.h"

struct master;

/*
 * After a switch to other patterns or another policy no verdict of before
 * counts. With AfterUpdate=rescan a child of the master (a hand) goes through
 * what was known: it opens each file by its handle and has the back workers
 * scan it, as a scan job. So whoever opens it later finds it known; and what
 * the new patterns find is found without anybody opening it. It only chooses
 * what is opened: the verdict, and whether it may be remembered, is the
 * workers' (promise 7). It ends, whatever it is at, with the next switch and
 * with the service.
 */
struct refresh;

struct refresh *refresh_new(struct master *m);
void refresh_free(struct refresh **r);

/* A line has begun to serve: what it does not know is looked at, by the
 * settings in force. One that is under way ends. */
void refresh_begin(struct refresh *r);
/* Ends it without waiting: the service stops. */
void refresh_end(struct refresh *r);
/* Each tick. */
void refresh_tick(struct refresh *r);
/* As "refresh" in common/state.h; nothing before the first one. */
void refresh_tell(const struct refresh *r, json_t *state);

/*
 * Sorts: what runs (its inode is in running[n], ascending), then by the last
 * use, the latest first, then as they lie on their file system.
 */
void refresh_order(struct known_file *files, size_t count,
		   const uint64_t *running, size_t n);

#endif
