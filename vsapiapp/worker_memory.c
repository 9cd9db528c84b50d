// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

#include "common/known.h"
#include "lib/alloc.h"
#include "lib/fangroup.h"
#include "worker_in.h"

/* How long the master may stay without word of a clean file. */
#define KEEP_MS 5
/* How old the last use that it knows of may grow while a file is used. */
#define USE_S 600

/* What the master has not been told yet. */
struct memories {
	struct work_keys keys;
	unsigned int count;
	uint64_t since_ns; /* of the first */
	uint64_t forgets;  /* as it stood before the earliest was judged */
};

/*
 * File systems on which a file changes only through this kernel, by the magic
 * numbers of statfs(2): nothing is remembered of any other. (In its jail a
 * worker sees no mount table.)
 */
static const uint32_t local_magic[] = {
	0x0000ef53, /* ext2, ext3, ext4 */
	0x58465342, /* xfs */
	0x9123683e, /* btrfs */
	0x01021994, /* tmpfs */
	0x858458f6, /* ramfs */
	0x794c7630, /* overlay */
	0xf2f52010, /* f2fs */
	0x73717368, /* squashfs */
	0xe0f5e1e2, /* erofs */
	0x28cd3d45, /* cramfs */
	0x00009660, /* iso9660 */
	0x15013346, /* udf */
	0x00004d44, /* vfat */
	0x2011bab0, /* exfat */
	0x7366746e, /* ntfs3 */
	0x52654973, /* reiserfs */
	0x3153464a, /* jfs */
	0x00003434, /* nilfs2 */
	0x2fc12fc1, /* zfs */
	0xca451a4e, /* bcachefs */
	0x24051905, /* ubifs */
	0x000072b6, /* jffs2 */
};

static bool is_local(const struct file *f)
{
	for (size_t i = 0; i < sizeof(local_magic) / sizeof(local_magic[0]);
	     i++)
		if (f->fs_magic == local_magic[i])
			return true;
	return false;
}

/*
 * Where a file can change and tell nothing: in memory a write through a mapping
 * moves none of its times (ZFS: not before it goes to the disk), and a mapping
 * of an overlay's file is a writer of the file below alone. So its key is no
 * evidence, and each open is looked into. (The kernel module sees both, and
 * has a table of its own.)
 */
static bool key_tells(const struct file *f)
{
	switch (f->fs_magic) {
	case 0x01021994: /* tmpfs */
	case 0x858458f6: /* ramfs */
	case 0x794c7630: /* overlay */
	case 0x2fc12fc1: /* zfs */
		return false;
	default:
		return true;
	}
}

void memory_begin(struct worker *w)
{
	w->memories = xcalloc(1, sizeof(*w->memories));
}

static struct file_key *memory(struct memories *m, unsigned int i)
{
	return i == 0 ? &m->keys.first.key : &m->keys.more[i - 1].key;
}

static struct known_trace *trace_of(struct memories *m, unsigned int i)
{
	return i == 0 ? &m->keys.first.trace : &m->keys.more[i - 1].trace;
}

/* What was kept before something had to be forgotten is worth nothing. */
static void drop_forgotten(struct worker *w)
{
	struct memories *m = w->memories;
	unsigned int kept = 0;

	if (!m->count || atomic_load(&w->sb->forgets) == m->forgets)
		return;
	for (unsigned int i = 0; i < m->count; i++) {
		if (scoreboard_forgotten(w->sb, m->forgets, memory(m, i)->dev))
			continue;
		*memory(m, kept) = *memory(m, i);
		*trace_of(m, kept++) = *trace_of(m, i);
	}
	m->count = kept;
}

static bool is_in_memory(struct worker *w, const struct file_key *key)
{
	struct memories *m = w->memories;

	drop_forgotten(w);
	for (unsigned int i = 0; i < m->count; i++)
		if (file_key_same(memory(m, i), key))
			return true;
	return false;
}

/* Whether all that serves is as it was when this worker was forked. */
static bool is_current(struct worker *w)
{
	return atomic_load(&w->sb->generation) == w->s.generation &&
	       atomic_load(&w->sb->policy_generation) == w->s.policy_generation;
}

/* To look at it for a scan job is no use of it. */
static uint32_t last_use(const struct file *f)
{
	if (f->source <= SOURCE_ASYNC)
		return (uint32_t)(clock_real_ns() / CLOCK_NS_PER_S);
	return (uint32_t)f->st.st_atim.tv_sec;
}

/* While the file is open: so what the master forgets later may be of it.
 * `forgets` as it stood before the file was judged. */
static void keep(struct worker *w, const struct file *f, uint64_t forgets)
{
	struct memories *m = w->memories;

	drop_forgotten(w);
	if (m->count == WORK_KEYS_MAX)
		memory_flush(w, true);
	if (m->count == 0) {
		m->since_ns = clock_mono_ns();
		m->forgets = forgets;
	} else if (m->forgets > forgets) {
		m->forgets = forgets;
	}
	*memory(m, m->count) = f->key;
	known_trace_get(f->fd, last_use(f), trace_of(m, m->count));
	m->count++;
}

/* Somebody uses a file that is known: the master hears of it now and then. */
static void note_use(struct worker *w, const struct file *f, uint64_t forgets)
{
	if (f->source <= SOURCE_EXEC && is_current(w) &&
	    last_use(f) - known_used(w->s.known, &f->key, w->s.epoch) > USE_S &&
	    !is_in_memory(w, &f->key))
		keep(w, f, forgets);
}

bool file_is_known(struct worker *w, struct file *f)
{
	uint64_t forgets = atomic_load(&w->sb->forgets);

	if (!w->s.known || !key_tells(f))
		return false;
	if (!known_has(w->s.known, &f->key, w->s.epoch))
		return is_current(w) && is_in_memory(w, &f->key) &&
		       known_has_writer(f->fd) == 0;
	if (known_has_writer(f->fd) != 0)
		return false;
	note_use(w, f, forgets);
	return true;
}

/* Only root can change it: see IgnoreMarks in options.def. */
static bool is_system(const struct stat *st)
{
	return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* The group that tells of opens: it can be told to ignore a file. */
static int open_group(const struct worker *w)
{
	if (w->s.group >= 0)
		return w->s.group;
	return w->s.async ? w->s.notify : -1;
}

static bool wants_mark(struct worker *w, const struct file *f)
{
	switch (w->s.conf->ignore_marks) {
	case CONF_MARKS_SYSTEM:
		return open_group(w) >= 0 && is_system(&f->st);
	case CONF_MARKS_ALL:
		return open_group(w) >= 0;
	default:
		return false;
	}
}

static int add_mark(struct worker *w, int fd)
{
	uint32_t what = FANGROUP_OPEN | FANGROUP_EXEC;
	int group = open_group(w);
	int rc = fangroup_ignore(group, fd, what, w->evictable, false);

	if (rc < 0 && errno == EINVAL && w->evictable) {
		w->evictable = false;
		rc = fangroup_ignore(group, fd, what, false, false);
	}
	return rc;
}

/*
 * The caller has seen that the file is clean and has no writer. The kernel
 * drops the mark at the next write; a write before the mark shows in the key,
 * looked at once more behind it. Who changes patterns or settings raises the
 * generation first and then drops all marks, so a mark that was set in
 * between is seen by one of the two.
 */
void file_ignore(struct worker *w, struct file *f)
{
	struct work_msg msg = {.kind = WORK_MARK, .key = f->key};

	if (!wants_mark(w, f) || !is_current(w))
		return;
	if (add_mark(w, f->fd) == 0) {
		if (file_key_holds(f->fd, &f->key) && is_current(w))
			worker_count(w, COUNTER_MARKED);
		else
			fangroup_unignore(open_group(w), f->fd,
					  FANGROUP_OPEN | FANGROUP_EXEC);
	} else if (errno == EACCES) {
		worker_tell(w, &msg, f->fd);
	}
}

void file_unmark(struct worker *w, struct file *f)
{
	struct work_msg msg = {.kind = WORK_UNMARK};

	if (open_group(w) >= 0)
		fangroup_unignore(open_group(w), f->fd,
				  FANGROUP_OPEN | FANGROUP_EXEC);
	else if (w->s.conf->ignore_marks != CONF_MARKS_OFF)
		worker_tell(w, &msg, f->fd);
}

int memory_patience(const struct worker *w)
{
	const struct memories *m = w->memories;
	uint64_t age;

	if (m->count == 0)
		return -1;
	age = clock_mono_ns() - m->since_ns;
	if (age >= KEEP_MS * CLOCK_NS_PER_MS)
		return 0;
	return KEEP_MS - (int)(age / CLOCK_NS_PER_MS);
}

void memory_flush(struct worker *w, bool all)
{
	struct memories *m = w->memories;

	if (m->count == 0 ||
	    (!all && m->count < WORK_KEYS_MAX && memory_patience(w) > 0))
		return;
	drop_forgotten(w);
	if (m->count > 0 &&
	    !worker_tell_keys(w, &m->keys, m->count, m->forgets) && !all &&
	    w->s.master_sock >= 0) {
		/* The master is busy: again in a while. */
		m->since_ns = clock_mono_ns();
		return;
	}
	m->count = 0;
}

void memory_end(struct worker *w)
{
	memory_flush(w, true);
	xfree(&w->memories);
}

bool file_is_steady(const struct file *f)
{
	return !f->had_writer &&
	       known_settled(&f->key, f->scan_start_coarse_ns) && is_local(f) &&
	       known_has_writer(f->fd) == 0 && file_key_holds(f->fd, &f->key);
}

void file_keep(struct worker *w, struct file *f)
{
	if (w->s.known && key_tells(f))
		keep(w, f, atomic_load(&w->sb->forgets));
}

void file_remember(struct worker *w, struct file *f)
{
	file_keep(w, f);
	file_ignore(w, f);
}
