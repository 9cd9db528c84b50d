/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_LIB_LOOP_H
#define SPLX_LIB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* The event loop of a daemon: one thread, level triggered (libevent_core). */
struct loop;
struct loop_event;

#define LOOP_READ 1
#define LOOP_WRITE 2

typedef void (*loop_fd_fn)(int fd, int what, void *arg);
typedef void (*loop_fn)(void *arg);
typedef void (*loop_signal_fn)(int sig, void *arg);

/* Panics when the system gives no loop. */
struct loop *loop_new(void);
/* All events of the loop must be gone. */
void loop_free(struct loop **loop);
/*
 * In a child after fork(): ends the inherited loop and all its events, leaves
 * the parent's untouched, and gives the signals it caught back to their
 * defaults. The child's pointers to events are dead then. Between fork() and
 * this call a caught signal would reach the parent's loop: block signals.
 */
void loop_forget(struct loop **loop);

/* Runs until loop_stop(); returns 0, or -1 when waiting itself failed. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* The descriptor stays the caller's and must outlive the event. */
struct loop_event *loop_fd(struct loop *loop, int fd, int what, loop_fd_fn fn,
			   void *arg);
/* A timer; `repeat` fires again every interval. */
struct loop_event *loop_timer(struct loop *loop, uint64_t ms, bool repeat,
			      loop_fn fn, void *arg);
/* Blocks nothing: the signal is delivered in the loop, not in a handler. */
struct loop_event *loop_signal(struct loop *loop, int sig, loop_signal_fn fn,
			       void *arg);
/*
 * The same for a daemon's whole life: what is in force again when the event
 * is cancelled is that the signal is ignored, so that nobody who asks twice
 * ends it in the middle of its end. None is lost in between.
 */
struct loop_event *loop_signal_for_life(struct loop *loop, int sig,
					loop_signal_fn fn, void *arg);
/* Ends an event of any kind and nulls the pointer; NULL is allowed. May be
 * called from the event's own callback. */
void loop_cancel(struct loop_event **ev);

#endif
