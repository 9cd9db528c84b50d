/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_ENTRYFILE_H
#define SPLX_COMMON_ENTRYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/str.h"
#include "lib/vec.h"

/*
 * Files of entries that are the administrator's (conflicts.conf, scans.conf):
 *
 *   [HEAD]
 *   Key = value
 *
 * Comments begin with #. What is wrong in an entry voids that entry alone, and
 * is told with its line; the rest counts.
 */
struct entryfile_problem {
	int line;   /* 0: the file as a whole */
	char *text; /* "FILE:LINE: what is wrong, what is allowed" */
};
struct entryfile_problems {
	VEC(struct entryfile_problem);
};
void entryfile_problems_free(struct entryfile_problems *problems);

/*
 * A value is words separated by commas; one with a comma, a # or blanks at its
 * ends is "text" with \" and \\. A comment begins with a # after a blank.
 */
#define ENTRYFILE_WORDS_MAX 256
struct entryfile_words {
	VEC(char *);
};
/* The words of a value; -1 and *err. They are the caller's in both cases. */
int entryfile_words(const char *value, struct entryfile_words *words,
		    struct err *err);
void entryfile_words_free(struct entryfile_words *words);
/* As a value: one word, and all of them (the caller frees the text). */
void entryfile_word_add(struct str *out, const char *word);
char *entryfile_words_text(const struct entryfile_words *words);

/* What is being read. */
struct entryfile;
struct entryfile_kind {
	const char *head; /* how an entry begins, for people: "[NAME ...]" */
	const char *const *keys;
	int keys_len;
	/* An entry begins; text is what stands between the brackets. */
	void (*begin)(struct entryfile *ef, char *text, void *arg);
	/* One of its keys, each once; value is what stands behind the =. */
	void (*set)(struct entryfile *ef, int key, char *value, void *arg);
	/*
	 * It is whole: entryfile_wrong() names its first line then. Called
	 * once for each begin; a void entry (entryfile_is_void()) is to be
	 * dropped.
	 */
	void (*end)(struct entryfile *ef, void *arg);
};

/* Reads all of the text; `name` stands for the file in problems. */
void entryfile_parse(const struct entryfile_kind *kind, const char *text,
		     const char *name, struct entryfile_problems *problems,
		     void *arg);
/* The text of a file of at most `max` bytes, the caller's to free; NULL and
 * *err with the system call's code, 0 when there is a NUL byte in it. */
char *entryfile_read(const char *path, size_t max, struct err *err);

/*
 * The text of a file with one key of one entry set (made where it is not
 * there; an empty value takes the key out), or with the entry removed (key
 * NULL). Comments and the rest are kept. The caller frees it; NULL and *err
 * when the key or value is none (EINVAL), or (ENOENT) there is no such entry to
 * remove.
 */
char *entryfile_edit(const struct entryfile_kind *kind, const char *old_text,
		     const char *name, const char *key, const char *value,
		     struct err *err);

/*
 * The text with an entry, and the comments straight above it, moved before
 * another one (NULL: to the end). The caller frees it; NULL and *err (ENOENT)
 * when there is no such entry.
 */
char *entryfile_move(const char *old_text, const char *name, const char *before,
		     struct err *err);

/* For the functions of a kind: the entry is void, and why. */
void entryfile_wrong(struct entryfile *ef, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool entryfile_is_void(const struct entryfile *ef);
/* Of the line that is being read; in end: of the entry's first. */
int entryfile_line(const struct entryfile *ef);
/* A problem of the file as a whole. */
void entryfile_problem(struct entryfile_problems *problems, const char *name,
		       const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The number of a key; -1 and *err with the nearest one, or all of them. */
int entryfile_key(const struct entryfile_kind *kind, const char *word,
		  struct err *err);
/* Nothing but a comment. */
bool entryfile_is_rest(const char *rest);

#endif
