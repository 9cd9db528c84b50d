/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "remember.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "common/known.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define SAVE_MS 300000
#define SAVE_LIMIT_MS 60000
/* Without evictable marks each keeps an inode in memory: begun anew then. */
#define MARKS_MAX 65536

struct remember {
	struct loop *loop;
	struct scoreboard *sb;
	int group;
	struct fangroup_caps caps;
	struct known *known;
	int fd; /* memfd of the table */
	size_t entries;
	bool persistent;
	bool loaded;
	uint64_t epoch;
	uint64_t puts, saved_puts;
	uint64_t saved_ns;
	unsigned long marks;
	struct hand *saving;
	struct log_limit mark_limit;
};

struct remember *remember_new(struct loop *loop, struct scoreboard *sb,
			      int group)
{
	struct remember *r = xcalloc(1, sizeof(*r));

	r->loop = loop;
	r->sb = sb;
	r->group = group;
	r->fd = -1;
	r->saved_ns = clock_mono_ns();
	if (group >= 0)
		fangroup_probe(&r->caps, NULL);
	return r;
}

void remember_free(struct remember **r)
{
	if (!*r)
		return;
	hand_cancel(&(*r)->saving);
	known_free(&(*r)->known);
	fd_close(&(*r)->fd);
	xfree(r);
}

void remember_configure(struct remember *r, const struct conf *conf)
{
	size_t entries = conf->known_clean == CONF_KNOWN_OFF
				 ? 0
				 : (size_t)conf->known_clean_entries;
	struct err err;

	r->persistent = conf->known_clean == CONF_KNOWN_PERSISTENT;
	if (entries == r->entries)
		return;
	hand_cancel(&r->saving);
	known_free(&r->known);
	fd_close(&r->fd);
	r->entries = entries;
	r->loaded = false;
	if (!entries)
		return;
	r->known = known_new(entries, &r->fd, &err);
	if (!r->known)
		log_error("known files are not remembered: %s", err.text);
}

int remember_fd(const struct remember *r)
{
	char path[64];

	if (r->fd < 0)
		return -1;
	/* A descriptor of its own that cannot be mapped writable. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void remember_epoch(struct remember *r, uint64_t epoch)
{
	struct err err;
	long n;

	r->epoch = epoch;
	if (!r->known || !r->persistent || r->loaded)
		return;
	r->loaded = true;
	n = known_load(r->known, paths()->verdicts, epoch, &err);
	if (n < 0 && err.code != ENOENT)
		log_warn("known files: %s", err.text);
	else if (n > 0)
		log_info("known files loaded count=%ld", n);
}

const struct known *remember_known(const struct remember *r)
{
	return r->known;
}

uint64_t remember_current(const struct remember *r)
{
	return r->epoch;
}

void remember_put(struct remember *r, const struct work_msg *msg)
{
	if (!r->known || msg->epoch != r->epoch || !msg->key.ino ||
	    scoreboard_forgotten(r->sb, msg->ino, msg->key.dev))
		return;
	known_put_trace(r->known, &msg->key, msg->epoch, &msg->trace);
	r->puts++;
	atomic_fetch_add(&r->sb->counters[COUNTER_REMEMBERED], 1);
}

void remember_forget(struct remember *r, uint64_t dev)
{
	/* Who looks between the two may find what is gone then. */
	scoreboard_forget_begin(r->sb, dev);
	if (r->known)
		known_forget(r->known, dev);
	scoreboard_forget_end(r->sb);
}

void remember_mark(struct remember *r, const struct work_msg *msg, int fd)
{
	const uint32_t what = FANGROUP_OPEN | FANGROUP_EXEC;
	struct file_key key;
	struct stat st;

	if (r->group < 0 || fd < 0)
		return;
	if (file_key_get(fd, &key, &st) || !S_ISREG(st.st_mode) ||
	    !file_key_same(&key, &msg->key))
		return;
	if (!r->caps.evictable && r->marks >= MARKS_MAX) {
		fangroup_flush_ignored(r->group);
		r->marks = 0;
	}
	if (fangroup_ignore(r->group, fd, what, r->caps.evictable, false)) {
		if (errno == ENOSPC)
			fangroup_flush_ignored(r->group);
		log_limited(&r->mark_limit, 3, 60000, LOG_LVL_WARN,
			    "ignore mark: %m");
		return;
	}
	/* It may have been written between the scan and the mark. */
	if (file_key_get(fd, &key, &st) || !file_key_same(&key, &msg->key)) {
		fangroup_unignore(r->group, fd, what);
		return;
	}
	r->marks++;
	atomic_fetch_add(&r->sb->counters[COUNTER_MARKED], 1);
}

void remember_unmark(struct remember *r, int fd)
{
	if (r->group >= 0 && fd >= 0 &&
	    fangroup_unignore(r->group, fd, FANGROUP_OPEN | FANGROUP_EXEC) < 0)
		log_limited(&r->mark_limit, 3, 60000, LOG_LVL_WARN,
			    "ignore mark is not taken off: %m");
}

static int save(struct remember *r)
{
	struct err err;

	if (!known_save(r->known, paths()->verdicts, &err))
		return 0;
	log_warn("known files: %s", err.text);
	return 1;
}

static int save_by_hand(int out, void *arg)
{
	return save(arg);
}

static void saved(int status, const char *data, size_t len, void *arg)
{
	struct remember *r = arg;

	r->saving = NULL;
}

void remember_tick(struct remember *r)
{
	uint64_t now = clock_mono_ns();

	if (now - r->saved_ns < SAVE_MS * CLOCK_NS_PER_MS)
		return;
	r->saved_ns = now;
	if (!r->known || !r->persistent || r->saving ||
	    r->puts == r->saved_puts)
		return;
	r->saved_puts = r->puts;
	r->saving = hand_start(r->loop, r->sb, SAVE_LIMIT_MS, save_by_hand,
			       saved, r, NULL);
}

void remember_save(struct remember *r)
{
	hand_cancel(&r->saving);
	if (r->known && r->persistent && r->epoch)
		save(r);
}
