// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <string.h>

#include "common/exclude.h"
#include "common/hostmounts.h"
#include "common/pass.h"
#include "lib/fdutil.h"
#include "lib/hist.h"
#include "lib/log.h"
#include "lib/str.h"
#include "worker_in.h"

/* A file that ended this many workers is not fed again. */
#define POISON_DEATHS 2

int file_look(struct file *f)
{
	f->has_path = false;
	return file_key_get_fs(f->fd, &f->key, &f->st, &f->fs_magic);
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

void file_scan(struct worker *w, struct file *f)
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
	f->scan_ns = clock_mono_ns() - start;
	/* A turn may be many scans: between them it is seen to live. */
	atomic_store(&w->slot->beat_ns, start + f->scan_ns);
	atomic_store(&w->slot->scan_start_ns, 0);
	if (f->result.verdict == VERDICT_INFECTED && pass_has(w->sb, &f->key))
		f->passed = true;
}

void file_account(struct worker *w, struct file *f, uint64_t wait_ns)
{
	worker_count(w, COUNTER_SCANS);
	atomic_fetch_add_explicit(&w->slot->counters[COUNTER_SCAN_BYTES],
				  f->key.size, memory_order_relaxed);
	hist_add(&w->slot->scan, f->scan_ns);
	report_sample(w, f, wait_ns);
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
