/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_ENTITY_QUARANTINEBED_H
#define TESTS_UNIT_ENTITY_QUARANTINEBED_H

#include "entity_storebed.h"

/*
 * What the tests of the quarantine share: two contents, the calls in one line,
 * and those that are made by a child which is killed meanwhile.
 */
#define VIRUS "infected content of the test\n"
#define OTHER "an innocent file that nobody may touch\n"

#define T(name) cmocka_unit_test_setup(name, sb_setup)

/* Puts the file at `path`; 0 or -1. */
static inline int put(struct sb_both *b, const char *path, struct item *item,
		      struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct quarantine_file file = sb_file(fd);
	int rc;

	if (fd < 0) /* no assert: this runs in children too */
		return err_set(err, errno, "open %s", path);
	rc = quarantine_put_now(b->q, &file, item, err);
	close(fd);
	return rc;
}

static inline int64_t put_well(struct sb_both *b, const char *path)
{
	static struct item item;
	struct err err;

	if (put(b, path, &item, &err) < 0)
		fail_msg("%s", err.text);
	return item.id;
}

static inline int restore(struct sb_both *b, int64_t id, const char *to,
			  bool force, struct err *err)
{
	static struct item item;

	return quarantine_restore_now(b->q, id, to, force, &item, err);
}

struct kill_case {
	const char *path;
	const char *to;
	int64_t id;
};

static inline void do_put(void *arg)
{
	const struct kill_case *k = arg;
	struct sb_both b = sb_open(NULL);
	struct item item;
	struct err err;

	if (put(&b, k->path, &item, &err) < 0)
		_exit(1);
}

static inline void do_recover(void *arg)
{
	struct sb_both b = sb_open(NULL);
	struct err err;

	(void)arg;
	if (quarantine_recover(b.q, &err) != 0)
		fprintf(stderr, "recovery left something: %s\n", err.text);
	sb_close(&b);
}

#endif
