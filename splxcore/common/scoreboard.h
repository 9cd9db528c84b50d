/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_SCOREBOARD_H
#define SPLX_COMMON_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/hist.h"
#include "lib/proc.h"
#include "netboard.h"
#include "verdict.h"

/*
 * The shared memory (a memfd) between the supervisor, vsapiapp's master, its
 * workers and entity. It outlives each of them: the supervisor makes it, the
 * others inherit it. Workers are not trusted: whoever reads checks every
 * index and length, and pids that get a signal come from elsewhere.
 *
 * Descriptor numbers. fanotify names an event by the number of its
 * descriptor in the reader, so each slot owns SLOT_NUMBERS numbers from
 * slot_number(slot): its worker keeps every number below them occupied, takes
 * one event at a time, and keeps an event's descriptor open until it is
 * answered. Hence a number means one event in the whole group. The
 * supervisor's own reads land on GUARD_NUMBER.
 *
 * Who may write what. It has three parts of whole pages. Root's processes and
 * generations can write all of it. A worker is cut down to what it needs
 * before it reads its first file (scoreboard_restrict()): it writes its own
 * slot and the part that workers share, and reads the rest.
 */
#define SCOREBOARD_SLOTS 48
#define SLOT_NUMBERS 16
#define GUARD_NUMBER 63
#define NUMBER_BASE 64
#define SCOREBOARD_EXEMPT 128
#define SCOREBOARD_POISON 64
#define SCOREBOARD_MOUNTS 8192
#define SCOREBOARD_PASS 4096
#define SCOREBOARD_MODULE 64 /* as in struct splxmod_status */
#define SLOT_SAMPLES 64
/* Where pages are larger, the neighbours of a boundary share one. */
#define SCOREBOARD_PAGE 4096

/* One question that a worker holds. */
enum hold_state {
	HOLD_FREE,
	HOLD_PARKED,   /* waits for another slot's scan of the same file */
	HOLD_SCANNING, /* being looked at by this worker */
	HOLD_ANSWERED, /* answered; the worker may close the descriptor */
};

struct hold {
	_Atomic uint32_t state;	   /* enum hold_state */
	uint32_t source;	   /* enum scan_source */
	_Atomic uint64_t start_ns; /* CLOCK_MONOTONIC when it was taken */
	_Atomic uint64_t ticket;   /* order of arrival, machine wide; never 0 */
	_Atomic uint64_t scanner_ticket; /* HOLD_PARKED: whose scan it awaits */
	int32_t pid;			 /* the opener */
	struct file_key key;
};

enum slot_role {
	SLOT_UNUSED,
	SLOT_FRONT, /* questions */
	SLOT_BACK,  /* what nobody waits for */
	SLOT_LOW,   /* scan jobs of low priority, and nothing else */
};

/* A finished scan, for statistics: lost without harm. */
struct sample {
	_Atomic uint32_t seq; /* odd while written */
	int32_t pid;
	uint32_t source;
	uint32_t verdict;
	uint64_t wait_ns;
	uint64_t scan_ns;
	uint64_t size;
	int64_t when_ns;
	char path[224]; /* the end of it when longer */
};

enum counter_id {
#define COUNTER(id, name, text) COUNTER_##id,
#include "counters.def"
#undef COUNTER
	COUNTER_COUNT
};
extern const char *const counter_names[COUNTER_COUNT];
extern const char *const counter_texts[COUNTER_COUNT];

/* By its worker, but for what is said of the master. */
struct slot {
	_Alignas(SCOREBOARD_PAGE) _Atomic uint32_t
		role;		 /* enum slot_role; SLOT_UNUSED: free */
	_Atomic int32_t pid;	 /* for people; not for signals */
	_Atomic uint64_t start;	 /* its start time, see struct proc_id */
	_Atomic uint64_t master; /* start time of the master that made it */
	_Atomic uint64_t generation;
	/* Each turn of its loop, before it reads an event, and at least every
	 * 500 ms while it is idle; CLOCK_MONOTONIC (guard.h relies on it). */
	_Atomic uint64_t beat_ns;
	_Atomic uint64_t scan_start_ns; /* 0 while no scan runs */
	_Atomic uint32_t drain;		/* finish what you hold, then exit */
	_Atomic uint64_t job;		/* BACK, LOW: the job it scans for */
	_Atomic uint64_t job_request; /* its request's id; 0: none under way */
	/* FRONT: the ticket of the hold that it scans or is about to; 0:
	 * none. Others may park holds of the same file on it. */
	_Atomic uint64_t scan_ticket;
	_Atomic uint32_t parked;  /* a bit for each hold that may be parked */
	struct file_key scan_key; /* while scan_ticket or scan_start_ns */
	/* How often it answered an opener in time after a scan; never set
	 * back. For the breaker, see guard.h. */
	_Atomic uint64_t in_time;
	_Atomic uint64_t counters[COUNTER_COUNT];
	struct hist wait; /* take to answer, all questions */
	struct hist scan; /* engine time */
	_Atomic uint32_t sample_next;
	struct sample samples[SLOT_SAMPLES];
};

enum master_state {
	MASTER_NONE,
	MASTER_STARTING,
	MASTER_READY, /* the interceptor is armed and answers */
	MASTER_STOPPING,
};

/* Whether vsapiapp may arm the kernel module, by the load lock. */
enum module_lock {
	MODULE_LOCK_UNJUDGED, /* no: nobody has looked yet */
	MODULE_LOCK_OPEN,     /* yes, and this boot's start is written */
	MODULE_LOCK_LOCKED,   /* no */
};

enum interceptor_kind {
	INTERCEPTOR_NONE,
	INTERCEPTOR_KHM,
	INTERCEPTOR_FANOTIFY,
	INTERCEPTOR_ASYNC,
	INTERCEPTOR_OFF,
};

#define SCOREBOARD_FORGOTTEN 32

/* What fills its parts up to whole pages is meant to be there. */
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct scoreboard {
	/* ---- control: workers only read it ---- */

	uint32_t magic;
	uint32_t version; /* of the layout; made by the build */
	uint64_t boot_ns; /* monotonic, when the supervisor made it */

	/* Each process beats at least every 500 ms while it is well. */
	struct {
		_Atomic int32_t pid;
		_Atomic uint64_t start;
		_Atomic uint64_t beat_ns; /* 0 until its start is over */
		/* Kept by the supervisor: ends nobody asked for, and the
		 * status of the last one as of waitpid(2), -1 unknown. */
		_Atomic uint32_t restarts;
		_Atomic int32_t last_status;
	} supervisor, core, master, netmon;
	_Atomic uint32_t master_state; /* enum master_state */
	_Atomic uint32_t interceptor;  /* enum interceptor_kind */
	_Atomic uint32_t quit;	       /* the whole suite ends */

	_Atomic uint64_t generation; /* the pattern generation that serves */
	_Atomic uint64_t policy_generation; /* settings, as taken over */
	_Atomic uint64_t pattern_id; /* content of the patterns, a hash */
	/*
	 * No engine is loaded as long as this process lives, so that it can
	 * try another one where memory is short (splxctl pattern update).
	 * pid and start: by core; pid 0: nobody. done: by the master, when
	 * the engine is out of memory.
	 */
	struct {
		_Atomic int32_t pid;
		_Atomic uint64_t start;
		_Atomic uint32_t done; /* bool */
	} unload;
	/* bool, by the master: Include names plain directories, so workers
	 * judge openers by path; else all that is asked lies within it. */
	_Atomic uint32_t path_filter;
	/* What the master has forgotten known files of, and how often, counted
	 * at its begin and at its end (scoreboard_forget_begin()); what workers
	 * keep of that device from before is not taken any more. */
	_Atomic uint64_t forgets;
	_Atomic uint64_t forgotten[SCOREBOARD_FORGOTTEN]; /* devices; 0: all */

	/* For the guard: the settings it needs, kept here by the master. */
	_Atomic uint32_t verdict_timeout_ms;
	_Atomic uint32_t allow_on_error;   /* bool */
	_Atomic uint32_t allow_on_timeout; /* bool */
	_Atomic uint32_t breaker_timeouts;
	_Atomic uint32_t breaker_retry_ms;

	_Atomic uint32_t breaker_open; /* bool */
	_Atomic uint64_t breaker_since_ns;
	_Atomic uint32_t timeouts_in_row;

	/* By the supervisor: it has khm_lock(), the kernel module is ours. */
	_Atomic uint32_t module_ours; /* bool */
	/* By core, before vsapiapp is told to use it: enum module_lock. */
	_Atomic uint32_t module_lock;
	/* By the master: the kernel module's breaker, and how much of its
	 * counters stands in ours already. */
	_Atomic uint32_t module_breaker; /* bool */
	uint32_t module_seen;		 /* bool: the rest holds */
	uint64_t module_counted[SCOREBOARD_MODULE];

	/* Processes that are never held: ours, and tools that administer us. */
	_Atomic int32_t exempt[SCOREBOARD_EXEMPT];

	/* Ids of our own namespace's mounts, see common/hostmounts.h; written
	 * by the master alone, seq odd meanwhile. */
	struct {
		_Atomic uint32_t seq;
		uint32_t count;
		uint32_t ids[SCOREBOARD_MOUNTS];
	} mounts;

	/* Files that ended workers; written by the master alone. */
	struct {
		_Atomic uint32_t deaths; /* 0: free */
		struct file_key key;
	} poison[SCOREBOARD_POISON];

	/* Restored files that pass though infected; see pass.h. Core writes. */
	_Atomic uint32_t pass_next;
	struct {
		_Atomic uint32_t seq; /* odd while written */
		_Atomic uint32_t used;
		struct file_key key;
	} pass[SCOREBOARD_PASS];

	/* The network monitor: whether it is to run, and a number that core
	 * raises when settings or rules have changed. */
	_Atomic uint32_t net_wanted; /* bool */
	_Atomic uint32_t net_changes;
	struct net_board net; /* by splxnetmon */

	/* Counts of those who have no slot: supervisor and master. */
	_Atomic uint64_t counters[COUNTER_COUNT];
	/* What slots had counted when they were given to somebody new. */
	_Atomic uint64_t retired[COUNTER_COUNT];
	_Atomic uint32_t retire_seq; /* odd while counters move to retired */
	struct hist retired_wait;
	struct hist retired_scan;

	/* ---- slots: a worker writes its own ---- */

	struct slot slots[SCOREBOARD_SLOTS];

	/* ---- shared: every worker writes it ---- */

	_Alignas(SCOREBOARD_PAGE) _Atomic uint64_t next_ticket;
	/* By slot and by number - slot_number(slot). Whoever scans a file
	 * answers for those of others that await it. */
	struct hold holds[SCOREBOARD_SLOTS][SLOT_NUMBERS];
};

/* Makes one (memfd, close-on-exec); NULL and *err. *fd_r is the caller's. */
struct scoreboard *scoreboard_new(int *fd_r, struct err *err);
/*
 * Maps an inherited one. NULL and *err; err->code is ESTALE when it is one of
 * another version: its version is a hash over these headers (layout.sh), so
 * that no program takes over what another one laid out in another way.
 */
struct scoreboard *scoreboard_map(int fd, struct err *err);

/*
 * A descriptor of it through which nothing can be written; the caller's. -1
 * and *err. Needs /proc.
 */
int scoreboard_readonly(int fd, struct err *err);
/*
 * Leaves this process of `sb` the slot `slot` and the shared part to write;
 * the rest is mapped anew, at the same place, through `readonly`
 * (scoreboard_readonly()), so that no mprotect(2) makes it writable. The
 * caller sees to it that the slot's mapping is not made longer (mremap(2)) and
 * that nothing stays open by which all could be mapped once more. -1 and
 * *err.
 */
int scoreboard_restrict(struct scoreboard *sb, int readonly, int slot,
			struct err *err);

/* The first descriptor number of a slot. */
int slot_number(int slot);

/* A free slot claimed for a new worker, or -1; counters are retired first. */
int scoreboard_claim(struct scoreboard *sb, enum slot_role role);
/* Frees the slot of a worker that is certainly gone. */
void scoreboard_release(struct scoreboard *sb, int slot);

/* Sum of a counter over everything. */
uint64_t scoreboard_count(const struct scoreboard *sb, enum counter_id id);
/*
 * COUNTER_QUESTIONS, exact also while a slot is being retired: how many
 * events of the permission group were ever taken. Only those are counted
 * there, directly after they were read.
 */
uint64_t scoreboard_taken(const struct scoreboard *sb);
void scoreboard_wait(const struct scoreboard *sb, struct hist *out);
void scoreboard_scan(const struct scoreboard *sb, struct hist *out);

/* Exempts a process from being held; false when the list is full. */
bool scoreboard_exempt(struct scoreboard *sb, pid_t pid);
void scoreboard_unexempt(struct scoreboard *sb, pid_t pid);
bool scoreboard_is_exempt(const struct scoreboard *sb, pid_t pid);

/* Beats for one of the three processes. */
#define scoreboard_beat(sb, who)                                               \
	atomic_store(&(sb)->who.beat_ns, clock_mono_ns())
/* Enters the calling process as one of the three. */
#define scoreboard_enter(sb, who)                                              \
	scoreboard_enter_at(&(sb)->who.pid, &(sb)->who.start,                  \
			    &(sb)->who.beat_ns)
void scoreboard_enter_at(_Atomic int32_t *pid, _Atomic uint64_t *start,
			 _Atomic uint64_t *beat_ns);

/*
 * The master forgets what is known of a device: between the two. Whoever finds
 * scoreboard_forgotten() for a device and `forgets` as it was before he looked
 * at a file there knows nothing of it. True as well when it was too long ago to
 * be told.
 */
void scoreboard_forget_begin(struct scoreboard *sb, uint64_t dev);
void scoreboard_forget_end(struct scoreboard *sb);
bool scoreboard_forgotten(const struct scoreboard *sb, uint64_t since,
			  uint64_t dev);

#endif
