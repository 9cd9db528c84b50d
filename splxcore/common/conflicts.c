/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "conflicts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

/* ---- services ---- */

static bool has_unit(const struct boot *b, const char *service)
{
	static const char *const dirs[] = {"/etc/systemd/system",
					   "/lib/systemd/system",
					   "/usr/lib/systemd/system"};
	bool has = false;
	size_t i;

	for (i = 0; i < 3 && !has; i++) {
		char *name = xasprintf("%s/%s.service", dirs[i], service);
		char *path = boot_below(b, name);

		has = access(path, F_OK) == 0;
		free(path);
		free(name);
	}
	return has;
}

/* Its script is there, or a link that init follows. */
static bool is_installed(const struct boot *b, const char *service)
{
	char levels[16];

	return boot_script(b, service) ||
	       *boot_levels_of(b, service, levels, sizeof(levels)) ||
	       (b->kind == BOOT_SYSTEMD && has_unit(b, service));
}

/* A pid file's process lives; 0 when it does not, -1 without such a file. */
static int pid_file_lives(const char *path)
{
	char *text;
	int64_t pid;
	size_t len;
	int rc = -1;

	if (fd_read_file(path, 64, &text, &len, NULL) == 0) {
		rc = str_to_i64(str_trim(text), 1, INT32_MAX, &pid, NULL) == 0
			     ? kill((pid_t)pid, 0) == 0 || errno == EPERM
			     : -1;
		free(text);
	}
	return rc;
}

/* By what services leave behind; their scripts are not run for that. */
static int is_running(const struct boot *b, const char *service)
{
	char *path, *lock;
	int rc = -1;
	size_t i;

	/* Another root's processes are not ours to look at. */
	if (*b->root)
		return -1;
	for (i = 0; i < 3 && rc < 0; i++) {
		path = i == 1 ? xasprintf("/run/%s/%s.pid", service, service)
			      : xasprintf(i == 0 ? "/run/%s.pid"
						 : "/var/run/%s.pid",
					  service);
		rc = pid_file_lives(path);
		free(path);
	}
	if (rc >= 0)
		return rc;
	lock = xasprintf("/var/lock/subsys/%s", service);
	rc = access(lock, F_OK) == 0 ? 1 : -1;
	free(lock);
	return rc;
}

static void add(struct conflicts *found, const struct boot *b,
		const struct bootdeps *deps, struct conflict *c)
{
	c->running = -1;
	if (c->service) {
		c->running = is_running(b, c->service);
		if (deps)
			bootdeps_place(deps, c->service, &c->placing);
	}
	vec_push(found, *c);
}

/* ---- what the kernel shows ---- */

static const char *text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static bool is_told(const struct conflicts *found, const struct conflict *c)
{
	const struct conflict *o;

	vec_each (o, found)
		if (!strcmp(o->kind, c->kind) &&
		    !strcmp(o->module, c->module) &&
		    !strcmp(o->symbol, c->symbol) && o->effect == c->effect)
			return true;
	return false;
}

/* Its own script's word counts most, the list's when there is none. */
static void tie(const struct boot *b, const struct conflist *list,
		struct conflict *c)
{
	c->tie = conflict_source(b, c->module, &c->service, &c->source);
	if (c->service)
		c->known = conflist_service(list, c->service);
	if (!c->known)
		c->known = conflist_module(list, c->module);
	if (c->service || !c->known)
		return;
	c->service = xstrdup(c->known->services.items[0]);
	for (size_t i = 1; i < c->known->services.len; i++) {
		if (is_installed(b, c->service))
			break;
		free(c->service);
		c->service = xstrdup(c->known->services.items[i]);
	}
	if (c->tie == CONFLICT_NO_TIE) {
		c->tie = CONFLICT_BY_LIST;
		c->source = xasprintf("%s:%d", "/etc/splx/conflicts.conf",
				      c->known->line);
	}
}

static void add_rival(struct conflicts *found, const struct boot *b,
		      const struct bootdeps *deps, const struct conflist *list,
		      json_t *rival)
{
	const char *effect = text_of(rival, "effect");
	struct conflict c = {.effect = CONFLICT_SAFE};

	str_copy(c.kind, sizeof(c.kind), text_of(rival, "kind"));
	str_copy(c.module, sizeof(c.module), text_of(rival, "module"));
	str_copy(c.symbol, sizeof(c.symbol), text_of(rival, "symbol"));
	if (strcmp(effect, "blocks-unload") == 0)
		c.effect = CONFLICT_UNLOAD;
	else if (strcmp(effect, "blocks-arm") == 0)
		c.effect = CONFLICT_ARM;
	/* A line of what could not be looked for is no rival. */
	if (strcmp(c.symbol, "not-looked-for") == 0 || is_told(found, &c))
		return;
	tie(b, list, &c);
	add(found, b, deps, &c);
}

/* ---- what is known by name ---- */

static bool is_shown(const struct conflicts *found, const char *service)
{
	const struct conflict *c;

	vec_each (c, found)
		if (c->service && strcmp(c->service, service) == 0 &&
		    c->effect != CONFLICT_SAFE)
			return true;
	return false;
}

static void add_named(struct conflicts *found, const struct boot *b,
		      const struct bootdeps *deps,
		      const struct conflist_entry *e)
{
	char **service;

	vec_each (service, &e->services) {
		struct conflict c = {.effect = CONFLICT_NAMED, .known = e};

		if (!is_installed(b, *service) || is_shown(found, *service))
			continue;
		c.service = xstrdup(*service);
		c.tie = CONFLICT_BY_LIST;
		c.source = xasprintf("/etc/splx/conflicts.conf:%d", e->line);
		add(found, b, deps, &c);
	}
}

void conflicts_find(const struct boot *boot, const struct bootdeps *deps,
		    const struct conflist *list, json_t *rivals,
		    struct conflicts *found_r)
{
	const struct conflist_entry *e;
	json_t *rival;
	size_t i;

	memset(found_r, 0, sizeof(*found_r));
	json_array_foreach (rivals, i, rival)
		add_rival(found_r, boot, deps, list, rival);
	vec_each (e, &list->entries)
		add_named(found_r, boot, deps, e);
}

void conflicts_free(struct conflicts *found)
{
	struct conflict *c;

	vec_each (c, found) {
		free(c->service);
		free(c->source);
	}
	vec_free(found);
}

/* ---- what helps ---- */

bool conflict_may_order(const struct bootdeps *deps, const struct boot *boot,
			const struct conflict *c, char *why_r, size_t size)
{
	if (!c->service) {
		snprintf(why_r, size,
			 "the service that loads it is not known, so splx "
			 "cannot be started after it");
		return false;
	}
	if (c->known && c->known->restarts) {
		snprintf(why_r, size,
			 "%s restarts itself %s, after splx whatever the "
			 "order",
			 c->service, c->known->restarts);
		return false;
	}
	if (boot->kind == BOOT_INSSERV && deps &&
	    bootdeps_is_last(deps, c->service)) {
		snprintf(why_r, size,
			 "the header of %s asks to be started after all "
			 "others ($all)",
			 c->service);
		return false;
	}
	return true;
}
