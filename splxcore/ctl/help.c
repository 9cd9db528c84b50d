/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "help.h"

#include <stdlib.h>
#include <string.h>

#include "common/version.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "output.h"
#include "render.h"

#define TEXT_WIDTH 78

/* Text in lines of at most TEXT_WIDTH columns, all but the first indented. */
static void wrap(FILE *f, const char *text, size_t indent)
{
	size_t used = 0, w;
	char *copy = xstrdup(text), *save, *word;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		w = output_width(word);
		if (used && indent + used + 1 + w > TEXT_WIDTH) {
			fprintf(f, "\n%*s", (int)indent, "");
			used = 0;
		}
		fprintf(f, "%s%s", used ? " " : "", word);
		used += w + (used > 0);
	}
	fputc('\n', f);
	free(copy);
}

/* The first sentence of a row's text. */
static void first_sentence(char *out, size_t size, const char *text)
{
	char *end;

	str_copy(out, size, text);
	end = strstr(out, ". ");
	if (end)
		end[1] = '\0';
}

static void summary_line(FILE *f, const struct verb *v)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "%s %s", v->noun, v->verb);
	first_sentence(text, sizeof(text), v->text);
	fprintf(f, "  %-20s ", name);
	wrap(f, text, 23);
}

static void show_globals(FILE *f)
{
	fputs("Options of every command:\n"
	      "  -o, --output FORMAT  table (default) or json\n"
	      "      --timeout TIME   how long an answer may take, such as "
	      "30s\n"
	      "  -R, --root ROOT      the suite that lies below ROOT\n"
	      "  -h, --help           help for the command\n",
	      f);
}

void help_summary(FILE *f)
{
	int i;

	fprintf(f, "splxctl %s\nUsage: splxctl NOUN [VERB] [ARGUMENT...]\n\n",
		SPLX_VERSION);
	for (i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].where != VERB_HIDDEN)
			summary_line(f, &verbs[i]);
	}
	fputs("\n", f);
	show_globals(f);
	fputs("\nMore: splxctl help NOUN [VERB], man splxctl\n", f);
}

static void show_verb(FILE *f, const struct verb *v)
{
	char usage[256];

	fprintf(f, "splxctl %s\n", verbs_usage(v, usage, sizeof(usage)));
	fputs("    ", f);
	wrap(f, v->text, 4);
	if (v->role > VERB_VIEWER)
		fprintf(f, "    Needs the role %s.\n",
			verbs_role_name(v->role));
}

int help_show(int count, char *const *words)
{
	const struct verb *v = NULL;
	int used = 0, shown = 0, i;

	if (count == 0) {
		help_summary(stdout);
		return CTL_OK;
	}
	v = verbs_match(count, words, &used);
	if (v && used == 2) {
		show_verb(stdout, v);
		return CTL_OK;
	}
	for (i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].where == VERB_HIDDEN ||
		    strcmp(verbs[i].noun, words[0]) != 0)
			continue;
		if (shown++)
			puts("");
		show_verb(stdout, &verbs[i]);
	}
	if (shown)
		return CTL_OK;
	ctl_complain("no help for %s; see splxctl help", words[0]);
	return CTL_ERROR;
}

int help_run(struct ctl *ctl)
{
	const char *noun = ctl_arg(ctl, "noun"), *verb = ctl_arg(ctl, "verb");
	char *words[] = {(char *)noun, (char *)verb};

	return help_show(!noun ? 0 : !verb ? 1 : 2, words);
}
