/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef TESTS_UNIT_DISKBED_H
#define TESTS_UNIT_DISKBED_H

/*
 * A file system as on a disk (ext4 on a loop device): on a tmpfs nothing is
 * known of files, as writing through a mapping moves none of their times.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool disk_there; /* the last disk_mount() went well */

/* Image and mount point are the caller's, who unmounts. */
static inline bool disk_mount(const char *at, const char *image)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "truncate -s 256M %s && mkfs.ext4 -q -F %s && "
		 "mount -o loop %s %s",
		 image, image, image, at);
	disk_there = system(command) == 0;
	return disk_there;
}

#define need_disk()                                                            \
	do {                                                                   \
		if (!disk_there) {                                             \
			print_message("skip: no loop device, so no ext4\n");   \
			skip();                                                \
		}                                                              \
	} while (0)

#endif
