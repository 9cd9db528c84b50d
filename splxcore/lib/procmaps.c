/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "procmaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

bool procmap_parse(const char *line, struct procmap *map_r)
{
	unsigned int major, minor;
	char perms[5];
	uint64_t ino;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64,
		   &map_r->from, &map_r->to, perms, &major, &minor, &ino) != 6)
		return false;
	map_r->exec = strchr(perms, 'x') != NULL;
	map_r->dev = makedev(major, minor);
	map_r->ino = ino;
	/* An inode may be number 0; what is no file has no path either. */
	return ino || strchr(line, '/');
}

void procmap_name(const struct procmap *map, char *name)
{
	snprintf(name, PROCMAP_NAME_MAX, "%" PRIx64 "-%" PRIx64, map->from,
		 map->to);
}
