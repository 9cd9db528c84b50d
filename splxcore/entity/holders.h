/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HOLDERS_H
#define SPLX_ENTITY_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/scoreboard.h"

/* Who has a file in use, and who opened it. */

/*
 * Ends (SIGKILL, by pidfd) processes that use the file (holds.h), as `whom`
 * says; nobody when init itself runs it, or when it would be most of what the
 * machine runs (more than half of its processes, from HOLDERS_FEW on): what so
 * many use is the machine's own, or we are wrong about it. Never init, a thread
 * of the kernel's, one of `spare`, or one that runs our own programs. Goes
 * round again while it finds new ones, a few times. It takes a while on a busy
 * machine: call it in a child. Opens nothing but /proc.
 */
#define HOLDERS_FEW 16
enum holders_whom {
	HOLDERS_RUNNING, /* those that run it, or have it mapped to run */
	HOLDERS_HOLDING, /* those that have it open or mapped, too */
	HOLDERS_NOBODY,
};
#define HOLDERS_SPARE_MAX (SCOREBOARD_EXEMPT + 8)
struct holders_spare {
	pid_t pids[HOLDERS_SPARE_MAX];
	int count;
};
struct holders_names {
	int count;
	char text[400]; /* "bash (123), sh (124)", … when there are more */
};
struct holders {
	/* Either way nobody is ended, all that hold it are `left`: */
	bool init_runs;
	bool too_many;	      /* `users` of `processes` would be ended */
	int users, processes; /* neither the kernel's threads nor ours */
	struct holders_names ended;
	/* of the last round: */
	struct holders_names stuck;  /* were told to end, and have not yet */
	struct holders_names spared; /* must not be ended; with the reason.
					Our own programs are not told */
	struct holders_names left;   /* `whom` leaves them alone */
	struct holders_names unseen; /* the kernel does not let us look */
};
/* Core itself, its parent, what the scoreboard names (sb may be NULL). */
void holders_spare(struct holders_spare *spare, const struct scoreboard *sb);
void holders_end(const struct stat *file, enum holders_whom whom,
		 const struct holders_spare *spare, struct holders *holders_r);

/* Does it run one of our own programs (by the program's file)? */
bool holders_is_ours(pid_t pid);

/*
 * Who opened a file at that time (CLOCK_REALTIME): program and user of the
 * process, unless it is gone or its number has a new process since. False
 * then, with program "" and uid -1.
 */
bool holders_opener(pid_t pid, int64_t when_ns, char *program, size_t size,
		    int64_t *uid_r);

#endif
