/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_CONFLIST_H
#define SPLX_COMMON_CONFLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "entryfile.h"
#include "lib/vec.h"

/*
 * The list of services that are known to be in the kernel module's way,
 * /etc/splx/conflicts.conf. It is the administrator's: entries
 *
 *   [NAME ...]
 *   Key = value        value: a "text" with \" and \\, or the rest of the line
 *
 * with the keys Product (required), Module, RestartsItself, Text; comments
 * begin with #. What is wrong in an entry voids that entry alone.
 */
#define CONFLIST_FILE_MAX (1u << 20)
#define CONFLIST_ENTRIES_MAX 1024
#define CONFLIST_TEXT_MAX 500

struct conflist_words {
	VEC(char *);
};

struct conflist_entry {
	struct conflist_words services; /* names of init scripts */
	struct conflist_words modules;	/* patterns with * and ? */
	char *product;
	char *restarts; /* when it restarts itself; NULL: it does not */
	char *text;	/* NULL: none */
	int line;
};

struct conflist {
	struct {
		VEC(struct conflist_entry);
	} entries;
	struct entryfile_problems problems;
};

/* Reads paths()->conflicts. Never NULL: without the file it is empty, and a
 * problem says so. The caller frees it. */
struct conflist *conflist_read(void);
/* The same from text; `name` stands for the file in problems. */
struct conflist *conflist_parse(const char *text, const char *name);
void conflist_free(struct conflist **list);

/* The entry that a service or a kernel module belongs to; NULL: none. In
 * names of modules - and _ are the same. */
const struct conflist_entry *conflist_service(const struct conflist *list,
					      const char *service);
const struct conflist_entry *conflist_module(const struct conflist *list,
					     const char *module);
/* Whether two names mean the same kernel module. */
bool conflist_same_module(const char *a, const char *b);

#endif
