/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "cover.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

/* An entry of Include, as it stands now. */
struct entry {
	char *path;		   /* resolved */
	const char *why_not;	   /* NULL when it names something */
	bool mounted;		   /* it is a mount point of ours */
	const struct mount *below; /* else the mount that it lies on */
};
struct entries {
	VEC(struct entry);
};

struct cover {
	struct {
		VEC(char *);
	} were_mounted;
	bool needs_filter;
};

struct cover *cover_new(void)
{
	return xcalloc(1, sizeof(struct cover));
}

void cover_free(struct cover **cover)
{
	char **s;

	if (!*cover)
		return;
	vec_each (s, &(*cover)->were_mounted)
		free(*s);
	vec_free(&(*cover)->were_mounted);
	xfree(cover);
}

bool cover_needs_filter(const struct cover *cover)
{
	return cover->needs_filter;
}

void cover_set_reason(struct cover_row *row, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = xstrdup("unknown");
	va_end(ap);
	free(row->reason);
	row->reason = s;
	row->covered = !*s;
}

void cover_row_free(struct cover_row *row)
{
	char **dir;

	vec_each (dir, &row->within)
		free(*dir);
	vec_free(&row->within);
	free(row->point);
	free(row->fstype);
	free(row->source);
	free(row->reason);
}

void cover_list_free(struct cover_list *list)
{
	struct cover_row *row;

	vec_each (row, list)
		cover_row_free(row);
	vec_free(list);
}

static bool at_or_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1) /* "/" */
		return true;
	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/* The topmost mount at exactly that point: the last one listed. */
static const struct mount *mount_at(const struct mount_list *list,
				    const char *point)
{
	const struct mount *m, *found = NULL;

	vec_each (m, list) {
		if (!strcmp(m->point, point))
			found = m;
	}
	return found;
}

static bool was_mounted(struct cover *cover, const char *path, bool now)
{
	char **s;

	vec_each (s, &cover->were_mounted) {
		if (!strcmp(*s, path))
			return true;
	}
	if (now)
		vec_push(&cover->were_mounted, xstrdup(path));
	return now;
}

static void entry_resolve(struct cover *cover, struct entry *e,
			  const char *given, const struct mount_list *own)
{
	char real[PATH_MAX];
	struct stat st;

	if (given[0] != '/') {
		e->path = xstrdup(given);
		e->why_not = "Include: not a full path";
		return;
	}
	/* Neither realpath(3) nor stat(2) opens anything. */
	if (!realpath(given, real) || stat(real, &st)) {
		e->path = xstrdup(given);
		e->why_not = "Include: there is no such directory now";
		return;
	}
	e->path = xstrdup(real);
	e->mounted = mount_at(own, real) != NULL;
	if (was_mounted(cover, real, e->mounted) && !e->mounted)
		e->why_not = "Include: nothing is mounted there now";
	else if (!e->mounted)
		e->below = mounts_find(own, real);
}

static void resolve_all(struct cover *cover, const struct conf *conf,
			const struct mount_list *own, struct entries *out)
{
	char **given;

	cover->needs_filter = false;
	vec_each (given, &conf->include) {
		struct entry e = {0};

		entry_resolve(cover, &e, *given, own);
		if (!e.mounted && !e.why_not)
			cover->needs_filter = true;
		vec_push(out, e);
	}
}

/* Why this mount is of a kind that is not protected; NULL when it is. */
static const char *barred(const struct mount *m, const struct conf *conf,
			  const struct exclude *ex)
{
	if (ex && exclude_fstype(ex, m->fstype))
		return "excluded by ExcludeFsType";
	switch (mounts_kind(m->fstype)) {
	case MOUNT_NETWORK:
		return conf->scan_network_fs
			       ? NULL
			       : "network file system, ScanNetworkFs is off";
	case MOUNT_FUSE:
		return conf->scan_fuse ? NULL : "FUSE, ScanFuse is off";
	default:
		return NULL;
	}
}

/* How Include asks for a mount. */
struct want {
	bool whole; /* for all that is on it */
	bool part;  /* for directories that lie on it */
	enum fangroup_scope scope;
};

static struct want wanted(const struct mount *m, bool own,
			  const struct entries *entries, bool everything)
{
	struct want want = {.whole = everything, .scope = FANGROUP_FILESYSTEM};
	const struct entry *e;

	if (everything)
		return want;
	vec_each (e, entries) {
		want.whole |= at_or_below(m->point, e->path);
		want.part |= own && m == e->below;
	}
	if (strcmp(m->root, "/") != 0)
		want.scope = FANGROUP_MOUNT;
	return want;
}

/* Is there a row for this file system that says as much? */
static bool told_already(const struct cover_list *list, const struct mount *m,
			 bool covered)
{
	const struct cover_row *row;

	vec_each (row, list) {
		if (!row->mount || row->mount->dev != m->dev)
			continue;
		if (covered ? row->covered &&
				      row->scope == FANGROUP_FILESYSTEM &&
				      !row->within.len
			    : !row->covered ||
				      row->scope == FANGROUP_FILESYSTEM)
			return true;
	}
	return false;
}

static void add_row(struct cover_list *list, const struct follow_ns *ns,
		    const struct mount *m, const char *point,
		    enum fangroup_scope scope, const char *reason)
{
	struct cover_row row = {
		.ns = ns,
		.mount = m,
		.point = xstrdup(point),
		.fstype = xstrdup(m ? m->fstype : ""),
		.source = xstrdup(m ? m->source : ""),
		.pid = ns->pid,
		.scope = scope,
		.covered = !reason,
		.reason = xstrdup(reason ? reason : ""),
	};

	vec_push(list, row);
}

static void plan_ns(const struct follow_ns *ns, const struct entries *entries,
		    const struct conf *conf, const struct exclude *ex,
		    struct cover_list *list)
{
	bool everything = conf->include.len == 0;
	bool own = ns->pid == 0;
	const struct mount *m;
	const struct entry *e;

	vec_each (m, &ns->mounts) {
		struct want want;
		const char *why;

		if (mounts_kind(m->fstype) == MOUNT_PSEUDO)
			continue;
		want = wanted(m, own, entries, everything);
		why = want.whole || want.part ? barred(m, conf, ex)
					      : "not in Include";
		/*
		 * Namespaces repeat each other's file systems: in another one
		 * only what is new counts, and mounts that are marked each by
		 * itself.
		 */
		if (!own && (why || want.scope == FANGROUP_FILESYSTEM) &&
		    told_already(list, m, !why))
			continue;
		add_row(list, ns, m, m->point, want.scope, why);
		vec_each (e, entries)
			if (!want.whole && own && e->below == m)
				vec_push(&list->items[list->len - 1].within,
					 xstrdup(e->path));
	}
}

void cover_plan(struct cover *cover, const struct follow_ns *const *ns,
		size_t n, const struct conf *conf, const struct exclude *ex,
		struct cover_list *list_r)
{
	struct entries entries = {0};
	struct entry *e;
	size_t i;

	resolve_all(cover, conf, &ns[0]->mounts, &entries);
	for (i = 0; i < n; i++)
		plan_ns(ns[i], &entries, conf, ex, list_r);
	vec_each (e, &entries) {
		if (e->why_not)
			add_row(list_r, ns[0], NULL, e->path,
				FANGROUP_FILESYSTEM, e->why_not);
		free(e->path);
	}
	vec_free(&entries);
}

/* Names of mounts are anybody's bytes; JSON wants UTF-8. */
static json_t *text(const char *s)
{
	char safe[2 * PATH_MAX];
	json_t *j = json_string(s);

	return j ? j : json_string(log_escape(safe, sizeof(safe), s));
}

json_t *cover_json(const struct cover_list *list)
{
	const struct cover_row *row;
	json_t *out = json_array();

	vec_each (row, list) {
		bool alone = row->scope == FANGROUP_MOUNT;

		json_array_append_new(
			out,
			json_pack("{s:o,s:o,s:o,s:b,s:s,s:o,s:i}", "point",
				  text(row->point), "fstype", text(row->fstype),
				  "source", text(row->source), "covered",
				  row->covered, "scope",
				  alone ? "mount" : "filesystem", "reason",
				  text(row->reason), "namespace",
				  (int)row->pid));
	}
	return out;
}
