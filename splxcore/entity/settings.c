/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exclude.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "common/verbs.h"
#include "dispatch.h"
#include "cronfile.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/netaddr.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "logsink.h"
#include "network.h"

#define TAKEOVER_MS 5000

struct user {
	uid_t uid;
	char *name; /* as the settings have it */
};

struct users {
	VEC(struct user);
};

struct settings_turn {
	struct settings_turn *next;
	loop_fn fn;
	void *arg;
};

struct settings {
	struct conf *conf;
	const char *origin;
	char *broken;
	json_t *voids;
	struct users users[VERB_ADMIN + 1]; /* by enum verb_role */
	uid_t console;			    /* 0: there is none */

	struct takeover *takeover; /* a change is under way */
	settings_fn fn;
	void *arg;
	json_t *changed;
	struct settings_turn *turns;
	struct loop_event *next; /* the next turn begins */
};

const struct conf *settings_conf(const struct settings *s)
{
	return s->conf;
}

const char *settings_origin(const struct settings *s)
{
	return s->origin;
}

const char *settings_broken(const struct settings *s)
{
	return s->broken;
}

json_t *settings_void(const struct settings *s)
{
	return s->voids;
}

/* ---- what follows from new settings ---- */

static void users_clear(struct users *users)
{
	struct user *u;

	vec_each (u, users)
		free(u->name);
	vec_free(users);
}

/* Names are looked up once, here: a directory service may be slow. */
static void resolve(struct users *users, const struct conf_list *names,
		    const char *key, json_t *voids)
{
	struct err err;
	uid_t uid;
	gid_t gid;
	char **name;

	users_clear(users);
	vec_each (name, names) {
		if (proc_user(*name, &uid, &gid, &err) == 0)
			vec_push(users, ((struct user){uid, xstrdup(*name)}));
		else
			json_array_append_new(
				voids,
				json_pack("{s:s, s:o, s:o}", "key", key,
					  "entry", jsontext_new(*name),
					  "reason", jsontext_new(err.text)));
	}
}

static const struct user *find_user(const struct settings *s, uid_t uid,
				    int *role_r)
{
	const struct user *u;
	int role;

	for (role = VERB_ADMIN; role >= VERB_VIEWER; role--) {
		vec_each (u, &s->users[role]) {
			*role_r = role;
			if (u->uid == uid)
				return u;
		}
	}
	return NULL;
}

int settings_role(const struct settings *s, uid_t uid)
{
	int role;

	return find_user(s, uid, &role) ? role : -1;
}

char *settings_user_name(const struct settings *s, uid_t uid, char *out,
			 size_t size)
{
	int role;
	const struct user *u = find_user(s, uid, &role);

	if (uid == 0)
		str_copy(out, size, "root");
	else if (u)
		str_copy(out, size, u->name);
	else if (uid == s->console)
		str_copy(out, size, s->conf->console_user);
	else
		snprintf(out, size, "%u", (unsigned int)uid);
	return out;
}

bool settings_console(const struct settings *s, uid_t *uid_r)
{
	*uid_r = s->console;
	return s->console != 0;
}

/* root needs no console; a console that is root would be nobody's wall. */
static void find_console(struct settings *s)
{
	gid_t gid;

	if (proc_user(s->conf->console_user, &s->console, &gid, NULL) < 0)
		s->console = 0;
}

static void find_voids(struct settings *s)
{
	json_decref(s->voids);
	s->voids = exclude_void(s->conf);
	resolve(&s->users[VERB_ADMIN], &s->conf->admin_users, "AdminUsers",
		s->voids);
	resolve(&s->users[VERB_OPERATOR], &s->conf->operator_users,
		"OperatorUsers", s->voids);
	resolve(&s->users[VERB_VIEWER], &s->conf->viewer_users, "ViewerUsers",
		s->voids);
	find_console(s);
}

/* No more readable than the settings file: where nothing is examined is
 * nothing that everybody should know. */
static void write_copy(const char *path, const char *text)
{
	struct err err;

	if (fd_replace_file(path, text, strlen(text), 0640, &err))
		log_error("settings copy: %s", err.text);
}

/* Puts `conf` (taken over) in force, but for vsapiapp. */
static void put_in_force(struct core *core, struct conf *conf,
			 const char *origin)
{
	struct settings *s = core->settings;
	char *text = conf_dump(conf);

	conf_free(&s->conf);
	s->conf = conf;
	s->origin = origin;
	logsink_configure(core);
	find_voids(s);
	write_copy(paths()->active_conf, text);
	if (!strcmp(origin, "file"))
		write_copy(paths()->last_good, text);
	free(text);
	cronfile_write(core, conf);
	/* After the copy, which the network monitor reads. */
	atomic_store(&core->sb->net_wanted, conf->network_monitor);
	network_changed(core);
}

static void set_broken(struct core *core, const char *why)
{
	struct settings *s = core->settings;

	xfree(&s->broken);
	if (why) {
		s->broken = xstrdup(why);
		core_fault(core, STATUS_CONF_BROKEN, "%s", why);
	} else {
		core_well(core, STATUS_CONF_BROKEN);
	}
}

/* What the web console needs; its user need not be there. */
static int check_console(const struct conf *conf, struct err *err)
{
	struct netaddr a;
	char **item;
	uid_t uid;
	gid_t gid;

	vec_each (item, &conf->console_address)
		if (netaddr_parse(*item, &a, err) < 0 || strchr(*item, '/'))
			return err_set(err, 0, "ConsoleAddress: %s: no address",
				       *item);
	vec_each (item, &conf->console_metrics_allow)
		if (netaddr_parse(*item, &a, err) < 0)
			return err_add(err, "ConsoleMetricsAllow");
	if (proc_user(conf->console_user, &uid, &gid, NULL) == 0 && uid == 0)
		return err_set(err, 0,
			       "ConsoleUser: the web console may not be root");
	if (conf->console_http_port == conf->console_https_port)
		return err_set(err, 0,
			       "ConsoleHttpPort: it is ConsoleHttpsPort's");
	return 0;
}

/* Beyond what a row of options.def can tell. */
static int check(const struct conf *conf, struct err *err)
{
	uid_t uid;
	gid_t gid;

	if (proc_user(conf->scan_user, &uid, &gid, err))
		return err_add(err, "ScanUser");
	if (uid == 0)
		return err_set(err, 0,
			       "ScanUser: scan workers may not be root");
	return check_console(conf, err);
}

int settings_check(const struct conf *conf, struct err *err)
{
	return check(conf, err);
}

static struct conf *load_checked(struct err *err)
{
	struct conf *conf = conf_load(paths()->conf, err);

	if (conf && check(conf, err)) {
		err_add(err, "%s", paths()->conf);
		conf_free(&conf);
	}
	return conf;
}

int settings_init(struct core *core, struct err *err)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	struct conf *conf = load_checked(err);
	const char *origin = "file";

	core->settings = s;
	s->voids = json_array();
	if (!conf) {
		origin = "last-good";
		conf = conf_load(paths()->last_good, NULL);
		if (!conf)
			conf = conf_load(paths()->active_conf, NULL);
		if (!conf)
			return -1;
	}
	put_in_force(core, conf, origin);
	if (strcmp(origin, "file"))
		set_broken(core, err->text);
	return 0;
}

void settings_deinit(struct core *core)
{
	struct settings *s = core->settings;
	struct settings_turn *turn;
	int role;

	if (!s)
		return;
	takeover_free(&s->takeover);
	loop_cancel(&s->next);
	while ((turn = s->turns)) {
		s->turns = turn->next;
		free(turn);
	}
	for (role = 0; role <= VERB_ADMIN; role++)
		users_clear(&s->users[role]);
	json_decref(s->changed);
	json_decref(s->voids);
	conf_free(&s->conf);
	free(s->broken);
	xfree(&core->settings);
}

/* ---- one change after the other ---- */

bool settings_busy(const struct settings *s)
{
	return s->takeover || s->next;
}

static void next_turn(void *arg)
{
	struct core *core = arg;
	struct settings *s = core->settings;
	struct settings_turn *turn = s->turns;

	loop_cancel(&s->next);
	if (!turn)
		return;
	s->turns = turn->next;
	turn->fn(turn->arg);
	free(turn);
	/* It may have come to nothing. */
	if (!settings_busy(s) && s->turns)
		s->next = loop_timer(core->loop, 0, false, next_turn, core);
}

struct settings_turn *settings_wait(struct settings *s, loop_fn fn, void *arg)
{
	struct settings_turn *turn = xcalloc(1, sizeof(*turn)), **p;

	turn->fn = fn;
	turn->arg = arg;
	for (p = &s->turns; *p; p = &(*p)->next)
		;
	*p = turn;
	return turn;
}

void settings_leave(struct settings *s, struct settings_turn **turn)
{
	struct settings_turn **p;

	for (p = &s->turns; *p && *p != *turn; p = &(*p)->next)
		;
	if (*p)
		*p = (*turn)->next;
	xfree(turn);
}

static void taken_over(enum takeover_result result, const char *note, void *arg)
{
	struct core *core = arg;
	struct settings *s = core->settings;
	struct settings_result r = {result, note, s->changed};

	s->takeover = NULL;
	if (result == TAKEOVER_FAILED || result == TAKEOVER_SILENT)
		log_warn("settings in force, but: %s", note);
	s->fn(&r, s->arg);
	json_decref(s->changed);
	s->changed = NULL;
	if (s->turns)
		s->next = loop_timer(core->loop, 0, false, next_turn, core);
}

static json_t *differences(const struct conf *a, const struct conf *b)
{
	json_t *keys = json_array();
	char *va, *vb;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		va = conf_get(a, conf_options[i].key);
		vb = conf_get(b, conf_options[i].key);
		if (strcmp(va, vb))
			json_array_append_new(keys,
					      json_string(conf_options[i].key));
		free(va);
		free(vb);
	}
	return keys;
}

/* Takes `conf` (taken over) and waits for vsapiapp. */
static void take(struct core *core, struct conf *conf, settings_fn fn,
		 void *arg)
{
	struct settings *s = core->settings;
	char *keys;

	s->changed = differences(s->conf, conf);
	put_in_force(core, conf, "file");
	set_broken(core, NULL);
	s->fn = fn;
	s->arg = arg;
	keys = json_dumps(s->changed, JSON_COMPACT);
	log_info("settings in force changed=%s", keys);
	free(keys);
	s->takeover = takeover_new(core, TAKEOVER_SETTINGS, TAKEOVER_MS,
				   taken_over, core);
}

struct conf *settings_edit(const struct settings *s)
{
	struct conf *conf = conf_load(paths()->conf, NULL);

	return conf ? conf : conf_copy(s->conf);
}

/* The file's place: what a link points at is replaced, not the link. */
static void real_place(char out[PATH_MAX], mode_t *mode_r)
{
	struct stat st;

	if (!realpath(paths()->conf, out))
		snprintf(out, PATH_MAX, "%s", paths()->conf);
	*mode_r = stat(out, &st) == 0 ? st.st_mode & 07777 : 0644;
}

/* The new text of the file; it must read back as what was meant. */
static char *edited(const struct conf *conf, struct err *err)
{
	char *old = NULL, *text;
	struct conf *back;
	struct err why;
	size_t len;
	bool same;

	if (fd_read_file(paths()->conf, CONF_FILE_MAX, &old, &len, &why) &&
	    why.code != ENOENT) {
		if (err)
			*err = why;
		return NULL;
	}
	text = conf_edit(old, conf, err);
	free(old);
	if (!text)
		return NULL;
	back = conf_parse(text, paths()->conf, err);
	same = back && conf_equal(back, conf);
	if (back && !same)
		err_set(err, 0, "%s: cannot be edited; mend it by hand",
			paths()->conf);
	conf_free(&back);
	if (!same)
		xfree(&text);
	return text;
}

int settings_save(struct core *core, const struct conf *conf, settings_fn fn,
		  void *arg, struct err *err)
{
	char place[PATH_MAX], *text;
	mode_t mode;
	int rc;

	if (core->ending)
		return err_set(err, 0, "entity ends");
	if (check(conf, err))
		return -1;
	text = edited(conf, err);
	if (!text)
		return -1;
	real_place(place, &mode);
	rc = fd_replace_file(place, text, strlen(text), mode, err);
	free(text);
	if (rc)
		return err_add(err, "settings not saved");
	take(core, conf_copy(conf), fn, arg);
	return 0;
}

int settings_reload(struct core *core, settings_fn fn, void *arg,
		    struct err *err)
{
	struct conf *conf;

	if (core->ending)
		return err_set(err, 0, "entity ends");
	conf = load_checked(err);
	if (!conf) {
		set_broken(core, err->text);
		return -1;
	}
	take(core, conf, fn, arg);
	return 0;
}

void settings_end(struct core *core)
{
	takeover_end_all(core);
	while (core->settings && core->settings->turns)
		next_turn(core);
}

static void hangup_done(const struct settings_result *result, void *arg)
{
	(void)result, (void)arg;
}

static void hangup_turn(void *arg)
{
	struct core *core = arg;
	struct err err;

	/* set_broken() has told what is wrong. */
	settings_reload(core, hangup_done, NULL, &err);
}

void settings_hangup(struct core *core)
{
	if (settings_busy(core->settings))
		settings_wait(core->settings, hangup_turn, core);
	else
		hangup_turn(core);
}
