// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "patterns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/patternkind.h"
#include "common/patternset.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"

static int loadable(const struct dirent *d)
{
	int order;

	return patternkind_of(d->d_name, &order) != NULL &&
	       order != PATTERNKIND_NETWORK;
}

int patterns_add(struct pattern_list *list, const char *dir, bool builtin,
		 struct err *err)
{
	struct dirent **names;
	int n = scandir(dir, &names, loadable, alphasort);

	if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (n < 0)
		return err_set(err, errno, "%s: pattern directory", dir);
	for (int i = 0; i < n; i++) {
		struct pattern_file f = {.builtin = builtin};
		struct stat st;

		f.kind = patternkind_of(names[i]->d_name, &f.order);
		f.name = xstrdup(names[i]->d_name);
		f.path = xasprintf("%s/%s", dir, f.name);
		free(names[i]);
		/* One that is gone between the two looks is none. */
		if (stat(f.path, &st) < 0 || !S_ISREG(st.st_mode)) {
			log_warn("%s: passed over: not a regular file", f.path);
			xfree(&f.name);
			xfree(&f.path);
			continue;
		}
		f.time = st.st_mtime;
		vec_push(list, f);
	}
	free(names);
	return 0;
}

/* What a maker put into a part is wanted: none of it is passed over. */
static int is_loadable(const struct patternset_part *p, struct err *err)
{
	const struct manifest_file *f;
	int order;

	vec_each (f, &p->m)
		if (!patternkind_of(f->name, &order))
			return err_set(err, 0,
				       "%s of %s is no pattern file: its name "
				       "does not end as one of ClamAV's "
				       "formats does, nor in .netlist",
				       f->name, p->m.name);
	return 0;
}

static int add_part(struct pattern_list *list, const char *dir,
		    const struct patternset_part *p, struct err *err)
{
	char *path = xasprintf("%s/%s", dir, p->m.name);
	size_t from = list->len;
	int rc = is_loadable(p, err);

	if (rc == 0)
		rc = patterns_add(list, path, false, err);
	/* It is as old as its maker says, not as long here. */
	for (; from < list->len; from++)
		list->items[from].time = p->m.created;
	free(path);
	return rc;
}

/* The set to load, verified, and where it lies; 1, 0 for none, -1 and *err. */
static int find_set(const char *dir, struct patternset *set, char **path_r,
		    char **fault_r, struct err *err)
{
	struct err why;
	int rc;

	if (dir) {
		*path_r = xstrdup(dir);
		return patternset_read_dir(dir, set, err) < 0 ||
				       patternset_verify_in(set, dir, err) < 0
			       ? -1
			       : 1;
	}
	rc = patternset_sound(set, &why);
	if (rc < 0) {
		*err = why;
	} else if (rc > 0) {
		/* By its number: `current` may come to mean another one. */
		*path_r = patternset_path(set->number, NULL);
		if (why.text[0])
			*fault_r = xasprintf(
				"set %llu is loaded instead of the current "
				"one, which is damaged: %s",
				(unsigned long long)set->number, why.text);
	}
	return rc;
}

int patterns_add_set(struct pattern_list *list, const char *dir, char **fault_r,
		     struct err *err)
{
	struct patternset set = {0};
	const struct patternset_part *p;
	char *path = NULL;
	int rc = find_set(dir, &set, &path, fault_r, err);

	if (rc > 0)
		rc = 0;
	vec_each (p, &set)
		if (rc == 0)
			rc = add_part(list, path, p, err);
	free(path);
	patternset_free(&set);
	return rc;
}

void patterns_drop(struct pattern_list *list, size_t i)
{
	xfree(&list->items[i].path);
	xfree(&list->items[i].name);
	vec_remove(list, i);
}

void patterns_order(struct pattern_list *list)
{
	/* Insertion: the list is short, and the order given by the
	 * directories must stay within one order. */
	for (size_t i = 1; i < list->len; i++) {
		struct pattern_file f = list->items[i];
		size_t j = i;

		while (j > 0 && list->items[j - 1].order > f.order) {
			list->items[j] = list->items[j - 1];
			j--;
		}
		list->items[j] = f;
	}
}

void patterns_free(struct pattern_list *list)
{
	while (list->len > 0)
		patterns_drop(list, list->len - 1);
	vec_free(list);
}

/*
 * The hash: no secret, only to tell contents apart. Eight bytes a step, mixed
 * by odd multipliers and a rotation; the length is part of it.
 */
#define HASH_MUL_A 0x9fb21c651e98df25ull
#define HASH_MUL_B 0xd1342543de82ef95ull

static uint64_t hash_word(uint64_t h, uint64_t w)
{
	h ^= w * HASH_MUL_A;
	h = (h << 27) | (h >> 37);
	return h * HASH_MUL_B + 0x2545f4914f6cdd1dull;
}

static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t w;

	for (size_t left = len; left > 0; left -= left < 8 ? left : 8) {
		w = 0;
		memcpy(&w, p + (len - left), left < 8 ? left : 8);
		h = hash_word(h, w);
	}
	return hash_word(h, len);
}

static int hash_file(uint64_t *h, const char *path, struct err *err)
{
	static char buf[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return err_set(err, errno, "%s: open", path);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set(err, errno, "%s: read", path);
			fd_close(&fd);
			return -1;
		}
		*h = hash_bytes(*h, buf, (size_t)n);
	}
	fd_close(&fd);
	return 0;
}

uint64_t patterns_hash(const struct pattern_list *list, const char *seed,
		       struct err *err)
{
	const struct pattern_file *f;
	uint64_t h = hash_bytes(HASH_MUL_B, seed, strlen(seed));

	vec_each (f, list) {
		h = hash_bytes(h, f->name, strlen(f->name));
		if (hash_file(&h, f->path, err) < 0)
			return 0;
	}
	h ^= h >> 32;
	h *= HASH_MUL_A;
	h ^= h >> 29;
	return h ? h : 1;
}
