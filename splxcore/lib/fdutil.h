/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_FDUTIL_H
#define SPLX_LIB_FDUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Closes *fd unless it is -1, and sets it to -1. Keeps errno. */
void fd_close(int *fd);

/*
 * Moves a descriptor to the lowest free number at or above `floor`, with
 * close-on-exec; the old number is closed. Returns the new one, -1 on error
 * (errno), and then the old one is still open.
 */
int fd_move(int fd, int floor);

/*
 * Leaves 0 to 2 alone, with /dev/null for those that are closed, and closes all
 * others: what whoever started us had open is not ours, and somebody may wait
 * for its end (a package manager for its scripts'). -1 on error.
 */
int fd_only_standard(struct err *err);

/*
 * Occupies every free descriptor number below `below` (with /dev/null), so
 * that the next one the kernel hands out is `below` or above. -1 on error.
 */
int fd_fill(int below, struct err *err);

int fd_set_cloexec(int fd, bool on);
int fd_set_nonblock(int fd, bool on);

/* Whole-buffer transfer; EINTR is retried. -1 on error (errno; EPIPE for a
 * read that ended early). */
int fd_read_all(int fd, void *buf, size_t len);
int fd_write_all(int fd, const void *buf, size_t len);

/*
 * A record with up to FD_PASS_MAX descriptors over a unix socket.
 * fd_send: 0, or -1 (errno; EAGAIN when the receiver has no room and flags
 *   hold MSG_DONTWAIT). The descriptors stay the caller's.
 * fd_recv: length of the record (0: the peer is gone), or -1 (errno). *nfds_r
 *   tells how many of fds[] were received; they are the caller's, with
 *   close-on-exec. More than FD_PASS_MAX, or a record cut short: -1 EMSGSIZE
 *   and nothing is leaked.
 */
#define FD_PASS_MAX 8
int fd_send(int sock, const void *buf, size_t len, const int *fds, int nfds,
	    int flags);
ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, int *nfds_r,
		int flags);

/*
 * Replaces the file `path` by `data` as a whole: temporary file in the same
 * directory, fsync, rename, fsync of the directory. On -1 the old file is as
 * it was and no temporary file is left.
 */
int fd_replace_file(const char *path, const void *data, size_t len, mode_t mode,
		    struct err *err);

/*
 * Reads a whole file of at most `max` bytes into memory that the caller
 * frees; a terminating NUL is added and not counted.
 */
int fd_read_file(const char *path, size_t max, char **data_r, size_t *len_r,
		 struct err *err);

/* mkdir -p; existing directories are left as they are. */
int fd_mkdirs(const char *path, mode_t mode, struct err *err);

/*
 * The path that the kernel tells for an open descriptor (/proc/self/fd),
 * with " (deleted)" where it says so; for people, never for opening.
 * 0, or -1 (errno).
 */
int fd_path(int fd, char *out, size_t size);

#endif
