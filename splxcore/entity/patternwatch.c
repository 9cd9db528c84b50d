/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "patternwatch.h"

#include <stdlib.h>

#include "common/paths.h"
#include "lib/alloc.h"

static void look_at_told(struct patternwatch *w)
{
	char *path = patternset_told_path();

	if (filemark_changed(&w->told_mark, path))
		w->failed = patternset_told(&w->when, &w->why) > 0;
	free(path);
}

/* A set is never changed, and the link to it is: what the link leads to tells
 * one set from another. */
static void look_at_set(struct patternwatch *w)
{
	char *path = xasprintf("%s/current/set.json", paths()->pattern_dir);
	struct err ignored;

	if (filemark_changed(&w->set_mark, path)) {
		patternset_free(&w->set);
		if (patternset_current(&w->set, &ignored) < 0)
			patternset_free(&w->set);
	}
	free(path);
}

/* A directory has another time when a name comes or goes. */
static void look_at_laid(struct patternwatch *w)
{
	if (!filemark_changed(&w->place_mark, paths()->pattern_dir))
		return;
	patternlaid_free(&w->laid);
	patternlaid_list(&w->laid);
}

void patternwatch_look(struct patternwatch *w)
{
	look_at_told(w);
	look_at_set(w);
	look_at_laid(w);
}

void patternwatch_deinit(struct patternwatch *w)
{
	patternlaid_free(&w->laid);
	patternset_free(&w->set);
}
