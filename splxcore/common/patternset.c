/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: what there is. */
#include "patternset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "paths.h"
#include "patternset_impl.h"

#define JSON_MAX (1u << 20)

char *patternset_below(const char *fmt, ...)
{
	struct str path = {0};
	va_list ap;

	str_addf(&path, "%s/", paths()->pattern_dir);
	va_start(ap, fmt);
	str_vaddf(&path, fmt, ap);
	va_end(ap);
	return str_take(&path);
}

char *patternset_path(uint64_t number, const char *part)
{
	return patternset_below(SETS "/%llu%s%s", (unsigned long long)number,
				part ? "/" : "", part ? part : "");
}

uint64_t patternset_number(const char *name)
{
	char *end;
	unsigned long long n;

	/* No leading zeros: a number has one name. */
	if (name[0] < '1' || name[0] > '9' || strlen(name) > 15)
		return 0;
	n = strtoull(name, &end, 10);
	return *end ? 0 : n;
}

json_t *patternset_json_read(const char *path, struct err *err)
{
	json_error_t where;
	json_t *o;
	char *text;
	size_t len;

	if (fd_read_file(path, JSON_MAX, &text, &len, err) < 0)
		return NULL;
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	free(text);
	if (!json_is_object(o)) {
		err_set(err, 0, "%s: line %d: %s", path, where.line,
			o ? "no object" : where.text);
		json_decref(o);
		return NULL;
	}
	return o;
}

/* ---- one set ---- */

void patternset_part_free(struct patternset_part *part)
{
	manifest_free(&part->m);
}

void patternset_free(struct patternset *set)
{
	struct patternset_part *p;

	vec_each (p, set)
		patternset_part_free(p);
	vec_free(set);
	memset(set, 0, sizeof(*set));
}

static int read_manifest(const char *dir, const char *name, struct manifest *m,
			 struct err *err)
{
	char *path = xasprintf("%s/%s/" MANIFEST_FILE, dir, name), *text;
	size_t len;
	int rc = -1;

	if (fd_read_file(path, MANIFEST_MAX, &text, &len, err) == 0) {
		rc = manifest_parse(text, len, m, err);
		if (rc < 0)
			err_add(err, "%s", path);
		free(text);
	}
	free(path);
	if (rc == 0 && strcmp(m->name, name) != 0) {
		rc = err_set(err, 0, "%s/%s holds the part %s", dir, name,
			     m->name);
		manifest_free(m);
	}
	return rc;
}

static const char *text_of(const json_t *o, const char *member)
{
	const char *text = json_string_value(json_object_get(o, member));

	return text ? text : "";
}

static int read_part(const char *dir, const json_t *o, struct patternset *set,
		     struct err *err)
{
	const char *name = text_of(o, "name");
	struct patternset_part part = {0};

	if (!manifest_is_name(name) || patternset_part(set, name))
		return err_set(err, 0, "%s/" SET_FILE ": a part \"%s\"", dir,
			       name);
	if (read_manifest(dir, name, &part.m, err) < 0)
		return -1;
	str_copy(part.origin, sizeof(part.origin), text_of(o, "origin"));
	str_copy(part.signed_by, sizeof(part.signed_by),
		 text_of(o, "signed_by"));
	vec_push(set, part);
	return 0;
}

int patternset_read_dir(const char *dir, struct patternset *set,
			struct err *err)
{
	char *path = xasprintf("%s/" SET_FILE, dir);
	json_t *o = patternset_json_read(path, err), *parts, *part;
	size_t i;
	int rc = o ? 0 : -1;

	memset(set, 0, sizeof(*set));
	parts = json_object_get(o, "parts");
	if (o && (json_integer_value(json_object_get(o, "format")) !=
			  PATTERNSET_FORMAT ||
		  !json_is_array(parts) ||
		  json_array_size(parts) > PATTERNSET_PARTS_MAX))
		rc = err_set(err, 0,
			     "%s: not in a form that this version reads", path);
	set->created = json_integer_value(json_object_get(o, "created"));
	if (rc == 0)
		json_array_foreach (parts, i, part)
			if (rc == 0)
				rc = read_part(dir, part, set, err);
	json_decref(o);
	free(path);
	if (rc < 0)
		patternset_free(set);
	return rc;
}

/* The number of the current set, 0: none. */
static uint64_t current_number(void)
{
	char *path = patternset_below(CURRENT), target[64];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	free(path);
	target[n > 0 ? n : 0] = '\0';
	return str_starts(target, SETS "/")
		       ? patternset_number(target + strlen(SETS "/"))
		       : 0;
}

int patternset_read(uint64_t number, struct patternset *set_r, struct err *err)
{
	char *dir = patternset_path(number, NULL);
	int rc = patternset_read_dir(dir, set_r, err);

	if (rc == 0) {
		set_r->number = number;
		set_r->current = current_number() == number;
	}
	free(dir);
	return rc;
}

int patternset_current(struct patternset *set_r, struct err *err)
{
	uint64_t number = current_number();

	memset(set_r, 0, sizeof(*set_r));
	if (!number)
		return 0;
	return patternset_read(number, set_r, err) < 0 ? -1 : 1;
}

const struct patternset_part *patternset_part(const struct patternset *set,
					      const char *name)
{
	const struct patternset_part *p;

	vec_each (p, set)
		if (strcmp(p->m.name, name) == 0)
			return p;
	return NULL;
}

/* ---- all ---- */

static int by_number(const void *a, const void *b)
{
	const struct patternset *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

void patternset_list(struct patternset_list *list_r, struct err *err)
{
	char *path = patternset_below(SETS);
	DIR *d = opendir(path);
	struct patternset set;
	struct dirent *de;
	struct err why = {0};
	uint64_t number;

	memset(list_r, 0, sizeof(*list_r));
	err_clear(err);
	if (!d && errno != ENOENT)
		err_set(err, errno, "%s", path);
	while (d && (de = readdir(d))) {
		number = patternset_number(de->d_name);
		if (!number)
			continue;
		if (patternset_read(number, &set, &why) == 0)
			vec_push(list_r, set);
		else if (err && !err->text[0])
			*err = why;
	}
	if (d)
		closedir(d);
	free(path);
	if (list_r->len)
		qsort(list_r->items, list_r->len, sizeof(list_r->items[0]),
		      by_number);
}

void patternset_list_free(struct patternset_list *list)
{
	struct patternset *s;

	vec_each (s, list)
		patternset_free(s);
	vec_free(list);
}

/* ---- is it what it was ---- */

int patternset_verify_in(const struct patternset *set, const char *dir,
			 struct err *err)
{
	const struct patternset_part *p;
	int rc = 0;

	vec_each (p, set) {
		char *path = xasprintf("%s/%s", dir, p->m.name);
		int fd = open(path,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			rc = err_set(err, errno, "%s", path);
		else if (manifest_check_dir(&p->m, fd, err) < 0)
			rc = err_add(err, "%s", path);
		fd_close(&fd);
		free(path);
		if (rc < 0)
			break;
	}
	return rc;
}

int patternset_verify(const struct patternset *set, struct err *err)
{
	char *dir = patternset_path(set->number, NULL);
	int rc = patternset_verify_in(set, dir, err);

	free(dir);
	return rc;
}

/* The newest sound one before `number` (0: of all). */
static bool find_former(uint64_t number, struct patternset *set_r)
{
	struct patternset_list list;
	bool found = false;

	patternset_list(&list, NULL);
	for (size_t i = list.len; i-- > 0 && !found;) {
		if (number && list.items[i].number >= number)
			continue;
		found = patternset_verify(&list.items[i], NULL) == 0;
		if (found) {
			*set_r = list.items[i];
			memset(&list.items[i], 0, sizeof(list.items[i]));
		}
	}
	patternset_list_free(&list);
	return found;
}

int patternset_sound(struct patternset *set_r, struct err *err)
{
	uint64_t number = current_number();

	err_clear(err);
	memset(set_r, 0, sizeof(*set_r));
	if (!number)
		return 0;
	if (patternset_read(number, set_r, err) == 0 &&
	    patternset_verify(set_r, err) == 0)
		return 1;
	patternset_free(set_r);
	return find_former(number, set_r) ? 1 : -1;
}
