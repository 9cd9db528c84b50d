/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCHEDULES_H
#define SPLX_COMMON_SCHEDULES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "entryfile.h"
#include "lib/err.h"
#include "lib/vec.h"
#include "scanstate.h"

/*
 * Scheduled scans, /etc/splx/scans.conf. The file is the administrator's:
 *
 *   [NAME]
 *   Key = value
 *
 * Values are words (entryfile_words()). What is wrong in an entry voids that
 * entry alone.
 */
#define SCHEDULES_FILE_MAX (1u << 20)
#define SCHEDULES_MAX 256

struct schedule {
	char name[SCAN_NAME_MAX + 1];
	int line;
	char *when;			/* as lib/cron.h reads it */
	struct entryfile_words paths;	/* full */
	struct entryfile_words exclude; /* full paths, with * ? ** */
	bool exclusions;		/* those of splx.conf hold, too */
	bool all;			/* known clean files, too */
	int first_action;  /* enum action; -1: ScheduledFirstAction */
	int second_action; /* -1: ScheduledSecondAction */
	bool low;	   /* Priority = low */
	uint64_t max_ms;   /* 0: no limit */
	bool resume;
	bool missed;  /* a run that was missed is made up for */
	char *report; /* "none", "mail:ADDRESS", or a directory */
};

struct schedules {
	struct {
		VEC(struct schedule);
	} entries;
	struct entryfile_problems problems;
};

/* Reads paths()->scans. Never NULL; without the file it is empty. */
struct schedules *schedules_read(void);
/* The same from text; `name` stands for the file in problems. */
struct schedules *schedules_parse(const char *text, const char *name);
void schedules_free(struct schedules **list);
/* The one of that name; NULL: none, or it is void. */
const struct schedule *schedules_find(const struct schedules *list,
				      const char *name);
/* Its keys with their values, as the file would say them: an array of
 * {"key","value"}, all keys. New reference. */
json_t *schedule_json(const struct schedule *s);
/* What it is to do, as arguments of scan.begin. New reference. */
json_t *schedule_spec(const struct schedule *s, const struct conf *conf);
/* The address of a report by mail; NULL: it is none. */
const char *schedule_mail(const struct schedule *s);
/* Its own seed, so that words such as daily are another time for each. */
uint64_t schedule_seed(uint64_t machine, const char *name);

/*
 * The text of a file with one key of one entry set (made where it is not
 * there; an empty value takes the key out), or with the entry removed (key
 * NULL). Comments and the rest are kept. The caller frees it; NULL and *err
 * when the name or the key is none, or (ENOENT) there is no such entry to
 * remove.
 */
char *schedules_edit(const char *old_text, const char *name, const char *key,
		     const char *value, struct err *err);

#endif
