/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLXMOD_QUEUE_H
#define SPLXMOD_QUEUE_H

#include <linux/poll.h>
#include <linux/seq_file.h>

#include "splxmod.h"

/*
 * Questions and their readers.
 *
 * A question is about one inode; openers of the same file share it. It waits
 * in one reader's queue (an idle reader's, the one on this CPU first), from
 * which any reader that has nothing to do takes it; once read it stands in
 * its reader's table, where its id leads straight to it. A reader that is
 * closed hands on what it held.
 *
 * No lock is global: a reader has one, and each bucket of the table of open
 * questions.
 */
struct splxmod_reader;

int splxmod_queue_init(void);
void splxmod_queue_exit(void);

/*
 * Asks about a file and waits for the verdict. `inode` holds the data. 0 or
 * -EPERM; every way out is counted. A caller that is killed gets -EINTR, which
 * nobody sees any more.
 */
int splxmod_queue_ask(struct file *file, struct inode *inode, u32 kind);
/* Has a written file examined; nobody waits. Atomic: takes references. */
void splxmod_queue_close(struct file *file, struct inode *inode);

/* From now on (true) questions are taken, or (false) all who wait are let go
 * by policy and nobody new waits. */
void splxmod_queue_accept(bool accept);

/* A reader for these kinds; ERR_PTR(-ENOMEM), ERR_PTR(-EUSERS). */
struct splxmod_reader *splxmod_queue_reader(u32 classes);
/* Hands on what it held; the last who could read is gone. */
void splxmod_queue_reader_free(struct splxmod_reader *reader);
/* As read(2) and write(2) of the device. */
ssize_t splxmod_queue_read(struct splxmod_reader *reader, char __user *buf,
			   size_t len, bool nonblock);
ssize_t splxmod_queue_write(struct splxmod_reader *reader,
			    const char __user *buf, size_t len);
__poll_t splxmod_queue_poll(struct splxmod_reader *reader, struct file *file,
			    poll_table *wait);

/* A descriptor of the device is being closed. If it is the last one nobody will
 * come for what nobody waits for: that lets go of its mounts in a moment. */
void splxmod_queue_left(void);

/* For status and /proc/splx/queue. */
unsigned int splxmod_queue_readers(void);
unsigned int splxmod_queue_pending(void);
unsigned int splxmod_queue_closes(void);
bool splxmod_queue_breaker(void);
/*
 * One line a reader: "pid kinds queued held answered idle-or-busy age_ms"
 * after one line "pending limit asked answered allowed-by-policy
 * denied-by-policy full" for the whole, as /proc/net/netfilter/
 * nfnetlink_queue has them: numbers, right-aligned.
 */
void splxmod_queue_show(struct seq_file *m);

#endif
