/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "diagnose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/version.h"
#include "common/jsontext.h"
#include "lib/fdutil.h"
#include "output.h"
#include "render.h"

void diagnose_problem(struct diagnose *d, const char *what, const char *why)
{
	str_addf(&d->problems, "%s: %s\n", what, why);
}

/* "splx-diagnose-HOST-20261121-204759", for the file and the folder in it. */
static void bundle_name(char *out, size_t size)
{
	time_t now = time(NULL);
	char host[40] = "", date[32] = "";
	struct tm tm;
	char *p;

	gethostname(host, sizeof(host) - 1);
	for (p = host; *p; p++) {
		if (*p == '/' || *p == ' ')
			*p = '_';
	}
	if (localtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm);
	snprintf(out, size, "%s-diagnose-%s-%s", SPLX_NAME, host, date);
}

static void done(const struct ctl *ctl, const char *file,
		 const struct diagnose *d)
{
	json_t *o;

	if (ctl->output == CTL_JSON) {
		o = json_pack("{s:o, s:o}", "file", jsontext_new(file),
			      "problems", jsontext_new(str_get(&d->problems)));
		output_json(stdout, o);
		json_decref(o);
		return;
	}
	printf("%s\n", file);
	if (d->problems.len)
		ctl_complain("not everything could be had, see problems.txt "
			     "in it");
}

static int write_bundle(struct ctl *ctl, const char *file, const char *name,
			struct err *err)
{
	struct diagnose d = {.ctl = ctl};
	int fd, rc;

	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, errno, "%s", file);
	d.tar = tar_new(fd, name, err);
	if (!d.tar) {
		close(fd);
		unlink(file);
		return err_add(err, "%s", file);
	}
	diagnose_live(&d);
	diagnose_files(&d);
	tar_add(d.tar, "problems.txt", str_get(&d.problems), d.problems.len);
	rc = tar_finish(&d.tar, err);
	if (close(fd) < 0 && rc == 0)
		rc = err_set(err, errno, "close");
	if (rc < 0) {
		/* Half a bundle helps nobody. */
		unlink(file);
		err_add(err, "%s", file);
	} else {
		done(ctl, file, &d);
	}
	str_free(&d.problems);
	return rc;
}

int diagnose_run(struct ctl *ctl)
{
	const char *file = ctl_arg(ctl, "file");
	struct err err = {0};
	char name[96], own[112];

	bundle_name(name, sizeof(name));
	snprintf(own, sizeof(own), "%s.tar.gz", name);
	if (write_bundle(ctl, file ? file : own, name, &err) == 0)
		return CTL_OK;
	ctl_complain("%s", err.text);
	return CTL_ERROR;
}
