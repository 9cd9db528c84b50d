/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "refresh.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "child.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "master.h"
#include "refresh_in.h"

/* What is left after that is looked at when it is opened. */
#define LIMIT_MS (6 * 3600000ull)
/* When there was no place for one more scan job. */
#define RETRY_MS 10000
#define TRIES 5
/* How often what is new is told: to people, to the kernel module. */
#define TELL_MS 1000
#define MODULE_MS 5000

struct refresh {
	struct master *m;
	struct hand *hand;
	struct refresh_shared *shared;
	bool wanted; /* as soon as there is none */
	bool ending; /* the one there was told to */
	int tries;
	uint64_t not_before_ns;
	uint64_t began_ns;
	uint64_t told_ns, module_ns;
	uint64_t module_again; /* `again` as the module was told last */
};

struct refresh *refresh_new(struct master *m)
{
	struct refresh *r = xcalloc(1, sizeof(*r));

	r->m = m;
	r->shared = mmap(NULL, sizeof(*r->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->shared == MAP_FAILED)
		r->shared = NULL;
	return r;
}

void refresh_free(struct refresh **r)
{
	if (!*r)
		return;
	hand_leave(&(*r)->hand);
	if ((*r)->shared)
		munmap((*r)->shared, sizeof(*(*r)->shared));
	xfree(r);
}

void refresh_end(struct refresh *r)
{
	r->wanted = false;
	r->ending = true;
	hand_kill(r->hand);
}

void refresh_begin(struct refresh *r)
{
	const struct conf *conf = r->m->settings->conf;

	refresh_end(r);
	r->tries = 0;
	r->not_before_ns = 0;
	/* Where nobody is asked about on opening, nobody is spared a wait. */
	r->wanted = r->shared && conf->after_update == CONF_AFTER_RESCAN &&
		    (conf->realtime_scan &
		     (CONF_CLASS_OUTGOING | CONF_CLASS_RUNNING)) != 0 &&
		    remember_known(r->m->remember);
}

/* The module's table is its own: it hears of what is known again. */
static void tell_module(struct refresh *r, uint64_t again)
{
	struct master *m = r->m;

	r->module_ns = clock_mono_ns();
	if (again == r->module_again || !m->line.khm)
		return;
	r->module_again = again;
	khm_side_known(m->khm, remember_known(m->remember),
		       remember_current(m->remember));
}

static void done(int status, const char *data, size_t len, void *arg)
{
	struct refresh *r = arg;
	uint64_t again = atomic_load(&r->shared->again);
	bool ended = r->ending;

	r->hand = NULL;
	tell_module(r, again);
	status_changed(r->m->status);
	if (status == 0 || ended) {
		log_info("known files examined again clean=%llu found=%llu "
			 "left=%llu ms=%llu%s",
			 (unsigned long long)again,
			 (unsigned long long)atomic_load(&r->shared->found),
			 (unsigned long long)atomic_load(&r->shared->left),
			 (unsigned long long)((clock_mono_ns() - r->began_ns) /
					      CLOCK_NS_PER_MS),
			 ended ? ": ended" : "");
		return;
	}
	log_info("known files are not examined now: %s",
		 len ? data : "the process that does it ended");
	r->wanted = ++r->tries < TRIES;
	r->not_before_ns = clock_mono_ns() + RETRY_MS * CLOCK_NS_PER_MS;
}

static void reset(struct refresh_shared *s)
{
	atomic_store(&s->left, 0);
	atomic_store(&s->total, 0);
	atomic_store(&s->again, 0);
	atomic_store(&s->found, 0);
}

static int run(int out, void *arg)
{
	struct refresh *r = arg;

	return refresh_run(r->m, r->shared, out);
}

static void start(struct refresh *r)
{
	struct err err;

	r->wanted = false;
	r->ending = false;
	r->module_again = 0;
	r->began_ns = r->told_ns = r->module_ns = clock_mono_ns();
	reset(r->shared);
	r->hand =
		hand_start(r->m->loop, r->m->sb, LIMIT_MS, run, done, r, &err);
	if (!r->hand)
		log_warn("known files are not examined again: %s", err.text);
}

void refresh_tick(struct refresh *r)
{
	uint64_t now = clock_mono_ns();

	if (r->wanted && !r->hand && now >= r->not_before_ns &&
	    interceptor_current(r->m->ic))
		start(r);
	if (!r->hand)
		return;
	if (now - r->module_ns > MODULE_MS * CLOCK_NS_PER_MS)
		tell_module(r, atomic_load(&r->shared->again));
	if (now - r->told_ns > TELL_MS * CLOCK_NS_PER_MS) {
		r->told_ns = now;
		status_changed(r->m->status);
	}
}

void refresh_tell(const struct refresh *r, json_t *state)
{
	const struct refresh_shared *s = r->shared;

	if (!s || !r->began_ns)
		return;
	json_object_set_new(
		state, "refresh",
		json_pack("{s:b,s:I,s:I,s:I,s:I}", "running",
			  r->wanted || r->hand, "total",
			  (json_int_t)atomic_load(&s->total), "left",
			  (json_int_t)atomic_load(&s->left), "clean",
			  (json_int_t)atomic_load(&s->again), "found",
			  (json_int_t)atomic_load(&s->found)));
}
