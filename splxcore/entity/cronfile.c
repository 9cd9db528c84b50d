/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "cronfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/cron.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define FILE_MAX (1u << 20)

uint64_t cronfile_seed(void)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */
	char *text = NULL, name[256] = "";
	size_t len;

	if (fd_read_file("/etc/machine-id", 4096, &text, &len, NULL) < 0) {
		gethostname(name, sizeof(name) - 1);
		text = xstrdup(name);
	}
	for (const char *p = text; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
	free(text);
	return h;
}

static void add_line(struct str *b, const char *schedule, uint64_t seed,
		     const char *command)
{
	char when[CRON_TEXT_MAX];
	struct cron cron;

	/* The settings were checked; one that is off has no line. */
	if (cron_parse(schedule, seed, &cron, NULL) < 0 || cron.off)
		return;
	str_addf(b, "%s root [ -x /usr/sbin/splxctl ] && %s\n",
		 cron_text(&cron, when, sizeof(when)), command);
}

char *cronfile_text(const struct conf *conf, const struct schedules *list,
		    uint64_t seed)
{
	const struct schedule *s;
	struct str b = {0};
	char command[96];

	str_add(&b,
		"# Made of splx.conf and scans.conf by splx: what is changed "
		"here is lost.\n"
		"SHELL=/bin/sh\n"
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
	if (conf->pattern_source.len)
		add_line(&b, conf->update_schedule, seed,
			 "/usr/sbin/splxctl pattern update --cron");
	/* Names hold nothing that a shell or a cron takes for its own. */
	vec_each (s, &list->entries) {
		snprintf(command, sizeof(command),
			 "/usr/sbin/splxctl scan run %s --cron", s->name);
		add_line(&b, s->when, schedule_seed(seed, s->name), command);
	}
	return str_take(&b);
}

/* The first of what is wrong, and how much more there is. */
static void tell_problems(struct core *core, const struct schedules *list)
{
	size_t n = list->problems.len;
	char more[48] = "";

	if (n > 1)
		snprintf(more, sizeof(more), " (and %zu more)", n - 1);
	if (n)
		core_fault(core, STATUS_SCHEDULE_ENTRY, "%s%s",
			   list->problems.items[0].text, more);
	else
		core_well(core, STATUS_SCHEDULE_ENTRY);
}

void cronfile_write(struct core *core, const struct conf *conf)
{
	char *dir = xasprintf("%s/etc/cron.d", paths()->root);
	char *path = xasprintf("%s/splx", dir), *old = NULL;
	struct schedules *list = schedules_read();
	char *text = cronfile_text(conf, list, cronfile_seed());
	struct err err = {0};
	struct stat st;
	size_t len;

	tell_problems(core, list);
	schedules_free(&list);
	if (fd_read_file(path, FILE_MAX, &old, &len, NULL) == 0 &&
	    strcmp(old, text) == 0)
		core_well(core, STATUS_CRON_FAILED);
	/* Without a cron there is nobody to read it. */
	else if (stat(dir, &st) < 0)
		core_well(core, STATUS_CRON_FAILED);
	else if (fd_replace_file(path, text, strlen(text), 0644, &err) < 0)
		core_fault(core, STATUS_CRON_FAILED, "%s: %s", path, err.text);
	else
		core_well(core, STATUS_CRON_FAILED);
	free(old);
	free(text);
	free(path);
	free(dir);
}
