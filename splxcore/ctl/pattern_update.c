/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* New patterns: from a directory, a server, ClamAV, or a file by hand. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "pattern.h"
#include "render.h"

/* ---- a file by hand ---- */

/* The manifest of the files by hand, with another version of this one. */
static int local_manifest(const struct patternset *now, const char *name,
			  int fd, struct manifest *m, struct err *err)
{
	const struct patternset_part *is =
		patternset_part(now, PATTERNSET_LOCAL);
	const struct manifest_file *old;
	struct manifest_file f = {0};

	str_copy(m->name, sizeof(m->name), PATTERNSET_LOCAL);
	m->created = time(NULL);
	m->version = is ? is->m.version + 1 : 1;
	if (is)
		vec_each (old, &is->m)
			if (strcmp(old->name, name) != 0)
				vec_push(m, *old);
	str_copy(f.name, sizeof(f.name), name);
	if (hash_fd_hex(fd, f.sha256, &f.size, err) < 0)
		return err_add(err, "%s", name);
	vec_push(m, f);
	return 0;
}

static bool has_it(const struct patternset *now, const struct manifest *m)
{
	const struct patternset_part *is =
		patternset_part(now, PATTERNSET_LOCAL);
	const struct manifest_file *f, *new = &m->items[m->len - 1];

	if (is)
		vec_each (f, &is->m)
			if (strcmp(f->name, new->name) == 0)
				return strcmp(f->sha256, new->sha256) == 0;
	return false;
}

int pattern_from_file(struct pattern_change *c, const char *file,
		      struct err *err)
{
	char *a = xstrdup(file), *b = xstrdup(file);
	char *origin = xasprintf("by hand, last %s", file);
	const char *name = basename(a), *dir = dirname(b);
	struct manifest m = {0};
	FILE *in = fopen(file, "re");
	int rc;

	if (!in)
		rc = err_set(err, errno, "%s", file);
	else if (!manifest_is_name(name))
		rc = err_set(err, 0,
			     "%s: its name has to be of letters, digits and "
			     "._-, at most %d long",
			     file, MANIFEST_NAME_MAX);
	else
		rc = local_manifest(&c->stage.set, name, fileno(in), &m, err);
	if (rc == 0 && !has_it(&c->stage.set, &m))
		rc = patternset_stage_part(&c->stage, &m, dir, origin, "",
					   err) < 0
			     ? -1
			     : 1;
	if (in)
		fclose(in);
	manifest_free(&m);
	free(a);
	free(b);
	free(origin);
	return rc;
}

/* ---- any source ---- */

static int from_source(struct pattern_change *c, const char *source,
		       struct err *err)
{
	char *origin, *full;
	struct stat st;
	int rc;

	if (pattern_is_clamav(source))
		return pattern_from_clamav(c, source, err);
	if (str_starts(source, "https://") || str_starts(source, "http://"))
		return pattern_from_url(c, source, err);
	full = realpath(str_starts(source, "file://") ? source + 7 : source,
			NULL);
	if (!full || stat(full, &st) < 0) {
		rc = err_set(err, errno, "%s", source);
		free(full);
		return rc;
	}
	if (S_ISDIR(st.st_mode)) {
		origin = xasprintf("%s", full);
		rc = pattern_from_dir(c, full, origin, err);
		free(origin);
	} else {
		rc = pattern_from_file(c, full, err);
	}
	free(full);
	return rc;
}

/* The sources of one run: what is said, or what is set. */
static int take_all(struct pattern_change *c, struct err *err)
{
	const char *from = ctl_arg(c->ctl, "from");
	int changed = 0, rc;

	if (from) {
		rc = from_source(c, from, err);
		return rc < 0 ? err_add(err, "%s", from) : rc;
	}
	if (!c->conf->pattern_source.len)
		return err_set(err, 0,
			       "no source is known: name one (--from=DIR, URL "
			       "or FILE), or set PatternSource");
	for (size_t i = 0; i < c->conf->pattern_source.len; i++) {
		const char *source = c->conf->pattern_source.items[i];

		rc = from_source(c, source, err);
		if (rc < 0)
			return err_add(err, "%s", source);
		changed |= rc;
	}
	return changed;
}

static const char *source_word(struct ctl *ctl)
{
	const char *from = ctl_arg(ctl, "from");

	return from ? from : "PatternSource";
}

/* For cron: not all machines at once. */
static void wait_a_while(void)
{
	struct conf *conf = conf_in_force(NULL);
	uint64_t ms, random = 0;

	ms = conf ? (uint64_t)conf->update_delay : 0;
	conf_free(&conf);
	if (ms && getrandom(&random, sizeof(random), 0) > 0)
		sleep((unsigned int)(random % (ms / 1000 + 1)));
}

/* What is nothing to cron: that is no trouble of anybody's, unless the other
 * one does not end. */
static bool is_quiet(const struct ctl *ctl, const struct err *err)
{
	struct patternset_holder holder;

	return ctl_flag(ctl, "cron") && err->code == EBUSY &&
	       !(patternset_holder(&holder) &&
		 patternset_holder_hangs(&holder));
}

int pattern_update_run(struct ctl *ctl)
{
	bool cron = ctl_flag(ctl, "cron");
	struct pattern_change c;
	struct err err = {0};
	int rc, changed = 0;

	if (cron)
		wait_a_while();
	/* What is said when all is well is nothing to be mailed. */
	if (cron && !freopen("/dev/null", "w", stdout))
		return CTL_ERROR;
	rc = pattern_change_begin(&c, ctl, &err);
	if (rc == 0) {
		changed = take_all(&c, &err);
		rc = changed < 0 ? -1 : 0;
	}
	if (rc == 0 && changed)
		rc = pattern_change_commit(&c, &err);
	else if (rc == 0)
		puts("the patterns are up to date");
	if (rc < 0 && !is_quiet(ctl, &err))
		ctl_complain("the patterns stay as they are: %s", err.text);
	/* The rest serves all the same. */
	if (rc == 0 && c.missed.text[0]) {
		ctl_complain("not all could be had: %s", c.missed.text);
		err = c.missed;
		rc = -1;
	}
	/* Another one that is under way tells itself. */
	if (geteuid() == 0 && err.code != EBUSY)
		patternset_tell(source_word(ctl), rc < 0 ? &err : NULL);
	pattern_change_end(&c);
	return rc < 0 && !is_quiet(ctl, &err) ? CTL_ERROR : CTL_OK;
}

int pattern_check_run(struct ctl *ctl)
{
	struct pattern_change c;
	struct err err = {0};
	int rc = pattern_change_begin(&c, ctl, &err), changed = 0;

	c.only_look = true;
	if (rc == 0)
		changed = take_all(&c, &err);
	if (c.missed.text[0])
		ctl_complain("not all could be asked for: %s", c.missed.text);
	if (rc < 0 || changed < 0)
		ctl_complain("%s", err.text);
	else
		puts(changed ? "there are newer patterns: splxctl pattern "
			       "update"
			     : "the patterns are up to date");
	pattern_change_end(&c);
	return rc < 0 || changed < 0 ? CTL_ERROR : changed ? CTL_NO : CTL_OK;
}
