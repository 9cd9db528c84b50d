/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_SETTINGS_H
#define SPLX_VSAPIAPP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/scoreboard.h"
#include "jobs.h"
#include "lib/err.h"

/* The settings as the master takes them over. */
struct settings {
	struct conf *conf;
	uid_t scan_uid;
	struct jobs_users users; /* AdminUsers and OperatorUsers, as uids */
	char from[256];		 /* the file */
};

/*
 * From paths()->active_conf; with `fallback`, where that is not there or not
 * right: last_good, then the settings file. NULL and *err (of the first that
 * was there, or that none is). Opens files: at run time only in a hand.
 */
struct settings *settings_load(bool fallback, struct err *err);
void settings_free(struct settings **settings);

/* To and from a hand: the output of one is read by the other. */
int settings_write(int out, const struct settings *settings);
struct settings *settings_parse(const char *data, struct err *err);

/* What workers found under one policy stays true under another of the same
 * id: a hash over what can change a verdict. Never 0. */
uint64_t settings_policy_id(const struct conf *conf);
/* True when the change from a to b takes a new engine. */
bool settings_need_engine(const struct conf *a, const struct conf *b);
/* What the guard reads from the scoreboard; and the level of the log. */
void settings_publish(struct scoreboard *sb, const struct conf *conf);

#endif
