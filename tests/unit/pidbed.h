/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_PIDBED_H
#define SPLX_TESTS_PIDBED_H

/*
 * A pid namespace of its own for tests of what ends processes: whatever goes
 * wrong, nobody outside is seen, and all within ends with the test.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int pidbed_status(pid_t pid)
{
	int status;
	pid_t other;

	while ((other = wait(&status)) != pid)
		if (other < 0)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Returns in the process that runs the tests; needs root. */
static void pidbed_enter(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		perror("unshare");
		exit(1);
	}
	pid = fork();
	/* Not exit(3): a leak check would begin a task, where none can any
	 * more. */
	if (pid > 0)
		_exit(pidbed_status(pid));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pid < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL)) {
		perror("a /proc of its own");
		exit(1);
	}
	/* The first process there takes no signal by default, nor an alarm:
	 * it reaps, and another one goes on. */
	pid = fork();
	if (pid > 0)
		_exit(pidbed_status(pid));
	if (pid < 0)
		exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

#endif
