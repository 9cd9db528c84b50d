/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * insserv run on a copy: what it would do is known to the letter before it
 * does it, and a header that it does not accept is never seen by the machine.
 * (update-rc.d(8) would have it go on over a loop, with an order that is
 * none.)
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "order.h"

#define PLACE "/run/splx"
#define LINK_MAX_LEN 4095

/* ---- copying ---- */

static int copy_file(const struct boot *b, const char *path, mode_t mode,
		     const char *to, struct err *err)
{
	char *text = boot_text(b, path);
	int rc;

	if (!text)
		return 0; /* what insserv cannot read is nothing to it */
	rc = fd_replace_file(to, text, strlen(text), mode, err);
	free(text);
	return rc;
}

static int copy_link(const char *from, const char *to, struct err *err)
{
	char target[LINK_MAX_LEN + 1];
	ssize_t n = readlink(from, target, LINK_MAX_LEN);

	if (n < 0)
		return err_set(err, errno, "readlink(%s)", from);
	target[n] = '\0';
	if (symlink(target, to) < 0)
		return err_set(err, errno, "symlink(%s)", to);
	return 0;
}

/* A link beside what it points to: insserv passes over such a script. */
static bool points_beside(const char *path)
{
	char target[LINK_MAX_LEN + 1];
	ssize_t n = readlink(path, target, LINK_MAX_LEN);

	return n > 0 && !memchr(target, '/', (size_t)n);
}

/* In the links' folders links stay links; scripts become files. */
static int copy_entry(const struct boot *b, const char *dir, const char *name,
		      const char *copy, struct err *err)
{
	char *path = xasprintf("%s/%s", dir, name);
	char *from = boot_below(b, path), *to = xasprintf("%s%s", copy, path);
	struct stat st, to_what;
	int rc = 0;

	if (lstat(from, &st) < 0 || stat(from, &to_what) < 0)
		; /* gone, or dangling: init passes it over */
	else if (S_ISLNK(st.st_mode) &&
		 (str_starts(dir, b->rc) || points_beside(from)))
		rc = copy_link(from, to, err);
	else if (S_ISREG(to_what.st_mode))
		rc = copy_file(b, path, to_what.st_mode & 0755, to, err);
	free(path);
	free(from);
	free(to);
	return rc;
}

static int copy_dir(const struct boot *b, const char *dir, const char *copy,
		    struct err *err)
{
	char *from = boot_below(b, dir), *to = xasprintf("%s%s", copy, dir);
	DIR *d = opendir(from);
	struct dirent *de;
	int rc = 0;

	if (d)
		rc = fd_mkdirs(to, 0755, err);
	while (d && rc == 0 && (de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0)
			rc = copy_entry(b, dir, de->d_name, copy, err);
	if (d)
		closedir(d);
	free(from);
	free(to);
	return rc;
}

/* All that insserv may write to. `header`: the override of splx; NULL: as
 * it is. */
static int copy_all(const struct boot *b, const char *copy, const char *header,
		    struct err *err)
{
	char *path = xasprintf("%s" BOOT_OVERRIDES, copy), dir[40];
	const char *level;
	int rc = fd_mkdirs(path, 0755, err);

	free(path);
	if (rc == 0)
		rc = copy_dir(b, "/etc/init.d", copy, err);
	if (rc == 0)
		rc = copy_dir(b, BOOT_OVERRIDES, copy, err);
	for (level = BOOT_LEVELS; *level && rc == 0; level++)
		rc = copy_dir(b, boot_dir(b, *level, dir, sizeof(dir)), copy,
			      err);
	if (rc < 0 || !header)
		return rc;
	path = xasprintf("%s" BOOT_OVERRIDES "/" BOOT_SPLX, copy);
	rc = fd_replace_file(path, header, strlen(header), 0644, err);
	free(path);
	return rc;
}

/* Removes a tree of our own making. */
static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *de;
	struct stat st;
	char *below;

	while (d && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		below = xasprintf("%s/%s", path, de->d_name);
		if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			remove_tree(below);
		else
			unlink(below);
		free(below);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

/* ---- comparing ---- */

static void foretell(struct order_plan *plan, const struct boot *b,
		     const struct boot_link *l, const struct boot_link *to)
{
	struct order_step s = {.what = ORDER_RENAME, .by_tool = true};
	char dir[40];

	boot_dir(b, l->level, dir, sizeof(dir));
	s.path = xasprintf("%s/%s", dir, l->file);
	s.to = to ? xasprintf("%s/%s", dir, to->file) : NULL;
	vec_push(&plan->steps, s);
}

/* What insserv renames, and the dangling links that it takes away. */
static void compare(struct order_plan *plan, const struct boot *was,
		    const struct boot *now)
{
	const struct boot_link *l, *then;

	vec_each (l, &was->links) {
		then = boot_link(now, l->level, l->start, l->service);
		if (l->dangling || !then)
			foretell(plan, was, l, NULL);
		else if (strcmp(l->file, then->file) != 0 &&
			 boot_link(was, l->level, l->start, l->service) == l)
			foretell(plan, was, l, then);
	}
}

/* ---- all of it ---- */

/* Runs it over a fresh copy with that header; the boot that it leaves. */
static struct boot *rehearse(const struct boot *b, const char *header,
			     struct err *err)
{
	char *copy = boot_below(b, PLACE "/order.XXXXXX");
	char *place = boot_below(b, PLACE);
	struct boot *now = NULL;
	char *over = boot_below(b, BOOT_OVERRIDES);
	int rc = fd_mkdirs(place, 0755, err);

	/* it is to be covered, so it has to be there */
	if (rc == 0)
		rc = fd_mkdirs(over, 0755, err);
	free(over);
	free(place);
	if (rc == 0 && !mkdtemp(copy))
		rc = err_set(err, errno, "mkdtemp(%s)", copy);
	if (rc == 0) {
		rc = copy_all(b, copy, header, err);
		if (rc == 0)
			rc = order_run_insserv(b, copy, err);
		if (rc == 0)
			now = boot_read_copy(b, copy);
		remove_tree(copy);
	}
	free(copy);
	return now;
}

int order_rehearse(struct order_plan *plan, const char *header, struct err *err)
{
	struct err plain = {0};
	struct boot *now = rehearse(plan->boot, header, err), *same;
	int rc;

	if (!now && err->code)
		return err_add(err, "the new order cannot be tried, nothing is "
				    "changed");
	if (!now) {
		/* Is it our change, or was all of it wrong before? */
		same = rehearse(plan->boot, NULL, &plain);
		if (same)
			err_add(err, "insserv does not accept the new order, "
				     "nothing is changed");
		else
			err_add(err, "insserv does not accept the headers of "
				     "this machine even without a change of "
				     "ours; mend them first");
		boot_free(&same);
		return -1;
	}
	rc = order_verify(plan->boot, now, plan, err);
	if (rc == 0)
		compare(plan, plan->boot, now);
	else
		err_add(err, "insserv would not make the order that is wanted, "
			     "nothing is changed");
	boot_free(&now);
	return rc;
}
