/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_FILEBED_H
#define TESTS_UNIT_FILEBED_H

/*
 * A directory of the test's own: made by file_setup, gone with all in it by
 * file_teardown, which are cmocka's fixtures for a test or a group.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"

static char dir[PATH_MAX];

static int file_setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/splx-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int file_teardown(void **state)
{
	char *line = xasprintf("rm -rf '%s'", dir);
	int rc = system(line);

	(void)state;
	free(line);
	return rc;
}

/* The path of what has that name there; good for three more calls. */
static inline const char *in(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static int next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof(paths[0]), "%s/%s", dir, name);
	return paths[next];
}

static inline void put(const char *name, const char *text)
{
	assert_int_equal(
		fd_replace_file(in(name), text, strlen(text), 0644, NULL), 0);
}

/* A shell's command in there; what it says lands in the file "said". */
static inline void run(const char *command)
{
	char *line = xasprintf("cd '%s' && { %s; } >said 2>&1", dir, command);

	if (system(line) != 0)
		fail_msg("failed: %s", command);
	free(line);
}

#endif
