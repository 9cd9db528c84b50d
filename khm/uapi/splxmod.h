/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_UAPI_H
#define SPLXMOD_UAPI_H

/*
 * What splxmod and user space say to each other over /dev/splxmod (0600, and
 * whoever opens it needs CAP_SYS_ADMIN in the initial user namespace). The
 * only place where the interface is written down.
 *
 * A descriptor of the device is one of
 *  - a controller's: it configures, arms, disarms. While at least one
 *    descriptor is open the module is *attended*. With none open, nobody is
 *    there to ask, and all opens pass (counted as UNATTENDED) whatever the
 *    policy says: a machine that nobody can log in to helps nobody.
 *  - a reader's (after SPLXMOD_IOC_READER): read(2) takes questions, write(2)
 *    gives verdicts. Each reader has a descriptor of its own, opened for it;
 *    when it is closed what it held goes to another reader. Whoever reads is
 *    exempt from questions. It parses what others wrote, so of the ioctls
 *    only SPLXMOD_IOC_STATUS is left to it; the others end in EPERM. It should
 *    close a file before it answers: while it is open nobody can unmount it.
 *
 * SPLXMOD_ABI changes when a program of before would misunderstand the module,
 * or be misunderstood. SPLXMOD_IOC_STATUS and _DISARM with their structures
 * are the same in every version: a suite that was upgraded tells which module
 * is loaded, and lets go of it, whatever else that one speaks.
 *
 * Every number is in the byte order of the machine; every reserved field is 0
 * and checked. Errors are those of the system call; besides them
 *  EINVAL   a field is out of its bounds, or a reserved one is not 0
 *  EBUSY    arming or disarming is impossible now: the report says why
 *  ENOENT   (write) no question of this reader has that id
 *  ESTALE   (write) right, but late: nobody waits for this verdict any more
 */
#include <linux/ioctl.h>
#include <linux/types.h>

#define SPLXMOD_ABI 1
#define SPLXMOD_NAME "splxmod"

/* What a question is about; as bits the classes that are examined. */
#define SPLXMOD_OPEN 1u
#define SPLXMOD_EXEC 2u
#define SPLXMOD_CLOSE 4u /* was written and is closed: nobody waits */
#define SPLXMOD_CLASSES 7u

enum splxmod_method {
	SPLXMOD_METHOD_AUTO,
	SPLXMOD_METHOD_FTRACE,
	SPLXMOD_METHOD_FSNOTIFY,
};

enum splxmod_state {
	SPLXMOD_IDLE,	 /* nothing is hooked */
	SPLXMOD_ARMED,	 /* asks */
	SPLXMOD_PASSIVE, /* hooked, asks nothing: a rival holds the hook */
};

/*
 * One record of read(2). As many as fit are given; with O_NONBLOCK EAGAIN
 * when there is none. The caller closes fd.
 */
struct splxmod_event {
	__u32 len;   /* of this record; more fields may follow one day */
	__u16 abi;   /* SPLXMOD_ABI */
	__u16 kind;  /* one of SPLXMOD_OPEN, _EXEC, _CLOSE */
	__u64 id;    /* names the question in the verdict; never 0 */
	__s32 fd;    /* the file, O_RDONLY|O_LARGEFILE|O_NOATIME|O_NONBLOCK|
		      * O_CLOEXEC; negative: -errno, it could not be opened */
	__u32 flags; /* SPLXMOD_EV_* */
	__s32 pid;   /* the caller's thread group, in the reader's pid
		      * namespace; 0 outside it */
	__u32 uid;   /* real, as the reader's user namespace numbers it */
	__u64 dev;   /* as st_dev of the file system's own device */
	__u64 ino;
	__u64 size;
	__s64 ctime_sec;
	__u32 ctime_nsec;
	__u32 waited_us;  /* since it was asked */
	__u32 open_flags; /* of the caller's open(2) */
	__u32 deaths;	  /* how many readers ended holding this question */
	char comm[16];	  /* for people; anybody can choose his own */
};
#define SPLXMOD_EV_LATE 1u /* nobody waits any more; scan it all the same */

/* One record of write(2). Several may be given: the count returned says how
 * many were taken; the next write tells what was wrong with the one after. */
struct splxmod_verdict {
	__u64 id;
	__u64 epoch;   /* under which it was found; see splxmod_config */
	__u32 verdict; /* SPLXMOD_ALLOW or SPLXMOD_DENY */
	__u32 flags;   /* with SPLXMOD_ALLOW: none or one of these */
};
#define SPLXMOD_ALLOW 0u
#define SPLXMOD_DENY 1u
#define SPLXMOD_REMEMBER 1u /* clean: need not be asked again */
/* Not for the file but for who asked, or by the path he took: others who wait
 * for this verdict are asked about anew. */
#define SPLXMOD_ONE 2u

/* SPLXMOD_IOC_CONFIG: taken as a whole, armed or not. */
struct splxmod_config {
	__u32 classes; /* SPLXMOD_OPEN | … */
	__u32 method;  /* enum splxmod_method; used by the next arming */
	__u32 deny;    /* SPLXMOD_DENY_*: ways out that end in EPERM */
	__u32 flags;   /* SPLXMOD_CACHE */
	__u32 verdict_timeout_ms; /* 100 … 120000 */
	__u32 grace_ms;		/* without any reader so long is waited for one;
				 * 0 … verdict_timeout_ms */
	__u32 max_pending;	/* questions at a time, 16 … 65536 */
	__u32 max_close;	/* SPLXMOD_CLOSE at a time, 16 … 65536 */
	__u32 breaker_timeouts; /* in a row, then nobody waits; 1 … 1000 */
	__u32 breaker_retry_ms; /* 100 … 600000: then one is tried */
	__u64 epoch; /* of patterns and policy; another one voids the cache */
	__u64 reserved[4];
};
#define SPLXMOD_DENY_ERROR 1u	/* no reader, unreadable, readers died */
#define SPLXMOD_DENY_TIMEOUT 2u /* not in time, breaker */
#define SPLXMOD_DENY_FULL 4u	/* max_pending reached, no memory */
#define SPLXMOD_CACHE 1u

/* SPLXMOD_IOC_READER */
struct splxmod_reader_setup {
	__u32 classes; /* which kinds this reader takes */
	__u32 reserved;
};

/* SPLXMOD_IOC_EXEMPT: a process (thread group) that is never asked about,
 * until it ends, executes another program, or is taken out again. */
struct splxmod_exempt_setup {
	__s32 pid;   /* in the caller's namespace; 0: the caller */
	__u32 flags; /* SPLXMOD_EXEMPT_REMOVE */
};
#define SPLXMOD_EXEMPT_REMOVE 1u

/* SPLXMOD_IOC_RULES: what needs no question; replaces all that was. */
enum splxmod_rule_kind {
	SPLXMOD_RULE_EXE = 1,	 /* opened by this program: dev, ino */
	SPLXMOD_RULE_UID,	 /* by this user: ino */
	SPLXMOD_RULE_FSTYPE,	 /* on a file system of this type: text */
	SPLXMOD_RULE_DIRECTORY,	 /* below this directory: dev, ino, and text:
				  * its path from the root of its file system,
				  * which it must still have */
	SPLXMOD_RULE_DEV,	 /* on this file system: dev */
	SPLXMOD_RULE_ONLY_DEV,	 /* where there are any: on no other one */
	SPLXMOD_RULE_ONLY_BELOW, /* where there are any for a file system: on
				  * it, what lies below none of them; ino is a
				  * descriptor of the directory (O_PATH will
				  * do). It is known by its path from then on:
				  * what takes its place counts */
};
struct splxmod_rule {
	__u32 kind; /* enum splxmod_rule_kind */
	__u32 reserved;
	__u64 dev;
	__u64 ino;
	char text[232]; /* ends in 0 */
};
struct splxmod_rules {
	__u32 count; /* at most SPLXMOD_RULES_MAX */
	__u32 reserved;
	__u64 rules; /* pointer to struct splxmod_rule[count] */
};
#define SPLXMOD_RULES_MAX 4096u

/* SPLXMOD_IOC_KNOWN: files known to be clean, from an earlier run. Those that
 * do not hold any more do no harm. */
struct splxmod_known {
	__u64 dev;
	__u64 ino;
	__u64 size;
	__s64 ctime_sec;
	__u32 ctime_nsec;
	__u32 reserved;
};
struct splxmod_known_list {
	__u64 epoch; /* EINVAL unless it is the configured one */
	__u32 count; /* at most SPLXMOD_KNOWN_MAX */
	__u32 reserved;
	__u64 known; /* pointer to struct splxmod_known[count] */
};
#define SPLXMOD_KNOWN_MAX 65536u

/* SPLXMOD_IOC_ARM, SPLXMOD_IOC_DISARM: the request, and what came of it; the
 * report is written with EBUSY and EOPNOTSUPP too. */
struct splxmod_arming {
	__u32 flags;  /* SPLXMOD_DISARM_* */
	__u32 method; /* <- enum splxmod_method in use (or refused) */
	__u32 rivals; /* <- how many stand in the way */
	__u32 reserved;
	char report[4080]; /* <- a line each, as in /proc/splx/rivals; before
			    * them lines "method: why not" */
};
/* Stay loaded and let all pass when the hook cannot be taken out. */
#define SPLXMOD_DISARM_PASSIVE 1u

/* SPLXMOD_IOC_STATUS */
struct splxmod_status {
	__u32 abi;
	__u32 state;  /* enum splxmod_state */
	__u32 method; /* in use */
	__u32 readers;
	__u32 pending; /* questions that somebody waits for */
	__u32 closes;  /* SPLXMOD_CLOSE that wait */
	__u32 cached;
	__u32 breaker;	/* 1: open */
	__u32 marked;	/* fsnotify: file systems seen */
	__u32 counters; /* how many of the following are filled */
	char version[32];
	__u64 counter[64];
};

/*
 * What is counted, each once on its way out: ALLOWED, DENIED, KILLED and the
 * ways out by policy (TIMEOUT, BREAKER, FULL, NO_READER, GAVE_UP, RELEASED) add
 * up to ASKED and JOINED; by which way the policy decided is also in
 * POLICY_ALLOWED and POLICY_DENIED. NO_FILE is no way out: the reader answers.
 * X(ID, name, text): name as in /proc/splx/status.
 */
#define SPLXMOD_COUNTERS(X)                                                    \
	X(CALLS, "calls", "opens and executions of regular files")             \
	X(EXEMPT, "exempt", "by our own processes, or the kernel's")           \
	X(EXCLUDED, "excluded", "by rule or class, or made up by the kernel")  \
	X(EMPTY, "empty", "nothing is in the file")                            \
	X(KNOWN, "known", "known to be clean")                                 \
	X(UNATTENDED, "unattended", "passed: nobody holds the device")         \
	X(ASKED, "asked", "openers that needed an answer")                     \
	X(JOINED, "joined", "openers that shared another's question")          \
	X(ALLOWED, "allowed", "allowed by verdict")                            \
	X(DENIED, "denied", "denied by verdict")                               \
	X(KILLED, "killed", "openers killed while they waited")                \
	X(TIMEOUT, "timeout", "not answered in time")                          \
	X(BREAKER, "breaker", "not asked: the breaker is open")                \
	X(FULL, "full", "not asked: too many questions")                       \
	X(NO_READER, "no_reader", "no reader came")                            \
	X(NO_FILE, "no_file", "the file could not be opened for a reader")     \
	X(GAVE_UP, "gave_up", "too many readers ended on it")                  \
	X(RELEASED, "released", "let go by disarming")                         \
	X(LATE, "late", "verdicts that came late")                             \
	X(REQUEUED, "requeued", "given to another reader")                     \
	X(AGAIN, "again", "asked again: changed while it was scanned")         \
	X(CLOSES, "closes", "closed after writing")                            \
	X(CLOSES_MERGED, "closes_merged", "… which another one stood for")     \
	X(CLOSES_LOST, "closes_lost", "… for which there was no room")         \
	X(REMEMBERED, "remembered", "verdicts put into the cache")             \
	X(NOT_REMEMBERED, "not_remembered", "… that could not hold")           \
	X(FORGOTTEN, "forgotten", "cache entries that a writer voided")        \
	X(POLICY_ALLOWED, "policy_allowed", "allowed without a verdict")       \
	X(POLICY_DENIED, "policy_denied", "denied without a verdict")          \
	X(LATE_LOST, "late_lost", "late questions that no reader came for")

enum splxmod_counter {
#define SPLXMOD_COUNTER_ID(id, name, text) SPLXMOD_COUNT_##id,
	SPLXMOD_COUNTERS(SPLXMOD_COUNTER_ID)
#undef SPLXMOD_COUNTER_ID
		SPLXMOD_COUNTS
};

#define SPLXMOD_IOC 0xb5
#define SPLXMOD_IOC_STATUS _IOR(SPLXMOD_IOC, 1, struct splxmod_status)
#define SPLXMOD_IOC_CONFIG _IOW(SPLXMOD_IOC, 2, struct splxmod_config)
#define SPLXMOD_IOC_RULES _IOW(SPLXMOD_IOC, 3, struct splxmod_rules)
#define SPLXMOD_IOC_KNOWN _IOW(SPLXMOD_IOC, 4, struct splxmod_known_list)
#define SPLXMOD_IOC_READER _IOW(SPLXMOD_IOC, 5, struct splxmod_reader_setup)
#define SPLXMOD_IOC_EXEMPT _IOW(SPLXMOD_IOC, 6, struct splxmod_exempt_setup)
#define SPLXMOD_IOC_ARM _IOWR(SPLXMOD_IOC, 7, struct splxmod_arming)
#define SPLXMOD_IOC_DISARM _IOWR(SPLXMOD_IOC, 8, struct splxmod_arming)
#define SPLXMOD_IOC_FLUSH _IO(SPLXMOD_IOC, 9) /* empties the cache */

#endif
