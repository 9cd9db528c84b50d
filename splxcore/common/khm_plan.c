// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "khm.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

void khm_config_from(const struct conf *conf, uint64_t epoch,
		     struct splxmod_config *config_r)
{
	int64_t classes = conf->realtime_scan;
	uint32_t timeout = (uint32_t)conf->verdict_timeout;

	memset(config_r, 0, sizeof(*config_r));
	/* Who wants opens examined wants those of executions too. */
	if (classes & CONF_CLASS_OUTGOING)
		config_r->classes |= SPLXMOD_OPEN | SPLXMOD_EXEC;
	if (classes & CONF_CLASS_RUNNING)
		config_r->classes |= SPLXMOD_EXEC;
	if (classes & CONF_CLASS_INCOMING)
		config_r->classes |= SPLXMOD_CLOSE;
	config_r->method = (uint32_t)conf->hook_method;
	if (!conf_allows(conf, CONF_POLICY_DEFAULT))
		config_r->deny |= SPLXMOD_DENY_ERROR | SPLXMOD_DENY_FULL;
	if (!conf_allows(conf, conf->on_timeout))
		config_r->deny |= SPLXMOD_DENY_TIMEOUT;
	if (conf->known_clean != CONF_KNOWN_OFF)
		config_r->flags |= SPLXMOD_CACHE;
	config_r->verdict_timeout_ms = timeout;
	config_r->grace_ms = timeout < KHM_GRACE_MS ? timeout : KHM_GRACE_MS;
	config_r->max_pending = KHM_PENDING_MAX;
	config_r->max_close = KHM_CLOSE_MAX;
	config_r->breaker_timeouts = (uint32_t)conf->breaker_timeouts;
	config_r->breaker_retry_ms = (uint32_t)conf->breaker_retry;
	config_r->epoch = epoch;
}

/* --- rules --------------------------------------------------------------- */

void khm_rules_add(struct khm_rules *rules, enum splxmod_rule_kind kind,
		   uint64_t dev, uint64_t ino, const char *text)
{
	struct splxmod_rule rule = {.kind = kind, .dev = dev, .ino = ino};

	if (rules->len == SPLXMOD_RULES_MAX ||
	    (text && !str_copy(rule.text, sizeof(rule.text), text))) {
		rules->left_out++;
		return;
	}
	vec_push(rules, rule);
}

/* As the kernel knows it; before 5.8 it does not say. */
static bool is_on(int fd, const struct mount *mount)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID,
		     &stx) == 0 &&
	       (stx.stx_mask & STATX_MNT_ID) &&
	       stx.stx_mnt_id == (uint64_t)mount->id;
}

bool khm_rules_add_below(struct khm_rules *rules, const char *dir,
			 const struct mount *mount)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = rules->len;

	if (fd >= 0 && is_on(fd, mount))
		khm_rules_add(rules, SPLXMOD_RULE_ONLY_BELOW, 0, (uint64_t)fd,
			      NULL);
	if (rules->len > len)
		return true;
	fd_close(&fd);
	return false;
}

bool khm_rules_drop_below(struct khm_rules *rules)
{
	size_t len = rules->len;
	int fd;

	for (size_t i = len; i-- > 0;) {
		if (rules->items[i].kind != SPLXMOD_RULE_ONLY_BELOW)
			continue;
		fd = (int)rules->items[i].ino;
		fd_close(&fd);
		vec_remove(rules, i);
	}
	return rules->len < len;
}

void khm_rules_free(struct khm_rules *rules)
{
	khm_rules_drop_below(rules);
	vec_free(rules);
	rules->left_out = 0;
}

static void add_types(struct khm_rules *rules, enum mount_kind kind)
{
	const char *type;
	size_t i;

	for (i = 0; (type = mounts_type(kind, i)); i++)
		khm_rules_add(rules, SPLXMOD_RULE_FSTYPE, 0, 0, type);
}

/*
 * Where a path of ours lies, as the module knows it: the device of the file
 * system itself (st_dev is another one on some, btrfs for one). NULL when the
 * path is not what it says, for there is a link in it, or not there.
 */
static const struct mount *locate(const char *path,
				  const struct mount_list *mounts,
				  struct stat *st_r)
{
	char real[PATH_MAX];

	if (!realpath(path, real) || strcmp(real, path) != 0 ||
	    stat(path, st_r))
		return NULL;
	return mounts_find(mounts, path);
}

static char *normal(const char *path)
{
	char *copy = xstrdup(path);
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	return copy;
}

static void add_program(struct khm_rules *rules, const char *path,
			const struct mount_list *mounts)
{
	char real[PATH_MAX];
	const struct mount *m;
	struct stat st;

	/* A program is known by its file: here a link is followed. */
	if (!realpath(path, real) || !(m = locate(real, mounts, &st)) ||
	    !S_ISREG(st.st_mode))
		return;
	khm_rules_add(rules, SPLXMOD_RULE_EXE, m->dev, st.st_ino, NULL);
}

/* From the root of its file system. The caller frees it. */
static char *path_in_fs(const char *path, const struct mount *m)
{
	const char *below = path + strlen(m->point);

	if (!strcmp(m->point, "/"))
		below = path;
	if (!strcmp(m->root, "/"))
		return xstrdup(*below ? below : "/");
	return xasprintf("%s%s", m->root, strcmp(below, "/") ? below : "");
}

static void add_directory(struct khm_rules *rules, const char *path,
			  const struct mount_list *mounts)
{
	char *dir = normal(path), *inside;
	const struct mount *m;
	struct stat st;

	m = locate(dir, mounts, &st);
	if (m && S_ISDIR(st.st_mode)) {
		inside = path_in_fs(dir, m);
		khm_rules_add(rules, SPLXMOD_RULE_DIRECTORY, m->dev, st.st_ino,
			      inside);
		free(inside);
	}
	free(dir);
}

void khm_rules_from(const struct conf *conf, const struct mount_list *mounts,
		    struct khm_rules *rules_r)
{
	char **entry;

	add_types(rules_r, MOUNT_PSEUDO);
	if (!conf->scan_network_fs)
		add_types(rules_r, MOUNT_NETWORK);
	if (!conf->scan_fuse)
		add_types(rules_r, MOUNT_FUSE);
	vec_each (entry, &conf->exclude_fs_type)
		khm_rules_add(rules_r, SPLXMOD_RULE_FSTYPE, 0, 0, *entry);
	vec_each (entry, &conf->exclude_executable)
		add_program(rules_r, *entry, mounts);
	vec_each (entry, &conf->exclude_directory)
		add_directory(rules_r, *entry, mounts);
}

int khm_rules_send(int fd, const struct khm_rules *rules, struct err *err)
{
	struct splxmod_rules all = {
		.count = (uint32_t)rules->len,
		.rules = (uint64_t)(uintptr_t)rules->items,
	};

	if (ioctl(fd, SPLXMOD_IOC_RULES, &all))
		return err_set(err, errno, "%zu rules for " SPLXMOD_NAME,
			       rules->len);
	return 0;
}

/* --- known files --------------------------------------------------------- */

struct knowns {
	VEC(struct splxmod_known);
};

static bool add_known(const struct file_key *key, void *arg)
{
	struct knowns *list = arg;
	struct splxmod_known k = {
		.dev = key->dev,
		.ino = key->ino,
		.size = key->size,
		.ctime_sec = key->ctime_ns / 1000000000,
		.ctime_nsec = (uint32_t)(key->ctime_ns % 1000000000),
	};

	vec_push(list, k);
	return list->len < SPLXMOD_KNOWN_MAX;
}

long khm_send_known(int fd, const struct known *known, uint64_t epoch,
		    struct err *err)
{
	struct knowns list = {0};
	struct splxmod_known_list all = {.epoch = epoch};
	long n;

	known_each(known, epoch, add_known, &list);
	n = (long)list.len;
	all.count = (uint32_t)list.len;
	all.known = (uint64_t)(uintptr_t)list.items;
	if (n && ioctl(fd, SPLXMOD_IOC_KNOWN, &all))
		n = err_set(err, errno, "%ld known files for " SPLXMOD_NAME, n);
	vec_free(&list);
	return n;
}

/* --- lines --------------------------------------------------------------- */

bool khm_rival_parse(const char *line, struct khm_rival *rival_r)
{
	char tail;

	memset(rival_r, 0, sizeof(*rival_r));
	return sscanf(line, "%31s %63s %127s %31s %c", rival_r->kind,
		      rival_r->module, rival_r->symbol, rival_r->effect,
		      &tail) == 4 &&
	       (!strcmp(rival_r->effect, "safe") ||
		!strcmp(rival_r->effect, "blocks-arm") ||
		!strcmp(rival_r->effect, "blocks-unload"));
}

/* Calls fn for each line; the text is not changed. */
static void each_line(const char *text, void (*fn)(const char *line, void *arg),
		      void *arg)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = xstrndup(text, n);

		if (*line)
			fn(line, arg);
		free(line);
		text += n + (text[n] == '\n');
	}
}

struct words {
	struct str rivals, methods;
};

static void sort_line(const char *line, void *arg)
{
	struct words *w = arg;
	struct khm_rival r;

	if (!khm_rival_parse(line, &r))
		str_addf(&w->methods, "%s%s", w->methods.len ? "; " : "", line);
	else if (strcmp(r.effect, "safe") != 0)
		str_addf(&w->rivals, "%s%s (%s%s%s)", w->rivals.len ? ", " : "",
			 strcmp(r.module, "-") ? r.module : "the kernel",
			 r.kind, strcmp(r.symbol, "-") ? " " : "",
			 strcmp(r.symbol, "-") ? r.symbol : "");
}

void khm_report_words(const char *report, char *out, size_t size)
{
	struct words w = {0};

	each_line(report, sort_line, &w);
	*out = '\0';
	if (w.rivals.len)
		snprintf(out, size, "in the way: %s", str_get(&w.rivals));
	else
		str_copy(out, size, str_get(&w.methods));
	str_free(&w.rivals);
	str_free(&w.methods);
}

void khm_report_method(const char *report, const char *method, char *out,
		       size_t size)
{
	size_t len = strlen(method);

	*out = '\0';
	while (*report) {
		size_t n = strcspn(report, "\n");

		if (n > len + 1 && !strncmp(report, method, len) &&
		    report[len] == ':') {
			report += len + 1;
			n -= len + 1;
			while (n && *report == ' ') {
				report++;
				n--;
			}
			snprintf(out, size, "%.*s", (int)n, report);
			return;
		}
		report += n + (report[n] == '\n');
	}
}
