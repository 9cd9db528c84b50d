/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: one who changes them at a time. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "patternset_impl.h"

#define LOCK_FILE "lock"
/* Always as long, so that a full disk takes it, too. */
#define LOCK_FORMAT "%10d %20" PRIu64 " %20" PRId64 "\n"
#define LOCK_TEXT_MAX 64

#define LONG_MS (2 * 3600 * 1000)
#define STOPPED_MS 10000

/* Who has the lock writes himself down; a word for others, the lock itself is
 * the kernel's. */
static void write_holder(int fd, const struct proc_id *id, int64_t since_ns)
{
	char text[LOCK_TEXT_MAX];
	int len = snprintf(text, sizeof(text), LOCK_FORMAT, (int)id->pid,
			   id->start, since_ns);

	(void)!pwrite(fd, text, (size_t)len, 0);
}

int patternset_lock(struct err *err)
{
	char *sets = patternset_below(SETS),
	     *path = patternset_below(LOCK_FILE);
	struct patternset_holder holder;
	char text[PATTERNSET_HOLDER_TEXT];
	struct proc_id self;
	int fd = -1;

	if (fd_mkdirs(sets, 0755, err) == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
		if (fd < 0)
			err_set(err, errno, "%s", path);
	}
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK) {
			err_set(err, 0,
				"another update of the patterns is "
				"under way%s",
				patternset_holder(&holder)
					? patternset_holder_text(&holder, text)
					: "");
			err->code = EBUSY;
		} else {
			err_set(err, errno, "%s", path);
		}
		fd_close(&fd);
	}
	if (fd >= 0)
		patternset_room_keep();
	if (fd >= 0 && proc_identify(getpid(), &self) == 0)
		write_holder(fd, &self, (int64_t)clock_mono_ns());
	free(sets);
	free(path);
	return fd;
}

void patternset_unlock(int *fd)
{
	static const struct proc_id nobody;

	if (*fd >= 0)
		write_holder(*fd, &nobody, 0);
	fd_close(fd);
}

int patternset_holder(struct patternset_holder *h)
{
	char *path = patternset_below(LOCK_FILE), *text = NULL;
	int64_t since_ns, held_ns;
	int pid, rc = 0;
	size_t len;

	memset(h, 0, sizeof(*h));
	if (fd_read_file(path, LOCK_TEXT_MAX, &text, &len, NULL) == 0 &&
	    sscanf(text, "%d %" SCNu64 " %" SCNd64, &pid, &h->id.start,
		   &since_ns) == 3) {
		h->id.pid = pid;
		held_ns = (int64_t)clock_mono_ns() - since_ns;
		h->held_ms =
			held_ns > 0 ? (uint64_t)held_ns / CLOCK_NS_PER_MS : 0;
		h->stopped = proc_stopped(&h->id);
		rc = proc_alive(&h->id);
	}
	free(text);
	free(path);
	return rc;
}

bool patternset_holder_hangs(const struct patternset_holder *h)
{
	return h->held_ms > (h->stopped ? STOPPED_MS : LONG_MS);
}

const char *patternset_holder_text(const struct patternset_holder *h,
				   char text[PATTERNSET_HOLDER_TEXT])
{
	char held[32];

	snprintf(text, PATTERNSET_HOLDER_TEXT, ": process %d, for %s%s",
		 (int)h->id.pid,
		 str_duration(held, sizeof(held), h->held_ms / 1000 * 1000),
		 h->stopped ? ", and it is stopped (kill -CONT lets it go on, "
			      "kill -KILL ends it)"
			    : "");
	return text;
}
