/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "filemark.h"

#include <sys/stat.h>

#include "clock.h"

/* A tick of the clock that files are stamped with is 10 ms at most; a file
 * system on a network stamps with a clock of its own. */
#define SETTLE_NS (2 * (int64_t)CLOCK_NS_PER_S)

static bool is_same(const struct filemark *a, const struct filemark *b)
{
	if (!a->there || !b->there)
		return a->there == b->there;
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool filemark_changed(struct filemark *mark, const char *path)
{
	struct filemark now = {.taken = true};
	int64_t clock = clock_coarse_ns();
	struct stat st;
	bool same;

	if (stat(path, &st) == 0) {
		now.there = true;
		now.dev = st.st_dev;
		now.ino = st.st_ino;
		now.size = st.st_size;
		now.mtime_ns = clock_timespec_ns(&st.st_mtim);
		now.ctime_ns = clock_timespec_ns(&st.st_ctim);
	}
	/* Later ones, too: somebody put the clock back. */
	now.settled = !now.there || now.ctime_ns < clock - SETTLE_NS;
	same = mark->taken && mark->settled && is_same(mark, &now);
	*mark = now;
	return !same;
}
