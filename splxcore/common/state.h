/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_STATE_H
#define SPLX_COMMON_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

/*
 * What vsapiapp tells of itself: one JSON object in paths()->state_file
 * (on /run), replaced as a whole at every change, so that a stopped vsapiapp
 * can still be described. Entity reads it; live numbers are in the scoreboard.
 *
 *   generation, policy_generation   integers, as in the scoreboard
 *   interceptor     "khm", "fanotify", "async", "off"
 *   hook            with khm: {"method","state","version","why","unseen",
 *                   "file_systems"} why: why not ftrace; unseen: what it
 *                   does not see; file_systems: how many, with fsnotify
 *   reasons         [{"code":20020,"text":"..."}]  rungs of the ladder left
 *   engine          version of libclamav
 *   signatures      number in the engine
 *   pattern_id      hash of the patterns' content, hex
 *   pattern_time    newest build time, seconds since 1970; 0 unknown
 *   builtin_only    true when nothing but the built-in set is loaded
 *   rar             whether the library unpacks RAR archives; not there when
 *                   it does not tell
 *   set_fault       why a former set of patterns is loaded, or (builtin_only)
 *                   none at all; not there when it is the current one
 *   patterns        [{"file","kind","version","signatures","time"}]
 *   coverage        [{"point","fstype","source","covered","scope","reason",
 *                     "namespace"}] scope: "filesystem" or "mount";
 *                     namespace: a pid in it, 0 for our own
 *   workers         {"front","back","wanted"}
 *   sandbox         {"seccomp","landlock","namespaces"} booleans
 *   void_entries    [{"key","entry","reason"}] settings that were left out
 *   refresh         {"running","total","left","clean","found"} what was known
 *                   before an update and is examined again (AfterUpdate): how
 *                   many, how many are not looked at yet, and what came of
 *                   the others; not there before the first
 *   errors          [{"code","text","time"}] what is wrong now; empty if fine
 *
 * Signals to vsapiapp's master: SIGHUP takes over paths()->active_conf,
 * SIGUSR1 loads the patterns anew, SIGTERM ends it. Done is when the
 * scoreboard's policy_generation or generation has grown, or errors has a
 * newer entry.
 */
int state_write(json_t *state, struct err *err);
/* New reference; NULL and *err (ENOENT before vsapiapp ever ran). */
json_t *state_read(struct err *err);
/* True when that very entry is in an older "errors"; NULL holds none. */
bool state_told_before(json_t *errors, json_t *entry);

#endif
