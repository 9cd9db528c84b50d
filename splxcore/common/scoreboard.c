/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scoreboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/memfd.h"

#define SCOREBOARD_MAGIC 0x53504c42u /* "SPLB" */
#ifndef SCOREBOARD_LAYOUT
#error "SCOREBOARD_LAYOUT: splxcore/common/module.mk computes it (layout.sh)"
#endif

_Static_assert(offsetof(struct scoreboard, slots) % SCOREBOARD_PAGE == 0 &&
		       sizeof(struct slot) % SCOREBOARD_PAGE == 0 &&
		       offsetof(struct scoreboard, next_ticket) %
				       SCOREBOARD_PAGE ==
			       0,
	       "the parts of the scoreboard are whole pages");

const char *const counter_names[COUNTER_COUNT] = {
#define COUNTER(id, name, text) [COUNTER_##id] = (name),
#include "counters.def"
#undef COUNTER
};

const char *const counter_texts[COUNTER_COUNT] = {
#define COUNTER(id, name, text) [COUNTER_##id] = (text),
#include "counters.def"
#undef COUNTER
};

static struct scoreboard *map_whole(int fd, struct err *err)
{
	void *p = mmap(NULL, sizeof(struct scoreboard), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		err_set(err, errno, "mapping the scoreboard");
		return NULL;
	}
	return p;
}

struct scoreboard *scoreboard_new(int *fd_r, struct err *err)
{
	struct scoreboard *sb;
	int fd = memfd_new("splx-scoreboard", sizeof(*sb), err);

	if (fd < 0)
		return NULL;
	sb = map_whole(fd, err);
	if (!sb) {
		close(fd);
		return NULL;
	}
	sb->magic = SCOREBOARD_MAGIC;
	sb->version = SCOREBOARD_LAYOUT;
	sb->boot_ns = clock_mono_ns();
	*fd_r = fd;
	return sb;
}

static struct scoreboard *foreign(struct err *err, const char *what, size_t has,
				  size_t wanted)
{
	err_set(err, 0,
		"the scoreboard is one of another version of splx "
		"(%s %#zx, not %#zx)",
		what, has, wanted);
	if (err)
		err->code = ESTALE;
	return NULL;
}

struct scoreboard *scoreboard_map(int fd, struct err *err)
{
	struct scoreboard *sb;
	uint32_t magic, version;
	size_t size;

	if (memfd_size(fd, &size, err) < 0) {
		err_add(err, "scoreboard");
		return NULL;
	}
	if (size != sizeof(*sb))
		return foreign(err, "size", size, sizeof(*sb));
	sb = map_whole(fd, err);
	if (!sb)
		return NULL;
	magic = sb->magic;
	version = sb->version;
	if (magic == SCOREBOARD_MAGIC && version == SCOREBOARD_LAYOUT)
		return sb;
	munmap(sb, sizeof(*sb));
	if (magic != SCOREBOARD_MAGIC)
		return foreign(err, "magic", magic, SCOREBOARD_MAGIC);
	return foreign(err, "version", version, SCOREBOARD_LAYOUT);
}

int scoreboard_readonly(int fd, struct err *err)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0)
		err_set(err, errno, "scoreboard: open(%s)", path);
	return ro;
}

/* Maps [from, to) of it anew, as far as whole pages go. */
static int map_readonly(struct scoreboard *sb, int fd, size_t from, size_t to,
			struct err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map;

	from = (from + page - 1) / page * page;
	to = to / page * page;
	if (from >= to)
		return 0;
	map = mmap((char *)sb + from, to - from, PROT_READ,
		   MAP_SHARED | MAP_FIXED, fd, (off_t)from);
	if (map == MAP_FAILED)
		return err_set(err, errno, "mapping the scoreboard to read");
	/* cppcheck-suppress memleak ; it is a part of sb, and goes with it */
	return 0;
}

int scoreboard_restrict(struct scoreboard *sb, int readonly, int slot,
			struct err *err)
{
	size_t own = offsetof(struct scoreboard, slots) +
		     (size_t)slot * sizeof(struct slot);

	if (map_readonly(sb, readonly, 0, own, err) < 0)
		return -1;
	return map_readonly(sb, readonly, own + sizeof(struct slot),
			    offsetof(struct scoreboard, next_ticket), err);
}

int slot_number(int slot)
{
	return NUMBER_BASE + slot * SLOT_NUMBERS;
}

/*
 * Moves what a slot has counted to the retired sums. Readers who need the
 * sums to be exact look at retire_seq (scoreboard_taken()); a master that was
 * killed in here leaves it odd, and the next one makes it even again.
 */
static void retire(struct scoreboard *sb, struct slot *slot)
{
	uint32_t seq = atomic_load(&sb->retire_seq) | 1u;

	atomic_store(&sb->retire_seq, seq);
	for (int i = 0; i < COUNTER_COUNT; i++)
		atomic_fetch_add(&sb->retired[i],
				 atomic_exchange(&slot->counters[i], 0));
	hist_merge(&sb->retired_wait, &slot->wait);
	hist_merge(&sb->retired_scan, &slot->scan);
	for (int i = 0; i < HIST_BUCKETS; i++) {
		atomic_store(&slot->wait.bucket[i], 0);
		atomic_store(&slot->scan.bucket[i], 0);
	}
	atomic_store(&sb->retire_seq, seq + 1);
}

/* What the last worker said of itself. Its samples stay: they are history. */
static void forget_worker(struct scoreboard *sb, int no)
{
	struct slot *slot = &sb->slots[no];

	for (int i = 0; i < SLOT_NUMBERS; i++) {
		struct hold *hold = &sb->holds[no][i];

		atomic_store(&hold->state, HOLD_FREE);
		atomic_store(&hold->ticket, 0);
		atomic_store(&hold->scanner_ticket, 0);
		atomic_store(&hold->start_ns, 0);
		hold->pid = 0;
	}
	atomic_store(&slot->scan_start_ns, 0);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->start, 0);
	atomic_store(&slot->master, 0);
	atomic_store(&slot->generation, 0);
	atomic_store(&slot->beat_ns, 0);
	atomic_store(&slot->drain, 0);
	atomic_store(&slot->job, 0);
	atomic_store(&slot->job_request, 0);
	atomic_store(&slot->scan_ticket, 0);
	atomic_store(&slot->parked, 0);
}

int scoreboard_claim(struct scoreboard *sb, enum slot_role role)
{
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slot *slot = &sb->slots[i];
		uint32_t unused = SLOT_UNUSED;

		if (!atomic_compare_exchange_strong(&slot->role, &unused, role))
			continue;
		retire(sb, slot);
		forget_worker(sb, i);
		/* Its worker has yet to come: not to be taken for stale. */
		atomic_store(&slot->beat_ns, clock_mono_ns());
		return i;
	}
	return -1;
}

void scoreboard_release(struct scoreboard *sb, int slot)
{
	if (slot < 0 || slot >= SCOREBOARD_SLOTS)
		return;
	forget_worker(sb, slot);
	atomic_store(&sb->slots[slot].role, SLOT_UNUSED);
}

uint64_t scoreboard_count(const struct scoreboard *sb, enum counter_id id)
{
	uint64_t sum =
		atomic_load(&sb->counters[id]) + atomic_load(&sb->retired[id]);

	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		sum += atomic_load(&sb->slots[i].counters[id]);
	return sum;
}

uint64_t scoreboard_taken(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	/* Retiring takes microseconds; one who was killed in it is not waited
	 * for longer than some milliseconds. */
	for (int tries = 0; tries < 50; tries++) {
		uint32_t before = atomic_load(&sb->retire_seq);

		sum = scoreboard_count(sb, COUNTER_QUESTIONS);
		if (!(before & 1u) && atomic_load(&sb->retire_seq) == before)
			break;
		usleep(50);
	}
	return sum;
}

void scoreboard_wait(const struct scoreboard *sb, struct hist *out)
{
	memset(out, 0, sizeof(*out));
	hist_merge(out, &sb->retired_wait);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		hist_merge(out, &sb->slots[i].wait);
}

void scoreboard_scan(const struct scoreboard *sb, struct hist *out)
{
	memset(out, 0, sizeof(*out));
	hist_merge(out, &sb->retired_scan);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		hist_merge(out, &sb->slots[i].scan);
}

bool scoreboard_exempt(struct scoreboard *sb, pid_t pid)
{
	if (pid <= 0)
		return false;
	if (scoreboard_is_exempt(sb, pid))
		return true;
	for (int i = 0; i < SCOREBOARD_EXEMPT; i++) {
		int32_t none = 0;

		if (atomic_compare_exchange_strong(&sb->exempt[i], &none, pid))
			return true;
	}
	return false;
}

void scoreboard_unexempt(struct scoreboard *sb, pid_t pid)
{
	for (int i = 0; i < SCOREBOARD_EXEMPT && pid > 0; i++) {
		int32_t it = pid;

		/* All of them: two who entered it at once made two. */
		atomic_compare_exchange_strong(&sb->exempt[i], &it, 0);
	}
}

bool scoreboard_is_exempt(const struct scoreboard *sb, pid_t pid)
{
	for (int i = 0; i < SCOREBOARD_EXEMPT && pid > 0; i++)
		if (atomic_load(&sb->exempt[i]) == pid)
			return true;
	return false;
}

void scoreboard_enter_at(_Atomic int32_t *pid, _Atomic uint64_t *start,
			 _Atomic uint64_t *beat_ns)
{
	struct proc_id id = {.pid = getpid()};

	(void)proc_identify(id.pid, &id);
	/* Never a new pid with the old one's start time. */
	atomic_store(pid, 0);
	atomic_store(start, id.start);
	atomic_store(beat_ns, clock_mono_ns());
	atomic_store(pid, id.pid);
}

void scoreboard_forget_begin(struct scoreboard *sb, uint64_t dev)
{
	uint64_t n = atomic_load(&sb->forgets);

	/* A master that was killed in between: of what is not known. */
	if (n % 2) {
		atomic_store(&sb->forgotten[n / 2 % SCOREBOARD_FORGOTTEN], 0);
		atomic_store(&sb->forgets, ++n);
	}
	atomic_store(&sb->forgotten[n / 2 % SCOREBOARD_FORGOTTEN], dev);
	atomic_store(&sb->forgets, n + 1);
}

void scoreboard_forget_end(struct scoreboard *sb)
{
	atomic_fetch_add(&sb->forgets, 1);
}

bool scoreboard_forgotten(const struct scoreboard *sb, uint64_t since,
			  uint64_t dev)
{
	uint64_t now = atomic_load(&sb->forgets), of;
	bool found = false;

	/* One that had begun by then, too; the next may be written already. */
	for (uint64_t k = since / 2; k < (now + 1) / 2 && !found; k++) {
		if (now / 2 - since / 2 >= SCOREBOARD_FORGOTTEN - 1)
			return true;
		of = atomic_load(&sb->forgotten[k % SCOREBOARD_FORGOTTEN]);
		found = of == 0 || of == dev;
	}
	return found || atomic_load(&sb->forgets) / 2 - since / 2 >=
				SCOREBOARD_FORGOTTEN - 1;
}
