/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Sets of patterns: a little room, for what has to be written down on a disk
 * that is full. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "patternset_impl.h"

#define ROOM_FILE "room"
#define ROOM_BYTES 32768

void patternset_room_keep(void)
{
	char *path = patternset_below(ROOM_FILE);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	/* Half of it is none. */
	if (fd >= 0 && posix_fallocate(fd, 0, ROOM_BYTES) != 0)
		unlink(path);
	fd_close(&fd);
	free(path);
}

bool patternset_room_give(int code)
{
	char *path = patternset_below(ROOM_FILE);
	bool given = (code == ENOSPC || code == EDQUOT) && unlink(path) == 0;

	free(path);
	return given;
}
