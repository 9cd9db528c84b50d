/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_VSAPIAPP_STATUS_H
#define SPLX_VSAPIAPP_STATUS_H

#include <jansson.h>

#include "common/codes.h"
#include "common/scoreboard.h"
#include "lib/loop.h"

/*
 * What the master tells of itself (common/state.h): keeps what is wrong, and
 * writes the state file, by a hand, some time after something changed.
 */
struct status;

/* `fill` adds all but "errors" to the object; called when it is written. */
struct status *status_new(struct loop *loop, struct scoreboard *sb,
			  void (*fill)(json_t *state, void *arg), void *arg);
void status_free(struct status **status);

/* Something is wrong (the same code again: its newest text and time). */
void status_fault(struct status *status, enum status_code code, const char *fmt,
		  ...) __attribute__((format(printf, 3, 4)));
/* It is well again. */
void status_well(struct status *status, enum status_code code);
/* Something of what fill() tells has changed. */
void status_changed(struct status *status);

/* Each tick: writes when there is something new. */
void status_tick(struct status *status);
/* Writes now, by itself: at the end. */
void status_write(struct status *status);

#endif
