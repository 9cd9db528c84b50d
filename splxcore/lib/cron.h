/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_CRON_H
#define SPLX_LIB_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "err.h"

/*
 * Times as crontab(5) tells them: five fields (minute, hour, day of the month,
 * month, day of the week) of "*", numbers, ranges, steps and lists; names of
 * months and days in English; 7 is Sunday too. Where both days are restricted
 * either counts. Or one of the words hourly, daily, weekly, monthly, whose
 * minute and hour are made of `seed`, so that many machines do not all come at
 * once; and off.
 */
struct cron {
	bool off;
	uint64_t minutes;			/* bit 0: minute 0 */
	uint32_t hours, days, months, weekdays; /* bit 0: hour 0, Sunday; days
						   and months from bit 1 */
	bool any_day, any_weekday;		/* the field begins with "*" */
};

/* -1 and *err, which names the field, what was read and what is allowed. A time
 * that never comes (30 February) is refused too. */
int cron_parse(const char *text, uint64_t seed, struct cron *cron_r,
	       struct err *err);
/*
 * As five fields of numbers alone, which every cron understands. Not for one
 * that is off. Returns out.
 */
#define CRON_TEXT_MAX 512
char *cron_text(const struct cron *cron, char *out, size_t size);
bool cron_matches(const struct cron *cron, const struct tm *local);
/* The first minute after `after` that matches, by local time; (time_t)-1 when
 * it is off or none comes within eight years. */
time_t cron_next(const struct cron *cron, time_t after);

#endif
