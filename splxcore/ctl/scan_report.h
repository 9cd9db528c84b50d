/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SCAN_REPORT_H
#define SPLX_CTL_SCAN_REPORT_H

#include <stdint.h>

#include "ctl.h"
#include "scan_show.h"
#include "scan_what.h"

/* Of the files that the runs of one schedule leave so many are kept. */
#define SCAN_REPORT_KEEP 60

/*
 * Delivers what entity knows of the scan with that number as what->report says:
 * by mail, or as DIRECTORY/NAME-YYYYMMDD-HHMMSS.txt. What cannot be delivered
 * is said, and told to entity for health.
 */
void scan_report(const struct ctl *ctl, const struct scan_what *what,
		 int64_t id, const struct scan_tally *tally);

#endif
