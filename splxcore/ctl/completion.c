/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "completion.h"

#include <ctype.h>
#include <string.h>

#include "common/conf.h"
#include "common/events.h"
#include "lib/str.h"
#include "render.h"

/* Writes the words that an argument of this name may be; false: unknown. */
static bool known_words(FILE *f, const char *name)
{
	static const struct {
		const char *name;
		const char *words;
	} fixed[] = {
		{"action", "clean quarantine delete rename deny pass none"},
		{"format", "csv jsonl"},
		{"shell", "bash"},
		{"part", "vsapiapp all"},
		{"type", "directory file extension pattern regex fstype "
			 "executable"},
	};
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(fixed[i].name, name) == 0) {
			fputs(fixed[i].words, f);
			return true;
		}
	}
	if (strcmp(name, "kind") == 0) {
		for (i = 0; i < EVENT_KIND_COUNT; i++)
			fprintf(f, "%s%s", i ? " " : "", event_kinds[i].name);
		return true;
	}
	if (strcmp(name, "key") == 0) {
		for (i = 0; i < conf_option_count; i++)
			fprintf(f, "%s%s", i ? " " : "", conf_options[i].key);
		return true;
	}
	return false;
}

/* Arguments whose value is a file's name. */
static bool is_file(const char *name)
{
	static const char *const names[] = {"path", "file", "to", "value"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* Each visible noun once, in the order of the table. */
static bool first_of_noun(int i)
{
	int k;

	if (verbs[i].where == VERB_HIDDEN)
		return false;
	for (k = 0; k < i; k++) {
		if (verbs[k].where != VERB_HIDDEN &&
		    strcmp(verbs[k].noun, verbs[i].noun) == 0)
			return false;
	}
	return true;
}

static void print_verbs(FILE *f, const char *noun)
{
	int i, n = 0;

	fprintf(f, "\t%s) verbs=\"", noun);
	for (i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].where != VERB_HIDDEN && *verbs[i].verb &&
		    strcmp(verbs[i].noun, noun) == 0)
			fprintf(f, "%s%s", n++ ? " " : "", verbs[i].verb);
	}
	fputs("\" ;;\n", f);
}

/* The case of one verb: its options, and what its words may be. */
static void print_grammar(FILE *f, const struct verb *v)
{
	struct verb_arg args[VERB_ARGS_MAX];
	int i, n = verbs_grammar(v, args, VERB_ARGS_MAX), count = 0;
	bool files = false;

	fprintf(f, "\t\"%s %s\")\n\t\toptions=\"", v->noun, v->verb);
	for (i = 0; i < n; i++) {
		if (args[i].option)
			fprintf(f, "%s--%s%s", count++ ? " " : "", args[i].name,
				*args[i].value ? "=" : "");
	}
	fputs("\"\n\t\twords=\"", f);
	for (i = 0; i < n; i++) {
		if (args[i].option)
			continue;
		if (is_file(args[i].name))
			files = true;
		else if (known_words(f, args[i].name))
			break;
	}
	fprintf(f, "\"\n\t\tfiles=%d ;;\n", files);
}

/* Values of options, by the option's name. */
static void print_values(FILE *f)
{
	static const char *const names[] = {"action", "format", "kind"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fprintf(f, "\t--%s) words=\"", names[i]);
		known_words(f, names[i]);
		fputs("\" ;;\n", f);
	}
	fputs("\t--output | -o) words=\"table json\" ;;\n"
	      "\t--to | --path | --root | -R) files=1 ;;\n",
	      f);
}

static const char head[] =
	"# bash completion for splxctl, made by: splxctl completion bash\n"
	"_splxctl()\n"
	"{\n"
	"\tlocal cur prev word noun='' verb='' verbs='' options='' words=''\n"
	"\tlocal i files=0 skip=0 given=''\n"
	"\tCOMPREPLY=()\n"
	"\tcur=${COMP_WORDS[COMP_CWORD]}\n"
	"\tprev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\t# readline splits at =: --kind=virus is three words\n"
	"\tif [[ $cur == '=' ]]; then cur=''\n"
	"\telif [[ $prev == '=' && $COMP_CWORD -gt 1 ]]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif ((skip)); then skip=0; continue; fi\n"
	"\t\tcase $word in\n"
	"\t\t-o | -R | --output | --root | --timeout) skip=1 ;;\n"
	"\t\t-* | =) ;;\n"
	"\t\t*)\n"
	"\t\t\tif [[ -z $noun ]]; then noun=$word\n"
	"\t\t\telif [[ -z $verb ]]; then verb=$word\n"
	"\t\t\tfi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tcase $prev in\n";

static const char after_nouns[] =
	"\tif [[ -n $words || $files == 1 ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\t\t((files)) && mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY \\\n"
	"\t\t\t< <(compgen -f -- \"$cur\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ -z $noun ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W "
	"\"$nouns --output --timeout --root --help\" -- \"$cur\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase $noun in\n";

static const char after_verbs[] =
	"\tesac\n"
	"\t# what is no verb is a word of a noun that stands alone\n"
	"\tgiven=$verb\n"
	"\t[[ \" $verbs \" == *\" $verb \"* ]] || verb=''\n"
	"\tcase \"$noun $verb\" in\n";

static const char tail[] =
	"\tesac\n"
	"\t[[ -z $given ]] && words=\"$verbs $words\"\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W "
	"\"$options --output= --timeout= --help\" -- \"$cur\")\n"
	"\t\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\t\t((files)) && mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY \\\n"
	"\t\t\t< <(compgen -f -- \"$cur\")\n"
	"\tfi\n"
	"\treturn 0\n"
	"}\n"
	"complete -o filenames -o bashdefault -o default -F _splxctl splxctl\n";

void completion_bash(FILE *f)
{
	int i;

	fputs(head, f);
	print_values(f);
	fputs("\tesac\n\tlocal nouns=\"", f);
	for (i = 0; i < VERB_COUNT; i++) {
		if (first_of_noun(i))
			fprintf(f, "%s%s", i ? " " : "", verbs[i].noun);
	}
	fputs("\"\n", f);
	fputs(after_nouns, f);
	for (i = 0; i < VERB_COUNT; i++) {
		if (first_of_noun(i))
			print_verbs(f, verbs[i].noun);
	}
	fputs(after_verbs, f);
	for (i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].where != VERB_HIDDEN)
			print_grammar(f, &verbs[i]);
	}
	fputs(tail, f);
}

int completion_run(struct ctl *ctl)
{
	if (strcmp(ctl_arg(ctl, "shell"), "bash") != 0) {
		ctl_complain("completion %s: bash is what there is",
			     ctl_arg(ctl, "shell"));
		return CTL_ERROR;
	}
	completion_bash(stdout);
	return CTL_OK;
}
