/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event2/event.h>

#include "alloc.h"
#include "log.h"

struct loop_event {
	LIST_ENTRY(loop_event) link;
	struct event *ev;
	void *arg;
	union {
		loop_fd_fn fd;
		loop_fn timer;
		loop_signal_fn signal;
	} fn;
};

struct loop {
	struct event_base *base;
	LIST_HEAD(, loop_event) events;
	bool stop;
};

static void loop_on_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_ERR)
		log_error("libevent: %s", text);
	else if (severity == EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
}

static void loop_on_fatal(int code)
{
	panic("libevent gave up (%d)", code);
}

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	struct event_config *cfg = event_config_new();

	event_set_log_callback(loop_on_log);
	event_set_fatal_callback(loop_on_fatal);
	if (!cfg)
		panic("event_config_new: %m");
	/*
	 * No cached time: a timer set after long work counts from now.
	 * Precise: the coarse clock alone is off by up to 4 ms.
	 */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK |
					   EVENT_BASE_FLAG_IGNORE_ENV |
					   EVENT_BASE_FLAG_NO_CACHE_TIME |
					   EVENT_BASE_FLAG_PRECISE_TIMER);
	loop->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!loop->base)
		panic("event_base_new_with_config: %m");
	LIST_INIT(&loop->events);
	return loop;
}

void loop_free(struct loop **loop)
{
	if (!*loop)
		return;
	if (!LIST_EMPTY(&(*loop)->events))
		panic("a loop is freed with events in it");
	event_base_free((*loop)->base);
	xfree(loop);
}

void loop_forget(struct loop **loop)
{
	struct loop_event *ev;

	if (!*loop)
		return;
	/*
	 * Until then the descriptors behind the base (epoll, signal pair) are
	 * the parent's too: taking an event out would take it from the parent.
	 */
	if (event_reinit((*loop)->base) < 0)
		panic("event_reinit: %m");
	while ((ev = LIST_FIRST(&(*loop)->events)))
		loop_cancel(&ev);
	loop_free(loop);
}

int loop_run(struct loop *loop)
{
	/* libevent forgets a stop that was asked for before it runs. */
	if (!loop->stop &&
	    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
		return -1;
	loop->stop = false;
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
	event_base_loopbreak(loop->base);
}

static void loop_on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_event *ev = arg;
	int bits = (what & EV_READ ? LOOP_READ : 0) |
		   (what & EV_WRITE ? LOOP_WRITE : 0);

	ev->fn.fd(fd, bits, ev->arg);
}

static void loop_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_event *ev = arg;

	ev->fn.timer(ev->arg);
}

static void loop_on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct loop_event *ev = arg;

	ev->fn.signal(sig, ev->arg);
}

static struct loop_event *loop_event_new(struct loop *loop, int fd, short what,
					 event_callback_fn on, uint64_t *ms,
					 void *arg)
{
	struct loop_event *ev = xcalloc(1, sizeof(*ev));
	struct timeval tv = {0};

	if (ms) {
		tv.tv_sec = (time_t)(*ms / 1000);
		tv.tv_usec = (suseconds_t)(*ms % 1000 * 1000);
	}
	ev->arg = arg;
	ev->ev = event_new(loop->base, fd, what, on, ev);
	if (!ev->ev)
		panic("event_new(%d, %d): %m", fd, what);
	if (event_add(ev->ev, ms ? &tv : NULL) < 0)
		panic("event_add(%d, %d): %m", fd, what);
	LIST_INSERT_HEAD(&loop->events, ev, link);
	return ev;
}

struct loop_event *loop_fd(struct loop *loop, int fd, int what, loop_fd_fn fn,
			   void *arg)
{
	short bits = EV_PERSIST;
	struct loop_event *ev;

	if (what & LOOP_READ)
		bits |= EV_READ;
	if (what & LOOP_WRITE)
		bits |= EV_WRITE;
	ev = loop_event_new(loop, fd, bits, loop_on_fd, NULL, arg);
	ev->fn.fd = fn;
	return ev;
}

struct loop_event *loop_timer(struct loop *loop, uint64_t ms, bool repeat,
			      loop_fn fn, void *arg)
{
	struct loop_event *ev;

	ev = loop_event_new(loop, -1, repeat ? EV_PERSIST : 0, loop_on_timer,
			    &ms, arg);
	ev->fn.timer = fn;
	return ev;
}

struct loop_event *loop_signal(struct loop *loop, int sig, loop_signal_fn fn,
			       void *arg)
{
	struct loop_event *ev;

	ev = loop_event_new(loop, sig, EV_SIGNAL | EV_PERSIST, loop_on_signal,
			    NULL, arg);
	ev->fn.signal = fn;
	return ev;
}

struct loop_event *loop_signal_for_life(struct loop *loop, int sig,
					loop_signal_fn fn, void *arg)
{
	struct loop_event *ev;
	sigset_t one, before;

	/* Kept back meanwhile: one that comes now waits for the loop. */
	sigemptyset(&one);
	sigaddset(&one, sig);
	sigprocmask(SIG_BLOCK, &one, &before);
	signal(sig, SIG_IGN);
	ev = loop_signal(loop, sig, fn, arg);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ev;
}

void loop_cancel(struct loop_event **evp)
{
	struct loop_event *ev = *evp;

	if (!ev)
		return;
	*evp = NULL;
	LIST_REMOVE(ev, link);
	event_free(ev->ev);
	free(ev);
}
