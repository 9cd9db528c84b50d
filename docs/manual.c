/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Fills the generated parts of a manual page from the tables:
 *   manual <page.8 >page.new
 * What stands between `.\" BEGIN verbs` and `.\" END` is replaced; likewise
 * for options, codes, counters and events. All other lines are kept.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/codes.h"
#include "common/conf.h"
#include "common/events.h"
#include "common/scoreboard.h"
#include "common/verbs.h"
#include "lib/alloc.h"
#include "lib/str.h"

#define WIDTH 72
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A word of a table's text as roff takes it. */
static void put_word(const char *word)
{
	static const char dots[] = "\xe2\x80\xa6"; /* … */
	const char *p;

	for (p = word; *p; p++) {
		if (*p == '\\')
			fputs("\\e", stdout);
		else if (str_starts(p, dots)) {
			fputs("\\&...", stdout);
			p += strlen(dots) - 1;
		} else
			putchar(*p);
	}
}

/*
 * Text in short lines, a new one for each sentence, as mdoc wants it. A line
 * that begins like a request is protected.
 */
static void put_text(const char *text)
{
	char *copy = xstrdup(text), *save, *word;
	size_t used = 0;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (used && used + 1 + strlen(word) > WIDTH) {
			putchar('\n');
			used = 0;
		}
		if (used)
			putchar(' ');
		else if (*word == '.' || *word == '\'')
			fputs("\\&", stdout);
		put_word(word);
		used += strlen(word) + 1;
		if (strchr(".!?", word[strlen(word) - 1])) {
			putchar('\n');
			used = 0;
		}
	}
	if (used)
		putchar('\n');
	free(copy);
}

static void put_upper(const char *s)
{
	for (; *s; s++)
		putchar(toupper((unsigned char)*s));
}

/* ---- verbs ---- */

static void put_arg(const struct verb_arg *arg)
{
	if (arg->option) {
		printf(" Oo Fl -%s", arg->name);
		if (*arg->value)
			printf(" Ns = Ns Ar %s", arg->value);
		fputs(" Oc", stdout);
		return;
	}
	fputs(arg->required ? " Ar " : " Oo Ar ", stdout);
	put_upper(arg->name);
	if (arg->repeats)
		fputs(" ...", stdout);
	if (!arg->required)
		fputs(" Oc", stdout);
}

static void put_verbs(void)
{
	struct verb_arg args[VERB_ARGS_MAX];
	int i, k, n;

	puts(".Bl -tag -width Ds");
	for (i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];

		if (v->where == VERB_HIDDEN)
			continue;
		printf(".It Cm %s%s%s", v->noun, *v->verb ? " " : "", v->verb);
		n = verbs_grammar(v, args, VERB_ARGS_MAX);
		for (k = 0; k < n; k++)
			put_arg(&args[k]);
		putchar('\n');
		put_text(v->text);
		if (v->where == VERB_ENTITY && v->role > VERB_VIEWER)
			printf("Needs the role %s.\n",
			       verbs_role_name(v->role));
	}
	puts(".El");
}

/* ---- options ---- */

static const char *placeholder(const struct conf_option *opt)
{
	switch (opt->type) {
	case CONF_BOOL:
		return "yes | no";
	case CONF_INT:
		return "number";
	case CONF_SIZE:
		return "size";
	case CONF_DURATION:
		return "duration";
	case CONF_ENUM:
		return "word";
	case CONF_STRING:
		return "text";
	case CONF_LIST:
		break;
	}
	return "list";
}

static void put_option(const struct conf_option *opt)
{
	char allowed[512], line[600];

	printf(".It Ic %s No = Ar %s\n", opt->key, placeholder(opt));
	put_text(opt->text);
	snprintf(line, sizeof(line), "Allowed: %s.",
		 conf_option_allowed(opt, allowed, sizeof(allowed)));
	put_text(line);
	if (*opt->def)
		printf("Default:\n.Li %s .\n", opt->def);
	else
		puts("Empty by default.");
}

static void put_options(void)
{
	const char *group = "";
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];

		if (strcmp(opt->group, group) != 0) {
			printf("%s.Ss %c%s\n.Bl -tag -width Ds\n",
			       *group ? ".El\n" : "",
			       toupper((unsigned char)opt->group[0]),
			       opt->group + 1);
			group = opt->group;
		}
		put_option(opt);
	}
	puts(".El");
}

/* ---- codes, counters, events ---- */

static void put_codes(void)
{
	static const int numbers[] = {
#define CODE(id, number, name, field, level, text, action) number,
#include "common/codes.def"
#undef CODE
	};
	size_t i;

	puts(".Bl -tag -width 20000 -compact");
	for (i = 0; i < N(numbers); i++) {
		printf(".It %d\n.Em %s :\n", numbers[i],
		       status_name(numbers[i]));
		put_text(status_text(numbers[i]));
		if (*status_action(numbers[i])) {
			puts("\\(->");
			put_text(status_action(numbers[i]));
		}
	}
	puts(".El");
}

static void put_counters(void)
{
	int i;

	puts(".Bl -tag -width policyScannerGone -compact");
	for (i = 0; i < COUNTER_COUNT; i++) {
		printf(".It %s\n", counter_names[i]);
		put_text(counter_texts[i]);
	}
	puts(".El");
}

static void put_events(void)
{
	const struct event_kind *kind;
	size_t i, k;

	puts(".Bl -tag -width Ds");
	for (i = 0; i < EVENT_KIND_COUNT; i++) {
		kind = &event_kinds[i];
		printf(".It Cm %s\n", kind->name);
		put_text(kind->text);
		puts(".Bl -tag -width quarantine_id -compact");
		for (k = 0; k < kind->column_count; k++) {
			printf(".It %s\n", kind->columns[k].name);
			put_text(kind->columns[k].text);
		}
		puts(".El");
	}
	puts(".El");
}

static const struct part {
	const char *name;
	void (*put)(void);
} parts[] = {
	{"verbs", put_verbs},	{"options", put_options},
	{"codes", put_codes},	{"counters", put_counters},
	{"events", put_events},
};

static bool put_part(const char *name)
{
	size_t i;

	for (i = 0; i < N(parts); i++) {
		if (strcmp(parts[i].name, name) == 0) {
			parts[i].put();
			return true;
		}
	}
	fprintf(stderr, "manual: there is no table %s\n", name);
	return false;
}

int main(void)
{
	static const char begin[] = ".\\\" BEGIN ", end[] = ".\\\" END";
	bool skip = false;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		if (strncmp(line, end, strlen(end)) == 0)
			skip = false;
		if (!skip)
			fputs(line, stdout);
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (!put_part(line + strlen(begin)))
			return 1;
		skip = true;
	}
	free(line);
	if (skip) {
		fputs("manual: an END is missing\n", stderr);
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
