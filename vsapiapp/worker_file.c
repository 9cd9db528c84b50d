// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/exclude.h"
#include "common/hostmounts.h"
#include "common/known.h"
#include "common/pass.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/hist.h"
#include "lib/log.h"
#include "lib/str.h"
#include "worker_in.h"

/* A file that ended this many workers is not fed again. */
#define POISON_DEATHS 2

/*
 * File systems on which a file changes only through this kernel, by the magic
 * numbers of statfs(2): the table of known files trusts no other. (In its
 * jail a worker sees no mount table.)
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

int file_look(struct file *f)
{
	f->has_path = false;
	return file_key_get(f->fd, &f->key, &f->st);
}

const char *file_path(struct file *f)
{
	if (!f->has_path) {
		if (fd_path(f->fd, f->path, sizeof(f->path)) < 0)
			f->path[0] = '\0';
		f->has_path = true;
	}
	return f->path;
}

static bool is_local(int fd)
{
	struct statfs sfs;

	if (fstatfs(fd, &sfs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(local_magic) / sizeof(local_magic[0]);
	     i++)
		if ((uint32_t)sfs.f_type == local_magic[i])
			return true;
	return false;
}

bool file_is_known(struct worker *w, struct file *f)
{
	return w->s.known && known_has(w->s.known, &f->key, w->s.epoch) &&
	       known_has_writer(f->fd) == 0;
}

bool file_is_poison(struct worker *w, const struct file *f)
{
	for (int i = 0; i < SCOREBOARD_POISON; i++) {
		struct file_key key;

		if (atomic_load(&w->sb->poison[i].deaths) < POISON_DEATHS)
			continue;
		key = w->sb->poison[i].key;
		if (file_key_same(&key, &f->key))
			return true;
	}
	return false;
}

bool file_judge(struct worker *w, struct file *f, enum counter_id *counter_r)
{
	struct exclude *ex = w->s.exclude;

	if (!S_ISREG(f->st.st_mode)) {
		*counter_r = COUNTER_ALLOWED_SPECIAL;
		return true;
	}
	if (atomic_load(&w->sb->path_filter) && *file_path(f) == '/' &&
	    !exclude_included(ex, file_path(f)) &&
	    hostmounts_has_fd(w->sb, f->fd)) {
		*counter_r = COUNTER_ALLOWED_SPECIAL;
		return true;
	}
	if ((exclude_needs_path(ex) && *file_path(f) == '/' &&
	     exclude_path(ex, file_path(f), NULL) &&
	     hostmounts_has_fd(w->sb, f->fd)) ||
	    (exclude_has_executables(ex) && worker_ask_excluded(w, f->pid))) {
		*counter_r = COUNTER_ALLOWED_EXCLUDED;
		return true;
	}
	if (file_is_known(w, f)) {
		*counter_r = COUNTER_ALLOWED_KNOWN;
		return true;
	}
	if (file_is_poison(w, f)) {
		*counter_r = COUNTER_POLICY_POISON;
		return true;
	}
	if (f->key.size > w->s.conf->max_file_size) {
		*counter_r = COUNTER_POLICY_OVERSIZE;
		return true;
	}
	return false;
}

void file_scan(struct worker *w, struct file *f, uint64_t wait_ns)
{
	uint64_t start = clock_mono_ns();

	/*
	 * A writer who goes before the scan ends leaves no trace: what is
	 * written through a mapping changes no time once a page is writable.
	 */
	f->had_writer = known_has_writer(f->fd) != 0;
	f->scan_start_coarse_ns = clock_coarse_ns();
	f->scan_start_ns = start;
	f->passed = false;
	atomic_store(&w->slot->scan_start_ns, start);
	engine_scan(w->s.engine, f->fd, file_path(f), &f->result);
	atomic_store(&w->slot->scan_start_ns, 0);
	f->scan_ns = clock_mono_ns() - start;
	if (f->result.verdict == VERDICT_INFECTED && pass_has(w->sb, &f->key))
		f->passed = true;
	worker_count(w, COUNTER_SCANS);
	atomic_fetch_add_explicit(&w->slot->counters[COUNTER_SCAN_BYTES],
				  f->key.size, memory_order_relaxed);
	hist_add(&w->slot->scan, f->scan_ns);
	report_sample(w, f, wait_ns + f->scan_ns);
}

static bool unchanged(const struct file *f)
{
	struct file_key now;
	struct stat st;

	return file_key_get(f->fd, &now, &st) == 0 &&
	       file_key_same(&now, &f->key);
}

/* Whether all that serves is as it was when this worker was forked. */
static bool is_current(struct worker *w)
{
	return atomic_load(&w->sb->generation) == w->s.generation &&
	       atomic_load(&w->sb->policy_generation) == w->s.policy_generation;
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
		if (unchanged(f) && is_current(w))
			worker_count(w, COUNTER_MARKED);
		else
			fangroup_unignore(open_group(w), f->fd,
					  FANGROUP_OPEN | FANGROUP_EXEC);
	} else if (errno == EACCES) {
		worker_tell(w, &msg, f->fd);
	}
}

bool file_is_steady(const struct file *f)
{
	return !f->had_writer &&
	       known_settled(&f->key, f->scan_start_coarse_ns) &&
	       is_local(f->fd) && known_has_writer(f->fd) == 0 && unchanged(f);
}

void file_remember(struct worker *w, struct file *f)
{
	struct work_msg msg = {
		.kind = WORK_REMEMBER,
		.epoch = w->s.epoch,
		.key = f->key,
	};

	if (w->s.known)
		worker_tell(w, &msg, -1);
	file_ignore(w, f);
}

bool file_policy(struct worker *w, enum counter_id counter)
{
	const struct conf *conf = w->s.conf;

	switch (counter) {
	case COUNTER_POLICY_OVERSIZE:
		return conf_allows(conf, conf->on_oversize);
	case COUNTER_POLICY_ENCRYPTED:
		return conf_allows(conf, conf->on_encrypted);
	case COUNTER_POLICY_SCANTIME:
	case COUNTER_POLICY_TIMEOUT:
		return conf_allows(conf, conf->on_timeout);
	default:
		return conf_allows(conf, conf->on_error);
	}
}

enum counter_id file_outcome(struct worker *w, const struct file *f,
			     bool *allow_r)
{
	enum counter_id counter = COUNTER_POLICY_ERROR;

	*allow_r = true;
	switch (f->result.verdict) {
	case VERDICT_CLEAN:
		return COUNTER_ALLOWED_CLEAN;
	case VERDICT_INFECTED:
		if (f->passed ||
		    conf_action(w->s.conf, "FirstAction") == ACTION_PASS)
			return COUNTER_ALLOWED_PASS;
		*allow_r = false;
		return COUNTER_DENIED_INFECTED;
	case VERDICT_OVERSIZE:
		counter = COUNTER_POLICY_OVERSIZE;
		break;
	case VERDICT_ENCRYPTED:
		counter = COUNTER_POLICY_ENCRYPTED;
		break;
	case VERDICT_TIMEOUT:
		counter = COUNTER_POLICY_SCANTIME;
		break;
	case VERDICT_ERROR:
		break;
	}
	*allow_r = file_policy(w, counter);
	return counter;
}
