// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "breaker.h"
#include "question.h"
#include "queue.h"
#include "reader.h"

/* So many readers may end on one question. */
#define DEATHS_MAX 3
/* Without anybody who takes anything so long, questions that nobody waits for
 * let go of their mounts. */
#define KEEP (30 * HZ)
/* The same after the last descriptor was closed: until it is counted out. */
#define LEFT (HZ / 10 ?: 1)

#define BUCKET_BITS 10
struct bucket {
	spinlock_t lock;
	struct hlist_head questions;
};
static struct bucket buckets[1 << BUCKET_BITS];
static struct kmem_cache *questions;
static bool accepting; /* looked at with a bucket's lock */

/* Each open question is counted in one of these, as long as it is. */
static atomic_t pending = ATOMIC_INIT(0); /* somebody waits */
static atomic_t late = ATOMIC_INIT(0);	  /* nobody does any more */
static atomic_t closes = ATOMIC_INIT(0);  /* SPLXMOD_CLOSE, not taken */

static void question_tidy(struct work_struct *work);
static DECLARE_DELAYED_WORK(tidy, question_tidy);

static struct bucket *bucket_of(const struct inode *inode)
{
	return &buckets[hash_ptr(inode, BUCKET_BITS)];
}

static void question_recount(struct splxmod_question *q, atomic_t *to)
{
	if (q->counted)
		atomic_dec(q->counted);
	q->counted = to;
	if (to)
		atomic_inc(to);
}

/* ---- begin ---- */

static struct splxmod_question *question_new(const struct file *file,
					     struct inode *inode, u32 kind,
					     gfp_t gfp)
{
	struct splxmod_question *q = kmem_cache_zalloc(questions, gfp);

	if (!q)
		return NULL;
	kref_init(&q->ref);
	init_waitqueue_head(&q->wait);
	INIT_HLIST_NODE(&q->hash);
	INIT_LIST_HEAD(&q->queue);
	INIT_LIST_HEAD(&q->doomed);
	q->inode = inode;
	q->path = file->f_path;
	q->kind = kind;
	q->open_flags = file->f_flags;
	q->asked = ktime_get_ns();
	q->tgid = get_pid(task_tgid(current));
	q->uid = current_uid();
	strscpy(q->comm, current->comm, sizeof(q->comm));
	return q;
}

static void question_free(struct kref *ref)
{
	struct splxmod_question *q =
		container_of(ref, struct splxmod_question, ref);

	put_pid(q->tgid);
	kmem_cache_free(questions, q);
}

void splxmod_question_put(struct splxmod_question *q)
{
	kref_put(&q->ref, question_free);
}

/* Bucket's lock. From here on it pins its file. */
static void question_enter(struct bucket *bucket, struct splxmod_question *q,
			   atomic_t *number)
{
	ihold(q->inode);
	path_get(&q->path);
	hlist_add_head(&q->hash, &bucket->questions);
	question_recount(q, number);
}

/* Bucket's lock. What the mark of a taken one cannot vouch for is not worth
 * waiting for: who comes later would have to ask again anyway. */
static struct splxmod_question *bucket_find(struct bucket *bucket,
					    const struct inode *inode, u32 kind)
{
	struct splxmod_question *q;

	hlist_for_each_entry(q, &bucket->questions, hash)
		if (q->inode == inode && q->kind == kind &&
		    (!q->taken || q->mark.usable))
			return q;
	return NULL;
}

/* Bucket's lock. */
static struct splxmod_question *bucket_join(struct bucket *bucket,
					    const struct inode *inode, u32 kind,
					    bool *late_r)
{
	struct splxmod_question *q = bucket_find(bucket, inode, kind);

	if (!q)
		return NULL;
	kref_get(&q->ref);
	if (!q->waiters++)
		question_recount(q, &pending);
	*late_r = q->taken;
	return q;
}

struct splxmod_question *splxmod_question_join(struct inode *inode, u32 kind,
					       bool *late_r)
{
	struct bucket *bucket = bucket_of(inode);
	struct splxmod_question *q;

	spin_lock(&bucket->lock);
	q = bucket_join(bucket, inode, kind, late_r);
	spin_unlock(&bucket->lock);
	return q;
}

struct splxmod_question *splxmod_question_open(struct file *file,
					       struct inode *inode, u32 kind,
					       u32 max, bool alone,
					       bool *opened_r, bool *late_r)
{
	struct bucket *bucket = bucket_of(inode);
	struct splxmod_question *q, *other = NULL;
	int err = 0;

	*opened_r = false;
	*late_r = false;
	if (atomic_read(&pending) >= (int)max)
		return ERR_PTR(-ENOSPC);
	q = question_new(file, inode, kind, GFP_KERNEL | __GFP_NOWARN);
	if (!q)
		return ERR_PTR(-ENOMEM);

	spin_lock(&bucket->lock);
	if (!accepting)
		err = -ESHUTDOWN;
	else if (!alone)
		other = bucket_join(bucket, inode, kind, late_r);
	if (!err && !other) {
		q->waiters = 1;
		question_enter(bucket, q, &pending);
		*opened_r = true;
	}
	spin_unlock(&bucket->lock);

	if (*opened_r)
		return q;
	splxmod_question_put(q);
	return err ? ERR_PTR(err) : other;
}

struct splxmod_question *splxmod_question_closing(struct file *file,
						  struct inode *inode, u32 max)
{
	struct bucket *bucket = bucket_of(inode);
	struct splxmod_question *q = NULL;
	bool merged, entered = false;

	if (!READ_ONCE(accepting))
		return NULL;
	splxmod_count(CLOSES);
	spin_lock(&bucket->lock);
	merged = bucket_find(bucket, inode, SPLXMOD_CLOSE);
	spin_unlock(&bucket->lock);
	if (!merged && atomic_read(&closes) < (int)max)
		q = question_new(file, inode, SPLXMOD_CLOSE,
				 GFP_ATOMIC | __GFP_NOWARN);
	if (q) {
		spin_lock(&bucket->lock);
		merged = bucket_find(bucket, inode, SPLXMOD_CLOSE);
		if (!merged && accepting) {
			question_enter(bucket, q, &closes);
			entered = true;
		}
		spin_unlock(&bucket->lock);
	}
	if (entered) {
		schedule_delayed_work(&tidy, KEEP);
		return q;
	}
	if (q)
		splxmod_question_put(q);
	if (merged)
		splxmod_count(CLOSES_MERGED);
	else
		splxmod_count(CLOSES_LOST);
	return NULL;
}

/* ---- end ---- */

/* Bucket's lock. Nobody finds it any more; whoever called this must call
 * question_retire() after the lock. */
static void question_end(struct splxmod_question *q)
{
	WRITE_ONCE(q->ended, true);
	hlist_del_init(&q->hash);
	question_recount(q, NULL);
}

/* Lets go of the file, then of the openers: when they run it is not pinned by
 * the question any more. May sleep. The caller has a reference. */
static void question_retire(struct splxmod_question *q, enum splxmod_way way)
{
	/* `ended` before `home`; pairs with splxmod_reader_give() */
	smp_mb();
	splxmod_reader_unqueue(q);
	iput(q->inode);
	path_put(&q->path);
	q->way = way;
	/* `way` before `done`; pairs with queue.c */
	smp_store_release(&q->done, true);
	wake_up_all(&q->wait);
}

/* Bucket's lock. One file that takes long is one timeout, whoever waited; one
 * that nobody took while an opener waited from begin to end is one more. */
static bool question_times_out(struct splxmod_question *q, unsigned long since)
{
	if (q->timed_out && (q->taken || time_before(since, q->timed_out_at)))
		return false;
	q->timed_out = true;
	q->timed_out_at = jiffies;
	return true;
}

bool splxmod_question_leave(struct splxmod_question *q, enum splxmod_way way,
			    unsigned long since, u32 max_late)
{
	struct bucket *bucket = bucket_of(q->inode);
	bool counts = false, retire = false, lives_on = false;

	spin_lock(&bucket->lock);
	if (way == SPLXMOD_WAY_TIMEOUT && !q->ended)
		counts = question_times_out(q, since);
	if (!--q->waiters && !q->ended) {
		lives_on = q->timed_out && accepting &&
			   way != SPLXMOD_WAY_NO_READER &&
			   atomic_read(&late) < (int)max_late;
		if (lives_on) {
			question_recount(q, &late);
		} else {
			question_end(q);
			retire = true;
		}
	}
	spin_unlock(&bucket->lock);

	if (lives_on)
		schedule_delayed_work(&tidy, KEEP);
	if (retire)
		question_retire(q, way);
	splxmod_question_put(q);
	return counts;
}

/* Ends all that `doomed` says, with the lock of their bucket. */
static void question_sweep(bool (*doomed)(const struct splxmod_question *q))
{
	struct splxmod_question *q, *next;
	struct hlist_node *n;
	LIST_HEAD(list);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++) {
		spin_lock(&buckets[i].lock);
		hlist_for_each_entry_safe(q, n, &buckets[i].questions, hash) {
			if (!doomed(q))
				continue;
			kref_get(&q->ref);
			if (q->kind == SPLXMOD_CLOSE)
				splxmod_count(CLOSES_LOST);
			else if (!q->waiters)
				splxmod_count(LATE_LOST);
			question_end(q);
			list_add_tail(&q->doomed, &list);
		}
		spin_unlock(&buckets[i].lock);
		cond_resched();
	}
	list_for_each_entry_safe(q, next, &list, doomed) {
		list_del_init(&q->doomed);
		question_retire(q, SPLXMOD_WAY_RELEASED);
		splxmod_question_put(q);
	}
}

static bool question_any(const struct splxmod_question *q)
{
	return true;
}

static bool question_unwanted(const struct splxmod_question *q)
{
	return !q->taken && !q->waiters;
}

static bool question_forsaken(const struct splxmod_question *q)
{
	return question_unwanted(q) &&
	       ktime_get_ns() - q->asked > jiffies_to_nsecs(KEEP);
}

static void question_tidy(struct work_struct *work)
{
	if (!atomic_read(&splxmod_attended))
		question_sweep(question_unwanted);
	else if (time_after(jiffies, splxmod_reader_taken() + KEEP))
		question_sweep(question_forsaken);
	if (atomic_read(&late) || atomic_read(&closes))
		schedule_delayed_work(&tidy, KEEP);
}

void splxmod_question_left(void)
{
	if (!atomic_read(&late) && !atomic_read(&closes))
		return;
	cancel_delayed_work(&tidy);
	schedule_delayed_work(&tidy, LEFT);
}

void splxmod_question_accept(bool accept)
{
	WRITE_ONCE(accepting, accept);
	/* Who looked at it before has its bucket's lock, and comes before the
	 * sweep in that bucket. */
	if (!accept)
		question_sweep(question_any);
}

/* ---- readers ---- */

bool splxmod_question_take(struct splxmod_question *q,
			   struct splxmod_taken *taken)
{
	struct bucket *bucket = bucket_of(q->inode);
	bool open;

	spin_lock(&bucket->lock);
	open = !q->ended;
	if (open) {
		q->taken = true;
		splxmod_cache_mark(&q->mark, q->inode);
		taken->path = q->path;
		path_get(&taken->path);
		taken->key = q->mark.key;
		taken->deaths = q->deaths;
		taken->late = !q->waiters && q->kind != SPLXMOD_CLOSE;
		if (q->kind == SPLXMOD_CLOSE) {
			hlist_del_init(&q->hash);
			question_recount(q, NULL);
		}
	}
	spin_unlock(&bucket->lock);
	return open;
}

bool splxmod_question_return(struct splxmod_question *q, bool died)
{
	struct bucket *bucket = bucket_of(q->inode);
	enum splxmod_way way = SPLXMOD_WAY_NONE;
	bool open;

	spin_lock(&bucket->lock);
	open = !q->ended;
	if (open) {
		q->deaths += died;
		if (q->deaths >= DEATHS_MAX)
			way = SPLXMOD_WAY_GAVE_UP;
		else if (!accepting)
			way = SPLXMOD_WAY_RELEASED;
		if (way)
			question_end(q);
	}
	if (open && !way) {
		q->taken = false;
		if (q->kind == SPLXMOD_CLOSE) {
			hlist_add_head(&q->hash, &bucket->questions);
			question_recount(q, &closes);
		}
	}
	spin_unlock(&bucket->lock);

	if (way) {
		if (q->kind == SPLXMOD_CLOSE)
			splxmod_count(CLOSES_LOST);
		question_retire(q, way);
	}
	return open && !way;
}

static enum splxmod_way question_way(const struct splxmod_verdict *v)
{
	if (v->verdict == SPLXMOD_DENY)
		return SPLXMOD_WAY_DENY;
	return v->flags == SPLXMOD_ONE ? SPLXMOD_WAY_ONE : SPLXMOD_WAY_ALLOW;
}

/* It has been ended, and not yet retired: the inode is still ours. */
static void question_remember(struct splxmod_question *q,
			      const struct splxmod_verdict *v)
{
	const struct splxmod_conf *conf;
	bool holds;

	if (!(v->flags & SPLXMOD_REMEMBER))
		return;
	rcu_read_lock();
	conf = splxmod_conf_get();
	holds = (conf->c.flags & SPLXMOD_CACHE) && conf->c.epoch == v->epoch;
	rcu_read_unlock();
	if (holds)
		splxmod_cache_put(&q->mark, q->inode, v->epoch);
	else
		splxmod_count(NOT_REMEMBERED);
}

int splxmod_question_answer(struct splxmod_question *q,
			    const struct splxmod_verdict *v, bool peek)
{
	struct bucket *bucket = bucket_of(q->inode);
	bool stale, ends = false;
	int err = 0;

	spin_lock(&bucket->lock);
	stale = q->ended || (!q->waiters && q->kind != SPLXMOD_CLOSE);
	if (q->answered) {
		err = -ENOENT;
	} else if (stale && peek) {
		err = -EAGAIN;
	} else {
		q->answered = true;
		ends = !q->ended;
		if (ends)
			question_end(q);
	}
	spin_unlock(&bucket->lock);
	if (err)
		return err;

	if (ends) {
		question_remember(q, v);
		question_retire(q, question_way(v));
	}
	if (!stale) {
		splxmod_breaker_verdict();
		return 0;
	}
	splxmod_count(LATE);
	splxmod_breaker_sign();
	return -ESTALE;
}

/* ---- the whole ---- */

unsigned int splxmod_queue_pending(void)
{
	return atomic_read(&pending);
}

unsigned int splxmod_queue_closes(void)
{
	return atomic_read(&closes);
}

int splxmod_question_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++) {
		spin_lock_init(&buckets[i].lock);
		INIT_HLIST_HEAD(&buckets[i].questions);
	}
	questions = KMEM_CACHE(splxmod_question, 0);
	return questions ? 0 : -ENOMEM;
}

void splxmod_question_exit(void)
{
	splxmod_question_accept(false);
	cancel_delayed_work_sync(&tidy);
	kmem_cache_destroy(questions);
}
