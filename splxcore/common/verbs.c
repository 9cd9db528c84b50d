/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "nearest.h"
#include "verbs.h"

const struct verb verbs[VERB_COUNT] = {
#define VERB(id, noun, verb, role, where, does, grammar, text)                 \
	{VERB_ID_##id, VERB_##role, VERB_##where, VERB_##does,                 \
	 noun,	       verb,	    grammar,	  text},
#include "verbs.def"
#undef VERB
};

char *verbs_wire(const struct verb *v, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s", v->noun, *v->verb ? "." : "", v->verb);
	return out;
}

const struct verb *verbs_find(const char *wire)
{
	char name[64];
	int i;

	for (i = 0; i < VERB_COUNT; i++) {
		verbs_wire(&verbs[i], name, sizeof(name));
		if (strcmp(name, wire) == 0)
			return &verbs[i];
	}
	return NULL;
}

const struct verb *verbs_match(int argc, char *const *argv, int *used_r)
{
	const struct verb *alone = NULL;
	int i;

	for (i = 0; argc > 0 && i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];

		if (v->where == VERB_HIDDEN || strcmp(v->noun, argv[0]) != 0)
			continue;
		if (!*v->verb) {
			alone = v;
		} else if (argc > 1 && strcmp(v->verb, argv[1]) == 0) {
			*used_r = 2;
			return v;
		}
	}
	if (alone)
		*used_r = 1;
	return alone;
}

static const char *const role_names[] = {
	[VERB_CONSOLE] = "console",
	[VERB_VIEWER] = "viewer",
	[VERB_OPERATOR] = "operator",
	[VERB_ADMIN] = "admin",
};

const char *verbs_role_name(enum verb_role role)
{
	return role <= VERB_ADMIN ? role_names[role] : "unknown";
}

int verbs_role_parse(const char *name)
{
	int role;

	for (role = VERB_VIEWER; role <= VERB_ADMIN; role++)
		if (strcmp(role_names[role], name) == 0)
			return role;
	return -1;
}

/* Copies n bytes in lower case; our own table must fit. */
static void copy_lower(char *dst, size_t size, const char *src, size_t n)
{
	size_t i;

	if (n >= size)
		panic("verbs.def: %.*s is too long a name", (int)n, src);
	for (i = 0; i < n; i++)
		dst[i] = (char)tolower((unsigned char)src[i]);
	dst[n] = '\0';
}

static void grammar_word(const char *word, size_t n, struct verb_arg *arg)
{
	const char *eq;

	memset(arg, 0, sizeof(*arg));
	if (n > 2 && word[0] == '-' && word[1] == '-') {
		arg->option = true;
		eq = memchr(word, '=', n);
		if (eq && (size_t)(word + n - eq - 1) >= sizeof(arg->value))
			panic("verbs.def: %.*s is too long", (int)n, word);
		if (eq)
			memcpy(arg->value, eq + 1, (size_t)(word + n - eq - 1));
		copy_lower(arg->name, sizeof(arg->name), word + 2,
			   (size_t)((eq ? eq : word + n) - word - 2));
		return;
	}
	arg->required = true;
	if (n > 2 && word[0] == '[' && word[n - 1] == ']') {
		arg->required = false;
		word++;
		n -= 2;
	}
	if (n > 3 && memcmp(word + n - 3, "...", 3) == 0) {
		arg->repeats = true;
		n -= 3;
	}
	copy_lower(arg->name, sizeof(arg->name), word, n);
}

int verbs_grammar(const struct verb *v, struct verb_arg *args, int max)
{
	const char *p = v->grammar;
	int count = 0;

	for (;;) {
		size_t n;

		p += strspn(p, " ");
		n = strcspn(p, " ");
		if (!n || count == max)
			return count;
		grammar_word(p, n, &args[count++]);
		p += n;
	}
}

char *verbs_usage(const struct verb *v, char *out, size_t size)
{
	struct str s = {0};
	const char *p = v->grammar;

	str_addf(&s, "%s%s%s", v->noun, *v->verb ? " " : "", v->verb);
	for (;;) {
		size_t n;

		p += strspn(p, " ");
		n = strcspn(p, " ");
		if (!n)
			break;
		str_addf(&s, *p == '-' ? " [%.*s]" : " %.*s", (int)n, p);
		p += n;
	}
	str_copy(out, size, str_get(&s));
	str_free(&s);
	return out;
}

/* The known noun that is most like `typed`; NULL when none is. */
static const char *nearest_noun(const char *typed)
{
	const char *best = NULL;
	int least = INT_MAX, i;

	for (i = 0; i < VERB_COUNT; i++) {
		int d = nearest_distance(typed, verbs[i].noun);

		if (d < least && nearest_plausible(typed, verbs[i].noun, d)) {
			best = verbs[i].noun;
			least = d;
		}
	}
	return best;
}

/* The verb of the noun that is most like `typed`, "" for the noun alone. */
static const char *nearest_verb(const char *noun, const char *typed)
{
	const char *best = NULL;
	int least = INT_MAX, i;

	for (i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];
		int d = nearest_distance(typed, v->verb);

		if (v->where == VERB_HIDDEN || strcmp(v->noun, noun) != 0)
			continue;
		if (!*v->verb && !best)
			best = v->verb;
		if (*v->verb && d < least &&
		    nearest_plausible(typed, v->verb, d)) {
			best = v->verb;
			least = d;
		}
	}
	return best;
}

/* "quarantine list, show, restore" */
static void all_verbs(const char *noun, struct str *out)
{
	const char *between = " ";
	int i;

	str_add(out, noun);
	for (i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];

		if (v->where == VERB_HIDDEN || !*v->verb ||
		    strcmp(v->noun, noun) != 0)
			continue;
		str_addf(out, "%s%s", between, v->verb);
		between = ", ";
	}
}

const char *verbs_nearest(int argc, char *const *argv, char *out, size_t size)
{
	const char *noun = argc > 0 ? nearest_noun(argv[0]) : NULL;
	const char *verb = NULL;
	struct str s = {0};

	if (!noun)
		return NULL;
	if (argc > 1)
		verb = nearest_verb(noun, argv[1]);
	if (verb)
		str_addf(&s, "%s%s%s", noun, *verb ? " " : "", verb);
	else
		all_verbs(noun, &s);
	str_copy(out, size, str_get(&s));
	str_free(&s);
	return out;
}

bool verbs_secret(const struct verb_arg *arg)
{
	return strcmp(arg->value, "SECRET") == 0;
}

json_t *verbs_masked(const struct verb *v, json_t *args)
{
	struct verb_arg known[VERB_ARGS_MAX];
	json_t *out = json_copy(args);
	int i, n = verbs_grammar(v, known, VERB_ARGS_MAX);

	for (i = 0; i < n; i++)
		if (verbs_secret(&known[i]) &&
		    json_object_get(out, known[i].name))
			json_object_set_new(out, known[i].name,
					    json_string("***"));
	return out;
}

/* A command line on its way to an object. */
struct parse {
	const struct verb *v;
	struct verb_arg args[VERB_ARGS_MAX];
	int count;
	json_t *out;
	struct err *err;
};

static int usage_err(const struct parse *p, const char *what, const char *word)
{
	char usage[256], shown[128];

	log_escape(shown, sizeof(shown), word);
	return err_set(p->err, 0, "%s: %s; usage: %s", what, shown,
		       verbs_usage(p->v, usage, sizeof(usage)));
}

static int put_string(const struct parse *p, const struct verb_arg *arg,
		      const char *text)
{
	json_t *value = json_string(text);
	json_t *list;

	if (!value)
		return usage_err(p, "not valid UTF-8",
				 verbs_secret(arg) ? arg->name : text);
	if (!arg->repeats) {
		json_object_set_new(p->out, arg->name, value);
		return 0;
	}
	list = json_object_get(p->out, arg->name);
	if (!list) {
		list = json_array();
		json_object_set_new(p->out, arg->name, list);
	}
	json_array_append_new(list, value);
	return 0;
}

static const struct verb_arg *find_option(const struct parse *p,
					  const char *name, size_t len)
{
	int i;

	for (i = 0; i < p->count; i++)
		if (p->args[i].option && strlen(p->args[i].name) == len &&
		    memcmp(p->args[i].name, name, len) == 0)
			return &p->args[i];
	return NULL;
}

/* One --option; *next is the word after it, taken when it is its value. */
static int parse_option(const struct parse *p, const char *word,
			const char *next, bool *took_next)
{
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct verb_arg *arg = NULL;

	if (str_starts(word, "--"))
		arg = find_option(p, word + 2, len - 2);
	if (!arg)
		return usage_err(p, "unknown option", word);
	if (json_object_get(p->out, arg->name))
		return usage_err(p, "given twice", word);
	if (!*arg->value) {
		if (eq)
			return usage_err(p, "takes no value", word);
		json_object_set_new(p->out, arg->name, json_true());
		return 0;
	}
	if (!eq && !next)
		return usage_err(p, "a value is missing", word);
	*took_next = !eq;
	return put_string(p, arg, eq ? eq + 1 : next);
}

/* The argument that the next plain word belongs to. */
static const struct verb_arg *next_positional(const struct parse *p)
{
	int i;

	for (i = 0; i < p->count; i++) {
		const struct verb_arg *arg = &p->args[i];

		if (!arg->option &&
		    (arg->repeats || !json_object_get(p->out, arg->name)))
			return arg;
	}
	return NULL;
}

static int parse_word(const struct parse *p, const char *word)
{
	const struct verb_arg *arg = next_positional(p);

	if (!arg)
		return usage_err(p, "one argument too many", word);
	return put_string(p, arg, word);
}

static int check_missing(const struct parse *p)
{
	int i;

	for (i = 0; i < p->count; i++) {
		const struct verb_arg *arg = &p->args[i];
		char upper[sizeof(arg->name)];
		size_t n;

		if (!arg->required || json_object_get(p->out, arg->name))
			continue;
		for (n = 0; arg->name[n]; n++)
			upper[n] = (char)toupper((unsigned char)arg->name[n]);
		upper[n] = '\0';
		return usage_err(p, "missing", upper);
	}
	return 0;
}

static int parse_all(const struct parse *p, int argc, char *const *argv)
{
	bool words_only = false;
	int i, rc;

	for (i = 0; i < argc; i++) {
		const char *word = argv[i];
		bool took_next = false;

		if (!words_only && strcmp(word, "--") == 0) {
			words_only = true;
			continue;
		}
		if (!words_only && word[0] == '-' && word[1])
			rc = parse_option(p, word,
					  i + 1 < argc ? argv[i + 1] : NULL,
					  &took_next);
		else
			rc = parse_word(p, word);
		if (rc < 0)
			return -1;
		i += took_next;
	}
	return check_missing(p);
}

json_t *verbs_parse(const struct verb *v, int argc, char *const *argv,
		    struct err *err)
{
	struct parse p = {.v = v, .out = json_object(), .err = err};

	p.count = verbs_grammar(v, p.args, VERB_ARGS_MAX);
	if (parse_all(&p, argc, argv) < 0) {
		json_decref(p.out);
		return NULL;
	}
	return p.out;
}

/* What is wrong with a value that came for an argument; NULL when right. */
static const char *wrong_kind(const struct verb_arg *arg, json_t *value)
{
	json_t *item;
	size_t i;

	if (arg->option && !*arg->value)
		return json_is_true(value) ? NULL : "is a flag: true";
	if (!arg->repeats)
		return json_is_string(value) ? NULL : "has to be a string";
	if (!json_is_array(value) || !json_array_size(value))
		return "has to be an array of strings";
	json_array_foreach (value, i, item)
		if (!json_is_string(item))
			return "has to be an array of strings";
	return NULL;
}

static int check_one(const struct parse *p, const char *name, json_t *value)
{
	char shown[64];
	int i;

	log_escape(shown, sizeof(shown), name);
	for (i = 0; i < p->count; i++) {
		const char *wrong;

		if (strcmp(p->args[i].name, name) != 0)
			continue;
		wrong = wrong_kind(&p->args[i], value);
		if (wrong)
			return err_set(p->err, 0, "%s: %s", shown, wrong);
		return 0;
	}
	return usage_err(p, "unknown argument", name);
}

int verbs_check(const struct verb *v, json_t *args, struct err *err)
{
	struct parse p = {.v = v, .out = args, .err = err};
	const char *name;
	json_t *value;

	if (!json_is_object(args))
		return err_set(err, 0, "args: has to be an object");
	p.count = verbs_grammar(v, p.args, VERB_ARGS_MAX);
	json_object_foreach (args, name, value)
		if (check_one(&p, name, value) < 0)
			return -1;
	return check_missing(&p);
}
