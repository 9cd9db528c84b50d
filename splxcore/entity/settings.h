/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_SETTINGS_H
#define SPLX_ENTITY_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/conf.h"
#include "core.h"
#include "takeover.h"

/*
 * The settings in force. They come from splx.conf; when that is not right,
 * from last-good.conf, and failing that from active.conf, which an earlier
 * core left on /run. What is in force stands in active.conf for vsapiapp.
 */
struct settings;

/* NULL conf, and -1 with *err, when none of the three can be used. */
int settings_init(struct core *core, struct err *err);
void settings_deinit(struct core *core);

/* Borrowed until the loop turns. */
const struct conf *settings_conf(const struct settings *s);
/* "file" or "last-good". */
const char *settings_origin(const struct settings *s);
/* NULL, or what is wrong with the file. */
const char *settings_broken(const struct settings *s);
/* [{"key","entry","reason"}], borrowed. */
json_t *settings_void(const struct settings *s);
/* enum verb_role of a user by AdminUsers and so on; -1 none. */
int settings_role(const struct settings *s, uid_t uid);

/*
 * A user's name as the settings have it, or the number: nothing is looked up,
 * for this is asked at each request. Returns out.
 */
char *settings_user_name(const struct settings *s, uid_t uid, char *out,
			 size_t size);
/* The user of the web console's process; false when there is none. */
bool settings_console(const struct settings *s, uid_t *uid_r);

/*
 * What a change has come to. `changed` are the keys whose value in force is
 * another now (borrowed).
 */
struct settings_result {
	enum takeover_result takeover;
	const char *note;
	json_t *changed;
};
typedef void (*settings_fn)(const struct settings_result *result, void *arg);

/*
 * Settings to be edited: those in the file, or where that is not right those
 * in force. The caller frees them.
 */
struct conf *settings_edit(const struct settings *s);
/* Could they be used? Writes nothing. 0, or -1 and *err. */
int settings_check(const struct conf *conf, struct err *err);
/*
 * Writes them into the file and takes them over. 0: `fn` will be called; -1
 * and *err when they cannot be used or written, and nothing has changed.
 * Only while !settings_busy().
 */
int settings_save(struct core *core, const struct conf *conf, settings_fn fn,
		  void *arg, struct err *err);
/* Reads the file and takes it over; as settings_save(). A file that is not
 * right is an error that health tells too. */
int settings_reload(struct core *core, settings_fn fn, void *arg,
		    struct err *err);
/* A change is under way; vsapiapp is told one after the other. */
bool settings_busy(const struct settings *s);
/* Calls fn when it is no longer busy; in order, each alone. */
struct settings_turn;
struct settings_turn *settings_wait(struct settings *s, loop_fn fn, void *arg);
/* Gives the place in the queue up. */
void settings_leave(struct settings *s, struct settings_turn **turn);

/* SIGHUP: reloads when it is its turn; the log tells what came of it. */
void settings_hangup(struct core *core);

/* Core ends (core->ending): whoever waits gets its answer. */
void settings_end(struct core *core);

#endif
