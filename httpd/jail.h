/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_JAIL_H
#define SPLX_HTTPD_JAIL_H

#include <sys/types.h>

#include "lib/err.h"

/*
 * The walls around the process that serves. jail_enter(): its root is the
 * folder of entity's socket, it has no network but what is accepted for it, is
 * its own user for good, and may open no file (Landlock, where the kernel has
 * it). jail_seal(), when all is set up: an allow-list of system calls.
 */
int jail_enter(const char *dir, uid_t uid, gid_t gid, struct err *err);
int jail_seal(struct err *err);

#endif
