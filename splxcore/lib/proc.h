/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_PROC_H
#define SPLX_LIB_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * A process named so that a reused pid is told apart: pid and start time
 * (clock ticks since boot, field 22 of /proc/PID/stat, proc(5)).
 */
struct proc_id {
	pid_t pid;
	uint64_t start;
};

/* The identity of a living process; -1 (ESRCH in errno) when there is none. */
int proc_identify(pid_t pid, struct proc_id *id_r);
/* True while that very process lives (a zombie does not). */
bool proc_alive(const struct proc_id *id);
/* True while that very process is stopped (state T or t). */
bool proc_stopped(const struct proc_id *id);
/*
 * Whether it runs as the user that we are and its executable's name begins
 * with `program` (an upgrade may have renamed or deleted it). For identities
 * that come from where others may write.
 */
bool proc_runs(const struct proc_id *id, const char *program);
/* pidfd_open(2) with close-on-exec for that very process; -1 when gone. */
int proc_pidfd(const struct proc_id *id);
/* The same for whoever has the pid now, also one whose first thread has ended
 * while others go on. */
int proc_pidfd_now(pid_t pid);
/* pidfd_send_signal(2). */
int proc_signal(int pidfd, int sig);

/*
 * The pid file, held for life: created 0644, locked (flock), the pid written
 * into it. A second instance gets -1 with EEXIST in err->code and the
 * holder's pid in err->text; a stale file is taken over. Returns the
 * descriptor, which keeps the lock.
 */
int proc_pidfile_take(const char *path, struct err *err);
/* Removes the file and gives the lock back. */
void proc_pidfile_drop(const char *path, int *fd);
/*
 * Who holds the pid file: 1 and *pid_r when a living process holds its lock;
 * 0 with *pid_r > 0 when the file is stale, 0 with *pid_r 0 when there is
 * none; -1 when it cannot be read.
 */
int proc_pidfile_check(const char *path, pid_t *pid_r, struct err *err);

/*
 * Goes into the background: forks, new session, cwd /, umask 022, standard
 * descriptors to /dev/null. The parent waits on the returned pipe: the child
 * calls proc_daemon_ready(fd, status) once it works or has failed, and the
 * parent exits with that status (1 when the child dies without a word).
 */
int proc_daemonize(struct err *err);
void proc_daemon_ready(int *fd, int status);

/* What ps shows; needs argc/argv of main() once, before all else. */
void proc_title_init(int argc, char **argv);
void proc_title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The number of usable CPUs, at least 1. */
int proc_cpus(void);

/*
 * The executable of a process (the target of /proc/PID/exe): its path, and
 * by stat its device and inode. -1 when gone or not allowed.
 */
int proc_exe(pid_t pid, char *path, size_t size, dev_t *dev_r, ino_t *ino_r);

/*
 * A user given by name or number: uid and its primary gid (for a number
 * without a passwd entry, gid = uid). -1 and *err when there is no such user.
 */
int proc_user(const char *name, uid_t *uid_r, gid_t *gid_r, struct err *err);

/*
 * Gives a process of normal scheduling a nice value and the share of time that
 * it asks for at once (0: the kernel's own), by which kernels from 6.12 on let
 * those who ask for less go first. 0, -1 (errno).
 */
int proc_priority(pid_t pid, int nice_value, uint64_t slice_ns);
/*
 * Gives a process of one thread what nobody else wants of the CPU (SCHED_IDLE,
 * and nice 19 for its autogroup, that is for its whole session) and of disks
 * (the idle class of ioprio_set(2)). 0, -1 (errno): not all of it.
 */
int proc_lowest(pid_t pid);

#endif
