/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_ENGINE_H
#define SPLX_VSAPIAPP_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/verdict.h"
#include "lib/err.h"

/*
 * libclamav behind one door: engine.c is the only file that includes
 * clamav.h. An engine is loaded and compiled once in the generation process
 * and then shared copy-on-write by the workers forked from it.
 */
struct engine;

/*
 * Loads the built-in set, the current one of those that updates brought, files
 * that lie in our own pattern directory, and conf's PatternDirectory, compiles,
 * and tries the result on the built-in marker (which must be found) and on a
 * clean buffer (which must not). NULL and *err, naming the file that is broken,
 * when anything fails. Files whose names libclamav does not load are passed
 * over; a directory that is not there is none.
 */
struct engine *engine_new(const struct conf *conf, struct err *err);
/* The same with another set of patterns than the current one. */
struct engine *engine_new_of(const struct conf *conf, const char *set_dir,
			     struct err *err);
/* Nothing but the built-in set, since the rest cannot be loaded: `why`, which
 * engine_describe() tells as set_fault. */
struct engine *engine_new_builtin(const struct conf *conf, const char *why,
				  struct err *err);
void engine_free(struct engine **engine);

/*
 * Takes over limits and scan options from new settings, before workers are
 * forked for them. 0; 1 when all that can be was taken over, but DetectPUA or
 * PatternDirectory differ from what was loaded, so that a new engine is
 * wanted; -1 and *err.
 */
int engine_configure(struct engine *engine, const struct conf *conf,
		     struct err *err);

/*
 * What is loaded, in the words of common/state.h: an object with engine,
 * signatures, pattern_id, pattern_time, builtin_only, patterns, rar,
 * set_fault.
 * New reference.
 */
json_t *engine_describe(const struct engine *engine);
/* A hash over names and contents of all pattern files. Never 0. */
uint64_t engine_pattern_id(const struct engine *engine);

struct engine_result {
	enum verdict verdict;
	char name[256]; /* of the finding, or what went wrong */
};
/*
 * Scans an open file from its beginning (the offset is left anywhere).
 * Scratch files go to the current tmpdir (engine_tmpdir()). Never returns
 * CLEAN for a scan that was cut short by any limit: that is OVERSIZE,
 * TIMEOUT or ENCRYPTED, unless something was found before.
 */
void engine_scan(struct engine *engine, int fd, const char *path_for_people,
		 struct engine_result *result_r);
int engine_tmpdir(struct engine *engine, const char *dir, struct err *err);
/*
 * What libclamav checks of a database in one of ClamAV's containers without
 * loading it (database.h says what that is worth). -1 and *err.
 */
int engine_verify(const char *path, struct err *err);
/*
 * Whether this libclamav is of the series that scratch.c was written for and
 * is tested with; with another one it is not used.
 */
bool engine_is_reviewed(void);

#endif
