/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_PROCMAPS_H
#define SPLX_LIB_PROCMAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One line of /proc/PID/maps (proc(5)) that maps a file. */
struct procmap {
	uint64_t from, to; /* addresses; `to` is the first one behind */
	bool exec;
	dev_t dev; /* as the kernel numbers them: it may be another device */
	ino_t ino; /* and inode than stat(2) tells (btrfs, an overlay) */
};

/* False for a mapping without a file, and for what is no such line. */
bool procmap_parse(const char *line, struct procmap *map_r);

/*
 * Its name in /proc/PID/map_files, a link to the file itself. The buffer holds
 * PROCMAP_NAME_MAX bytes.
 */
#define PROCMAP_NAME_MAX 40
void procmap_name(const struct procmap *map, char *name);

#endif
