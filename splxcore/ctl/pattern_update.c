/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* New patterns: from a directory, a server, ClamAV, or a file by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/patternlaid.h"
#include "lib/alloc.h"
#include "lib/str.h"
#include "output.h"
#include "pattern.h"
#include "render.h"

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
	if (patternlaid_is_place(full)) {
		rc = pattern_from_laid(c, err);
	} else if (S_ISDIR(st.st_mode)) {
		origin = xasprintf("%s", full);
		rc = pattern_from_dir(c, full, origin, err);
		free(origin);
	} else {
		rc = pattern_from_file(c, full, err);
	}
	free(full);
	return rc;
}

/* The source stands before what went wrong with it. */
static int fail_source(struct err *err, const char *source)
{
	char *shown = address_mask(source);

	err_add(err, "%s", shown);
	free(shown);
	return -1;
}

/* The sources of one run: what is said, or what is set. */
static int take_all(struct pattern_change *c, struct err *err)
{
	const char *from = ctl_arg(c->ctl, "from");
	int changed = 0, rc;

	if (from) {
		rc = from_source(c, from, err);
		return rc < 0 ? fail_source(err, from) : rc;
	}
	if (!c->conf->pattern_source.len)
		return err_set(err, 0,
			       "no source is known: name one (--from=DIR, URL "
			       "or FILE), or set PatternSource");
	for (size_t i = 0; i < c->conf->pattern_source.len; i++) {
		const char *source = c->conf->pattern_source.items[i];

		rc = from_source(c, source, err);
		if (rc < 0)
			return fail_source(err, source);
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
		puts(T("the patterns are up to date"));
	if (rc == 0)
		pattern_laid_done(&c);
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
