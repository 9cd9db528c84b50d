/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_ACTION_H
#define SPLX_ENTITY_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/verdict.h"
#include "quarantine.h"

/*
 * What is done to an infected file: the first action, and where it could not
 * be done the second, and where that could not be done nothing (it stays
 * denied).
 */
struct action_request {
	struct quarantine_file file;
	enum action first, second;
};

struct action_result {
	enum action done; /* what was done in the end; ACTION_DENY when
			     nothing could be */
	bool failed;	  /* the last action asked for was not possible */
	bool moved;	  /* it is not at file.place any more: look again */
	int64_t item;	  /* in quarantine, or 0 */
	char sha256[65];  /* "" when it was not sealed */
	char detail[768]; /* why not the first, what is left; "" nothing */
};
typedef void (*action_fn)(const struct action_result *result, void *arg);

/* `fn` is called once, perhaps before this returns; not at all when the
 * quarantine is freed meanwhile. */
void action_run(struct quarantine *q, struct store *store,
		const struct action_request *request, action_fn fn, void *arg);

/*
 * Single actions by descriptor and identity (holding.h), journalled; detail_r
 * tells what is left or became of it. 0, or -1 and *err with the file in its
 * place.
 * delete: the file is gone under this name; others may be left.
 * rename: it is called NAME.infected then (NAME.infected.1 and so on).
 */
int action_delete(struct store *store, const struct quarantine_file *file,
		  char *detail_r, size_t size, struct err *err);
int action_rename(struct store *store, const struct quarantine_file *file,
		  char *detail_r, size_t size, struct err *err);

/* True for a path below one of our own directories: never acted upon. */
bool action_is_own(const char *path);

#endif
