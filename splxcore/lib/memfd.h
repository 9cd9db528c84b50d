/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_MEMFD_H
#define SPLX_LIB_MEMFD_H

#include <stddef.h>

#include "err.h"

/* Memory that processes share by inheriting a descriptor (memfd_create(2)). */

/*
 * A zeroed memfd of `size` bytes, close-on-exec, sealed so that nobody who
 * holds it can change its size (a smaller one would end those who map it
 * with SIGBUS). The descriptor is the caller's; -1 and *err.
 */
int memfd_new(const char *name, size_t size, struct err *err);

/* Nobody gets a writable mapping any more; those that exist stay so. Where
 * the kernel cannot do that (before 5.1) nothing happens. */
void memfd_seal_writes(int fd);

/* The size of an inherited one; -1 and *err when its size is not sealed. */
int memfd_size(int fd, size_t *size_r, struct err *err);

#endif
