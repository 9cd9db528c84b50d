/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The settings as a whole. The only file that knows libconfuse. */
#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf_impl.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "paths.h"

#define WORKERS_LIMIT 24
#define WORKERS_MAX_LEAST 8

/* The items of a list's default, which blanks split. */
static int take_items(struct conf *conf, const struct conf_option *opt,
		      struct err *err)
{
	const char *p = opt->def;
	size_t n;
	int rc = 0;

	while (rc == 0 && *(p += strspn(p, " "))) {
		char *item;

		n = strcspn(p, " ");
		item = xstrndup(p, n);
		rc = conf_take(conf, opt, item, err);
		free(item);
		p += n;
	}
	return rc;
}

struct conf *conf_new(void)
{
	struct conf *conf = xcalloc(1, sizeof(*conf));
	struct err err;
	size_t i;

	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];

		if ((opt->type == CONF_LIST
			     ? take_items(conf, opt, &err)
			     : conf_take(conf, opt, opt->def, &err)) < 0)
			panic("default of %s", err.text);
	}
	return conf;
}

struct conf *conf_copy(const struct conf *conf)
{
	struct conf *copy = xcalloc(1, sizeof(*copy));
	size_t i;

	for (i = 0; i < conf_option_count; i++)
		conf_field_copy(copy, conf, &conf_options[i]);
	return copy;
}

void conf_free(struct conf **conf)
{
	size_t i;

	if (!*conf)
		return;
	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];
		void *field = conf_field(*conf, opt);

		if (opt->type == CONF_LIST)
			conf_list_clear(field);
		else if (opt->type == CONF_STRING)
			xfree((char **)field);
	}
	xfree(conf);
}

bool conf_equal(const struct conf *a, const struct conf *b)
{
	size_t i;

	for (i = 0; i < conf_option_count; i++)
		if (!conf_field_equal(a, b, &conf_options[i]))
			return false;
	return true;
}

/*
 * libconfuse gives its callbacks no argument, so what is being read stands
 * here; a daemon reads its settings in one thread.
 */
static struct {
	struct conf *conf;
	const struct conf_scan *scan;
	const char *name;
	struct err *err;
	size_t texts; /* how many values and items came so far */
	bool described;
} reading;

/* Called for each value and list item, in the order of the file. Its own line
 * count is wrong after comments, hence ours. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct conf_option *o = conf_option_find(cfg_opt_name(opt));
	size_t n = reading.texts++;

	*(const char **)result = value;
	if (n >= reading.scan->lines.len)
		panic("libconfuse sees more values than our own reader");
	if (conf_take(reading.conf, o, value, reading.err) == 0)
		return 0;
	if (reading.name)
		err_add(reading.err, "%s:%d", reading.name,
			reading.scan->lines.items[n]);
	reading.described = true;
	return -1;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char what[256];

	if (reading.described)
		return;
	vsnprintf(what, sizeof(what), fmt, ap);
	err_set(reading.err, 0, "%s: %s", reading.name ? reading.name : "text",
		what);
	reading.described = true;
}

/* Runs libconfuse over what our own reader found to be well-formed. */
static int run_confuse(struct conf *conf, const struct conf_scan *scan,
		       const char *name, struct err *err)
{
	static const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts = xcalloc(conf_option_count + 1, sizeof(*opts));
	cfg_t *cfg;
	size_t i;
	int rc;

	for (i = 0; i < conf_option_count; i++) {
		const char *key = conf_options[i].key;
		const cfg_opt_t one =
			CFG_STR_CB(key, NULL, CFGF_NODEFAULT, on_value);
		const cfg_opt_t list =
			CFG_STR_LIST_CB(key, NULL, CFGF_NODEFAULT, on_value);

		opts[i] = conf_options[i].type == CONF_LIST ? list : one;
	}
	opts[i] = end;
	memset(&reading, 0, sizeof(reading));
	reading.conf = conf;
	reading.scan = scan;
	reading.name = name;
	reading.err = err;
	cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg)
		panic("libconfuse gives no parser");
	cfg_set_error_function(cfg, on_error);
	rc = cfg_parse_buf(cfg, scan->plain);
	if (rc != CFG_SUCCESS && !reading.described)
		err_set(err, 0, "%s: cannot be read", name ? name : "text");
	cfg_free(cfg);
	free(opts);
	return rc == CFG_SUCCESS ? 0 : -1;
}

/* As conf_parse(), over settings that stand already; lists begin empty. */
static int parse_into(struct conf *conf, const char *text, const char *name,
		      struct err *err)
{
	const struct conf_stmt *stmt;
	struct conf_scan scan;
	int rc;

	rc = conf_scan_text(text, name, &scan, err);
	if (rc == 0) {
		vec_each (stmt, &scan.stmts)
			if (stmt->opt->type == CONF_LIST)
				conf_list_clear(conf_field(conf, stmt->opt));
		if (scan.stmts.len)
			rc = run_confuse(conf, &scan, name, err);
	}
	conf_scan_free(&scan);
	return rc;
}

struct conf *conf_parse(const char *text, const char *name, struct err *err)
{
	struct conf *conf = conf_new();

	if (parse_into(conf, text, name, err) < 0)
		conf_free(&conf);
	return conf;
}

struct conf *conf_load(const char *path, struct err *err)
{
	struct conf *conf = NULL;
	char *text;
	size_t len;

	if (fd_read_file(path, CONF_FILE_MAX, &text, &len, err) < 0)
		return NULL;
	if (memchr(text, '\0', len))
		err_set(err, 0, "%s: holds a NUL byte; this is no text", path);
	else
		conf = conf_parse(text, path, err);
	free(text);
	return conf;
}

struct conf *conf_in_force(struct err *err)
{
	struct conf *conf = conf_load(paths()->active_conf, NULL);

	return conf ? conf : conf_load(paths()->conf, err);
}

static const struct conf_option *option_or_err(const char *key, struct err *err)
{
	const struct conf_option *opt = conf_option_find(key);
	const struct conf_option *near;

	if (opt)
		return opt;
	near = conf_option_nearest(key);
	if (near)
		err_set(err, 0, "%s: no such setting; did you mean %s?", key,
			near->key);
	else
		err_set(err, 0, "%s: no such setting", key);
	return NULL;
}

/* A value in the file's own syntax, by reading a file of one line. */
static int set_by_syntax(struct conf *conf, const struct conf_option *opt,
			 const char *value, struct err *err)
{
	char *line = xasprintf("%s = %s\n", opt->key, value);
	int rc = -1;

	if (strchr(value, '\n'))
		err_set(err, 0, "%s: a value is one line", opt->key);
	else
		rc = parse_into(conf, line, NULL, err);
	free(line);
	return rc;
}

int conf_set(struct conf *conf, const char *key, const char *value,
	     struct err *err)
{
	const struct conf_option *opt = option_or_err(key, err);
	struct conf *trial;
	int rc;

	if (!opt)
		return -1;
	trial = conf_new();
	if (opt->type == CONF_LIST)
		conf_list_clear(conf_field(trial, opt));
	if (*value == '"' || *value == '\'' ||
	    (*value == '{' && opt->type == CONF_LIST))
		rc = set_by_syntax(trial, opt, value, err);
	else if (opt->type == CONF_LIST && !*value)
		rc = 0;
	else
		rc = conf_take(trial, opt, value, err);
	if (rc == 0)
		conf_field_copy(conf, trial, opt);
	conf_free(&trial);
	return rc;
}

static struct conf_list *list_or_err(struct conf *conf, const char *key,
				     const struct conf_option **opt_r,
				     struct err *err)
{
	*opt_r = option_or_err(key, err);
	if (!*opt_r)
		return NULL;
	if ((*opt_r)->type != CONF_LIST) {
		err_set(err, 0, "%s: is not a list", key);
		return NULL;
	}
	return conf_field(conf, *opt_r);
}

int conf_list_add(struct conf *conf, const char *key, const char *item,
		  struct err *err)
{
	const struct conf_option *opt;
	struct conf_list *list = list_or_err(conf, key, &opt, err);
	char **p;

	if (!list)
		return -1;
	if (!*item)
		return err_set(err, 0, "%s: an empty item means nothing", key);
	vec_each (p, list)
		if (strcmp(*p, item) == 0)
			return 1;
	return conf_take(conf, opt, item, err);
}

int conf_list_remove(struct conf *conf, const char *key, const char *item,
		     struct err *err)
{
	const struct conf_option *opt;
	struct conf_list *list = list_or_err(conf, key, &opt, err);
	size_t i;

	if (!list)
		return -1;
	for (i = 0; i < list->len; i++) {
		if (strcmp(list->items[i], item) != 0)
			continue;
		free(list->items[i]);
		vec_remove(list, i);
		return 0;
	}
	return 1;
}

bool conf_allows(const struct conf *conf, int policy)
{
	if (policy == CONF_POLICY_DEFAULT)
		policy = conf->on_error;
	return policy == CONF_POLICY_ALLOW;
}

int conf_action(const struct conf *conf, const char *key)
{
	static const char *const words[] = {
		[CONF_ACTION_CLEAN] = "clean",
		[CONF_ACTION_QUARANTINE] = "quarantine",
		[CONF_ACTION_DELETE] = "delete",
		[CONF_ACTION_RENAME] = "rename",
		[CONF_ACTION_DENY] = "deny",
		[CONF_ACTION_PASS] = "pass",
	};
	char *word = conf_get(conf, key);
	int i, n = sizeof(words) / sizeof(*words);

	for (i = 0; word && i < n; i++)
		if (strcmp(word, words[i]) == 0)
			break;
	if (!word || i == n)
		panic("%s is not the key of an action", key);
	free(word);
	return i;
}

static int limited(int64_t n)
{
	return n > WORKERS_LIMIT ? WORKERS_LIMIT : (int)n;
}

int conf_workers(const struct conf *conf, int cpus)
{
	return limited(conf->workers ? conf->workers : cpus + 1);
}

int conf_workers_max(const struct conf *conf, int cpus)
{
	int64_t max = conf->workers_max;
	int least = conf_workers(conf, cpus);

	if (!max) {
		max = (int64_t)cpus * 4;
		if (max < WORKERS_MAX_LEAST)
			max = WORKERS_MAX_LEAST;
	}
	return max < least ? least : limited(max);
}
