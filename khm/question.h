/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_QUESTION_H
#define SPLXMOD_QUESTION_H

#include <linux/cred.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/wait.h>

#include "cache.h"

/*
 * One question about one inode, as queue.c, reader.c and reader_io.c share it.
 *
 * It is *open* from its asking until its end (a verdict, or a way out that
 * holds for all its openers). While it is open it can be found by its inode
 * and holds a reference to the file's path, which pins the mount; who ends it
 * drops that at once, whoever may still hold the question itself. (A closing,
 * SPLXMOD_CLOSE, cannot be found any more once a reader took it.)
 *
 * Beside that it is in one of three places: in a reader's queue (`home`, by
 * that reader's lock), in a reader's table of what it holds, or in the hands
 * of a function on its way from one to the other. Each place and each waiting
 * opener holds a reference.
 *
 * Locks: the bucket's (everything below "bucket's lock") and a reader's are
 * never held together.
 */

/* How an opener leaves; none is zero, so that a forgotten one is noticed. */
enum splxmod_way {
	SPLXMOD_WAY_NONE,
	SPLXMOD_WAY_ALLOW, /* by verdict */
	SPLXMOD_WAY_ONE,   /* likewise, but only who opened the question */
	SPLXMOD_WAY_DENY,
	SPLXMOD_WAY_AGAIN, /* the verdict is not about what he opens */
	SPLXMOD_WAY_KILLED,
	SPLXMOD_WAY_TIMEOUT,
	SPLXMOD_WAY_BREAKER,
	SPLXMOD_WAY_FULL,
	SPLXMOD_WAY_NO_READER,
	SPLXMOD_WAY_GAVE_UP,
	SPLXMOD_WAY_RELEASED,
};

struct splxmod_reader;

struct splxmod_question {
	struct kref ref;
	wait_queue_head_t wait;

	/* as it was asked */
	struct inode *inode; /* a reference while open */
	struct path path;    /* likewise */
	u32 kind;
	u32 open_flags;
	u64 asked; /* ktime_get_ns() */
	struct pid *tgid;
	kuid_t uid;
	char comm[16];

	/* bucket's lock */
	struct hlist_node hash;
	atomic_t *counted; /* in which number it is counted now */
	unsigned int waiters;
	unsigned int deaths;
	bool taken;		    /* by a reader; then the mark is valid */
	bool timed_out;		    /* for one of its openers, at least */
	unsigned long timed_out_at; /* in jiffies, when that last counted */
	bool answered;		    /* a verdict was written: one */
	bool ended;		    /* read without the lock too */
	struct splxmod_cache_mark mark;

	/* home's lock; home is read without it too */
	struct splxmod_reader *home;
	struct list_head queue;

	/* while it is ended, by who ended it */
	struct list_head doomed;
	enum splxmod_way way;
	bool done; /* set last: way is valid */
};

/* What a reader needs of a question that he takes. */
struct splxmod_taken {
	struct path path; /* a reference of his own */
	struct splxmod_key key;
	unsigned int deaths;
	bool late;
};

/* ---- question.c ---- */

int splxmod_question_init(void);
void splxmod_question_exit(void);

/* From now on new ones are taken, or all that are open end as RELEASED. */
void splxmod_question_accept(bool accept);

/* A descriptor is being closed; it may be the last. */
void splxmod_question_left(void);

/*
 * Joins the open question about this inode that can answer for who comes now;
 * NULL: there is none. *late_r: it had been taken before.
 */
struct splxmod_question *splxmod_question_join(struct inode *inode, u32 kind,
					       bool *late_r);
/*
 * Opens one (with `alone`, though others are open), or joins like above one
 * that came meanwhile (*opened_r false). A new one must be given to a reader
 * by the caller. ERR_PTR(-ENOSPC) when there are `max`, -ENOMEM, -ESHUTDOWN
 * when none is accepted.
 */
struct splxmod_question *splxmod_question_open(struct file *file,
					       struct inode *inode, u32 kind,
					       u32 max, bool alone,
					       bool *opened_r, bool *late_r);
/*
 * An opener who waited since then (jiffies) leaves, and his reference is put.
 * True: it is a timeout that speaks against the readers. At most max_late
 * questions live on without openers.
 */
bool splxmod_question_leave(struct splxmod_question *q, enum splxmod_way way,
			    unsigned long since, u32 max_late);
/* A closing, atomic; NULL: another one stands for it, or there is no room.
 * Else to be given to a reader, and put. */
struct splxmod_question *splxmod_question_closing(struct file *file,
						  struct inode *inode, u32 max);
void splxmod_question_put(struct splxmod_question *q);

/* A reader takes it out of a queue; false: it has ended. */
bool splxmod_question_take(struct splxmod_question *q,
			   struct splxmod_taken *taken);
/* He gives it back without a verdict; `died`: and may be the reason. False:
 * it has ended, or does so now. */
bool splxmod_question_return(struct splxmod_question *q, bool died);
/*
 * 0, or -ENOENT: answered already; -ESTALE: nobody waits for it. `peek`: if it
 * is stale, leave it and tell -EAGAIN.
 */
int splxmod_question_answer(struct splxmod_question *q,
			    const struct splxmod_verdict *v, bool peek);
/* Is it over? A verdict would come to nothing. */
static inline bool splxmod_question_ended(const struct splxmod_question *q)
{
	return READ_ONCE(q->ended);
}

#endif
