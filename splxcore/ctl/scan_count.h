/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_COUNT_H
#define SPLX_CTL_SCAN_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

/*
 * Counts what a scan will have to do, beside it and at the lowest priority
 * (processor and disk), so that the time left can be told.
 */
struct scan_count;

/*
 * Counts below paths[n] (full, as scan_filter_begin() takes them) with the
 * same rules as the scan. `conf` and paths must outlive the count. NULL when
 * no thread can be had; then there is no estimate.
 */
struct scan_count *scan_count_start(char *const *paths, size_t n,
				    const struct conf *conf, bool exclusions,
				    bool stay);
/* True when it is done, with the number of files and their bytes. */
bool scan_count_done(struct scan_count *c, uint64_t *files_r,
		     uint64_t *bytes_r);
/* The lowest priority, of processor and disk, for the calling thread. */
void scan_count_lower(void);
/* Ends it, done or not. NULL is allowed. */
void scan_count_free(struct scan_count **c);

#endif
