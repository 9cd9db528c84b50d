/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "lib/vec.h"

/* Settings on which it depends whether a file is called clean. */
static const char *const verdict_keys[] = {
	"MaxFileSize",	"MaxScanSize",	 "MaxRecursion", "MaxFiles",
	"ScanArchives", "ScanDocuments", "DetectPUA",	 "Heuristics",
};
/* Settings that a generation takes over at its start alone. */
static const char *const engine_keys[] = {
	"DetectPUA",
	"PatternDirectory",
	"ScanUser",
	"ScratchSize",
};

static void add_users(struct jobs_users *users, const struct conf_list *list)
{
	char **name;

	vec_each (name, list) {
		struct err err;
		uid_t uid;
		gid_t gid;

		if (proc_user(*name, &uid, &gid, &err)) {
			log_warn("settings: %s", err.text);
			continue;
		}
		users->uids =
			xreallocarray(users->uids, users->n + 1, sizeof(uid_t));
		users->uids[users->n++] = uid;
	}
}

static struct settings *resolve(struct conf *conf, const char *from,
				struct err *err)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	gid_t gid;

	s->conf = conf;
	str_copy(s->from, sizeof(s->from), from);
	if (proc_user(conf->scan_user, &s->scan_uid, &gid, err)) {
		err_add(err, "ScanUser");
		settings_free(&s);
		return NULL;
	}
	if (s->scan_uid == 0) {
		err_set(err, 0, "ScanUser: scan workers must not be root");
		settings_free(&s);
		return NULL;
	}
	add_users(&s->users, &conf->admin_users);
	add_users(&s->users, &conf->operator_users);
	return s;
}

struct settings *settings_load(bool fallback, struct err *err)
{
	const char *files[] = {paths()->active_conf, paths()->last_good,
			       paths()->conf};
	struct err first = {0};
	size_t i;

	for (i = 0; i < (fallback ? 3 : 1); i++) {
		struct err why = {0};
		struct conf *conf = conf_load(files[i], &why);
		struct settings *s;

		if (conf) {
			s = resolve(conf, files[i], err);
			if (s && first.text[0])
				log_warn("settings %s are used: %s", files[i],
					 first.text);
			return s;
		}
		if (why.code != ENOENT && !first.text[0])
			first = why;
	}
	if (first.text[0])
		*err = first;
	else
		err_set(err, ENOENT, "there are no settings: %s", files[0]);
	return NULL;
}

void settings_free(struct settings **settings)
{
	if (!*settings)
		return;
	conf_free(&(*settings)->conf);
	free((*settings)->users.uids);
	xfree(settings);
}

int settings_write(int out, const struct settings *s)
{
	char *text = conf_dump(s->conf);
	size_t i;
	int rc = 0;

	if (dprintf(out, "%u %zu", s->scan_uid, s->users.n) < 0)
		rc = -1;
	for (i = 0; !rc && i < s->users.n; i++)
		if (dprintf(out, " %u", s->users.uids[i]) < 0)
			rc = -1;
	if (!rc &&
	    (dprintf(out, "\n") < 0 || fd_write_all(out, text, strlen(text))))
		rc = -1;
	free(text);
	return rc;
}

struct settings *settings_parse(const char *data, struct err *err)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	const char *text = strchr(data, '\n');
	char *end;
	size_t i, n;

	s->scan_uid = (uid_t)strtoul(data, &end, 10);
	n = strtoul(end, &end, 10);
	s->users.uids = xcalloc(n + 1, sizeof(uid_t));
	for (i = 0; i < n; i++)
		s->users.uids[i] = (uid_t)strtoul(end, &end, 10);
	s->users.n = n;
	str_copy(s->from, sizeof(s->from), paths()->active_conf);
	if (text)
		s->conf = conf_parse(text + 1, paths()->active_conf, err);
	else
		err_set(err, 0, "settings were cut short");
	if (!s->conf)
		settings_free(&s);
	return s;
}

static uint64_t hash_text(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	while (*s++);
	return h;
}

uint64_t settings_policy_id(const struct conf *conf)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < sizeof(verdict_keys) / sizeof(*verdict_keys); i++) {
		char *value = conf_get(conf, verdict_keys[i]);

		h = hash_text(h, value);
		free(value);
	}
	return h ? h : 1;
}

bool settings_need_engine(const struct conf *a, const struct conf *b)
{
	bool differ = false;
	size_t i;

	for (i = 0; i < sizeof(engine_keys) / sizeof(*engine_keys); i++) {
		char *va = conf_get(a, engine_keys[i]);
		char *vb = conf_get(b, engine_keys[i]);

		differ = differ || strcmp(va, vb) != 0;
		free(va);
		free(vb);
	}
	return differ;
}

void settings_publish(struct scoreboard *sb, const struct conf *conf)
{
	atomic_store(&sb->verdict_timeout_ms, (uint32_t)conf->verdict_timeout);
	atomic_store(&sb->allow_on_error,
		     conf_allows(conf, CONF_POLICY_DEFAULT));
	atomic_store(&sb->allow_on_timeout,
		     conf_allows(conf, conf->on_timeout));
	atomic_store(&sb->breaker_timeouts, (uint32_t)conf->breaker_timeouts);
	atomic_store(&sb->breaker_retry_ms, (uint32_t)conf->breaker_retry);
	log_set_level((enum log_level)conf->log_level);
}
