/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_READER_H
#define SPLXMOD_READER_H

#include <linux/pid.h>
#include <linux/spinlock.h>

#include "question.h"
#include "queue.h"

/* How many can be; and how many questions one can hold without a verdict. */
#define SPLXMOD_READERS 64
#define SPLXMOD_HELD 1024

/* A kind's bit is its index: open, exec, close. */
#define SPLXMOD_KINDS 3

struct splxmod_held {
	struct splxmod_question *q; /* NULL: free */
	u64 id;
};

/*
 * A slot that a reader uses; slots are never freed, so that a pointer to one
 * always leads to a lock.
 */
struct splxmod_reader {
	spinlock_t lock;
	unsigned int slot;
	bool live;
	u32 classes;
	unsigned int queued[SPLXMOD_KINDS]; /* read without the lock too */
	struct list_head queue[SPLXMOD_KINDS];
	unsigned int held;	    /* likewise */
	struct splxmod_held *table; /* [SPLXMOD_HELD] */
	u16 *spare;		    /* free places of it: a stack */
	unsigned int spares;
	u64 sequence;
	u64 answered;
	unsigned int sleepers; /* threads in read(2) */
	unsigned long since;   /* jiffies: took or answered last */
	struct pid *tgid;      /* who read last */
	wait_queue_head_t wait;
} ____cacheline_aligned_in_smp;

/* ---- reader.c ---- */

void splxmod_reader_init(void);
/* Is there one for this kind? */
bool splxmod_reader_serves(u32 kind);
/*
 * Puts a question into the queue of the reader that will come to it first; if
 * there is none, into a queue from which the next one that comes takes it. The
 * caller has a reference of his own. `sync`: he goes to sleep at once.
 */
void splxmod_reader_give(struct splxmod_question *q, bool sync);
/* Takes it out of the queue it is in, if it is. */
void splxmod_reader_unqueue(struct splxmod_question *q);
/* Wakes one that has nothing to do, though another should have come. */
void splxmod_reader_kick(u32 kind);
/* jiffies when a question was taken last. */
unsigned long splxmod_reader_taken(void);

/*
 * Takes a question for this reader (with `own`, only from its own queue) and
 * enters it into its table; the reference is the table's, and one the
 * caller's. NULL: there is none, or no room.
 */
struct splxmod_question *splxmod_reader_take(struct splxmod_reader *r, bool own,
					     struct splxmod_taken *taken,
					     u64 *id_r);
/* Takes it out of the table again, and the table's reference with it; false:
 * it is not there any more. */
bool splxmod_reader_untable(struct splxmod_reader *r, u64 id, bool answered);
/* With a reference; NULL: no such. */
struct splxmod_question *splxmod_reader_find(struct splxmod_reader *r, u64 id);
/* Could splxmod_reader_take() succeed? */
bool splxmod_reader_work(struct splxmod_reader *r);
/* A thread of it goes to sleep in read(2), or has woken up. */
void splxmod_reader_sleeps(struct splxmod_reader *r, bool sleeps);
/* It asks whether there is anything, and waits elsewhere; or is busy. */
void splxmod_reader_polls(struct splxmod_reader *r, bool idles);
/* Has any reader nothing to do? */
bool splxmod_reader_any_idle(void);
/* Who reads now. */
void splxmod_reader_note(struct splxmod_reader *r);
void splxmod_reader_show(struct seq_file *m);

#endif
