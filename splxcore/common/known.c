/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "known.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/memfd.h"

#define TABLE_MAGIC 0x53504c58544b4e31ull /* in memory */
#define FILE_MAGIC 0x53504c58464b4e31ull  /* on disk */
#define WAYS 4
#define DEVS_MAX 64
#define MAX_ENTRIES ((size_t)1 << 26)

/*
 * One entry: words 0..5 the key, 6 the epoch, 7 a checksum over them (upper
 * half) and the number of the put that wrote it (lower half), by which the
 * oldest of a bucket is known. A word 7 of 0 is an empty place. A reader that
 * meets a half-written entry sees a checksum that does not fit.
 */
#define KEY_WORDS 6
#define WORD_EPOCH 6
#define WORD_CHECK 7
#define ENTRY_WORDS 8

struct entry {
	_Atomic uint64_t word[ENTRY_WORDS];
};

struct table {
	uint64_t magic;
	uint64_t entries; /* a power of two, at least WAYS */
	uint64_t pad[6];
	/* Then as many traces: apart, for who looks a file up does not need
	 * them. One that is half written leads to no file, or another. */
	struct entry entry[];
};

struct known {
	struct table *table;
	size_t size;
	size_t entries;
	struct known_trace *traces; /* in the table */
	uint32_t puts;
	/* The writer's: the devices of which it has ever put something, so
	 * that known_forget() does not go through a table, and make all its
	 * memory real, for nothing. */
	uint64_t devs[DEVS_MAX];
	size_t ndevs; /* DEVS_MAX + 1: more than that */
};

_Static_assert(sizeof(struct entry) == 64, "an entry is 64 bytes");
_Static_assert(sizeof(struct known_trace) == 32, "a trace is 32 bytes");
_Static_assert(sizeof(struct file_key) == KEY_WORDS * sizeof(uint64_t),
	       "a key is six words without padding");

/* 32 bits over key and epoch. */
static uint64_t checksum(const uint64_t w[ENTRY_WORDS])
{
	uint64_t h = 0x243f6a8885a308d3ull;

	for (int i = 0; i <= WORD_EPOCH; i++) {
		h = (h ^ w[i]) * 0x9fb21c651e98df25ull;
		h ^= h >> 28;
	}
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
	return h >> 32;
}

static void entry_read(const struct entry *e, uint64_t w[ENTRY_WORDS])
{
	for (int i = 0; i < ENTRY_WORDS; i++)
		w[i] = atomic_load_explicit(&e->word[i], memory_order_relaxed);
}

static bool entry_valid(const uint64_t w[ENTRY_WORDS])
{
	return w[WORD_CHECK] != 0 && w[WORD_CHECK] >> 32 == checksum(w);
}

static void entry_write(struct entry *e, const uint64_t w[ENTRY_WORDS])
{
	for (int i = 0; i < ENTRY_WORDS; i++)
		atomic_store_explicit(&e->word[i], w[i], memory_order_relaxed);
}

/*
 * The bucket is found by the identity alone, not by the state: a new state
 * of a file then overwrites its old one, which is of no use any more.
 */
static size_t bucket_of(const struct known *known, const struct file_key *key)
{
	struct file_key id = {
		.fsid = key->fsid, .dev = key->dev, .ino = key->ino};

	return (size_t)(file_key_hash(&id) & (known->entries / WAYS - 1)) *
	       WAYS;
}

/*
 * A lease that is broken sends its holder SIGIO (fcntl(2)), which would end
 * a process that does not expect it.
 */
static void expect_sigio(void)
{
	static bool done;
	struct sigaction now;

	if (done)
		return;
	done = true;
	if (sigaction(SIGIO, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		sigaction(SIGIO, &now, NULL);
	}
}

static size_t table_size(size_t entries)
{
	return sizeof(struct table) +
	       entries * (sizeof(struct entry) + sizeof(struct known_trace));
}

static void set_entries(struct known *known, size_t entries)
{
	known->entries = entries;
	known->traces = (struct known_trace *)&known->table->entry[entries];
}

static struct known *attach(int fd, size_t size, int prot, struct err *err)
{
	struct known *known;
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		err_set(err, errno, "mapping the table of known files");
		return NULL;
	}
	expect_sigio();
	known = xcalloc(1, sizeof(*known));
	known->table = p;
	known->size = size;
	return known;
}

struct known *known_new(size_t entries, int *fd_r, struct err *err)
{
	struct known *known;
	size_t n = WAYS, size;
	int fd;

	while (n < entries && n < MAX_ENTRIES)
		n *= 2;
	size = table_size(n);
	fd = memfd_new("splx-known", size, err);
	if (fd < 0)
		return NULL;
	known = attach(fd, size, PROT_READ | PROT_WRITE, err);
	if (!known) {
		close(fd);
		return NULL;
	}
	set_entries(known, n);
	known->table->entries = n;
	known->table->magic = TABLE_MAGIC;
	/* Those who inherit the descriptor can only look. */
	memfd_seal_writes(fd);
	*fd_r = fd;
	return known;
}

struct known *known_map(int fd, struct err *err)
{
	struct known *known;
	size_t size, n;

	if (memfd_size(fd, &size, err) < 0)
		return NULL;
	if (size < sizeof(struct table)) {
		err_set(err, 0, "table of known files: %zu bytes", size);
		return NULL;
	}
	known = attach(fd, size, PROT_READ, err);
	if (!known)
		return NULL;
	n = known->table->entries;
	if (known->table->magic != TABLE_MAGIC || n < WAYS || n > MAX_ENTRIES ||
	    (n & (n - 1)) != 0 || size != table_size(n)) {
		err_set(err, 0, "descriptor %d is no table of known files", fd);
		known_free(&known);
		return NULL;
	}
	set_entries(known, n);
	return known;
}

void known_free(struct known **known)
{
	if (!*known)
		return;
	munmap((*known)->table, (*known)->size);
	xfree(known);
}

/* The number of its place, -1 when there is none. */
static ssize_t find(const struct known *known, const struct file_key *key,
		    uint64_t epoch)
{
	size_t at = bucket_of(known, key);
	uint64_t w[ENTRY_WORDS];

	for (size_t i = at; i < at + WAYS; i++) {
		entry_read(&known->table->entry[i], w);
		if (w[WORD_EPOCH] == epoch &&
		    memcmp(w, key, sizeof(*key)) == 0 && entry_valid(w))
			return (ssize_t)i;
	}
	return -1;
}

bool known_has(const struct known *known, const struct file_key *key,
	       uint64_t epoch)
{
	return find(known, key, epoch) >= 0;
}

uint32_t known_used(const struct known *known, const struct file_key *key,
		    uint64_t epoch)
{
	ssize_t at = find(known, key, epoch);

	return at < 0 ? 0 : known->traces[at].used_s;
}

static bool has_dev(const struct known *known, uint64_t dev)
{
	for (size_t i = 0; i < known->ndevs && i < DEVS_MAX; i++)
		if (known->devs[i] == dev)
			return true;
	return known->ndevs > DEVS_MAX;
}

static void note_dev(struct known *known, uint64_t dev)
{
	if (has_dev(known, dev))
		return;
	if (known->ndevs < DEVS_MAX)
		known->devs[known->ndevs] = dev;
	known->ndevs++;
}

static bool same_file(const uint64_t w[ENTRY_WORDS], const struct file_key *key)
{
	struct file_key old;

	memcpy(&old, w, sizeof(old));
	return old.fsid == key->fsid && old.dev == key->dev &&
	       old.ino == key->ino;
}

/* How gladly a place is given to a new entry. */
static uint64_t spare(const struct known *known, const uint64_t w[ENTRY_WORDS],
		      const struct file_key *key, uint64_t epoch)
{
	if (!entry_valid(w))
		return UINT64_MAX - 1;
	if (same_file(w, key))
		return UINT64_MAX;
	if (w[WORD_EPOCH] != epoch)
		return UINT64_MAX - 2;
	/* The distance tells the age, also after the number wrapped. */
	return (uint32_t)(known->puts - (uint32_t)w[WORD_CHECK]);
}

/* The place of the bucket that is given away most gladly. */
static size_t choose(const struct known *known, const struct file_key *key,
		     uint64_t epoch, uint64_t *how_r)
{
	size_t at = bucket_of(known, key), best = at;
	uint64_t w[ENTRY_WORDS];

	*how_r = 0;
	for (size_t i = at; i < at + WAYS; i++) {
		uint64_t s;

		entry_read(&known->table->entry[i], w);
		s = spare(known, w, key, epoch);
		if (s > *how_r) {
			best = i;
			*how_r = s;
		}
	}
	return best;
}

static void note_trace(struct known_trace *at, bool same,
		       const struct known_trace *new)
{
	static const struct known_trace none;

	if (!same)
		*at = none;
	if (!new)
		return;
	if (new->used_s > at->used_s)
		at->used_s = new->used_s;
	if (!new->len || new->len > KNOWN_HANDLE_MAX)
		return;
	at->type = new->type;
	at->len = new->len;
	memcpy(at->handle, new->handle, sizeof(at->handle));
}

void known_put_trace(struct known *known, const struct file_key *key,
		     uint64_t epoch, const struct known_trace *trace)
{
	uint64_t w[ENTRY_WORDS], how;
	size_t best = choose(known, key, epoch, &how);

	note_dev(known, key->dev);
	if (++known->puts == 0)
		known->puts = 1; /* a whole word of 0 means empty */
	note_trace(&known->traces[best], how == UINT64_MAX, trace);
	memcpy(w, key, sizeof(*key));
	w[WORD_EPOCH] = epoch;
	w[WORD_CHECK] = checksum(w) << 32 | known->puts;
	entry_write(&known->table->entry[best], w);
}

void known_put(struct known *known, const struct file_key *key, uint64_t epoch)
{
	known_put_trace(known, key, epoch, NULL);
}

void known_forget(struct known *known, uint64_t dev)
{
	static const uint64_t none[ENTRY_WORDS];
	struct file_key key;
	uint64_t w[ENTRY_WORDS];

	if (!has_dev(known, dev))
		return;
	for (size_t i = 0; i < known->entries; i++) {
		entry_read(&known->table->entry[i], w);
		memcpy(&key, w, sizeof(key));
		if (w[WORD_CHECK] != 0 && key.dev == dev)
			entry_write(&known->table->entry[i], none);
	}
}

void known_each(const struct known *known, uint64_t epoch, known_fn fn,
		void *arg)
{
	struct file_key key;
	uint64_t w[ENTRY_WORDS];

	for (size_t i = 0; i < known->entries; i++) {
		entry_read(&known->table->entry[i], w);
		if (w[WORD_EPOCH] != epoch || !entry_valid(w))
			continue;
		memcpy(&key, w, sizeof(key));
		if (!fn(&key, arg))
			return;
	}
}

size_t known_count(const struct known *known, uint64_t epoch)
{
	uint64_t w[ENTRY_WORDS];
	size_t n = 0;

	for (size_t i = 0; i < known->entries; i++) {
		entry_read(&known->table->entry[i], w);
		n += w[WORD_EPOCH] == epoch && entry_valid(w);
	}
	return n;
}

size_t known_former(const struct known *known, uint64_t epoch,
		    struct known_file **list_r)
{
	struct known_file *list = NULL;
	uint64_t w[ENTRY_WORDS];
	size_t n = 0, room = 0;

	*list_r = NULL;
	/* To look at an empty table would make all its memory real. */
	for (size_t i = 0; known->puts && i < known->entries; i++) {
		entry_read(&known->table->entry[i], w);
		if (w[WORD_EPOCH] == epoch || !entry_valid(w))
			continue;
		if (n == room) {
			room = room ? 2 * room : 256;
			list = xrealloc(list, room * sizeof(*list));
		}
		memcpy(&list[n].key, w, sizeof(list[n].key));
		list[n].epoch = w[WORD_EPOCH];
		list[n].trace = known->traces[i];
		if (list[n].trace.len > KNOWN_HANDLE_MAX)
			list[n].trace.len = 0;
		n++;
	}
	*list_r = list;
	return n;
}

/* The file: this, then `count` records. */
struct file_head {
	uint64_t magic;
	uint64_t version;
	uint64_t count;
	uint64_t check; /* over the three above */
};
#define FILE_VERSION 2

/* As they stand in memory. */
struct record {
	uint64_t w[ENTRY_WORDS];
	struct known_trace trace;
};

static uint64_t head_check(const struct file_head *head)
{
	uint64_t w[ENTRY_WORDS] = {head->magic, head->version, head->count};

	return checksum(w);
}

int known_save(const struct known *known, const char *path, struct err *err)
{
	struct file_head head = {.magic = FILE_MAGIC, .version = FILE_VERSION};
	size_t room = 0, size;
	struct record r;
	char *data;
	int rc;

	for (size_t i = 0; i < known->entries; i++) {
		entry_read(&known->table->entry[i], r.w);
		room += entry_valid(r.w);
	}
	data = xmalloc(sizeof(head) + room * sizeof(r));
	for (size_t i = 0; i < known->entries && head.count < room; i++) {
		entry_read(&known->table->entry[i], r.w);
		if (!entry_valid(r.w))
			continue;
		r.trace = known->traces[i];
		memcpy(data + sizeof(head) + head.count * sizeof(r), &r,
		       sizeof(r));
		head.count++;
	}
	head.check = head_check(&head);
	memcpy(data, &head, sizeof(head));
	size = sizeof(head) + head.count * sizeof(r);
	rc = fd_replace_file(path, data, size, 0600, err);
	xfree(&data);
	return rc;
}

/* Whoever could write the file could have any file taken for clean. */
static int check_file(int fd, const char *path, struct file_head *head_r,
		      struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "fstat(%s)", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 022))
		return err_set(err, 0, "%s: not a file of ours alone", path);
	if (fd_read_all(fd, head_r, sizeof(*head_r)) < 0 ||
	    head_r->magic != FILE_MAGIC)
		return err_set(err, 0, "%s: no table of known files", path);
	if (head_r->version != FILE_VERSION)
		return err_set(err, 0, "%s: version %llu, not %d", path,
			       (unsigned long long)head_r->version,
			       FILE_VERSION);
	if (head_r->check != head_check(head_r) ||
	    head_r->count > MAX_ENTRIES ||
	    (uint64_t)st.st_size !=
		    sizeof(*head_r) + head_r->count * sizeof(struct record))
		return err_set(err, 0, "%s: torn", path);
	return 0;
}

/* 1 when it is of this epoch. Another one pushes nothing out. */
static int take_record(struct known *known, const struct record *r,
		       uint64_t epoch)
{
	struct file_key key;
	uint64_t how;

	if (!entry_valid(r->w))
		return 0;
	memcpy(&key, r->w, sizeof(key));
	if (r->w[WORD_EPOCH] != epoch) {
		choose(known, &key, r->w[WORD_EPOCH], &how);
		if (how != UINT64_MAX - 1)
			return 0;
	}
	known_put_trace(known, &key, r->w[WORD_EPOCH], &r->trace);
	return r->w[WORD_EPOCH] == epoch;
}

static long take_records(struct known *known, int fd, uint64_t count,
			 uint64_t epoch)
{
	struct record r[64];
	long taken = 0;

	while (count > 0) {
		size_t n = count < 64 ? (size_t)count : 64;

		if (fd_read_all(fd, r, n * sizeof(r[0])) < 0)
			break;
		for (size_t i = 0; i < n; i++)
			taken += take_record(known, &r[i], epoch);
		count -= n;
	}
	return taken;
}

long known_load(struct known *known, const char *path, uint64_t epoch,
		struct err *err)
{
	struct file_head head;
	long taken = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return err_set(err, errno, "open(%s)", path);
	if (check_file(fd, path, &head, err) < 0)
		taken = -1;
	else
		taken = take_records(known, fd, head.count, epoch);
	fd_close(&fd);
	return taken;
}

/* struct file_handle with room for what we keep. */
union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + KNOWN_HANDLE_MAX];
};

void known_trace_get(int fd, uint32_t used_s, struct known_trace *trace_r)
{
	union handle u;
	int mount_id;

	memset(trace_r, 0, sizeof(*trace_r));
	trace_r->used_s = used_s;
	memset(&u, 0, sizeof(u));
	u.h.handle_bytes = KNOWN_HANDLE_MAX;
	if (name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH) < 0 ||
	    u.h.handle_bytes > KNOWN_HANDLE_MAX || u.h.handle_type < 0 ||
	    u.h.handle_type > UINT8_MAX)
		return;
	trace_r->type = (uint8_t)u.h.handle_type;
	trace_r->len = (uint8_t)u.h.handle_bytes;
	memcpy(trace_r->handle, u.room + sizeof(struct file_handle),
	       u.h.handle_bytes);
}

int known_trace_open(int mount, const struct known_trace *trace, int flags)
{
	union handle u;

	memset(&u, 0, sizeof(u));
	if (!trace->len || trace->len > KNOWN_HANDLE_MAX) {
		errno = ESTALE;
		return -1;
	}
	u.h.handle_bytes = trace->len;
	u.h.handle_type = trace->type;
	memcpy(u.room + sizeof(struct file_handle), trace->handle, trace->len);
	return open_by_handle_at(mount, &u.h, flags);
}

uint64_t known_epoch(uint64_t pattern_id, uint64_t policy_id)
{
	struct file_key both = {.fsid = pattern_id, .dev = policy_id};
	uint64_t epoch = file_key_hash(&both);

	return epoch ? epoch : 1;
}

int known_has_writer(int fd)
{
	expect_sigio();
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN ? 1 : -1;
	/* A lease stays until this: who opens for writing would wait. */
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}

bool known_settled(const struct file_key *key, int64_t scan_start_coarse_ns)
{
	/* Two ticks of the slowest kernel (100 Hz). */
	int64_t grain = 20 * (int64_t)CLOCK_NS_PER_MS;

	/* File systems that keep whole seconds, or every other one (FAT). */
	if (key->ctime_ns % (int64_t)CLOCK_NS_PER_S == 0)
		grain += 2 * (int64_t)CLOCK_NS_PER_S;
	return key->ctime_ns < scan_start_coarse_ns - grain;
}
