/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HOLDING_H
#define SPLX_ENTITY_HOLDING_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lib/err.h"
#include "store.h"

/*
 * Taking hold of a file in a directory that somebody else may change at the
 * same time. A private directory (.splx-q-…, 0700, root's) is made beside the
 * file and the file is renamed into it; what was moved is compared with the
 * file that was meant, and goes back at once when it is another. What lies in
 * there no other user can rename, replace or open, so what follows (sealing,
 * deleting, giving it a new name) has no race left.
 *
 * No path is ever followed through a symbolic link.
 */
struct holding {
	int dir;  /* the file's directory (O_PATH), or -1 */
	int priv; /* the private one (O_PATH), or -1 */
	char dir_path[PATH_MAX];
	char name[NAME_MAX + 1];
	char hold[64]; /* name of the private directory */
	pid_t pid;     /* whose root directory dir_path is seen from; 0: ours */
	struct stat dir_st;
	struct stat st; /* of the file, when it was located */
};

/* Where a file was found beforehand (look.h); h.dir is -1 when it was not, and
 * err says why. */
struct holding_place {
	struct holding h;
	struct err err;
};

/* The file's name in the private directory. */
#define HOLDING_FILE "f"

/*
 * Finds the directory and name of an open file. The kernel tells the path as
 * it is seen in the file's own mount namespace: our root, that of `pid` (0:
 * none) and then every other mount namespace are tried until the same file
 * (device and inode) is found there. -1 and *err when it is not: ENOENT with
 * a text that says whether it was deleted or cannot be reached.
 * holding_close() afterwards in any case.
 */
int holding_locate(struct holding *h, int fd, pid_t pid, struct err *err);
/* A name for the private directory, that cannot be guessed. */
void holding_name(struct holding *h);

/*
 * Makes the private directory and takes the file. EAGAIN: the name led to
 * another file, which is back in its place; locate again. On any -1 nothing
 * of ours is left behind.
 */
int holding_take(struct holding *h, struct err *err);
/*
 * Locate, journal, take; again when the name went to another file meanwhile.
 * With `place` (borrowed; NULL: none) it is not located here, and -1 with
 * EAGAIN says that it is not there any more.
 * intent->kind (and new_name) are the caller's. On -1 intent->id tells
 * whether the intent still stands, and h->priv whether a file is held.
 */
int holding_begin(struct holding *h, struct store *store, struct intent *intent,
		  int fd, pid_t pid, const struct holding_place *place,
		  struct err *err);
/* Only makes it (for a file that is to come). */
int holding_make(struct holding *h, struct err *err);
/*
 * Puts the file back to its name, or when that is taken to NAME.splx-N beside
 * it (then *err says so and 1 is returned), and removes the private
 * directory. 0, 1, -1.
 */
int holding_back(struct holding *h, struct err *err);
/* Moves it out to a name that must be free (EEXIST), or with `replace` may be
 * taken. The private directory is removed. */
int holding_out(struct holding *h, const char *name, bool replace,
		struct err *err);
/* Deletes the file and the private directory; on the disk when it returns. */
int holding_drop(struct holding *h, struct err *err);
/* Removes the private directory if it is empty. */
void holding_clean(struct holding *h);
void holding_close(struct holding *h);

/* A directory by its full path, each component looked at (O_PATH); `root` is
 * the root directory to begin at. -1 and *err; ELOOP names the link. */
int holding_walk(int root, const char *path, struct err *err);

/* "dir/name" into out[size]; cut when it is longer. Returns out. */
char *holding_join(char *out, size_t size, const char *dir, const char *name);

/* Into the journal, and back out of it. */
void holding_to_intent(const struct holding *h, struct intent *intent);
/*
 * 1: the directory is open, and h->priv too if there still is one; 0: the
 * directory cannot be reached now.
 */
int holding_from_intent(struct holding *h, const struct intent *intent);
/*
 * What lies in the private directory, or with `outside` under the name: 1 the
 * file of the intent, 2 another one, 0 nothing.
 */
int holding_look(const struct holding *h, const struct intent *intent,
		 bool outside);

/* For tests: called with the name of a step just before it is done. */
extern void (*holding_step)(const char *step);
void holding_at(const char *step);

#endif
