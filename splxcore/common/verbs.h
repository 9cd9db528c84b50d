/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_VERBS_H
#define SPLX_COMMON_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* The verb table (verbs.def) and what follows from its grammar. */
enum verb_role { VERB_CONSOLE, VERB_VIEWER, VERB_OPERATOR, VERB_ADMIN };
enum verb_where { VERB_ENTITY, VERB_LOCAL, VERB_HIDDEN };
enum verb_does { VERB_READS, VERB_CHANGES, VERB_TASK, VERB_TELLS };

enum verb_id {
#define VERB(id, noun, verb, role, where, does, grammar, text) VERB_ID_##id,
#include "verbs.def"
#undef VERB
	VERB_COUNT
};

struct verb {
	enum verb_id id;
	enum verb_role role;
	enum verb_where where;
	enum verb_does does;
	const char *noun;
	const char *verb;
	const char *grammar;
	const char *text;
};
extern const struct verb verbs[VERB_COUNT];

/* By its wire name, "noun.verb" or "noun"; NULL when unknown. */
const struct verb *verbs_find(const char *wire);
/*
 * By the words of a command line; *used_r (1 or 2) words belong to it. Hidden
 * verbs are not found ("scan begin" scans the file begin).
 */
const struct verb *verbs_match(int argc, char *const *argv, int *used_r);
/* "noun.verb" or "noun". Returns out. */
char *verbs_wire(const struct verb *v, char *out, size_t size);
const char *verbs_role_name(enum verb_role role);
/* viewer, operator or admin; -1 for another word. */
int verbs_role_parse(const char *name);

/* One argument of a grammar. */
struct verb_arg {
	char name[24];	/* lower case: "path", "action", "no-exclusions" */
	char value[24]; /* "ACTION" for --action=ACTION, "" for a flag */
	bool option;	/* begins with -- */
	bool required;
	bool repeats;
};
#define VERB_ARGS_MAX 20
/* Is its value one that nobody shall read (--password=SECRET)? */
bool verbs_secret(const struct verb_arg *arg);
/*
 * The arguments as they may be logged: secret values are "***". args is
 * borrowed; new reference.
 */
json_t *verbs_masked(const struct verb *v, json_t *args);
/* Splits a grammar; returns the number of arguments (at most max). */
int verbs_grammar(const struct verb *v, struct verb_arg *args, int max);

/* "quarantine restore ID... [--to=PATH] [--force]". Returns out. */
char *verbs_usage(const struct verb *v, char *out, size_t size);
/*
 * What may be meant by words that verbs_match() does not know: the command
 * ("quarantine list") that is most like them, into out. NULL when none is. A
 * noun without its verb gets all of that noun: "quarantine list, show, ...".
 */
const char *verbs_nearest(int argc, char *const *argv, char *out, size_t size);

/*
 * Command line words (after noun and verb) to a JSON object: words are
 * strings, repeated ones arrays, flags true. --x=V and --x V are the same,
 * after -- everything is a word, a lone - is one too. NULL and *err with what
 * is missing or unknown, and the usage. New reference.
 */
json_t *verbs_parse(const struct verb *v, int argc, char *const *argv,
		    struct err *err);
/*
 * Checks an object that came over the wire against the grammar: unknown
 * names, missing ones, wrong kinds (the kinds are as verbs_parse() makes
 * them). 0, or -1 and *err.
 */
int verbs_check(const struct verb *v, json_t *args, struct err *err);

#endif
