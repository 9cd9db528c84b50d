/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_WORKER_IN_H
#define SPLX_VSAPIAPP_WORKER_IN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/finding.h"
#include "lib/clock.h"
#include "link.h"
#include "worker.h"

/*
 * What the files of a worker share; nobody else includes this.
 *   worker.c        the loop, the master's messages, when to end
 *   worker_walls.c  descriptors and walls
 *   worker_file.c   one file: judged without a scan, scanned
 *   worker_memory.c what was clean: remembered, ignored
 *   worker_front.c  questions of the permission group
 *   worker_khm.c    questions of the kernel module
 *   worker_back.c   events of the notify group; low workers have none
 *   worker_jobs.c   scan jobs
 *   worker_report.c findings and samples
 *   park.c          many openers, one scan
 */

/* Descriptors of our own lie at or above this, clear of all slots' numbers. */
#define WORKER_FLOOR (NUMBER_BASE + SCOREBOARD_SLOTS * SLOT_NUMBERS)
#define PATH_SIZE 4096

struct reports;
struct memories;
struct deferred;
struct jobs;

struct worker {
	struct worker_setup s; /* with the descriptors as they were moved */
	struct scoreboard *sb;
	struct slot *slot;
	struct hold *holds; /* the slot's */
	int epoll;
	bool listening; /* the group or notify group is in epoll */
	bool draining;
	uint64_t no_asking_until_ns; /* the master did not answer */
	bool evictable;		     /* this kernel knows evictable marks */
	unsigned int busy;	     /* front: holds not free */
	struct reports *reports;
	struct memories *memories;
	struct deferred *deferred; /* back, low */
	struct jobs *jobs;	   /* back, low */
};

/* ---- worker_walls.c ---- */

/*
 * Moves the descriptors of `s` to WORKER_FLOOR and above, closes all others
 * beyond standard error and occupies every number below the slot's. 0 or -1
 * and *err.
 */
int worker_own_descriptors(struct worker_setup *s, struct err *err);
/* Jail, capabilities, limits, Landlock, seccomp. -1 and *err. */
int worker_walls(const struct worker_setup *s, struct err *err);

/* ---- worker_file.c ---- */

/* A file that is looked at. */
struct file {
	int fd;
	enum scan_source source;
	pid_t pid;
	uint64_t job;
	enum finding_use use; /* of an event in async mode; and when it was */
	uint64_t seen_ns;     /* taken from the kernel, monotonic */
	struct file_key key;
	struct stat st;
	uint32_t fs_magic; /* f_type of statfs(2) */
	bool has_path;
	char path[PATH_SIZE];
	/* after a scan: */
	struct engine_result result;
	int64_t scan_start_coarse_ns;
	uint64_t scan_start_ns;
	bool had_writer; /* when the scan began, or it could not be told */
	uint64_t scan_ns;
	bool passed; /* infected, but restored by an administrator */
};

/* Fills key, st, fs_magic; -1 (errno). */
int file_look(struct file *f);
/* The path for people; "" when it cannot be told. */
const char *file_path(struct file *f);

/*
 * What can be said of a file without a scan: true, and the counter that it
 * goes by (ALLOWED_* allow, POLICY_* go by their policy).
 */
bool file_judge(struct worker *w, struct file *f, enum counter_id *counter_r);
bool file_is_poison(struct worker *w, const struct file *f);
/* Scans; fills path, result and times. */
void file_scan(struct worker *w, struct file *f);
/*
 * Enters a scan in the counters, the histogram and the samples. `wait_ns` is
 * how long somebody waited for it. The descriptor may be closed by then: an
 * opener is answered first.
 */
void file_account(struct worker *w, struct file *f, uint64_t wait_ns);
/* The way out of a verdict: its counter; *allow_r by the settings. */
enum counter_id file_outcome(struct worker *w, const struct file *f,
			     bool *allow_r);
/* Whether a policy counter allows. */
bool file_policy(struct worker *w, enum counter_id counter);

/* ---- worker_memory.c ---- */

void memory_begin(struct worker *w);
/* Clean, unchanged since, and nobody has it open for writing. */
bool file_is_known(struct worker *w, struct file *f);
/*
 * After a scan: whether the file has surely stayed as it was all the while,
 * so that the verdict holds for those who asked after the scan had begun, and
 * may be remembered.
 */
bool file_is_steady(const struct file *f);
/*
 * A clean and steady one: has it remembered and, in a permission group,
 * ignored where that is right. The master is told a little later
 * (memory_flush()): nobody waits for that, but the opener waits for us.
 */
void file_remember(struct worker *w, struct file *f);
/* The same without any mark: for questions of the kernel module. The file is
 * still open, or what is forgotten of its file system could come back. */
void file_keep(struct worker *w, struct file *f);
/* Puts an ignore mark on a file that is known clean. */
void file_ignore(struct worker *w, struct file *f);
/*
 * Has an ignore mark taken off that outlived a change: the kernel does not
 * see what is written through a mapping. For files that were found otherwise
 * than clean where nobody asked.
 */
void file_unmark(struct worker *w, struct file *f);
/* Milliseconds until memory_flush() is wanted; -1: nothing is owed. */
int memory_patience(const struct worker *w);
/* Tells the master what is due; everything, with `all`. */
void memory_flush(struct worker *w, bool all);
void memory_end(struct worker *w);

/* ---- worker_front.c ---- */

void front_begin(struct worker *w);
/* Takes questions and looks after those it holds. */
void front_turn(struct worker *w);
/* Milliseconds until a turn is wanted though nothing comes; -1: never. */
int front_patience(const struct worker *w);
/* Answers by policy whatever is still held. */
void front_end(struct worker *w);

/* ---- worker_khm.c ---- */

void khm_begin(struct worker *w);
/* Takes questions and answers them. */
void khm_turn(struct worker *w);
/*
 * A back worker's: takes one file that was written and closed, false when
 * there is none. The descriptor is the caller's, who tells with
 * khm_close_done() that it is examined, and whether it is clean and steady.
 */
bool khm_take_close(struct worker *w, int *fd_r, pid_t *pid_r, uint64_t *id_r);
void khm_close_done(struct worker *w, uint64_t id, bool remember);

/* ---- worker_back.c ---- */

void back_begin(struct worker *w);
void back_turn(struct worker *w);
int back_patience(const struct worker *w);
void back_end(struct worker *w);

/* ---- worker_jobs.c ---- */

void jobs_begin(struct worker *w);
/* Takes over a client's connection. It may name the sources (enum scan_source)
 * whose bits are set. */
void jobs_add(struct worker *w, int fd, uint64_t job, uint64_t sources);
/* Serves at most one request of each client. */
void jobs_turn(struct worker *w);
int jobs_patience(const struct worker *w);
void jobs_end(struct worker *w);

/* ---- worker_report.c ---- */

void report_begin(struct worker *w);
/* Sends a finding, or keeps it until there is room. Takes nothing over. */
void report_finding(struct worker *w, struct file *f, bool denied, bool late,
		    uint64_t wait_ns, int first_action, int second_action);
/* Sends what was kept; true when nothing is left. */
bool report_flush(struct worker *w);
void report_end(struct worker *w);
void report_sample(struct worker *w, struct file *f, uint64_t wait_ns);

/* ---- worker.c ---- */

void worker_count(struct worker *w, enum counter_id id);
/* Adds a descriptor to the loop; exclusive: one of the waiting is woken. */
void worker_listen(struct worker *w, int fd, bool exclusive);
void worker_unlisten(struct worker *w, int fd);
/* Sends without waiting; what has no room is lost (it is all of no harm). */
bool worker_tell(struct worker *w, const struct work_msg *msg, int fd);
/* WORK_REMEMBER of several at once; `forgets` as of struct scoreboard. */
bool worker_tell_keys(struct worker *w, const struct work_keys *keys,
		      unsigned int count, uint64_t forgets);
/* Asks the master whether a process runs an excluded program. */
bool worker_ask_excluded(struct worker *w, pid_t pid);

#endif
