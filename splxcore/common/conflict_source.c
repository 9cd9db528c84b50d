/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Which script or list loads a kernel module. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "conflicts.h"
#include "lib/alloc.h"
#include "lib/str.h"

/* What ends a word of a shell script, roughly. */
#define BETWEEN " \t\r\"'`;|&(){}=$<>:"

/* What a text says of a module. */
struct mention {
	int line;    /* that loads it; 0: none */
	int named;   /* the first that names it */
	bool loader; /* it loads some module */
};

/* "/lib/abc/abc-hook.ko.xz" is the module abc_hook. */
static bool is_module(const char *word, const char *module)
{
	const char *slash = strrchr(word, '/');
	char *name = xstrdup(slash ? slash + 1 : word);
	char *end = strstr(name, ".ko");
	bool is;

	if (end && (!end[3] || end[3] == '.'))
		*end = '\0';
	is = conflist_same_module(name, module);
	free(name);
	return is;
}

static bool is_loader(const char *word)
{
	const char *slash = strrchr(word, '/');
	const char *name = slash ? slash + 1 : word;

	return !strcmp(name, "modprobe") || !strcmp(name, "insmod");
}

static void read_line(char *line, int number, const char *module,
		      struct mention *m)
{
	bool loads = false, names = false;
	char *save, *word;

	if (line[strspn(line, " \t")] == '#')
		return;
	for (word = strtok_r(line, BETWEEN, &save); word;
	     word = strtok_r(NULL, BETWEEN, &save)) {
		loads = loads || is_loader(word);
		names = names || is_module(word, module);
	}
	m->loader = m->loader || loads;
	if (names && !m->named)
		m->named = number;
	if (names && loads && !m->line)
		m->line = number;
}

/* A text line by line; with `list` every line names a module to load. */
static void read_mention(const struct boot *b, const char *path,
			 const char *module, bool list, struct mention *m)
{
	char *text = boot_text(b, path), *p;
	int number = 0;

	memset(m, 0, sizeof(*m));
	for (p = text; p && *p;) {
		size_t n = strcspn(p, "\n");
		bool more = p[n] == '\n';

		p[n] = '\0';
		read_line(p, ++number, module, m);
		p += n + more;
	}
	free(text);
	if (list)
		m->loader = true;
	/* The name may stand in a variable, a few lines above. */
	if (!m->line && m->loader)
		m->line = m->named;
}

static enum conflict_tie found(const char *service, const char *path, int line,
			       enum conflict_tie tie, char **service_r,
			       char **source_r)
{
	*service_r = service ? xstrdup(service) : NULL;
	*source_r = xasprintf("%s:%d", path, line);
	return tie;
}

/* ---- init scripts ---- */

static bool is_own(const char *name)
{
	return !strcmp(name, "splx") || !strcmp(name, "splxcore") ||
	       !strcmp(name, "splxhttpd");
}

/* Those that some runlevel starts go first. */
static bool by_script(const struct boot *b, const char *module, bool started,
		      char **service_r, char **source_r)
{
	const struct boot_script *s;
	char levels[16], *path;
	struct mention m;

	vec_each (s, &b->scripts) {
		boot_levels_of(b, s->name, levels, sizeof(levels));
		if (is_own(s->name) || started != (*levels != '\0'))
			continue;
		path = xasprintf("%s/%s", b->initd, s->name);
		read_mention(b, path, module, false, &m);
		if (m.line)
			found(s->name, path, m.line, CONFLICT_BY_SCRIPT,
			      service_r, source_r);
		free(path);
		if (m.line)
			return true;
	}
	return false;
}

/* ---- lists of modules ---- */

/* Who loads what the lists name. */
static const char *list_service(const struct boot *b)
{
	static const char *const names[] = {"kmod", "module-init-tools"};
	size_t i;

	for (i = 0; i < 2; i++)
		if (boot_script(b, names[i]))
			return names[i];
	return NULL;
}

static bool by_list(const struct boot *b, const char *path, const char *service,
		    bool list, const char *module, char **service_r,
		    char **source_r)
{
	struct mention m;

	read_mention(b, path, module, list, &m);
	if (!m.line)
		return false;
	found(service, path, m.line, CONFLICT_BY_FILE, service_r, source_r);
	return true;
}

static bool by_folder(const struct boot *b, const char *folder, const char *end,
		      const char *service, bool list, const char *module,
		      char **service_r, char **source_r)
{
	char *full = boot_below(b, folder), *path;
	DIR *d = opendir(full);
	struct dirent *de;
	bool hit = false;

	free(full);
	while (d && !hit && (de = readdir(d))) {
		if (!str_ends(de->d_name, end) || *de->d_name == '.')
			continue;
		path = xasprintf("%s/%s", folder, de->d_name);
		hit = by_list(b, path, service, list, module, service_r,
			      source_r);
		free(path);
	}
	if (d)
		closedir(d);
	return hit;
}

static bool by_file(const struct boot *b, const char *module, char **service_r,
		    char **source_r)
{
	static const char *const folders[] = {
		"/etc/modules-load.d", "/run/modules-load.d",
		"/usr/lib/modules-load.d", "/lib/modules-load.d"};
	static const char *const scripts[] = {
		"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.modules",
		"/etc/rc.d/rc.modules"};
	const char *service = list_service(b);
	const char *local = boot_script(b, "rc.local") ? "rc.local" : NULL;
	size_t i;

	if (by_list(b, "/etc/modules", service, true, module, service_r,
		    source_r))
		return true;
	for (i = 0; i < 4; i++)
		if (by_folder(b, folders[i], ".conf", service, true, module,
			      service_r, source_r))
			return true;
	if (by_folder(b, "/etc/sysconfig/modules", ".modules", NULL, false,
		      module, service_r, source_r))
		return true;
	for (i = 0; i < 4; i++)
		if (by_list(b, scripts[i], i < 2 ? local : NULL, false, module,
			    service_r, source_r))
			return true;
	return false;
}

enum conflict_tie conflict_source(const struct boot *boot, const char *module,
				  char **service_r, char **source_r)
{
	*service_r = *source_r = NULL;
	if (!*module || strcmp(module, "-") == 0)
		return CONFLICT_NO_TIE;
	if (by_script(boot, module, true, service_r, source_r) ||
	    by_script(boot, module, false, service_r, source_r))
		return CONFLICT_BY_SCRIPT;
	if (by_file(boot, module, service_r, source_r))
		return CONFLICT_BY_FILE;
	return CONFLICT_NO_TIE;
}
