/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_BOOTBED_H
#define SPLX_TESTS_BOOTBED_H

/* A machine's tree of init scripts and start links, made for a test. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/boot.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

static char bed[64];

/* The path below the tree, for one statement. */
static inline const char *bed_path(const char *path)
{
	static char full[4][512];
	static int n;

	n = (n + 1) % 4;
	snprintf(full[n], sizeof(full[n]), "%s%s", bed, path);
	return full[n];
}

static inline void bed_put(const char *path, const char *text, mode_t mode)
{
	struct err err = {0};
	char *dir = xstrdup(bed_path(path));

	*strrchr(dir, '/') = '\0';
	if (fd_mkdirs(dir, 0755, &err) < 0 ||
	    fd_replace_file(bed_path(path), text, strlen(text), mode, &err) < 0)
		fail_msg("%s", err.text);
	free(dir);
}

/* bed_link('3', "S01splx") */
static inline void bed_link(char level, const char *file)
{
	char path[256], target[256];
	struct err err = {0};

	snprintf(path, sizeof(path), "/etc/rc%c.d", level);
	assert_int_equal(fd_mkdirs(bed_path(path), 0755, &err), 0);
	snprintf(path, sizeof(path), "/etc/rc%c.d/%s", level, file);
	snprintf(target, sizeof(target), "../init.d/%s", file + 3);
	assert_int_equal(symlink(target, bed_path(path)), 0);
}

/* A script with a header; `more` are lines of it. */
static inline void bed_script(const char *name, const char *required,
			      const char *more)
{
	char *path = xasprintf("/etc/init.d/%s", name);
	char *text = xasprintf("#!/bin/sh\n"
			       "### BEGIN INIT INFO\n"
			       "# Provides:          %s\n"
			       "# Required-Start:    %s\n"
			       "# Required-Stop:     %s\n"
			       "%s"
			       "# Default-Start:     2 3 4 5\n"
			       "# Default-Stop:      0 1 6\n"
			       "# Short-Description: %s\n"
			       "### END INIT INFO\nexit 0\n",
			       name, required, required, more, name);

	bed_put(path, text, 0755);
	free(text);
	free(path);
}

/* S links in 2 to 5 and K links in 0, 1, 6. */
static inline void bed_links(const char *name, int start, int stop)
{
	const char *level;
	char file[128];

	for (level = "2345"; *level; level++) {
		snprintf(file, sizeof(file), "S%02d%s", start, name);
		bed_link(*level, file);
	}
	for (level = "016"; *level; level++) {
		snprintf(file, sizeof(file), "K%02d%s", stop, name);
		bed_link(*level, file);
	}
}

/* "S01splx S90abc": what a runlevel starts and stops, sorted. */
static inline const char *bed_rc(char level, char kind)
{
	static char out[4096];
	struct dirent **names;
	char dir[32];
	int n, i;

	snprintf(dir, sizeof(dir), "/etc/rc%c.d", level);
	n = scandir(bed_path(dir), &names, NULL, alphasort);
	*out = '\0';
	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] == kind) {
			if (*out)
				strcat(out, " ");
			strcat(out, names[i]->d_name);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return out;
}

/* A file's text, "" when it is not there; for one statement. */
static inline const char *bed_text(const char *path)
{
	static char *text;
	size_t len;

	free(text);
	if (fd_read_file(bed_path(path), 1 << 20, &text, &len, NULL) < 0)
		text = xstrdup("");
	return text;
}

/* Every tree has init's own folder and the script that all is about. */
static inline int bed_setup(void **state)
{
	static const char facilities[] = "$local_fs +mountall\n"
					 "$remote_fs $local_fs +mountnfs\n"
					 "$syslog +rsyslog\n";

	strcpy(bed, "/tmp/splx-boot-XXXXXX");
	if (!mkdtemp(bed))
		return -1;
	chmod(bed, 0755);
	bed_script("splx", "$local_fs",
		   "# X-Start-Before:    cron ssh apache2 nginx\n");
	bed_put("/etc/inittab", "# id:9:initdefault:\nid:3:initdefault:\n",
		0644);
	bed_put("/etc/facilities", facilities, 0644);
	return 0;
}

static inline int bed_teardown(void **state)
{
	char *command = xasprintf("rm -rf --one-file-system '%s'", bed);
	int rc = system(command);

	free(command);
	return rc;
}

/* From here on insserv rules. */
static inline void bed_insserv(void)
{
	bed_put("/etc/insserv.conf", bed_text("/etc/facilities"), 0644);
	bed_put("/sbin/insserv", "#!/bin/sh\nexit 1\n", 0755);
}

#endif
