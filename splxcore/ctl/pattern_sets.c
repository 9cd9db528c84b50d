/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The sets of patterns that are there: shown, verified, gone back to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/jsontext.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "output.h"
#include "pattern.h"
#include "render.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static json_t *part_json(const struct patternset *set,
			 const struct patternset_part *p)
{
	return json_pack(
		"{s:I, s:b, s:s, s:I, s:I, s:o, s:I, s:I, s:s, s:o}", "set",
		(json_int_t)set->number, "current", set->current, "part",
		p->m.name, "version", (json_int_t)p->m.version, "time",
		(json_int_t)p->m.created * 1000000000, "valid_until",
		p->m.valid_until ? json_integer(p->m.valid_until * 1000000000)
				 : json_null(),
		"files", (json_int_t)p->m.len, "bytes",
		(json_int_t)manifest_bytes(&p->m), "signed_by",
		pattern_part_is_clamav(p->m.name) ? "ClamAV" : p->signed_by,
		"origin", jsontext_new(p->origin));
}

int pattern_list_run(struct ctl *ctl)
{
	static const struct output_column columns[] = {
		{"set", "SET", OUTPUT_NUMBER},
		{"current", "CURRENT", OUTPUT_TEXT},
		{"part", "PART", OUTPUT_TEXT},
		{"version", "VERSION", OUTPUT_TEXT},
		{"time", "MADE", OUTPUT_TIME},
		{"valid_until", "GOOD UNTIL", OUTPUT_TIME},
		{"files", "FILES", OUTPUT_COUNT},
		{"bytes", "SIZE", OUTPUT_SIZE},
		{"signed_by", "SIGNED BY", OUTPUT_TEXT},
		{"origin", "FROM", OUTPUT_TEXT},
	};
	const struct patternset_part *p;
	struct patternset_list list;
	const struct patternset *s;
	json_t *rows = json_array();
	struct err err;

	patternset_list(&list, &err);
	vec_each (s, &list)
		vec_each (p, s)
			json_array_append_new(rows, part_json(s, p));
	if (ctl->output == CTL_JSON)
		output_json(stdout, rows);
	else
		output_rows(stdout, rows, columns, N(columns),
			    "no set of patterns was installed yet");
	if (err.text[0])
		ctl_complain("%s", err.text);
	patternset_list_free(&list);
	json_decref(rows);
	return err.text[0] ? CTL_ERROR : CTL_OK;
}

/* ---- verify ---- */

static int verify_bundle(const char *dir, struct err *err)
{
	struct pattern_bundle b;
	int fd, rc;

	if (pattern_bundle_read(&b, dir, NULL, err) < 0)
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? err_set(err, errno, "%s", dir) : 0;
	for (size_t i = 0; rc == 0 && i < b.m.len; i++)
		rc = manifest_check_file(&b.m.items[i], fd, err);
	if (rc == 0)
		printf(T("%s %llu: %zu files, signed by %s\n"), b.m.name,
		       (unsigned long long)b.m.version, b.m.len, b.signed_by);
	fd_close(&fd);
	pattern_bundle_free(&b);
	return rc;
}

/* The scanner's library knows ClamAV's keys; it is started in its jail. */
static bool is_checked_by_clamav(const struct patternset_part *p)
{
	return pattern_part_is_clamav(p->m.name) && geteuid() == 0;
}

static int verify_database(const char *dir, const struct manifest *m,
			   struct err *err)
{
	const struct manifest_file *f;
	struct cvd_head head;
	char *path;
	int rc = 0;

	vec_each (f, m) {
		path = xasprintf("%s/%s", dir, f->name);
		if (rc == 0)
			rc = pattern_clamav_check(path, &head, err);
		free(path);
	}
	return rc;
}

/* By a key that is trusted today, too. */
static int verify_signer(const struct patternset *set,
			 const struct patternset_part *p, struct err *err)
{
	char *dir = patternset_path(set->number, p->m.name);
	char id[SIGNING_ID_LEN + 1];
	int rc = 0;

	if (p->signed_by[0] && pattern_bundle_signer(dir, id, err) < 0)
		rc = err_add(err, "%s", p->m.name);
	if (is_checked_by_clamav(p))
		rc = verify_database(dir, &p->m, err);
	free(dir);
	return rc;
}

/* What is installed: every file, and whether all may still be used. */
static int verify_current(struct err *err)
{
	const struct patternset_part *p;
	struct patternset set;
	int rc = patternset_current(&set, err);

	if (rc == 0)
		puts(T("no set of patterns was installed yet"));
	if (rc <= 0)
		return rc;
	rc = patternset_verify(&set, err);
	vec_each (p, &set) {
		if (rc == 0)
			rc = verify_signer(&set, p, err);
		if (rc == 0)
			printf(T("%s %llu: %zu files are what they "
				 "were%s%s%s\n"),
			       p->m.name, (unsigned long long)p->m.version,
			       p->m.len,
			       p->signed_by[0] ? T(", signed by ") : "",
			       p->signed_by,
			       is_checked_by_clamav(p) ? T(", signed by ClamAV")
						       : "");
	}
	patternset_free(&set);
	return rc;
}

int pattern_verify_run(struct ctl *ctl)
{
	const char *dir = ctl_arg(ctl, "dir");
	struct err err = {0};
	int rc = dir ? verify_bundle(dir, &err) : verify_current(&err);

	if (rc < 0)
		ctl_complain("%s", err.text);
	return rc < 0 ? CTL_NO : CTL_OK;
}

/* ---- rollback ---- */

/* Which set to go back to. */
static int choose(struct ctl *ctl, const struct patternset *now,
		  const struct patternset_list *list, uint64_t *number_r,
		  struct err *err)
{
	const char *word = ctl_arg(ctl, "set");
	const struct patternset *s;
	int64_t wanted = 0;

	if (word && str_to_i64(word, 1, INT64_MAX, &wanted, err) < 0)
		return err_add(err, "set %s", word);
	*number_r = 0;
	vec_each (s, list)
		if (word ? s->number == (uint64_t)wanted
			 : s->number < now->number)
			*number_r = s->number;
	if (!*number_r)
		return err_set(err, 0,
			       "there is no %s set: splxctl pattern list",
			       word ? "such" : "former");
	if (*number_r == now->number)
		return err_set(err, 0, "set %s is the current one", word);
	return 0;
}

static int go_back(struct pattern_change *c, const struct patternset *now,
		   struct err *err)
{
	struct patternset_list list;
	struct patternset to;
	uint64_t number = 0;
	int rc;

	patternset_list(&list, NULL);
	rc = choose(c->ctl, now, &list, &number, err);
	patternset_list_free(&list);
	if (rc < 0 || patternset_read(number, &to, err) < 0)
		return -1;
	rc = patternset_verify(&to, err);
	/* Before anything can cut this off: else the next update brings it
	 * again. Also by number: what is left is what must not come back. */
	if (rc == 0)
		rc = patternset_hold(now, &to, err);
	if (rc == 0)
		rc = pattern_change_to(c, now, number, err);
	patternset_free(&to);
	return rc;
}

int pattern_rollback_run(struct ctl *ctl)
{
	struct pattern_change c;
	struct patternset now;
	struct err err = {0};
	int rc = pattern_change_lock(&c, ctl, &err);

	if (rc == 0) {
		rc = patternset_current(&now, &err) < 0
			     ? -1
			     : go_back(&c, &now, &err);
		patternset_free(&now);
	}
	if (rc < 0)
		ctl_complain("%s", err.text);
	pattern_change_end(&c);
	return rc < 0 ? CTL_ERROR : CTL_OK;
}

/* ---- remove ---- */

int pattern_remove_run(struct ctl *ctl)
{
	const char *name = ctl_arg(ctl, "part");
	struct pattern_change c;
	struct err err = {0};
	int rc = pattern_change_begin(&c, ctl, &err);

	if (rc == 0 && !patternset_stage_drop(&c.stage, name))
		rc = err_set(&err, 0,
			     "there is no part %s: splxctl pattern "
			     "list",
			     name);
	if (rc == 0)
		rc = pattern_change_commit(&c, &err);
	if (rc < 0)
		ctl_complain("%s", err.text);
	pattern_change_end(&c);
	return rc < 0 ? CTL_ERROR : CTL_OK;
}
