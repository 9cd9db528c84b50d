/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_ATTRS_H
#define SPLX_ENTITY_ATTRS_H

#include <jansson.h>
#include <stddef.h>

#include "lib/str.h"

/*
 * What a file has besides its content: owner, mode, times and extended
 * attributes (ACLs and capabilities are among them).
 */

/*
 * As an object: uid, gid, mode, atime_ns, mtime_ns, xattrs {name: hex}. What
 * cannot be read is left out and told in `notes`. New reference; NULL when
 * the file cannot even be looked at (errno).
 */
json_t *attrs_read(int fd, struct str *notes);
/*
 * Gives them to a file, in the order in which none undoes another. What could
 * not be set is told in `notes`; the rest is set. 0, or -1 (errno) when owner
 * or mode could not be: then the file must not be shown to anybody.
 */
int attrs_apply(int fd, json_t *attrs, struct str *notes);

/* Adds a note; "; " between them. */
void attrs_note(struct str *notes, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Any bytes as text for JSON (log_escape()'s way) and back. The caller frees;
 * attrs_unescape() returns NULL for what attrs_escape() cannot have made.
 */
char *attrs_escape(const char *raw);
char *attrs_unescape(const char *text);

#endif
