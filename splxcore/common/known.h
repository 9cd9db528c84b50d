/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_KNOWN_H
#define SPLX_COMMON_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "verdict.h"

/*
 * The table of files known to be clean: shared memory, one writer
 * (vsapiapp's master), any readers (its workers, which see it read-only).
 *
 * An entry holds only while the file cannot have changed:
 *  - same fsid, device, inode, size, ctime, mtime, and the same pattern and
 *    policy under which it was scanned (`epoch`);
 *  - nobody has the file open for writing now (known_has_writer());
 *  - when it was scanned its ctime was already older than a clock tick
 *    (known_settled()), else a later write could carry the same ctime;
 *  - its file system is local (mounts_kind()), and a write shows in these times
 *    or in a writer whom we can see: not so in memory (tmpfs) or on overlays;
 *  - it has been mounted all the time: what was unmounted may have been
 *    changed without this kernel, and device and inode numbers are given
 *    again (known_forget()).
 */
struct known;

/*
 * What is noted beside an entry for whoever looks at the files anew when other
 * patterns serve. It is evidence of nothing: what is opened by it may be any
 * file, and its key tells.
 */
#define KNOWN_HANDLE_MAX 26
struct known_trace {
	uint32_t used_s; /* when it was last used, since 1970; 0: unknown */
	uint8_t type;	 /* of the handle */
	uint8_t len;	 /* of the handle; 0: there is none */
	unsigned char handle[KNOWN_HANDLE_MAX];
};
/*
 * Of an open file (name_to_handle_at(2); needs no right). Where the file
 * system gives no handle, or a longer one, there is none.
 */
void known_trace_get(int fd, uint32_t used_s, struct known_trace *trace_r);
/*
 * Opens that file; `mount` is any descriptor on its file system
 * (but of O_PATH). Needs CAP_DAC_READ_SEARCH. -1 (errno; ESTALE: it is gone).
 */
int known_trace_open(int mount, const struct known_trace *trace, int flags);

/* A table for `entries` files (rounded up to a power of two), as a memfd. */
struct known *known_new(size_t entries, int *fd_r, struct err *err);
/* Read-only mapping of an inherited table. */
struct known *known_map(int fd, struct err *err);
void known_free(struct known **known);

bool known_has(const struct known *known, const struct file_key *key,
	       uint64_t epoch);
/* When a known file was last used, as it was noted: 0 where it is not known,
 * in either sense. */
uint32_t known_used(const struct known *known, const struct file_key *key,
		    uint64_t epoch);
/* Overwrites the oldest of the few places where the key may stand. */
void known_put(struct known *known, const struct file_key *key, uint64_t epoch);
/* The same with its trace. What was noted of the same file before stays where
 * the new trace says less: a later use, a handle. */
void known_put_trace(struct known *known, const struct file_key *key,
		     uint64_t epoch, const struct known_trace *trace);
/* Forgets what is known of a device. */
void known_forget(struct known *known, uint64_t dev);
/* Hands out what is known under the epoch until `fn` returns false. */
typedef bool (*known_fn)(const struct file_key *key, void *arg);
void known_each(const struct known *known, uint64_t epoch, known_fn fn,
		void *arg);
size_t known_count(const struct known *known, uint64_t epoch);

/* What was known under any other epoch, with its own; *list_r is the caller's
 * (free()). Returns how many. Of the writer, or a child that it forked. */
struct known_file {
	struct file_key key;
	uint64_t epoch;
	struct known_trace trace;
};
size_t known_former(const struct known *known, uint64_t epoch,
		    struct known_file **list_r);

/*
 * Across restarts: a root-only file, written whole (fd_replace_file), each
 * entry with its epoch and a checksum; a file that is not ours, torn or of
 * another version is ignored with *err saying so. known_load returns the
 * number of entries that were taken and are of this epoch, or -1; those of
 * others are taken where there is room (known_former()).
 */
int known_save(const struct known *known, const char *path, struct err *err);
long known_load(struct known *known, const char *path, uint64_t epoch,
		struct err *err);

/* The epoch of a pattern content and a policy. Never 0. */
uint64_t known_epoch(uint64_t pattern_id, uint64_t policy_id);

/*
 * 1 when somebody has the file open for writing or maps it writable, 0 when
 * not, -1 when this cannot be told here (then do not trust an entry). Done by
 * asking for a read lease and giving it back (fcntl(2), F_SETLEASE): the
 * kernel refuses it while there is a writer. Needs CAP_LEASE or ownership.
 */
int known_has_writer(int fd);
/* True when the ctime is older than a clock tick at `scan_start` (coarse). */
bool known_settled(const struct file_key *key, int64_t scan_start_coarse_ns);

#endif
