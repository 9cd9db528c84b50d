// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "breaker.h"
#include "question.h"
#include "queue.h"
#include "reader.h"

/* So often a verdict may be void for an opener because the file changed; then
 * he gets a question of his own. */
#define AGAIN_MAX 2
/* An idle reader that was given a question and has not come so long is no
 * reason for others to sleep. */
#define KICK (HZ / 50 ?: 1)

/* One opener, from his coming to his leaving, under the configuration that
 * held when he came. */
struct opener {
	struct file *file;
	struct inode *inode;
	u32 kind;
	u32 deny;
	u32 max_pending;
	u32 breaker_timeouts;
	unsigned long began; /* jiffies */
	unsigned long deadline;
	unsigned long grace;
	unsigned long retry;
	unsigned int again;
	bool counted; /* as ASKED or JOINED: once */
	bool late;    /* joined what had been taken already */
	bool asker;   /* opened the question that he waits for */
};

static bool accepting; /* who looks here only saves himself the way */

/* ---- waiting ---- */

/* When to look again, and for what. */
struct pause {
	unsigned long kick;
	unsigned long alone_since;
	bool kicked;
	bool alone;
};

/* Without a reader for longer than the grace? */
static bool opener_forsaken(const struct opener *o, struct pause *p)
{
	if (splxmod_reader_serves(o->kind)) {
		p->alone = false;
		return false;
	}
	if (!p->alone) {
		p->alone = true;
		p->alone_since = jiffies;
	}
	return time_after_eq(jiffies, p->alone_since + o->grace);
}

static void opener_kick(struct splxmod_question *q, struct pause *p)
{
	if (p->kicked || time_before(jiffies, p->kick))
		return;
	p->kicked = true;
	if (READ_ONCE(q->home))
		splxmod_reader_kick(q->kind);
}

static long opener_pause(const struct opener *o, const struct pause *p)
{
	unsigned long now = jiffies, until = o->deadline;

	if (!p->kicked && time_before(p->kick, until))
		until = p->kick;
	if (p->alone && time_before(p->alone_since + o->grace, until))
		until = p->alone_since + o->grace;
	return time_after(until, now) ? until - now : 1;
}

static enum splxmod_way opener_verdict(const struct opener *o,
				       const struct splxmod_question *q)
{
	if (q->way == SPLXMOD_WAY_ONE)
		return o->asker ? SPLXMOD_WAY_ALLOW : SPLXMOD_WAY_AGAIN;
	/* What was found before he came holds for him only if nobody can have
	 * written since. */
	if (q->way == SPLXMOD_WAY_ALLOW && o->late &&
	    !splxmod_cache_steady(&q->mark, o->inode))
		return SPLXMOD_WAY_AGAIN;
	return q->way;
}

/* A verdict that is there counts, however late we look. */
static enum splxmod_way opener_look(const struct opener *o,
				    const struct splxmod_question *q,
				    struct pause *p)
{
	/* pairs with question_retire() */
	if (smp_load_acquire(&q->done))
		return opener_verdict(o, q);
	if (fatal_signal_pending(current))
		return SPLXMOD_WAY_KILLED;
	if (time_after_eq(jiffies, o->deadline))
		return SPLXMOD_WAY_TIMEOUT;
	if (opener_forsaken(o, p))
		return SPLXMOD_WAY_NO_READER;
	return SPLXMOD_WAY_NONE;
}

static enum splxmod_way opener_wait(const struct opener *o,
				    struct splxmod_question *q)
{
	struct pause p = {.kick = jiffies + KICK};
	enum splxmod_way way;
	DEFINE_WAIT(entry);

	for (;;) {
		prepare_to_wait(&q->wait, &entry, COMPAT_WAIT_STATE);
		way = opener_look(o, q, &p);
		if (way)
			break;
		opener_kick(q, &p);
		compat_wait_timeout(opener_pause(o, &p));
	}
	finish_wait(&q->wait, &entry);
	return way;
}

/* ---- asking ---- */

static void opener_count(struct opener *o, bool joined)
{
	if (o->counted)
		return;
	o->counted = true;
	if (joined)
		splxmod_count(JOINED);
	else
		splxmod_count(ASKED);
}

static enum splxmod_way opener_refused(long err)
{
	return err == -ESHUTDOWN ? SPLXMOD_WAY_RELEASED : SPLXMOD_WAY_FULL;
}

static enum splxmod_way opener_ask(struct opener *o)
{
	bool alone = o->again >= AGAIN_MAX, opened = false;
	struct splxmod_question *q = NULL;
	enum splxmod_way way;

	if (!o->grace && !splxmod_reader_serves(o->kind))
		return SPLXMOD_WAY_NO_READER;
	if (!alone)
		q = splxmod_question_join(o->inode, o->kind, &o->late);
	if (!q)
		q = splxmod_question_open(o->file, o->inode, o->kind,
					  o->max_pending, alone, &opened,
					  &o->late);
	if (IS_ERR(q))
		return opener_refused(PTR_ERR(q));
	o->asker = opened;
	opener_count(o, !opened);
	if (opened)
		splxmod_reader_give(q, true);
	way = opener_wait(o, q);
	if (splxmod_question_leave(q, way, o->began, o->max_pending))
		splxmod_breaker_timeout(o->breaker_timeouts, o->retry);
	if (way == SPLXMOD_WAY_AGAIN) {
		o->again++;
		splxmod_count(AGAIN);
	}
	return way;
}

static enum splxmod_way opener_go(struct opener *o)
{
	enum splxmod_breaker_pass pass;
	enum splxmod_way way;

	if (!READ_ONCE(accepting))
		return SPLXMOD_WAY_RELEASED;
	pass = splxmod_breaker_enter();
	if (pass == SPLXMOD_BREAKER_REFUSED)
		return SPLXMOD_WAY_BREAKER;
	do {
		way = opener_ask(o);
	} while (way == SPLXMOD_WAY_AGAIN);
	if (pass == SPLXMOD_BREAKER_PROBE)
		splxmod_breaker_probed(way == SPLXMOD_WAY_TIMEOUT, o->retry);
	return way;
}

/* ---- leaving ---- */

/* Counts the way out; which of SPLXMOD_DENY_* decides, 0: none. */
static u32 way_policy(enum splxmod_way way)
{
	switch (way) {
	case SPLXMOD_WAY_TIMEOUT:
		splxmod_count(TIMEOUT);
		return SPLXMOD_DENY_TIMEOUT;
	case SPLXMOD_WAY_BREAKER:
		splxmod_count(BREAKER);
		return SPLXMOD_DENY_TIMEOUT;
	case SPLXMOD_WAY_FULL:
		splxmod_count(FULL);
		return SPLXMOD_DENY_FULL;
	case SPLXMOD_WAY_NO_READER:
		splxmod_count(NO_READER);
		return SPLXMOD_DENY_ERROR;
	case SPLXMOD_WAY_GAVE_UP:
		splxmod_count(GAVE_UP);
		return SPLXMOD_DENY_ERROR;
	case SPLXMOD_WAY_RELEASED:
		splxmod_count(RELEASED);
		return SPLXMOD_DENY_ERROR;
	default:
		return 0;
	}
}

static int opener_conclude(const struct opener *o, enum splxmod_way way)
{
	switch (way) {
	case SPLXMOD_WAY_ALLOW:
		splxmod_count(ALLOWED);
		return 0;
	case SPLXMOD_WAY_DENY:
		splxmod_count(DENIED);
		return -EPERM;
	case SPLXMOD_WAY_KILLED:
		/* nobody will see it: the signal is fatal */
		splxmod_count(KILLED);
		return -EINTR;
	default:
		break;
	}
	if (way_policy(way) & o->deny) {
		splxmod_count(POLICY_DENIED);
		return -EPERM;
	}
	splxmod_count(POLICY_ALLOWED);
	return 0;
}

int splxmod_queue_ask(struct file *file, struct inode *inode, u32 kind)
{
	struct opener o = {.file = file, .inode = inode, .kind = kind};
	const struct splxmod_conf *conf;
	enum splxmod_way way;

	rcu_read_lock();
	conf = splxmod_conf_get();
	o.deny = conf->c.deny;
	o.max_pending = conf->c.max_pending;
	o.breaker_timeouts = conf->c.breaker_timeouts;
	o.began = jiffies;
	o.deadline = o.began + conf->timeout;
	o.grace = conf->grace;
	o.retry = conf->retry;
	rcu_read_unlock();

	way = opener_go(&o);
	opener_count(&o, false);
	return opener_conclude(&o, way);
}

void splxmod_queue_close(struct file *file, struct inode *inode)
{
	struct splxmod_question *q;
	u32 max;

	rcu_read_lock();
	max = splxmod_conf_get()->c.max_close;
	rcu_read_unlock();
	q = splxmod_question_closing(file, inode, max);
	if (!q)
		return;
	splxmod_reader_give(q, false);
	splxmod_question_put(q);
}

/* ---- the whole ---- */

void splxmod_queue_accept(bool accept)
{
	if (accept)
		splxmod_breaker_reset();
	WRITE_ONCE(accepting, accept);
	splxmod_question_accept(accept);
}

void splxmod_queue_left(void)
{
	splxmod_question_left();
}

bool splxmod_queue_breaker(void)
{
	return splxmod_breaker_open();
}

void splxmod_queue_show(struct seq_file *m)
{
	u32 max;

	rcu_read_lock();
	max = splxmod_conf_get()->c.max_pending;
	rcu_read_unlock();
	seq_printf(m, "%6u %6u %10llu %10llu %10llu %10llu %10llu\n",
		   splxmod_queue_pending(), max,
		   splxmod_counted(SPLXMOD_COUNT_ASKED),
		   splxmod_counted(SPLXMOD_COUNT_ALLOWED) +
			   splxmod_counted(SPLXMOD_COUNT_DENIED),
		   splxmod_counted(SPLXMOD_COUNT_POLICY_ALLOWED),
		   splxmod_counted(SPLXMOD_COUNT_POLICY_DENIED),
		   splxmod_counted(SPLXMOD_COUNT_FULL));
	splxmod_reader_show(m);
}

int splxmod_queue_init(void)
{
	splxmod_reader_init();
	return splxmod_question_init();
}

void splxmod_queue_exit(void)
{
	splxmod_question_exit();
}
