/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HOLDS_H
#define SPLX_ENTITY_HOLDS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether a process uses a file, known by device and inode, never by name. */
struct file_id {
	dev_t dev;
	ino_t ino;
};

enum holds {
	HOLDS_NOT,
	HOLDS_UNKNOWN, /* not seen, but it may not be looked at in full */
	HOLDS_OPEN,    /* it has it open, or mapped as data */
	HOLDS_RUNS,    /* it is its program, or mapped to be executed */
};

/*
 * Looks through /proc alone. `proc` is the process's directory there. Threads
 * that share neither descriptors nor memory with the first one, or outlive
 * it, are looked at too. Not seen: what is on its way in a socket, or
 * registered with io_uring.
 */
enum holds holds_file(int proc, pid_t pid, const struct file_id *file);

/*
 * Of what a name in /proc (or a path) leads to. What others hold may lie on a
 * file system whose server does not answer: what the kernel knows is enough.
 */
bool holds_identify(int dir, const char *name, struct file_id *id_r);
bool holds_same(const struct file_id *a, const struct file_id *b);

#endif
