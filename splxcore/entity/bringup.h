/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_BRINGUP_H
#define SPLX_ENTITY_BRINGUP_H

#include "lib/err.h"
#include "supervisor.h"

/*
 * What a supervisor does before its loop runs. All return 0 or an exit status
 * (enum lsb_exit) with *err, unless told otherwise.
 */

/* May the suite start? Root, settings that can be used, the scan user, the
 * directories, no other instance. Changes nothing but the directories. */
int bringup_check(struct err *err);

/*
 * Standard descriptors open, nothing inherited beyond them, and the numbers
 * of control.h occupied, so that nothing else lands there.
 */
int bringup_descriptors(struct err *err);

/*
 * Into the background, but standard output and error still where they were:
 * whoever started us reads there why it failed. bringup_detach() ends that.
 */
int bringup_daemonize(struct supervisor *sup, struct err *err);
void bringup_detach(struct supervisor *sup, int status);

/* Makes the scoreboard, the group, the sockets and puts them in place. */
int bringup_objects(struct supervisor *sup, struct err *err);
/*
 * The kernel module's device, where it is loaded: held, so that whoever opens
 * a file meanwhile is not let pass while vsapiapp is restarted. Looks again
 * when there was none. It opens a file: while the suite has no marks.
 */
void bringup_module(struct supervisor *sup);
/* Lets go of it. */
void bringup_release_module(struct supervisor *sup);
/* Takes them over as they were inherited. */
int bringup_inherit(struct supervisor *sup, struct err *err);
/* The pipe whose end tells that we are gone. */
int bringup_life(struct supervisor *sup, struct err *err);

/* Moves a descriptor out of the way of GUARD_NUMBER; -1 and *err. */
int bringup_high(int *fd, struct err *err);

#endif
