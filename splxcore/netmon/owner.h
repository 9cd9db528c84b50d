/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_NETMON_OWNER_H
#define SPLX_NETMON_OWNER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Which process has a socket. The kernel tells by walking all descriptors of
 * all processes, which takes milliseconds to seconds; so who was found is
 * remembered and asked first, and one walk serves all that is looked for.
 */
struct owners;
struct owners *owners_new(void);
void owners_free(struct owners **owners);

struct owner_wanted {
	uint32_t inode; /* of the socket; 0: not looked for */
	pid_t pid;	/* found; 0 unknown */
};

/*
 * Finds the pids of wanted[n] that have an inode and no pid. It looks at those
 * it knows, and walks through all processes at most for a tenth of the time,
 * the newest first: what it has no time for stays 0.
 */
void owners_find(struct owners *owners, struct owner_wanted *wanted, size_t n);

/* The executable of a process, the end of it when longer; "" unknown. */
void owner_program(pid_t pid, char *out, size_t size);

#endif
