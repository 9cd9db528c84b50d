/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "patternlaid.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/alloc.h"
#include "paths.h"
#include "patternkind.h"

static int is_pattern(const struct dirent *d)
{
	int order;

	return patternkind_of(d->d_name, &order) != NULL;
}

void patternlaid_list(struct patternlaid *laid_r)
{
	struct dirent **names;
	int n = scandir(paths()->pattern_dir, &names, is_pattern, alphasort);

	*laid_r = (struct patternlaid){0};
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", paths()->pattern_dir,
				       names[i]->d_name);
		struct stat st;

		/* A link to one is meant as one. */
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			vec_push(laid_r, xstrdup(names[i]->d_name));
		free(path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void patternlaid_free(struct patternlaid *laid)
{
	char **name;

	vec_each (name, laid)
		free(*name);
	vec_free(laid);
}

bool patternlaid_is_place(const char *dir)
{
	struct stat a, b;

	return stat(dir, &a) == 0 && stat(paths()->pattern_dir, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}
