// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "exempt.h"
#include "queue.h"
#include "reader.h"

/* NOATIME: a scan is not a use. NONBLOCK: a lease must not make us wait for
 * its holder. */
#define OPEN_FLAGS                                                             \
	(O_RDONLY | O_LARGEFILE | O_NOATIME | O_NONBLOCK | COMPAT_O_NONOTIFY)

/* ---- read ---- */

static void event_fill(struct splxmod_event *ev,
		       const struct splxmod_question *q,
		       const struct splxmod_taken *taken, u64 id)
{
	u64 us = div_u64(ktime_get_ns() - q->asked, NSEC_PER_USEC);

	memset(ev, 0, sizeof(*ev));
	ev->len = sizeof(*ev);
	ev->abi = SPLXMOD_ABI;
	ev->kind = q->kind;
	ev->id = id;
	ev->flags = taken->late ? SPLXMOD_EV_LATE : 0;
	ev->pid = pid_nr_ns(q->tgid, task_active_pid_ns(current));
	ev->uid = from_kuid_munged(current_user_ns(), q->uid);
	ev->dev = splxmod_dev_out(taken->key.dev);
	ev->ino = taken->key.ino;
	ev->size = taken->key.size;
	ev->ctime_sec = taken->key.ctime_sec;
	ev->ctime_nsec = taken->key.ctime_nsec;
	ev->waited_us = min_t(u64, us, U32_MAX);
	ev->open_flags = q->open_flags;
	ev->deaths = taken->deaths;
	memcpy(ev->comm, q->comm, sizeof(ev->comm));
}

/* A number and a file that become one by fd_install(); or -errno. */
static int event_open(const struct path *path, struct file **file_r)
{
	struct file *file;
	int fd = get_unused_fd_flags(O_CLOEXEC);

	*file_r = NULL;
	if (fd < 0)
		return fd;
	file = dentry_open(path, OPEN_FLAGS, current_cred());
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	*file_r = file;
	return fd;
}

/* The record is out before the file is in: what could not be told about is
 * not open. */
static int event_deliver(const struct splxmod_question *q,
			 const struct splxmod_taken *taken, u64 id,
			 char __user *buf)
{
	struct splxmod_event ev;
	struct file *file;

	event_fill(&ev, q, taken, id);
	ev.fd = event_open(&taken->path, &file);
	if (copy_to_user(buf, &ev, sizeof(ev))) {
		if (file) {
			put_unused_fd(ev.fd);
			fput(file);
		}
		return -EFAULT;
	}
	if (file)
		fd_install(ev.fd, file);
	else
		splxmod_count(NO_FILE);
	return 0;
}

/* 1: an event was given; 0: there is none; -EFAULT. */
static int reader_next(struct splxmod_reader *r, bool own, char __user *buf)
{
	struct splxmod_question *q;
	struct splxmod_taken taken;
	u64 id;
	int err;

	q = splxmod_reader_take(r, own, &taken, &id);
	if (!q)
		return 0;
	err = event_deliver(q, &taken, id, buf);
	path_put(&taken.path);
	if (err && splxmod_reader_untable(r, id, false) &&
	    splxmod_question_return(q, false))
		splxmod_reader_give(q, false);
	splxmod_question_put(q);
	return err ? err : 1;
}

static int reader_sleep(struct splxmod_reader *r)
{
	int err;

	splxmod_reader_sleeps(r, true);
	err = wait_event_interruptible_exclusive(r->wait,
						 splxmod_reader_work(r));
	splxmod_reader_sleeps(r, false);
	return err;
}

ssize_t splxmod_queue_read(struct splxmod_reader *r, char __user *buf,
			   size_t len, bool nonblock)
{
	size_t done = 0;
	int given;

	if (len < sizeof(struct splxmod_event))
		return -EINVAL;
	/* What it opens to answer must not ask. */
	if (!splxmod_exempt_current()) {
		given = splxmod_exempt_add(0);
		if (given)
			return given;
	}
	splxmod_reader_note(r);
	splxmod_reader_polls(r, false);
	while (len - done >= sizeof(struct splxmod_event)) {
		/* More than one only while nobody else could have it. */
		if (done &&
		    (splxmod_reader_any_idle() || signal_pending(current)))
			break;
		given = reader_next(r, done, buf + done);
		if (given < 0)
			return done ? (ssize_t)done : given;
		if (given) {
			done += sizeof(struct splxmod_event);
			continue;
		}
		if (done)
			break;
		if (nonblock)
			return -EAGAIN;
		given = reader_sleep(r);
		if (given)
			return given;
	}
	return done;
}

__poll_t splxmod_queue_poll(struct splxmod_reader *r, struct file *file,
			    poll_table *wait)
{
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &r->wait, wait);
	splxmod_reader_polls(r, true);
	if (splxmod_reader_work(r)) {
		splxmod_reader_polls(r, false);
		mask |= EPOLLIN | EPOLLRDNORM;
	}
	return mask;
}

/* ---- write ---- */

/* 0, or why not; nothing is taken when `peek` and an error. */
static int verdict_take(struct splxmod_reader *r,
			const struct splxmod_verdict *v, bool peek)
{
	struct splxmod_question *q;
	int err;

	if (v->verdict > SPLXMOD_DENY || v->flags > SPLXMOD_ONE ||
	    (v->verdict == SPLXMOD_DENY && v->flags))
		return -EINVAL;
	q = splxmod_reader_find(r, v->id);
	if (!q)
		return -ENOENT;
	err = splxmod_question_answer(q, v, peek);
	if (!err || err == -ESTALE)
		splxmod_reader_untable(r, v->id, true);
	splxmod_question_put(q);
	return err;
}

ssize_t splxmod_queue_write(struct splxmod_reader *r, const char __user *buf,
			    size_t len)
{
	struct splxmod_verdict v;
	size_t done = 0;
	int err;

	if (len < sizeof(v))
		return -EINVAL;
	for (; len - done >= sizeof(v); done += sizeof(v)) {
		err = -EFAULT;
		if (!copy_from_user(&v, buf + done, sizeof(v)))
			err = verdict_take(r, &v, done);
		if (err)
			return done ? (ssize_t)done : err;
		cond_resched();
	}
	return done;
}
