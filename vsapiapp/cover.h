/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_COVER_H
#define SPLX_VSAPIAPP_COVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/exclude.h"
#include "follow.h"
#include "lib/fangroup.h"
#include "lib/vec.h"

/*
 * What is to be protected, from the mount tables and the settings: a row for
 * each file system (or mount, where it counts by itself) with the reason when
 * it is not. Pure reckoning; whether the kernel goes along is entered by the
 * interceptor.
 */
struct cover_row {
	/* Borrowed from the follower: only while the plan is carried out.
	 * mount is NULL for an Include entry that names nothing. */
	const struct follow_ns *ns;
	const struct mount *mount;
	/* Its own, for those who ask later. */
	char *point;
	char *fstype;
	char *source;
	pid_t pid; /* a process in the namespace, 0: our own */
	bool covered;
	enum fangroup_scope scope;
	char *reason; /* "" when covered */
	/* The directories on it that Include names, when it is covered for
	 * these alone; empty: for all that is on it. */
	struct {
		VEC(char *);
	} within;
};
struct cover_list {
	VEC(struct cover_row);
};

/*
 * Knows which entries of Include have been mount points: one that is
 * unmounted is not taken for a plain directory, else the file system below,
 * perhaps the whole machine's, would be held all of a sudden.
 */
struct cover;
struct cover *cover_new(void);
void cover_free(struct cover **cover);

/*
 * The plan. With Include empty every local file system; else what the entries
 * name: a mount point stands for its file system, for a bind mount what is
 * reached through it, another directory for the file system that it lies on,
 * and in each case also what is mounted below it, in any namespace.
 */
void cover_plan(struct cover *cover, const struct follow_ns *const *ns,
		size_t n, const struct conf *conf, const struct exclude *ex,
		struct cover_list *list_r);
/* True when openers have to be told apart by path: some entry of Include is
 * no mount point. As of the last plan. */
bool cover_needs_filter(const struct cover *cover);

void cover_set_reason(struct cover_row *row, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void cover_row_free(struct cover_row *row);
void cover_list_free(struct cover_list *list);
/* As "coverage" in common/state.h. New reference. */
json_t *cover_json(const struct cover_list *list);

#endif
