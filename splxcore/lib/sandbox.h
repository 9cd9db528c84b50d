/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_SANDBOX_H
#define SPLX_LIB_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * The walls around a process that reads hostile bytes. Each function does one
 * wall and says so in *err when it cannot; sandbox_* are called in the order
 * in which they stand here.
 */

/*
 * Own mount, network, IPC and UTS namespaces; mounts made in it do not reach
 * the rest of the machine (MS_PRIVATE).
 */
int sandbox_unshare(struct err *err);

/* A tmpfs of `bytes` at dir (0700, owned uid:gid), nosuid, nodev, noexec. */
int sandbox_tmpfs(const char *dir, uint64_t bytes, uid_t uid, gid_t gid,
		  struct err *err);

/*
 * A root for one process: in `dir` (from sandbox_tmpfs()) a directory tmp
 * (0700, owned uid:gid) and a read-only procfs in which it sees itself alone.
 * Needs root.
 */
int sandbox_jail_make(const char *dir, uid_t uid, gid_t gid, struct err *err);
/*
 * Makes `dir` the root directory of the calling process and goes there: no
 * other file has a name any more (descriptors of directories outside must be
 * closed). Needs CAP_SYS_CHROOT; drop it afterwards by sandbox_become().
 * fd_path() goes on telling the full paths of files outside.
 */
int sandbox_jail_enter(const char *dir, struct err *err);

/*
 * Becomes uid:gid with no supplementary groups and keeps only the
 * capabilities whose bits are set in `keep` (1ull << CAP_x), in the permitted
 * and effective sets; no_new_privs, not dumpable. The bounding set is emptied
 * where that is allowed, inheritable and ambient sets are. May be called again
 * for the same user to keep less.
 */
int sandbox_become(uid_t uid, gid_t gid, uint64_t keep, struct err *err);

/*
 * Landlock: nothing can be written, truncated, made, removed, renamed, listed
 * or executed but below `dir` (there everything of it except executing and
 * making devices, sockets, FIFOs and links); no TCP, no abstract sockets, no
 * signals to others. Reading a file is not ruled: the descriptor of a
 * fanotify event is opened in the name of its reader, and a reader that may
 * not open it makes the kernel deny the opener (seen on 6.18). That wall is
 * sandbox_jail_enter()'s.
 * Returns 1 when it holds, 0 when this kernel has none (then the other walls
 * stand alone and health says so), -1 on failure.
 */
int sandbox_landlock(const char *dir, struct err *err);
/*
 * The same for who has to use the network and the system's files: nothing is
 * written, truncated, made, removed or renamed but below `dir` (there no
 * devices, sockets, FIFOs or links are made; NULL: nowhere); no abstract
 * sockets, no signals to others.
 */
int sandbox_landlock_writes(const char *dir, struct err *err);
/*
 * The same for who needs no file at all: nothing is read, written, made, listed
 * or executed anywhere; no TCP is begun or listened for (what is accepted from
 * a socket that listens already is not ruled), no abstract sockets, no signals
 * to others. Connecting to a socket in the file system is not ruled.
 */
int sandbox_landlock_all(struct err *err);

/*
 * seccomp: only the system calls in names[n] (libseccomp names; those that
 * this architecture lacks are skipped). Any other kills the process
 * (SIGSYS), with `log_only` it fails with EPERM. With `fixed`, mremap(2) need
 * not be named: it is allowed for all mappings but those that begin there.
 */
struct sandbox_memory {
	const void *at;
	size_t size;
};
int sandbox_seccomp(const char *const *names, size_t n,
		    const struct sandbox_memory *fixed, bool log_only,
		    struct err *err);

#endif
