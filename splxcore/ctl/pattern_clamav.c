/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * ClamAV's own databases, as a source: each is a part of its own,
 * "clamav-NAME". splxfresh works as the scan user in a directory in which it
 * finds what is installed (links to root's files, which it cannot change), so
 * that only differences have to come. Of what it leaves there root takes a
 * copy, and believes the copy when ClamAV signed all of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cvd.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "output.h"
#include "pattern_clamav.h"

#define DAY 86400
#define WORD "clamav"

static const char *const ends[] = {"cld", "cvd"};
#define ENDS (sizeof(ends) / sizeof(*ends))

bool pattern_is_clamav(const char *source)
{
	return strcmp(source, WORD) == 0 || str_starts(source, WORD ":");
}

bool pattern_part_is_clamav(const char *part)
{
	return str_starts(part, PATTERNSET_CLAMAV "-");
}

static char *part_name(const char *database)
{
	return xasprintf(PATTERNSET_CLAMAV "-%s", database);
}

static const struct patternset_part *part_of(const struct clamav *a,
					     const char *database)
{
	char *name = part_name(database);
	const struct patternset_part *p =
		patternset_part(&a->c->stage.set, name);

	free(name);
	return p;
}

/* ---- what is wanted ---- */

static int add_database(struct clamav *a, const char *name, struct err *err)
{
	struct clamav_database d = {.name = name}, *other;
	const struct patternset_part *p;

	if (!cvd_is_name(name))
		return err_set(err, 0,
			       "ClamavDatabases: %s is no name of a database",
			       name);
	vec_each (other, &a->databases)
		if (strcmp(other->name, name) == 0)
			return 0;
	p = part_of(a, name);
	d.here = p ? p->m.version : 0;
	vec_push(&a->databases, d);
	return 0;
}

static int list_databases(struct clamav *a, struct err *err)
{
	static const char *const usual[] = {"main", "daily", "bytecode"};
	const struct conf_list *list = &a->c->conf->clamav_databases;
	char **name;

	for (size_t i = 0; !list->len && i < sizeof(usual) / sizeof(*usual);
	     i++)
		if (add_database(a, usual[i], err) < 0)
			return -1;
	vec_each (name, list)
		if (add_database(a, *name, err) < 0)
			return -1;
	return 0;
}

static int read_source(struct clamav *a, struct err *err)
{
	const char *address = a->source + strlen(WORD);

	a->official = !*address;
	if (a->official) {
		a->server = xstrdup("official");
		return 0;
	}
	address++;
	if (!str_starts(address, "http://") && !str_starts(address, "https://"))
		return err_set(err, 0,
			       "a mirror is named by its address: "
			       "clamav:https://…");
	a->server = xstrdup(address);
	while (str_ends(a->server, "/"))
		a->server[strlen(a->server) - 1] = '\0';
	return 0;
}

/* ---- the directory ---- */

/* The version of a file there, and the file; 0 when there is none. */
static uint64_t look_at(const struct clamav *a, const char *file,
			struct cvd_head *head, int *fd_r)
{
	struct stat st;
	int fd = openat(a->dirfd, file,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    cvd_head_read(fd, head, NULL) < 0)
		head->version = 0;
	if (fd_r && head->version)
		*fd_r = fd;
	else
		fd_close(&fd);
	return head->version;
}

/* What is installed, unless something newer is left of an earlier run. */
static void lay_out(const struct clamav *a, const struct clamav_database *d)
{
	const struct patternset_part *p = part_of(a, d->name);
	char *part = part_name(d->name), *from;
	struct cvd_head head;
	bool newer = false;

	for (size_t i = 0; i < ENDS; i++) {
		char *file = xasprintf("%s.%s", d->name, ends[i]);

		if (look_at(a, file, &head, NULL) > d->here)
			newer = true;
		else
			unlinkat(a->dirfd, file, 0);
		free(file);
	}
	if (p && !newer && p->m.len == 1) {
		from = xasprintf("%s/%s/%s", a->c->stage.dir, part,
				 p->m.items[0].name);
		/* Where that cannot be done all of it comes again. */
		(void)!linkat(AT_FDCWD, from, a->dirfd, p->m.items[0].name, 0);
		free(from);
	}
	free(part);
}

static void clear(const struct clamav *a, const char *database)
{
	for (size_t i = 0; i < ENDS; i++) {
		char *file = xasprintf("%s.%s", database, ends[i]);

		unlinkat(a->dirfd, file, 0);
		free(file);
	}
}

static int begin(struct clamav *a, struct err *err)
{
	const struct clamav_database *d;

	a->dir = xasprintf("%s/incoming-" PATTERNSET_CLAMAV,
			   paths()->pattern_dir);
	a->child.dir = a->dir;
	if (proc_user(a->c->conf->scan_user, &a->child.uid, &a->child.gid,
		      err) < 0)
		return -1;
	a->dirfd = pattern_child_dir(&a->child, err);
	if (a->dirfd < 0)
		return -1;
	vec_each (d, &a->databases)
		lay_out(a, d);
	return 0;
}

/* ---- versions ---- */

static void miss(struct clamav *a, const char *database, const struct err *why)
{
	if (a->missed.text[0])
		return;
	a->missed = *why;
	err_add(&a->missed, "%s", database);
}

static void compare(struct clamav *a, struct clamav_database *d,
		    const json_t *said)
{
	const char *why = json_string_value(json_object_get(said, "why"));
	json_int_t version =
		json_integer_value(json_object_get(said, "version"));
	char *part = part_name(d->name);
	struct err err = {0};

	d->there = version > 0 ? (uint64_t)version : 0;
	/* Where DNS does not tell it the library asks the server, as one of
	 * ClamAV's own programs. */
	if (!d->there && a->official && !a->c->only_look)
		d->wanted = true;
	else if (!d->there)
		err_set(&err, 0, "%s", why ? why : "it has no version");
	else if (d->there < d->here)
		err_set(&err, 0,
			"the mirror has version %llu, and %llu is installed: "
			"it is not kept up to date, or somebody serves old "
			"patterns",
			(unsigned long long)d->there,
			(unsigned long long)d->here);
	else if (d->there > d->here)
		d->wanted = patternset_may(part, d->there, &err) == 0;
	if (err.text[0])
		miss(a, d->name, &err);
	free(part);
}

/* How many are wanted; -1 and *err. */
static int ask_versions(struct clamav *a, struct err *err)
{
	json_t *said = clamav_run(a, false, err);
	struct clamav_database *d;
	int wanted = 0;

	if (!said)
		return -1;
	vec_each (d, &a->databases) {
		compare(a, d, json_object_get(said, d->name));
		wanted += d->wanted;
	}
	json_decref(said);
	return wanted;
}

/* ---- taking them over ---- */

/* Root's copy, in the set in the making. */
static int check_copy(struct clamav *a, const char *part,
		      const struct manifest_file *f, uint64_t version,
		      struct err *err)
{
	char *path = xasprintf("%s/%s/%s", a->c->stage.dir, part, f->name);
	struct cvd_head head = {0};
	int rc = pattern_clamav_check(path, &head, err);

	if (rc == 0 && head.version != version)
		rc = err_set(err, 0,
			     "its header is not the one that is "
			     "signed");
	free(path);
	return rc;
}

static int stage(struct clamav *a, const struct clamav_database *d,
		 const char *file, int fd, const struct cvd_head *head,
		 struct err *err)
{
	struct manifest m = {.version = head->version, .created = head->time};
	struct manifest_file f = {0};
	char *part = part_name(d->name);
	int rc;

	str_copy(m.name, sizeof(m.name), part);
	str_copy(f.name, sizeof(f.name), file);
	rc = hash_fd_hex(fd, f.sha256, &f.size, err);
	if (rc == 0) {
		vec_push(&m, f);
		rc = patternset_stage_part(&a->c->stage, &m, a->dir, a->source,
					   "", err);
	}
	if (rc == 0 && check_copy(a, part, &f, head->version, err) < 0) {
		/* Nothing is built on it. */
		clear(a, d->name);
		rc = -1;
	}
	manifest_free(&m);
	free(part);
	return rc;
}

/* 1 or 0; -1 and *err: nothing of this run is taken. */
static int take_newer(struct clamav *a, const struct clamav_database *d,
		      const char *file, int fd, const struct cvd_head *head,
		      struct err *err)
{
	char *part = part_name(d->name);
	struct err why;
	int rc;

	if (patternset_may(part, head->version, &why) == 0) {
		rc = stage(a, d, file, fd, head, err) < 0 ? -1 : 1;
	} else {
		miss(a, d->name, &why);
		rc = 0;
	}
	free(part);
	return rc;
}

/* The same; 0 also when it is not newer. */
static int take(struct clamav *a, const struct clamav_database *d,
		struct err *err)
{
	struct cvd_head head, best = {0};
	char *name = NULL, *file;
	int fd = -1, best_fd = -1, rc = 0;

	for (size_t i = 0; i < ENDS; i++) {
		file = xasprintf("%s.%s", d->name, ends[i]);
		fd = -1;
		if (look_at(a, file, &head, &fd) > best.version) {
			fd_close(&best_fd);
			xfree(&name);
			best = head;
			best_fd = fd;
			name = file;
		} else {
			fd_close(&fd);
			free(file);
		}
	}
	if (best.version > d->here)
		rc = take_newer(a, d, name, best_fd, &best, err);
	fd_close(&best_fd);
	free(name);
	return rc;
}

static int take_all(struct clamav *a, const json_t *said, struct err *err)
{
	const struct clamav_database *d;
	int taken = 0, rc;

	vec_each (d, &a->databases) {
		const json_t *o = json_object_get(said, d->name);
		const char *why = json_string_value(json_object_get(o, "why"));
		struct err missed;

		if (!d->wanted)
			continue;
		rc = take(a, d, err);
		if (rc < 0)
			return err_add(err, "%s", d->name);
		taken += rc;
		if (why || (rc == 0 && d->there)) {
			err_set(&missed, 0, "%s",
				why ? why
				    : "the mirror tells a newer version than "
				      "it has");
			miss(a, d->name, &missed);
		}
	}
	return taken;
}

/* ---- what is told, what goes ---- */

static void tell_ages(const struct clamav *a)
{
	int64_t now = time(NULL), newest = 0;
	int64_t max = a->c->conf->pattern_max_age / 1000;
	const struct clamav_database *d;

	if (ctl_flag(a->c->ctl, "cron"))
		return;
	vec_each (d, &a->databases) {
		const struct patternset_part *p = part_of(a, d->name);

		if (p && p->m.created > now + DAY)
			ctl_complain("%s %llu was made in the future: is this "
				     "machine's clock right?",
				     d->name, (unsigned long long)p->m.version);
		if (p && p->m.created > newest)
			newest = p->m.created;
	}
	if (newest && max && now - newest > max)
		ctl_complain("the newest of these databases is %lld days old: "
			     "is the mirror kept up to date?",
			     (long long)(now - newest) / DAY);
}

static bool is_listed(const struct clamav *a, const char *part)
{
	const struct clamav_database *d;

	vec_each (d, &a->databases)
		if (strcmp(part + strlen(PATTERNSET_CLAMAV "-"), d->name) == 0)
			return true;
	return false;
}

/* Those that are not wanted any more (ClamavDatabases). */
static int drop_others(struct clamav *a)
{
	const struct patternset *set = &a->c->stage.set;
	int dropped = 0;

	for (size_t i = set->len; i-- > 0;) {
		/* Its own place goes with it. */
		char *part = xstrdup(set->items[i].m.name);

		if (pattern_part_is_clamav(part) && !is_listed(a, part)) {
			printf(T("%s is not in ClamavDatabases, and goes\n"),
			       part);
			dropped += patternset_stage_drop(&a->c->stage, part);
		}
		free(part);
	}
	return dropped;
}

static int update(struct clamav *a, struct err *err)
{
	json_t *said;
	int n;

	if ((!a->official || !a->c->only_look) && clamav_may_ask(a, err) < 0)
		return -1;
	n = ask_versions(a, err);
	if (n <= 0 || a->c->only_look)
		return n;
	said = clamav_run(a, true, err);
	if (!said)
		return -1;
	n = take_all(a, said, err);
	json_decref(said);
	return n;
}

int pattern_from_clamav(struct pattern_change *c, const char *source,
			struct err *err)
{
	struct clamav a = {.c = c, .source = source, .dirfd = -1};
	char *shown;
	int rc = -1;

	if (read_source(&a, err) == 0 && list_databases(&a, err) == 0 &&
	    begin(&a, err) == 0)
		rc = update(&a, err);
	/* While one cannot be had none is given away for it. */
	if (rc >= 0 && !a.missed.text[0]) {
		rc += drop_others(&a);
		tell_ages(&a);
	}
	/* Nothing is better than what there is. */
	if (rc == 0 && a.missed.text[0]) {
		*err = a.missed;
		rc = -1;
	} else if (a.missed.text[0] && !c->missed.text[0]) {
		c->missed = a.missed;
		shown = address_mask(source);
		err_add(&c->missed, "%s", shown);
		free(shown);
	}
	fd_close(&a.dirfd);
	free(a.server);
	free(a.dir);
	vec_free(&a.databases);
	return rc < 0 ? -1 : rc > 0;
}
