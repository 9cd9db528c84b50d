// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>

#include "breaker.h"
#include "reader.h"

#define ID_PLACE_BITS 16

static struct splxmod_reader readers[SPLXMOD_READERS];
/* Where questions wait when there is no reader. Never read from, always live;
 * readers steal from it. */
static struct splxmod_reader nobody;

static DEFINE_MUTEX(slots); /* who gets and gives back one */
static DECLARE_BITMAP(used, SPLXMOD_READERS);
static DECLARE_BITMAP(live, SPLXMOD_READERS);
static DECLARE_BITMAP(idle, SPLXMOD_READERS);
static atomic_t serving[SPLXMOD_KINDS];
static atomic_t waiting[SPLXMOD_KINDS]; /* questions in any queue */
static unsigned long taken_last;

/* The reader that went to sleep on this CPU last, + 1. */
static DEFINE_PER_CPU(unsigned int, slept_here);

static unsigned int kind_index(u32 kind)
{
	return __ffs(kind);
}

static void reader_init(struct splxmod_reader *r, unsigned int slot)
{
	unsigned int k;

	spin_lock_init(&r->lock);
	r->slot = slot;
	for (k = 0; k < SPLXMOD_KINDS; k++)
		INIT_LIST_HEAD(&r->queue[k]);
	init_waitqueue_head(&r->wait);
}

void splxmod_reader_init(void)
{
	unsigned int slot;

	for (slot = 0; slot < SPLXMOD_READERS; slot++)
		reader_init(&readers[slot], slot);
	reader_init(&nobody, SPLXMOD_READERS);
	nobody.live = true;
	nobody.classes = SPLXMOD_CLASSES;
	taken_last = jiffies;
}

/* ---- which one ---- */

bool splxmod_reader_serves(u32 kind)
{
	return atomic_read(&serving[kind_index(kind)]);
}

/* Takes an idle one's idleness, so that nobody else counts on it. */
static bool reader_claim(unsigned int slot, u32 kind)
{
	return test_bit(slot, idle) &&
	       (READ_ONCE(readers[slot].classes) & kind) &&
	       test_and_clear_bit(slot, idle);
}

static struct splxmod_reader *reader_claim_any(u32 kind)
{
	unsigned int slot;

	for_each_set_bit(slot, idle, SPLXMOD_READERS)
		if (reader_claim(slot, kind))
			return &readers[slot];
	return NULL;
}

static unsigned int reader_load(const struct splxmod_reader *r)
{
	return READ_ONCE(r->queued[kind_index(SPLXMOD_OPEN)]) +
	       READ_ONCE(r->queued[kind_index(SPLXMOD_EXEC)]) +
	       READ_ONCE(r->held);
}

/* An idle one, the one of this CPU first; else the least busy; else nobody. */
static struct splxmod_reader *reader_choose(u32 kind, bool *idle_r)
{
	unsigned int here = raw_cpu_read(slept_here);
	struct splxmod_reader *r = NULL;
	unsigned int slot, load, least = UINT_MAX;

	*idle_r = true;
	if (here && reader_claim(here - 1, kind))
		return &readers[here - 1];
	r = reader_claim_any(kind);
	if (r)
		return r;
	*idle_r = false;
	for_each_set_bit(slot, live, SPLXMOD_READERS) {
		if (!(READ_ONCE(readers[slot].classes) & kind))
			continue;
		load = reader_load(&readers[slot]);
		if (load < least) {
			least = load;
			r = &readers[slot];
		}
	}
	return r ?: &nobody;
}

static void reader_wake(struct splxmod_reader *r, bool sync)
{
	if (sync)
		wake_up_interruptible_sync_poll(&r->wait,
						EPOLLIN | EPOLLRDNORM);
	else
		wake_up_interruptible_poll(&r->wait, EPOLLIN | EPOLLRDNORM);
}

void splxmod_reader_kick(u32 kind)
{
	struct splxmod_reader *r = reader_claim_any(kind);

	if (r)
		reader_wake(r, false);
}

/* ---- queues ---- */

/* The reader's lock; the caller's reference becomes the queue's. */
static void reader_enqueue(struct splxmod_reader *r, struct splxmod_question *q)
{
	unsigned int k = kind_index(q->kind);

	list_add_tail(&q->queue, &r->queue[k]);
	WRITE_ONCE(q->home, r);
	WRITE_ONCE(r->queued[k], r->queued[k] + 1);
	atomic_inc(&waiting[k]);
}

/* The reverse. */
static void reader_dequeue(struct splxmod_reader *r, struct splxmod_question *q)
{
	unsigned int k = kind_index(q->kind);

	list_del_init(&q->queue);
	WRITE_ONCE(q->home, NULL);
	WRITE_ONCE(r->queued[k], r->queued[k] - 1);
	atomic_dec(&waiting[k]);
}

void splxmod_reader_unqueue(struct splxmod_question *q)
{
	struct splxmod_reader *home;
	bool was = false;

	while (!was && (home = READ_ONCE(q->home))) {
		spin_lock(&home->lock);
		was = q->home == home;
		if (was)
			reader_dequeue(home, q);
		spin_unlock(&home->lock);
	}
	if (was)
		splxmod_question_put(q);
}

void splxmod_reader_give(struct splxmod_question *q, bool sync)
{
	struct splxmod_reader *r;
	bool was_idle, given;

	kref_get(&q->ref);
	do {
		r = reader_choose(q->kind, &was_idle);
		spin_lock(&r->lock);
		given = r->live;
		if (given)
			reader_enqueue(r, q);
		spin_unlock(&r->lock);
	} while (!given);

	/* `home` before `ended`, pairs with question_retire(): one of us sees
	 * that the other was there. And the queue before the idle ones, pairs
	 * with who goes to sleep: he sees the queue, or we see him. */
	smp_mb();
	if (splxmod_question_ended(q))
		splxmod_reader_unqueue(q);
	else if (was_idle)
		reader_wake(r, sync);
	else
		splxmod_reader_kick(q->kind);
}

/* The oldest of these kinds, with the queue's reference. */
static struct splxmod_question *reader_pop(struct splxmod_reader *from,
					   u32 kinds)
{
	struct splxmod_question *q, *oldest = NULL;
	unsigned int k;

	spin_lock(&from->lock);
	for (k = 0; k < SPLXMOD_KINDS; k++) {
		if (!(kinds & BIT(k)))
			continue;
		q = list_first_entry_or_null(&from->queue[k],
					     struct splxmod_question, queue);
		if (q && (!oldest || q->asked < oldest->asked))
			oldest = q;
	}
	if (oldest)
		reader_dequeue(from, oldest);
	spin_unlock(&from->lock);
	return oldest;
}

static bool reader_has(const struct splxmod_reader *r, u32 kinds)
{
	unsigned int k;

	for (k = 0; k < SPLXMOD_KINDS; k++)
		if ((kinds & BIT(k)) && READ_ONCE(r->queued[k]))
			return true;
	return false;
}

/* Is anything of these kinds in any queue? */
static bool queues_have(u32 kinds)
{
	unsigned int k;

	for (k = 0; k < SPLXMOD_KINDS; k++)
		if ((kinds & BIT(k)) && atomic_read(&waiting[k]))
			return true;
	return false;
}

/* Its own first, then what waits for anybody, then others'. */
static struct splxmod_question *reader_search(struct splxmod_reader *r,
					      u32 kinds, bool own)
{
	struct splxmod_question *q = NULL;
	struct splxmod_reader *from;
	unsigned int i;

	if (reader_has(r, kinds))
		q = reader_pop(r, kinds);
	if (q || own || !queues_have(kinds))
		return q;
	if (reader_has(&nobody, kinds))
		q = reader_pop(&nobody, kinds);
	for (i = 1; !q && i < SPLXMOD_READERS; i++) {
		from = &readers[(r->slot + i) % SPLXMOD_READERS];
		if (reader_has(from, kinds))
			q = reader_pop(from, kinds);
	}
	return q;
}

/* ---- what a reader holds ---- */

static int reader_reserve(struct splxmod_reader *r)
{
	int place = -ENOSPC;

	spin_lock(&r->lock);
	if (r->spares)
		place = r->spare[--r->spares];
	spin_unlock(&r->lock);
	return place;
}

static void reader_unreserve(struct splxmod_reader *r, int place)
{
	spin_lock(&r->lock);
	r->spare[r->spares++] = place;
	spin_unlock(&r->lock);
}

static u64 reader_table(struct splxmod_reader *r, int place,
			struct splxmod_question *q)
{
	u64 id;

	spin_lock(&r->lock);
	id = ++r->sequence << ID_PLACE_BITS | place;
	r->table[place].q = q;
	r->table[place].id = id;
	WRITE_ONCE(r->held, r->held + 1);
	r->since = jiffies;
	spin_unlock(&r->lock);
	if (READ_ONCE(taken_last) != jiffies)
		WRITE_ONCE(taken_last, jiffies);
	return id;
}

struct splxmod_question *splxmod_reader_take(struct splxmod_reader *r, bool own,
					     struct splxmod_taken *taken,
					     u64 *id_r)
{
	struct splxmod_question *q;
	int place = reader_reserve(r);

	if (place < 0)
		return NULL;
	for (;;) {
		/* openers wait, closings do not */
		q = reader_search(r, r->classes & ~SPLXMOD_CLOSE, own);
		if (!q)
			q = reader_search(r, r->classes & SPLXMOD_CLOSE, own);
		if (!q || splxmod_question_take(q, taken))
			break;
		splxmod_question_put(q);
	}
	if (!q) {
		reader_unreserve(r, place);
		return NULL;
	}
	kref_get(&q->ref);
	*id_r = reader_table(r, place, q);
	return q;
}

/* The reader's lock. */
static struct splxmod_held *reader_held(struct splxmod_reader *r, u64 id)
{
	u64 place = id & (BIT(ID_PLACE_BITS) - 1);

	if (place >= SPLXMOD_HELD || !r->table[place].q ||
	    r->table[place].id != id)
		return NULL;
	return &r->table[place];
}

struct splxmod_question *splxmod_reader_find(struct splxmod_reader *r, u64 id)
{
	struct splxmod_question *q = NULL;
	struct splxmod_held *held;

	spin_lock(&r->lock);
	held = reader_held(r, id);
	if (held) {
		q = held->q;
		kref_get(&q->ref);
	}
	spin_unlock(&r->lock);
	return q;
}

bool splxmod_reader_untable(struct splxmod_reader *r, u64 id, bool answered)
{
	struct splxmod_question *q = NULL;
	struct splxmod_held *held;

	spin_lock(&r->lock);
	held = reader_held(r, id);
	if (held) {
		q = held->q;
		held->q = NULL;
		r->spare[r->spares++] = held - r->table;
		WRITE_ONCE(r->held, r->held - 1);
		r->answered += answered;
		r->since = jiffies;
	}
	spin_unlock(&r->lock);
	if (q)
		splxmod_question_put(q);
	return q;
}

/* ---- idle or not ---- */

bool splxmod_reader_work(struct splxmod_reader *r)
{
	return READ_ONCE(r->spares) && queues_have(r->classes);
}

void splxmod_reader_sleeps(struct splxmod_reader *r, bool sleeps)
{
	spin_lock(&r->lock);
	if (sleeps)
		r->sleepers++;
	else
		r->sleepers--;
	if (r->sleepers)
		set_bit(r->slot, idle);
	else
		clear_bit(r->slot, idle);
	spin_unlock(&r->lock);
	if (sleeps)
		raw_cpu_write(slept_here, r->slot + 1);
}

void splxmod_reader_polls(struct splxmod_reader *r, bool idles)
{
	spin_lock(&r->lock);
	if (idles)
		set_bit(r->slot, idle);
	else if (!r->sleepers)
		clear_bit(r->slot, idle);
	spin_unlock(&r->lock);
	/* pairs with splxmod_reader_give() */
	smp_mb();
}

bool splxmod_reader_any_idle(void)
{
	return !bitmap_empty(idle, SPLXMOD_READERS);
}

unsigned long splxmod_reader_taken(void)
{
	return READ_ONCE(taken_last);
}

void splxmod_reader_note(struct splxmod_reader *r)
{
	struct pid *tgid = task_tgid(current), *old = NULL;

	if (READ_ONCE(r->tgid) == tgid)
		return;
	spin_lock(&r->lock);
	if (r->tgid != tgid) {
		old = r->tgid;
		WRITE_ONCE(r->tgid, get_pid(tgid));
	}
	spin_unlock(&r->lock);
	put_pid(old);
}

/* ---- comes and goes ---- */

static int reader_furnish(struct splxmod_reader *r)
{
	unsigned int place;

	r->table = kvcalloc(SPLXMOD_HELD, sizeof(*r->table), GFP_KERNEL);
	r->spare = kvcalloc(SPLXMOD_HELD, sizeof(*r->spare), GFP_KERNEL);
	if (!r->table || !r->spare) {
		kvfree(r->table);
		kvfree(r->spare);
		r->table = NULL;
		r->spare = NULL;
		return -ENOMEM;
	}
	for (place = 0; place < SPLXMOD_HELD; place++)
		r->spare[place] = SPLXMOD_HELD - 1 - place;
	r->spares = SPLXMOD_HELD;
	return 0;
}

static void reader_serve(struct splxmod_reader *r, bool serves)
{
	unsigned int k;

	for (k = 0; k < SPLXMOD_KINDS; k++) {
		if (!(r->classes & BIT(k)))
			continue;
		if (serves)
			atomic_inc(&serving[k]);
		else
			atomic_dec(&serving[k]);
	}
}

struct splxmod_reader *splxmod_queue_reader(u32 classes)
{
	struct splxmod_reader *r;
	unsigned int slot;
	int err;

	if (!classes || (classes & ~SPLXMOD_CLASSES))
		return ERR_PTR(-EINVAL);
	mutex_lock(&slots);
	err = -EUSERS;
	slot = find_first_zero_bit(used, SPLXMOD_READERS);
	if (slot == SPLXMOD_READERS)
		goto fail;
	r = &readers[slot];
	err = reader_furnish(r);
	if (err)
		goto fail;
	__set_bit(slot, used);

	spin_lock(&r->lock);
	WRITE_ONCE(r->classes, classes);
	r->answered = 0;
	r->since = jiffies;
	r->tgid = get_pid(task_tgid(current));
	r->live = true;
	spin_unlock(&r->lock);
	reader_serve(r, true);
	set_bit(slot, live);
	mutex_unlock(&slots);
	splxmod_breaker_sign();
	return r;
fail:
	mutex_unlock(&slots);
	return ERR_PTR(err);
}

/* To another reader; if there is none, the openers are to know. */
static void reader_hand_on(struct splxmod_question *q)
{
	splxmod_count(REQUEUED);
	splxmod_reader_give(q, false);
	wake_up_all(&q->wait);
}

void splxmod_queue_reader_free(struct splxmod_reader *r)
{
	struct splxmod_question *q;
	struct pid *tgid;
	int place;

	mutex_lock(&slots);
	clear_bit(r->slot, live);
	reader_serve(r, false);
	spin_lock(&r->lock);
	r->live = false;
	clear_bit(r->slot, idle);
	tgid = r->tgid;
	r->tgid = NULL;
	spin_unlock(&r->lock);
	put_pid(tgid);

	/* From here on nobody adds to its queue. Others may still steal. */
	while ((q = reader_pop(r, SPLXMOD_CLASSES))) {
		reader_hand_on(q);
		splxmod_question_put(q);
	}
	for (place = 0; place < SPLXMOD_HELD; place++) {
		q = r->table[place].q;
		if (!q)
			continue;
		if (splxmod_question_return(q, true))
			reader_hand_on(q);
		splxmod_question_put(q);
	}
	r->held = 0;
	r->spares = 0;
	kvfree(r->table);
	kvfree(r->spare);
	r->table = NULL;
	r->spare = NULL;
	__clear_bit(r->slot, used);
	mutex_unlock(&slots);
}

/* ---- to be seen ---- */

unsigned int splxmod_queue_readers(void)
{
	return bitmap_weight(live, SPLXMOD_READERS);
}

static void reader_show(struct seq_file *m, struct splxmod_reader *r)
{
	unsigned int k, queued = 0, held, ms;
	u64 answered;
	u32 classes;
	pid_t pid;
	bool busy;

	spin_lock(&r->lock);
	pid = pid_nr_ns(r->tgid, task_active_pid_ns(current));
	for (k = 0; k < SPLXMOD_KINDS; k++)
		queued += r->queued[k];
	classes = r->classes;
	held = r->held;
	answered = r->answered;
	ms = jiffies_to_msecs(jiffies - r->since);
	busy = !test_bit(r->slot, idle);
	spin_unlock(&r->lock);
	seq_printf(m, "%7d %1u %6u %5u %10llu %1u %10u\n", pid, classes, queued,
		   held, answered, busy, ms);
}

void splxmod_reader_show(struct seq_file *m)
{
	unsigned int slot;

	for_each_set_bit(slot, live, SPLXMOD_READERS)
		reader_show(m, &readers[slot]);
}
