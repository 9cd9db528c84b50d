/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Doing what was planned. Every state between two steps is one that boots
 * (only the order differs); what fails half-way is put back.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "order.h"

#define TARGET_MAX 4095

static const char *const depend_files[] = {"/etc/init.d/.depend.boot",
					   "/etc/init.d/.depend.start",
					   "/etc/init.d/.depend.stop"};
#define DEPENDS (sizeof(depend_files) / sizeof(*depend_files))

/* ---- what was there before ---- */

struct kept_link {
	char *path;
	char *target;
};

struct kept_file {
	char *path;
	char *text; /* NULL: it was not there */
	mode_t mode;
};

struct kept {
	const struct boot *boot;
	struct {
		VEC(struct kept_link);
	} links;
	struct {
		VEC(struct kept_file);
	} files;
};

/* Reads a link's target; the caller frees it. */
static char *target_of(const char *path)
{
	char target[TARGET_MAX + 1];
	ssize_t n = readlink(path, target, TARGET_MAX);

	if (n < 0)
		return NULL;
	target[n] = '\0';
	return xstrdup(target);
}

static void keep_links(struct kept *k)
{
	const struct boot_link *l;

	vec_each (l, &k->boot->links) {
		struct kept_link kl;
		char dir[40], *path;

		path = xasprintf("%s/%s",
				 boot_dir(k->boot, l->level, dir, sizeof(dir)),
				 l->file);
		kl.path = boot_below(k->boot, path);
		kl.target = target_of(kl.path);
		free(path);
		if (kl.target)
			vec_push(&k->links, kl);
		else
			free(kl.path);
	}
}

static void keep_file(struct kept *k, const char *path)
{
	struct kept_file f = {.mode = 0644};
	struct stat st;

	f.path = boot_below(k->boot, path);
	f.text = boot_text(k->boot, path);
	if (stat(f.path, &st) == 0)
		f.mode = st.st_mode & 07777;
	vec_push(&k->files, f);
}

static void keep_all(struct kept *k, const struct order_plan *plan)
{
	const struct order_step *s;
	bool runs = false;
	size_t i;

	k->boot = plan->boot;
	keep_links(k);
	vec_each (s, &plan->steps) {
		if (s->what == ORDER_WRITE)
			keep_file(k, s->path);
		runs = runs || s->what == ORDER_RUN;
	}
	for (i = 0; runs && i < DEPENDS; i++)
		keep_file(k, depend_files[i]);
}

static void kept_free(struct kept *k)
{
	struct kept_link *l;
	struct kept_file *f;

	vec_each (l, &k->links) {
		free(l->path);
		free(l->target);
	}
	vec_free(&k->links);
	vec_each (f, &k->files) {
		free(f->path);
		free(f->text);
	}
	vec_free(&k->files);
}

/* ---- putting it back ---- */

static bool was_there(const struct kept *k, const char *path)
{
	const struct kept_link *l;

	vec_each (l, &k->links)
		if (strcmp(l->path, path) == 0)
			return true;
	return false;
}

/* Links that were not there before. */
static void drop_new_links(const struct kept *k)
{
	struct boot *now = boot_read(k->boot->root);
	const struct boot_link *l;

	vec_each (l, &now->links) {
		char dir[40], *path, *full;
		struct stat st;

		path = xasprintf("%s/%s",
				 boot_dir(now, l->level, dir, sizeof(dir)),
				 l->file);
		full = boot_below(now, path);
		if (!was_there(k, full) && lstat(full, &st) == 0 &&
		    S_ISLNK(st.st_mode))
			unlink(full);
		free(full);
		free(path);
	}
	boot_free(&now);
}

static int put_back(const struct kept *k, struct err *err)
{
	const struct kept_link *l;
	const struct kept_file *f;
	struct stat st;
	int rc = 0;

	/* first what is missing, so that no service is ever without a link */
	vec_each (l, &k->links)
		if (lstat(l->path, &st) < 0 && symlink(l->target, l->path) < 0)
			rc = err_set(err, errno, "symlink(%s)", l->path);
	drop_new_links(k);
	vec_each (f, &k->files) {
		if (!f->text && unlink(f->path) < 0 && errno != ENOENT)
			rc = err_set(err, errno, "unlink(%s)", f->path);
		else if (f->text &&
			 fd_replace_file(f->path, f->text, strlen(f->text),
					 f->mode, err) < 0)
			rc = -1;
	}
	return rc;
}

/* ---- steps ---- */

static void sync_dir(const char *path)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/');
	int fd;

	if (slash)
		*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
	fd_close(&fd);
	free(dir);
}

/* Never over something that is there. */
static int rename_link(const struct boot *b, const struct order_step *s,
		       struct err *err)
{
	char *from = boot_below(b, s->path), *to = boot_below(b, s->to);
	struct stat st;
	int rc = 0;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		;
	else if (errno != EINVAL && errno != ENOSYS)
		rc = err_set(err, errno, "rename(%s, %s)", from, to);
	else if (lstat(to, &st) == 0)
		rc = err_set(err, EEXIST, "rename(%s, %s)", from, to);
	else if (rename(from, to) < 0)
		rc = err_set(err, errno, "rename(%s, %s)", from, to);
	if (rc == 0)
		sync_dir(to);
	free(from);
	free(to);
	return rc;
}

static int write_file(const struct boot *b, const struct order_step *s,
		      struct err *err)
{
	char *path = boot_below(b, s->path), *dir = xstrdup(path);
	int rc;

	*strrchr(dir, '/') = '\0';
	rc = fd_mkdirs(dir, 0755, err);
	if (rc == 0)
		rc = fd_replace_file(path, s->text, strlen(s->text), 0644, err);
	free(dir);
	free(path);
	return rc;
}

static int do_steps(const struct order_plan *plan, struct err *err)
{
	const struct order_step *s;
	int rc = 0;

	vec_each (s, &plan->steps) {
		if (s->by_tool)
			continue;
		if (s->what == ORDER_WRITE)
			rc = write_file(plan->boot, s, err);
		else if (s->what == ORDER_RENAME)
			rc = rename_link(plan->boot, s, err);
		else
			rc = order_run_insserv(plan->boot, NULL, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static int verify(const struct order_plan *plan, struct err *err)
{
	struct boot *now = boot_read(plan->boot->root);
	int rc = order_verify(plan->boot, now, plan, err);

	boot_free(&now);
	return rc;
}

/* Nobody else makes an order meanwhile. */
static int take_lock(const struct boot *b, struct err *err)
{
	char *dir = boot_below(b, "/run/splx");
	char *path = boot_below(b, "/run/splx/order.lock");
	int fd = -1;

	if (fd_mkdirs(dir, 0755, err) == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
		if (fd < 0)
			err_set(err, errno, "open(%s)", path);
	}
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err_set(err, 0, "another splxctl order apply is at work");
		fd_close(&fd);
	}
	free(path);
	free(dir);
	return fd;
}

/* Ctrl-C in the middle would leave half of it. */
static void hold_signals(sigset_t *old)
{
	static const int which[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(which) / sizeof(*which); i++)
		sigaddset(&set, which[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

int order_apply(const struct order_plan *plan, struct err *err)
{
	struct kept kept = {0};
	struct err undo = {0};
	sigset_t old;
	int lock, rc;

	if (!plan->steps.len)
		return 0;
	lock = take_lock(plan->boot, err);
	if (lock < 0)
		return -1;
	keep_all(&kept, plan);
	hold_signals(&old);
	rc = do_steps(plan, err);
	if (rc == 0)
		rc = verify(plan, err);
	if (rc < 0 && put_back(&kept, &undo) < 0)
		err_add(err,
			"the order is NOT put back as it was (%s); look "
			"at it before the next boot: splxctl order show",
			undo.text);
	else if (rc < 0)
		err_add(err, "nothing is changed, all is put back");
	sigprocmask(SIG_SETMASK, &old, NULL);
	kept_free(&kept);
	fd_close(&lock);
	return rc;
}
