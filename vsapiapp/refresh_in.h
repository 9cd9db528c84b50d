/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_REFRESH_IN_H
#define SPLX_VSAPIAPP_REFRESH_IN_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * What the files of the refresh share; nobody else includes this.
 *   refresh.c       the master's side: when, and what came of it
 *   refresh_hand.c  the child that does it
 */
struct master;

/* How far it is: memory of both, the child writes. */
struct refresh_shared {
	_Atomic uint64_t total;
	_Atomic uint64_t left;	/* not looked at yet */
	_Atomic uint64_t again; /* clean by what serves now */
	_Atomic uint64_t found; /* infected */
};

/* In the child: all of it. The exit status; `out` takes why it is not 0. */
int refresh_run(struct master *m, struct refresh_shared *shared, int out);

#endif
