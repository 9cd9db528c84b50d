/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: what must not come back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jsontext.h"
#include "address.h"
#include "lib/fdutil.h"
#include "patternset_impl.h"

/*
 * state.json: {"format": 1, "seen": {PART: version}, "held": {PART: version}}.
 * Up to `seen` all is old; up to `held` it was taken back by a rollback.
 */
int patternset_json_write(const char *path, json_t *o, struct err *err)
{
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_SORT_KEYS);
	int rc = fd_replace_file(path, text, strlen(text), 0644, err);

	free(text);
	return rc;
}

/* What has to be kept, also on a disk that is full. */
static int write_down(const char *path, json_t *o, struct err *err)
{
	int rc = patternset_json_write(path, o, err);

	if (rc < 0 && patternset_room_give(err->code))
		rc = patternset_json_write(path, o, err);
	return rc;
}

/* NULL and *err when it cannot be read: then nothing may come in. */
static json_t *state_read(char *path, struct err *err)
{
	struct err why = {0};
	json_t *o = patternset_json_read(path, &why);

	if (!o && why.code == ENOENT)
		return json_pack("{s:i, s:{}, s:{}}", "format",
				 PATTERNSET_FORMAT, "seen", "held");
	if (o && json_integer_value(json_object_get(o, "format")) ==
			 PATTERNSET_FORMAT)
		return o;
	if (o)
		err_set(err, 0,
			"%s is not in a form that this version reads; when "
			"it is removed, old patterns can come back",
			path);
	else
		*err = why;
	json_decref(o);
	return NULL;
}

static uint64_t version_in(const json_t *state, const char *what,
			   const char *part)
{
	const json_t *of = json_object_get(state, what);
	json_int_t v = json_integer_value(json_object_get(of, part));

	return v > 0 ? (uint64_t)v : 0;
}

static void raise_to(json_t *state, const char *what, const char *part,
		     uint64_t version)
{
	json_t *of = json_object_get(state, what);

	if (!json_is_object(of)) {
		of = json_object();
		json_object_set_new(state, what, of);
	}
	if (version_in(state, what, part) < version)
		json_object_set_new(of, part,
				    json_integer((json_int_t)version));
}

/* Of the current set: should what was seen not have been written down. */
static unsigned long long version_now(const char *part)
{
	const struct patternset_part *is;
	unsigned long long version = 0;
	struct patternset now;
	struct err ignored;

	if (patternset_current(&now, &ignored) <= 0)
		return 0;
	is = patternset_part(&now, part);
	if (is)
		version = is->m.version;
	patternset_free(&now);
	return version;
}

int patternset_may(const char *part, uint64_t version, struct err *err)
{
	char *path = patternset_below("state.json");
	json_t *state = state_read(path, err);
	unsigned long long held = version_in(state, "held", part),
			   seen = version_in(state, "seen", part),
			   now = version_now(part);
	int rc = state ? 0 : -1;

	if (now > seen)
		seen = now;
	if (state && version <= held)
		rc = err_set(err, 0,
			     "%s %llu was taken back (splxctl pattern "
			     "rollback): it stays away until a version newer "
			     "than %llu comes",
			     part, (unsigned long long)version, held);
	else if (state && version < seen)
		rc = err_set(err, 0,
			     "%s %llu is older than %llu, which was installed "
			     "before: somebody serves old patterns. To go back "
			     "on purpose: splxctl pattern rollback",
			     part, (unsigned long long)version, seen);
	json_decref(state);
	free(path);
	return rc;
}

int patternset_saw(const struct patternset *set, struct err *err)
{
	char *path = patternset_below("state.json");
	json_t *state = state_read(path, err);
	const struct patternset_part *p;
	int rc = -1;

	if (state) {
		vec_each (p, set)
			raise_to(state, "seen", p->m.name, p->m.version);
		rc = write_down(path, state, err);
	}
	json_decref(state);
	free(path);
	return rc;
}

int patternset_hold(const struct patternset *bad, const struct patternset *good,
		    struct err *err)
{
	char *path = patternset_below("state.json");
	json_t *state = state_read(path, err);
	const struct patternset_part *p, *is;
	int rc = -1;

	if (state) {
		vec_each (p, bad) {
			is = patternset_part(good, p->m.name);
			if (!is || is->m.version != p->m.version)
				raise_to(state, "held", p->m.name,
					 p->m.version);
		}
		rc = write_down(path, state, err);
	}
	json_decref(state);
	free(path);
	return rc;
}

/* ---- last.json: {"time", "ok", "source", "text"} ---- */

char *patternset_told_path(void)
{
	return patternset_below("last.json");
}

void patternset_tell(const char *source, const struct err *err)
{
	char *path = patternset_told_path(), *from = address_mask(source);
	struct err ignored;
	json_t *o = json_pack("{s:I, s:b, s:o, s:o}", "time",
			      (json_int_t)time(NULL), "ok", err == NULL,
			      "source", jsontext_new(from), "text",
			      jsontext_new(err ? err->text : ""));

	/* Where even that cannot be written, whoever updates complains. */
	(void)write_down(path, o, &ignored);
	json_decref(o);
	free(from);
	free(path);
}

int patternset_told(int64_t *when_r, struct err *err)
{
	char *path = patternset_told_path();
	json_t *o = patternset_json_read(path, NULL);
	const char *text = json_string_value(json_object_get(o, "text"));
	int failed = json_is_false(json_object_get(o, "ok"));

	*when_r = json_integer_value(json_object_get(o, "time"));
	if (failed)
		err_set(err, 0, "%s", text ? text : "");
	json_decref(o);
	free(path);
	return failed;
}
