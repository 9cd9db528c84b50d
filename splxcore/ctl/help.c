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
#define FULL_STOP "。"

/* The mark that may not begin a line at text: its length, or 0. */
static size_t mark(const char *text)
{
	static const char *const marks[] = {"、", FULL_STOP, "）"};
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (str_starts(text, marks[i]))
			return strlen(marks[i]);
	return 0;
}

/* How much of the text stands together: a word, or one wide character. */
static size_t piece(const char *text)
{
	size_t len = 0;

	while (text[len] && text[len] != ' ' && !(text[len] & 0x80))
		len++;
	if (!len)
		for (len = 1; (text[len] & 0xc0) == 0x80; len++)
			;
	while (mark(text + len))
		len += mark(text + len);
	return len;
}

/* Text in lines of at most TEXT_WIDTH columns, all but the first indented. */
static void wrap(FILE *f, const char *text, size_t indent)
{
	size_t used = 0, w, n;
	bool blank = false;
	char part[256];

	for (; *text; text += n) {
		n = strspn(text, " ");
		if (n) {
			blank = true;
			continue;
		}
		n = piece(text);
		snprintf(part, sizeof(part), "%.*s", (int)n, text);
		w = output_width(part);
		if (used && indent + used + blank + w > TEXT_WIDTH) {
			fprintf(f, "\n%*s", (int)indent, "");
			used = 0;
		}
		fprintf(f, "%s%s", used && blank ? " " : "", part);
		used += w + (used && blank);
		blank = false;
	}
	fputc('\n', f);
}

/* The first sentence of a row's text. */
static void first_sentence(char *out, size_t size, const char *text)
{
	char *end;

	str_copy(out, size, text);
	end = strstr(out, ". ");
	if (end)
		end[1] = '\0';
	end = strstr(out, FULL_STOP);
	if (end)
		end[strlen(FULL_STOP)] = '\0';
}

static void summary_line(FILE *f, const struct verb *v)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "%s %s", v->noun, v->verb);
	first_sentence(text, sizeof(text), T(v->text));
	fprintf(f, "  %-20s ", name);
	wrap(f, text, 23);
}

static void show_globals(FILE *f)
{
	fputs(T("Options of every command:\n"
		"  -o, --output FORMAT  table (default) or json\n"
		"      --timeout TIME   how long an answer may take, such as "
		"30s\n"
		"  -R, --root ROOT      the suite that lies below ROOT\n"
		"  -h, --help           help for the command\n"),
	      f);
}

void help_summary(FILE *f)
{
	int i;

	fprintf(f,
		T("splxctl %s\nUsage: splxctl NOUN [VERB] [ARGUMENT...]\n\n"),
		SPLX_VERSION);
	for (i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].where != VERB_HIDDEN)
			summary_line(f, &verbs[i]);
	}
	fputs("\n", f);
	show_globals(f);
	fputs(T("\nMore: splxctl help NOUN [VERB], man splxctl\n"), f);
}

static void show_verb(FILE *f, const struct verb *v)
{
	char usage[256];

	fprintf(f, "splxctl %s\n", verbs_usage(v, usage, sizeof(usage)));
	fputs("    ", f);
	wrap(f, T(v->text), 4);
	if (v->role > VERB_VIEWER)
		fprintf(f, T("    Needs the role %s.\n"),
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
