/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "boot.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

#define TEXT_MAX (1u << 20)
#define SCRIPTS_MAX 1000
#define LINKS_MAX 10000

char *boot_below(const struct boot *b, const char *path)
{
	return xasprintf("%s%s", b->root, path);
}

static bool there(const struct boot *b, const char *path, int how)
{
	char *full = boot_below(b, path);
	bool is = access(full, how) == 0;

	free(full);
	return is;
}

static bool is_dir(const struct boot *b, const char *path)
{
	char *full = boot_below(b, path);
	struct stat st;
	bool is = stat(full, &st) == 0 && S_ISDIR(st.st_mode);

	free(full);
	return is;
}

char *boot_text(const struct boot *b, const char *path)
{
	char *full = boot_below(b, path), *text = NULL;
	size_t len;

	if (fd_read_file(full, TEXT_MAX, &text, &len, NULL) < 0)
		text = NULL;
	free(full);
	return text;
}

/* ---- who makes the order ---- */

static bool init_is_systemd(const struct boot *b)
{
	char *init = boot_below(b, "/sbin/init"), target[256];
	ssize_t n;

	if (is_dir(b, "/run/systemd/system")) {
		free(init);
		return true;
	}
	n = readlink(init, target, sizeof(target) - 1);
	free(init);
	if (n < 0 || there(b, "/etc/inittab", F_OK))
		return false;
	target[n] = '\0';
	return str_ends(target, "/systemd");
}

static const char *first_of(const struct boot *b, const char *const *paths_of,
			    size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (there(b, paths_of[i], X_OK))
			return paths_of[i];
	return NULL;
}

static void find_kind(struct boot *b)
{
	static const char *const insserv[] = {"/sbin/insserv",
					      "/usr/sbin/insserv",
					      "/usr/lib/insserv/insserv"};
	static const char *const chkconfig[] = {"/sbin/chkconfig",
						"/usr/sbin/chkconfig"};

	/* As update-rc.d does: unpacked is not yet installed. */
	if (there(b, "/etc/insserv.conf", F_OK))
		b->insserv = first_of(b, insserv, 3);
	if (init_is_systemd(b))
		b->kind = BOOT_SYSTEMD;
	else if (b->insserv)
		b->kind = BOOT_INSSERV;
	else if (first_of(b, chkconfig, 2))
		b->kind = BOOT_CHKCONFIG;
	else
		b->kind = BOOT_LINKS;
}

const char *boot_kind_name(enum boot_kind kind)
{
	static const char *const names[] = {
		[BOOT_LINKS] = "links",
		[BOOT_CHKCONFIG] = "chkconfig",
		[BOOT_INSSERV] = "insserv",
		[BOOT_SYSTEMD] = "systemd",
	};

	return names[kind];
}

/* The rules of Debian's /etc/init.d/rc for starting things side by side. */
static void find_concurrency(struct boot *b)
{
	static const char *const files[] = {"/etc/init.d/.depend.boot",
					    "/etc/init.d/.depend.start",
					    "/etc/init.d/.depend.stop"};
	char *text;
	size_t i;
	bool all = true;

	if (b->kind == BOOT_SYSTEMD)
		return;
	for (i = 0; i < 3; i++) {
		text = boot_text(b, files[i]);
		all = all && text && *text;
		if (i == 1 && text)
			b->depend = xstrdup(text);
		free(text);
	}
	b->concurrent =
		all && !there(b, "/etc/init.d/.legacy-bootordering", F_OK);
	text = *b->root ? NULL : boot_text(b, "/proc/cmdline");
	if (text && strstr(text, "concurrency=none"))
		b->concurrent = false;
	free(text);
	if (!b->concurrent)
		xfree(&b->depend);
}

/* ---- runlevels ---- */

/* utmp(5): the process number of the runlevel's entry is its letter. */
static char current_level(const struct boot *b)
{
	static const char *const files[] = {"/run/utmp", "/var/run/utmp"};
	struct utmpx want = {.ut_type = RUN_LVL}, *found = NULL;
	char *path;
	size_t i;
	char level = 0;

	for (i = 0; i < 2 && !found; i++) {
		path = boot_below(b, files[i]);
		if (access(path, R_OK) == 0) {
			utmpxname(path);
			setutxent();
			found = getutxid(&want);
			if (found)
				level = (char)(found->ut_pid % 256);
			endutxent();
		}
		free(path);
	}
	return level && strchr("0123456S", level) ? level : 0;
}

/* "id:2:initdefault:" */
static char initial_level(const struct boot *b)
{
	char *text = boot_text(b, "/etc/inittab"), *line, *save;
	char level = 0;

	for (line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *field = strchr(line, ':');

		if (*line == '#' || !field || !isdigit((unsigned char)field[1]))
			continue;
		if (str_starts(field + 2, ":initdefault:"))
			level = field[1];
	}
	free(text);
	return level;
}

static bool starts_anything(const struct boot *b, char level)
{
	const struct boot_link *l;

	vec_each (l, &b->links)
		if (l->level == level && l->start)
			return true;
	return false;
}

char boot_level(const struct boot *b)
{
	const char *level;

	if (b->current && strchr("2345", b->current) &&
	    starts_anything(b, b->current))
		return b->current;
	if (b->initial && starts_anything(b, b->initial))
		return b->initial;
	for (level = "3524"; *level; level++)
		if (boot_link(b, *level, true, BOOT_SPLX))
			return *level;
	for (level = "3524"; *level; level++)
		if (starts_anything(b, *level))
			return *level;
	return 0;
}

char boot_level_parse(const char *word)
{
	if (word[0] && !word[1] && strchr(BOOT_LEVELS, toupper(word[0])))
		return (char)toupper(word[0]);
	return 0;
}

/* ---- links ---- */

char *boot_dir(const struct boot *b, char level, char *out, size_t size)
{
	snprintf(out, size, "%s%c.d", b->rc, level);
	return out;
}

static void add_link(struct boot *b, char level, int dirfd, const char *file)
{
	struct boot_link l = {.level = level};
	struct stat st;

	if ((*file != 'S' && *file != 'K') ||
	    !isdigit((unsigned char)file[1]) ||
	    !isdigit((unsigned char)file[2]) || !file[3] ||
	    b->links.len >= LINKS_MAX)
		return;
	l.start = *file == 'S';
	l.number = (file[1] - '0') * 10 + file[2] - '0';
	l.service = xstrdup(file + 3);
	l.file = xstrdup(file);
	l.dangling = fstatat(dirfd, file, &st, 0) < 0 || !S_ISREG(st.st_mode);
	vec_push(&b->links, l);
}

static int by_run(const void *a, const void *b)
{
	const struct boot_link *x = a, *y = b;
	const char *levels = BOOT_LEVELS;

	if (x->level != y->level)
		return strchr(levels, x->level) < strchr(levels, y->level) ? -1
									   : 1;
	if (x->start != y->start)
		return x->start ? 1 : -1;
	return strcmp(x->file, y->file);
}

static void read_links(struct boot *b)
{
	const char *level;
	struct dirent *de;
	char dir[40], *full;
	DIR *d;

	/* Red Hat has both, one being a link to the other. */
	b->rc = is_dir(b, "/etc/rc3.d") || !is_dir(b, "/etc/rc.d/rc3.d")
			? "/etc/rc"
			: "/etc/rc.d/rc";
	for (level = BOOT_LEVELS; *level; level++) {
		full = boot_below(b, boot_dir(b, *level, dir, sizeof(dir)));
		d = opendir(full);
		free(full);
		while (d && (de = readdir(d)))
			add_link(b, *level, dirfd(d), de->d_name);
		if (d)
			closedir(d);
	}
	if (b->links.len)
		qsort(b->links.items, b->links.len, sizeof(*b->links.items),
		      by_run);
}

const struct boot_link *boot_link(const struct boot *b, char level, bool start,
				  const char *service)
{
	const struct boot_link *l;

	vec_each (l, &b->links)
		if (l->level == level && l->start == start && !l->dangling &&
		    strcmp(l->service, service) == 0)
			return l;
	return NULL;
}

char *boot_levels_of(const struct boot *b, const char *service, char *out,
		     size_t size)
{
	const char *level;
	size_t n = 0;

	for (level = BOOT_LEVELS; *level && n + 1 < size; level++)
		if (boot_link(b, *level, true, service))
			out[n++] = *level;
	out[n] = '\0';
	return out;
}

/* ---- scripts ---- */

/* What insserv and chkconfig pass over: leavings of packages and editors. */
static bool is_leaving(const char *name)
{
	static const char *const ends[] = {
		".rpmsave", ".rpmnew", ".rpmorig", ".swp",  ".old", ".new",
		".org",	    ".orig",   ".save",	   ".core", ".bak"};
	size_t i;

	if (strchr("$.#%_+-\\*[]^:()~", *name) || str_ends(name, "~") ||
	    strstr(name, ".dpkg") || strstr(name, ".ucf") ||
	    str_starts(name, "README"))
		return true;
	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (str_ends(name, ends[i]))
			return true;
	return false;
}

/* The header in a file, when it has a whole one. */
static bool header_in(const struct boot *b, const char *dir, const char *name,
		      struct inithdr *hdr_r)
{
	char *path = xasprintf("%s/%s", dir, name);
	char *text = boot_text(b, path);

	free(path);
	if (!text)
		return false;
	inithdr_parse(text, hdr_r);
	free(text);
	if (hdr_r->lsb)
		return true;
	inithdr_free(hdr_r);
	return false;
}

/* chkconfig sets by its override what stands there, insserv takes the
 * override for the whole header. */
static void take_overrides(const struct boot *b, struct boot_script *s)
{
	struct inithdr over;
	char *path, *text;

	if (b->kind == BOOT_CHKCONFIG) {
		path = xasprintf(BOOT_CHKCONFIG_DIR "/%s", s->name);
		text = boot_text(b, path);
		free(path);
		if (!text)
			return;
		inithdr_parse(text, &over);
		inithdr_overlay(&s->hdr, &over);
		inithdr_free(&over);
		free(text);
		s->source = BOOT_SRC_ETC;
	} else if (b->kind == BOOT_INSSERV) {
		if (header_in(b, BOOT_OVERRIDES, s->name, &over))
			s->source = BOOT_SRC_ETC;
		else if (header_in(b, BOOT_OVERRIDES_SHARE, s->name, &over))
			s->source = BOOT_SRC_SHARE;
		else
			return;
		inithdr_free(&s->hdr);
		s->hdr = over;
	}
}

/* Whatever is no executable file is no script of init's. By its mode, as
 * insserv does: access(2) says no on a file system that is mounted noexec. */
static bool is_program(const struct boot *b, const char *path)
{
	char *full = boot_below(b, path);
	struct stat st;
	bool is = stat(full, &st) == 0 && S_ISREG(st.st_mode) &&
		  st.st_mode & S_IXUSR;

	free(full);
	return is;
}

static void add_script(struct boot *b, const char *name)
{
	char *path = xasprintf("%s/%s", b->initd, name);
	struct boot_script s = {.name = NULL};
	char *text;

	text = is_program(b, path) ? boot_text(b, path) : NULL;
	free(path);
	if (!text)
		return;
	inithdr_parse(text, &s.hdr);
	free(text);
	s.name = xstrdup(name);
	take_overrides(b, &s);
	vec_push(&b->scripts, s);
}

static int by_name(const void *a, const void *b)
{
	const struct boot_script *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void read_scripts(struct boot *b)
{
	struct dirent *de;
	char *full;
	DIR *d;

	b->initd = is_dir(b, "/etc/init.d") || !is_dir(b, "/etc/rc.d/init.d")
			   ? "/etc/init.d"
			   : "/etc/rc.d/init.d";
	full = boot_below(b, b->initd);
	d = opendir(full);
	free(full);
	while (d && (de = readdir(d)) && b->scripts.len < SCRIPTS_MAX)
		if (!is_leaving(de->d_name))
			add_script(b, de->d_name);
	if (d)
		closedir(d);
	if (b->scripts.len)
		qsort(b->scripts.items, b->scripts.len,
		      sizeof(*b->scripts.items), by_name);
}

const struct boot_script *boot_script(const struct boot *b, const char *name)
{
	const struct boot_script *s;

	vec_each (s, &b->scripts)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* ---- facilities ---- */

/* "$remote_fs $local_fs +mountnfs": a + marks what need not be there. */
static void take_facilities(struct boot *b, char *text)
{
	char *line, *save, *word, *rest;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct boot_facility f = {.name = NULL};

		if (*line != '$')
			continue;
		word = strtok_r(line, " \t", &rest);
		f.name = xstrdup(word);
		while ((word = strtok_r(NULL, " \t", &rest)))
			vec_push(&f.members, xstrdup(word + (*word == '+')));
		vec_push(&b->facilities, f);
	}
}

static void read_facilities(struct boot *b)
{
	char *dir = boot_below(b, "/etc/insserv.conf.d"), *path, *text;
	struct dirent *de;
	DIR *d = opendir(dir);

	free(dir);
	text = boot_text(b, "/etc/insserv.conf");
	if (text)
		take_facilities(b, text);
	free(text);
	while (d && (de = readdir(d))) {
		if (is_leaving(de->d_name))
			continue;
		path = xasprintf("/etc/insserv.conf.d/%s", de->d_name);
		text = boot_text(b, path);
		if (text)
			take_facilities(b, text);
		free(text);
		free(path);
	}
	if (d)
		closedir(d);
}

/* ---- all of it ---- */

static void read_all(struct boot *b)
{
	find_concurrency(b);
	read_links(b);
	read_scripts(b);
	read_facilities(b);
}

struct boot *boot_read(const char *root)
{
	struct boot *b = xcalloc(1, sizeof(*b));

	b->root = xstrdup(root);
	find_kind(b);
	read_all(b);
	b->current = current_level(b);
	b->initial = initial_level(b);
	return b;
}

struct boot *boot_read_copy(const struct boot *of, const char *root)
{
	struct boot *b = xcalloc(1, sizeof(*b));

	b->root = xstrdup(root);
	b->kind = of->kind;
	b->insserv = of->insserv;
	b->current = of->current;
	b->initial = of->initial;
	read_all(b);
	if (!of->concurrent) {
		b->concurrent = false;
		xfree(&b->depend);
	}
	return b;
}

void boot_free(struct boot **boot)
{
	struct boot *b = *boot;
	struct boot_facility *f;
	struct boot_script *s;
	struct boot_link *l;
	char **w;

	if (!b)
		return;
	vec_each (l, &b->links) {
		free(l->service);
		free(l->file);
	}
	vec_free(&b->links);
	vec_each (s, &b->scripts) {
		free(s->name);
		inithdr_free(&s->hdr);
	}
	vec_free(&b->scripts);
	vec_each (f, &b->facilities) {
		free(f->name);
		vec_each (w, &f->members)
			free(*w);
		vec_free(&f->members);
	}
	vec_free(&b->facilities);
	free(b->depend);
	free(b->root);
	xfree(boot);
}
