/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The only file that knows PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "exclude.h"
#include "jsontext.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "wildcard.h"

/* Steps of one expression from one start in the path, and memory in KiB:
 * some milliseconds at the worst. */
#define REGEX_STEPS 5000
#define REGEX_HEAP 1024
#define REGEX_LENGTH 4095
#define EXECUTABLE_RECHECK_NS CLOCK_NS_PER_S

struct words {
	VEC(char *);
};

struct program {
	char *path;
	bool found;
	dev_t dev;
	ino_t ino;
};

struct exclude {
	struct words includes;
	struct words directories;
	struct words files;
	struct words extensions;
	struct words fs_types;
	struct {
		VEC(struct wildcard *);
	} patterns;
	struct {
		VEC(pcre2_code *);
	} regexes;
	struct {
		VEC(struct program);
	} programs;
	uint64_t programs_checked_ns;
	pcre2_match_context *match_context;
	pcre2_match_data *match_data;
	struct exclude_problems *problems; /* while exclude_new() runs */
};

static void problem(struct exclude *ex, const char *key, const char *entry,
		    const char *reason)
{
	struct exclude_problem p;

	if (!ex->problems)
		return;
	p.key = key;
	p.entry = xstrdup(entry);
	p.reason = xstrdup(reason);
	vec_push(ex->problems, p);
}

/*
 * A full path without doubled slashes, "." and a slash at its end. NULL and
 * *why_r when it is none. The caller frees it.
 */
static char *normal_path(const char *path, const char **why_r)
{
	struct str out = {0};

	*why_r = NULL;
	if (*path != '/')
		*why_r = "is not a full path";
	while (*path && !*why_r) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0)
			*why_r = "holds ..";
		else if (n && !(n == 1 && *path == '.'))
			str_addf(&out, "/%.*s", (int)n, path);
		path += n;
		path += strspn(path, "/");
	}
	if (*why_r) {
		str_free(&out);
		return NULL;
	}
	if (!out.len)
		str_add(&out, "/");
	return str_take(&out);
}

static void add_paths(struct exclude *ex, const char *key,
		      const struct conf_list *list, struct words *words,
		      const char *why_no_root)
{
	char **entry;

	vec_each (entry, list) {
		const char *why;
		char *path = normal_path(*entry, &why);

		if (path && why_no_root && strcmp(path, "/") == 0) {
			why = why_no_root;
			xfree(&path);
		}
		if (path)
			vec_push(words, path);
		else
			problem(ex, key, *entry, why);
	}
}

static void add_extensions(struct exclude *ex, const struct conf_list *list)
{
	char **entry;

	vec_each (entry, list) {
		const char *ext = *entry + (**entry == '.');

		if (!*ext)
			problem(ex, "ExcludeExtension", *entry, "is empty");
		else if (strchr(ext, '/'))
			problem(ex, "ExcludeExtension", *entry, "holds a /");
		else
			vec_push(&ex->extensions, xstrdup(ext));
	}
}

static void add_patterns(struct exclude *ex, const struct conf_list *list)
{
	char **entry;

	vec_each (entry, list) {
		const char *why;
		struct wildcard *w = wildcard_new(*entry, &why);

		if (w)
			vec_push(&ex->patterns, w);
		else
			problem(ex, "ExcludePattern", *entry, why);
	}
}

/* Describes why an expression could not be compiled. */
static void regex_problem(struct exclude *ex, const char *entry, int code,
			  size_t at)
{
	char what[160], reason[224];

	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)what, sizeof(what)) <
	    0)
		str_copy(what, sizeof(what), "is no expression");
	snprintf(reason, sizeof(reason), "%s (at character %zu)", what, at + 1);
	problem(ex, "ExcludeRegex", entry, reason);
}

static void add_regexes(struct exclude *ex, const struct conf_list *list)
{
	pcre2_compile_context *context;
	char **entry;

	if (!list->len)
		return;
	context = pcre2_compile_context_create(NULL);
	if (!context)
		panic("no memory for expressions");
	pcre2_set_max_pattern_length(context, REGEX_LENGTH);
	vec_each (entry, list) {
		pcre2_code *code;
		size_t at;
		int rc;

		if (!**entry) {
			problem(ex, "ExcludeRegex", *entry,
				"is empty and would fit everything");
			continue;
		}
		/* a path is bytes; $ must not fit before a newline that
		 * somebody put at the end of a name */
		code = pcre2_compile((PCRE2_SPTR)*entry, PCRE2_ZERO_TERMINATED,
				     PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
					     PCRE2_DOLLAR_ENDONLY,
				     &rc, &at, context);
		if (!code) {
			regex_problem(ex, *entry, rc, at);
			continue;
		}
		/* without JIT (no memory may be made executable) it still
		 * matches, only slower */
		pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
		vec_push(&ex->regexes, code);
	}
	pcre2_compile_context_free(context);
}

static void prepare_matching(struct exclude *ex)
{
	if (!ex->regexes.len)
		return;
	ex->match_context = pcre2_match_context_create(NULL);
	ex->match_data = pcre2_match_data_create(1, NULL);
	if (!ex->match_context || !ex->match_data)
		panic("no memory for expressions");
	pcre2_set_match_limit(ex->match_context, REGEX_STEPS);
	pcre2_set_depth_limit(ex->match_context, REGEX_STEPS);
	pcre2_set_heap_limit(ex->match_context, REGEX_HEAP);
}

static void add_fs_types(struct exclude *ex, const struct conf_list *list)
{
	char **entry;

	vec_each (entry, list) {
		if (!**entry || strpbrk(*entry, " /\t\n"))
			problem(ex, "ExcludeFsType", *entry,
				"is no file system type");
		else
			vec_push(&ex->fs_types, xstrdup(*entry));
	}
}

/* Looks a program's file up; one that cannot be seen now keeps what it was,
 * one that is gone is nothing. */
static void look_up(struct program *p)
{
	struct stat st;

	/* normal_path() gave a path or said why not.
	 * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	if (stat(p->path, &st) == 0) {
		p->found = S_ISREG(st.st_mode);
		p->dev = st.st_dev;
		p->ino = st.st_ino;
	} else if (errno == ENOENT || errno == ENOTDIR) {
		p->found = false;
	}
}

static void add_programs(struct exclude *ex, const struct conf_list *list)
{
	char **entry;

	vec_each (entry, list) {
		struct program p = {0};
		const char *why;
		struct stat st;

		p.path = normal_path(*entry, &why);
		if (p.path && stat(p.path, &st) == 0 && !S_ISREG(st.st_mode))
			why = "is not a program's file";
		if (why) {
			problem(ex, "ExcludeExecutable", *entry, why);
			free(p.path);
			continue;
		}
		look_up(&p);
		vec_push(&ex->programs, p);
	}
	ex->programs_checked_ns = clock_mono_ns();
}

struct exclude *exclude_new(const struct conf *conf,
			    struct exclude_problems *problems_r)
{
	struct exclude *ex = xcalloc(1, sizeof(*ex));

	if (problems_r)
		memset(problems_r, 0, sizeof(*problems_r));
	ex->problems = problems_r;
	add_paths(ex, "Include", &conf->include, &ex->includes, NULL);
	add_paths(ex, "ExcludeDirectory", &conf->exclude_directory,
		  &ex->directories,
		  "would exclude everything; RealtimeScan = 0 does that");
	add_paths(ex, "ExcludeFile", &conf->exclude_file, &ex->files,
		  "is not a file");
	add_extensions(ex, &conf->exclude_extension);
	add_patterns(ex, &conf->exclude_pattern);
	add_regexes(ex, &conf->exclude_regex);
	prepare_matching(ex);
	add_fs_types(ex, &conf->exclude_fs_type);
	add_programs(ex, &conf->exclude_executable);
	ex->problems = NULL;
	return ex;
}

static void free_words(struct words *words)
{
	char **p;

	vec_each (p, words)
		free(*p);
	vec_free(words);
}

void exclude_free(struct exclude **exp)
{
	struct exclude *ex = *exp;
	struct wildcard **w;
	pcre2_code **code;
	struct program *p;

	if (!ex)
		return;
	free_words(&ex->includes);
	free_words(&ex->directories);
	free_words(&ex->files);
	free_words(&ex->extensions);
	free_words(&ex->fs_types);
	vec_each (w, &ex->patterns)
		wildcard_free(w);
	vec_free(&ex->patterns);
	vec_each (code, &ex->regexes)
		pcre2_code_free(*code);
	vec_free(&ex->regexes);
	vec_each (p, &ex->programs)
		free(p->path);
	vec_free(&ex->programs);
	pcre2_match_data_free(ex->match_data);
	pcre2_match_context_free(ex->match_context);
	xfree(exp);
}

void exclude_problems_free(struct exclude_problems *p)
{
	struct exclude_problem *one;

	vec_each (one, p) {
		free(one->entry);
		free(one->reason);
	}
	vec_free(p);
}

/* True when the path is one of the directories or lies below it. */
static bool below_any(const struct words *dirs, const char *path)
{
	char **dir;

	vec_each (dir, dirs) {
		size_t len = strlen(*dir);

		if (len == 1)
			return true;
		if (strncmp(path, *dir, len) == 0 &&
		    (path[len] == '/' || !path[len]))
			return true;
	}
	return false;
}

static bool is_any(const struct words *words, const char *text)
{
	char **word;

	vec_each (word, words)
		if (strcmp(*word, text) == 0)
			return true;
	return false;
}

static bool has_extension(const struct words *extensions, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t len = strlen(name);
	char **ext;

	vec_each (ext, extensions) {
		size_t n = strlen(*ext);

		/* something has to stand before the dot */
		if (len > n + 1 && name[len - n - 1] == '.' &&
		    strcasecmp(name + len - n, *ext) == 0)
			return true;
	}
	return false;
}

static bool fits_pattern(const struct exclude *ex, const char *path)
{
	size_t i;

	for (i = 0; i < ex->patterns.len; i++)
		if (wildcard_match(ex->patterns.items[i], path))
			return true;
	return false;
}

static bool fits_regex(const struct exclude *ex, const char *path)
{
	size_t len = strlen(path), i;

	for (i = 0; i < ex->regexes.len; i++) {
		const pcre2_code *code = ex->regexes.items[i];
		int rc = pcre2_match(code, (PCRE2_SPTR)path, len, 0, 0,
				     ex->match_data, ex->match_context);

		if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
			rc = pcre2_match(code, (PCRE2_SPTR)path, len, 0,
					 PCRE2_NO_JIT, ex->match_data,
					 ex->match_context);
		if (rc >= 0)
			return true;
	}
	return false;
}

json_t *exclude_void(const struct conf *conf)
{
	struct exclude_problems problems = {0};
	struct exclude *ex = exclude_new(conf, &problems);
	struct exclude_problem *p;
	json_t *list = json_array();

	vec_each (p, &problems)
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o}", "key", p->key,
					"entry", jsontext_new(p->entry),
					"reason", jsontext_new(p->reason)));
	exclude_problems_free(&problems);
	exclude_free(&ex);
	return list;
}

bool exclude_path(const struct exclude *ex, const char *path,
		  const char **why_r)
{
	const char *why = NULL;

	if (*path != '/')
		return false;
	if (below_any(&ex->directories, path))
		why = "ExcludeDirectory";
	else if (is_any(&ex->files, path))
		why = "ExcludeFile";
	else if (has_extension(&ex->extensions, path))
		why = "ExcludeExtension";
	else if (fits_pattern(ex, path))
		why = "ExcludePattern";
	else if (fits_regex(ex, path))
		why = "ExcludeRegex";
	if (why && why_r)
		*why_r = why;
	return why;
}

bool exclude_fstype(const struct exclude *ex, const char *fstype)
{
	return is_any(&ex->fs_types, fstype);
}

bool exclude_has_executables(const struct exclude *ex)
{
	return ex->programs.len > 0;
}

bool exclude_executable(struct exclude *ex, dev_t dev, ino_t ino)
{
	struct program *p;
	uint64_t now;

	if (!ex->programs.len)
		return false;
	now = clock_mono_ns();
	if (now - ex->programs_checked_ns >= EXECUTABLE_RECHECK_NS) {
		vec_each (p, &ex->programs)
			look_up(p);
		ex->programs_checked_ns = now;
	}
	vec_each (p, &ex->programs)
		if (p->found && p->dev == dev && p->ino == ino)
			return true;
	return false;
}

bool exclude_needs_path(const struct exclude *ex)
{
	return ex->includes.len || ex->directories.len || ex->files.len ||
	       ex->extensions.len || ex->patterns.len || ex->regexes.len;
}

bool exclude_included(const struct exclude *ex, const char *path)
{
	return !ex->includes.len || below_any(&ex->includes, path);
}
