/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CONF_H
#define SPLX_COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"
#include "lib/vec.h"

/* The settings: one struct, one row in options.def for each member. */

enum conf_type {
	CONF_BOOL,
	CONF_INT,
	CONF_SIZE,
	CONF_DURATION,
	CONF_ENUM, /* kept as the index of its word */
	CONF_STRING,
	CONF_LIST,
};

struct conf_list {
	VEC(char *);
};

#define CONF_CTYPE_BOOL bool
#define CONF_CTYPE_INT int64_t
#define CONF_CTYPE_SIZE uint64_t
#define CONF_CTYPE_DURATION uint64_t
#define CONF_CTYPE_ENUM int
#define CONF_CTYPE_STRING char *
#define CONF_CTYPE_LIST struct conf_list

/* In the order of the table. */
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct conf {
#define OPTION(group, key, field, type, def, min, max, unit, text)             \
	CONF_CTYPE_##type field;
#include "options.def"
#undef OPTION
};

/* The words of the ENUM options, in the order of their rows. */
enum conf_interceptor {
	CONF_INTERCEPTOR_AUTO,
	CONF_INTERCEPTOR_KHM,
	CONF_INTERCEPTOR_FANOTIFY,
	CONF_INTERCEPTOR_ASYNC,
	CONF_INTERCEPTOR_OFF,
};
/* As enum splxmod_method. */
enum conf_hook_method {
	CONF_HOOK_AUTO,
	CONF_HOOK_FTRACE,
	CONF_HOOK_FSNOTIFY,
};
/* One numbering for all policies, OnError too (it has no default to take). */
enum conf_policy { CONF_POLICY_ALLOW, CONF_POLICY_DENY, CONF_POLICY_DEFAULT };
enum conf_when_locked {
	CONF_LOCKED_ASYNC,
	CONF_LOCKED_FANOTIFY,
	CONF_LOCKED_OFF,
};
enum conf_end_processes {
	CONF_END_RUNNING,
	CONF_END_HOLDING,
	CONF_END_NO,
};
enum conf_log_level {
	CONF_LOG_ERROR, /* as enum log_level */
	CONF_LOG_WARN,
	CONF_LOG_INFO,
	CONF_LOG_DEBUG,
};
/*
 * As enum action. The words of the second actions begin with quarantine:
 * conf_action() makes an action of either.
 */
enum conf_action {
	CONF_ACTION_CLEAN,
	CONF_ACTION_QUARANTINE,
	CONF_ACTION_DELETE,
	CONF_ACTION_RENAME,
	CONF_ACTION_DENY,
	CONF_ACTION_PASS,
};
enum conf_known_clean {
	CONF_KNOWN_OFF,
	CONF_KNOWN_MEMORY,
	CONF_KNOWN_PERSISTENT,
};
enum conf_low_memory {
	CONF_LOW_MEMORY_REFUSE,
	CONF_LOW_MEMORY_UNLOAD,
};
enum conf_ignore_marks {
	CONF_MARKS_OFF,
	CONF_MARKS_SYSTEM,
	CONF_MARKS_ALL,
};
enum conf_after_update {
	CONF_AFTER_RESCAN,
	CONF_AFTER_LAZY,
};
/* RealtimeScan's bits */
#define CONF_CLASS_INCOMING 1
#define CONF_CLASS_OUTGOING 2
#define CONF_CLASS_RUNNING 4

struct conf_option {
	const char *group;
	const char *key;
	enum conf_type type;
	const char *def;
	long long min, max;
	const char *unit;
	const char *text;
	size_t offset;
};
extern const struct conf_option conf_options[];
extern const size_t conf_option_count;
const struct conf_option *conf_option_find(const char *key);
/* The option whose key is most like `key`; NULL when none is. */
const struct conf_option *conf_option_nearest(const char *key);
/* Word number `index` of an ENUM option into out; false when out of range. */
bool conf_option_word(const struct conf_option *opt, int index, char *out,
		      size_t size);
/* What the option takes, for people: "100ms to 2m, such as 5s". */
char *conf_option_allowed(const struct conf_option *opt, char *out,
			  size_t size);

/* A settings file larger than this is refused. */
#define CONF_FILE_MAX (4u << 20)
/* The longest text of an option or an item of a list; items in a list. */
#define CONF_TEXT_MAX 4095
#define CONF_LIST_MAX 4096

/* All defaults. The caller frees with conf_free(). */
struct conf *conf_new(void);
struct conf *conf_copy(const struct conf *conf);
void conf_free(struct conf **conf);
bool conf_equal(const struct conf *a, const struct conf *b);

/*
 * The file is lines of `Key = value`; a list is `Key = {"a", "b"}`. A value is
 * a word of A-Z a-z 0-9 _ . / : @ % -, or "text" with \\ \" \' \$ \n \t \r
 * \xHH, or 'text' with \\ and \' alone (made for expressions). Comments: #,
 * // and slash-star. Durations need their unit. No key may stand twice.
 *
 * Reads the settings file as a whole. NULL and *err with "FILE:LINE: key:
 * what is wrong, what is allowed" when anything in it is not right; no
 * partly read settings ever leave this function. A missing file is an error
 * (ENOENT). Exclusions that make no sense are no error here: exclude_new()
 * voids each by itself and reports it.
 */
struct conf *conf_load(const char *path, struct err *err);
/*
 * For whoever has to know them without the service: active.conf, which core
 * left on /run, else the settings file. As conf_load().
 */
struct conf *conf_in_force(struct err *err);
/* The same from text; `name` stands for the file in messages. */
struct conf *conf_parse(const char *text, const char *name, struct err *err);

/*
 * One option by its word as it would stand in the file ("5s", "{\"/a\"}" or
 * a plain word for a list of one). -1 and *err with what is allowed.
 */
int conf_set(struct conf *conf, const char *key, const char *value,
	     struct err *err);
/* The value as it would stand in the file; the caller frees it. */
char *conf_get(const struct conf *conf, const char *key);
/* Adds to or removes from a list option; 1 when nothing changed. */
int conf_list_add(struct conf *conf, const char *key, const char *item,
		  struct err *err);
int conf_list_remove(struct conf *conf, const char *key, const char *item,
		     struct err *err);

/*
 * The settings file with some values changed, comments and order kept: a line
 * of an option that changed is rewritten, an option that was not in it is
 * added at the end, one that stands at its default and was not in the file is
 * not. `old_text` may be NULL. The caller frees the result. NULL and *err
 * when the syntax of the old text is broken; a value in it that is not right
 * is no error but gets replaced.
 */
char *conf_edit(const char *old_text, const struct conf *now, struct err *err);
/* The commented sample with every option at its default. */
void conf_sample(FILE *out);
/* All settings as a file, without comments; the caller frees it. */
char *conf_dump(const struct conf *conf);

/*
 * True means allow. `policy` is a CONF_POLICY_* as any On… option holds it;
 * CONF_POLICY_DEFAULT is resolved to OnError.
 */
bool conf_allows(const struct conf *conf, int policy);
/* The enum action of an option FirstAction … ManualSecondAction, by key. */
int conf_action(const struct conf *conf, const char *key);
/*
 * Workers and WorkersMax with 0 resolved for `cpus`. Where WorkersMax is the
 * smaller one, Workers counts.
 */
int conf_workers(const struct conf *conf, int cpus);
int conf_workers_max(const struct conf *conf, int cpus);

#endif
