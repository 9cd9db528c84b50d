/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_CTLBED_H
#define SPLX_TESTS_CTLBED_H

/*
 * Command lines of splxctl below a root of the test's own, each in a process
 * of its own. What they said stands in `out` and `complaints`. The test
 * includes cmocka.h before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/command.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

static char *out, *complaints;

static char *ctlbed_said(const char *root, const char *name)
{
	char *path = xasprintf("%s/%s", root, name), *text;
	size_t len;

	assert_int_equal(fd_read_file(path, 1u << 20, &text, &len, NULL), 0);
	free(path);
	return text;
}

static void ctlbed_redirect(const char *root, const char *name, FILE *to)
{
	char *path = xasprintf("%s/%s", root, name);

	if (!freopen(path, "w", to))
		_exit(99);
	free(path);
}

/* Starts "splxctl WORDS" (split at blanks) as that user. */
static pid_t ctlbed_start(char *root, uid_t uid, const char *line)
{
	char *argv[32] = {"splxctl", "-R", root}, *copy = xstrdup(line);
	char *save, *word;
	int argc = 3, status;
	pid_t pid;

	for (word = strtok_r(copy, " ", &save); word && argc < 31;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		ctlbed_redirect(root, "out", stdout);
		ctlbed_redirect(root, "err", stderr);
		if (uid && setuid(uid) < 0)
			_exit(99);
		status = ctl_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	free(copy);
	return pid;
}

/* Waits for it; the exit code. */
static int ctlbed_finish(const char *root, pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	free(out);
	free(complaints);
	out = ctlbed_said(root, "out");
	complaints = ctlbed_said(root, "err");
	return WEXITSTATUS(status);
}

#endif
