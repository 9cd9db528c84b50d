/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "passwords.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "childjob.h"
#include "lib/alloc.h"
#include "lib/vec.h"

#define TIME_MS 30000
#define NICE 10

struct job {
	struct passwords *owner;
	struct passwords_work work;
	passwords_fn fn;
	void *arg;
	struct childjob *child; /* NULL while it waits */
};

struct passwords {
	struct loop *loop;
	struct loop_event *turn;
	struct {
		VEC(struct job *);
	} jobs; /* in the order in which they came */
	int running;
};

static void turn_come(void *arg);

static void work_free(struct passwords_work *work)
{
	for (int i = 0; i < PASSWORDS_CHECKS; i++) {
		secret_free(&work->check[i].password);
		secret_free(&work->check[i].kept);
	}
	secret_free(&work->make);
}

static void job_free(struct job *job)
{
	childjob_cancel(&job->child);
	work_free(&job->work);
	free(job);
}

struct passwords *passwords_new(struct loop *loop)
{
	struct passwords *p = xcalloc(1, sizeof(*p));

	p->loop = loop;
	return p;
}

void passwords_free(struct passwords **p)
{
	struct job **job;

	if (!*p)
		return;
	vec_each (job, &(*p)->jobs)
		job_free(*job);
	vec_free(&(*p)->jobs);
	loop_cancel(&(*p)->turn);
	xfree(p);
}

/* In the child. */
static void run(void *arg, void *result)
{
	struct passwords_work *work = &((struct job *)arg)->work;
	struct passwords_result *r = result;

	setpriority(PRIO_PROCESS, 0, NICE);
	for (int i = 0; i < work->checks; i++)
		r->right[i] = secret_check(work->check[i].password,
					   work->check[i].kept);
	if (work->make && secret_make(work->make, r->made, NULL) < 0)
		r->made[0] = '\0';
}

static void job_end(struct job *job, const struct passwords_result *result)
{
	struct passwords *p = job->owner;
	size_t i = 0;

	while (p->jobs.items[i] != job)
		i++;
	vec_remove(&p->jobs, i);
	if (job->work.make && result && !result->made[0])
		result = NULL;
	if (!p->turn)
		p->turn = loop_timer(p->loop, 0, false, turn_come, p);
	job->fn(result, job->arg);
	job_free(job);
}

static void done(void *arg, const void *result)
{
	struct job *job = arg;

	job->child = NULL; /* it is gone when this returns */
	job->owner->running--;
	job_end(job, result);
}

static void start(struct passwords *p, struct job *job)
{
	struct childjob_work work = {
		.run = run,
		.done = done,
		.arg = job,
		.result_size = sizeof(struct passwords_result),
		.timeout_ms = TIME_MS,
	};

	job->child = childjob_start(p->loop, &work, NULL);
	if (job->child)
		p->running++;
	else
		job_end(job, NULL);
}

static struct job *next_waiting(struct passwords *p)
{
	struct job **job;

	vec_each (job, &p->jobs)
		if (!(*job)->child)
			return *job;
	return NULL;
}

static void turn_come(void *arg)
{
	struct passwords *p = arg;
	struct job *job;

	loop_cancel(&p->turn);
	/* Each anew from the first: one may have ended at once. */
	while (p->running < PASSWORDS_AT_ONCE && (job = next_waiting(p)))
		start(p, job);
}

int passwords_begin(struct passwords *p, const struct passwords_work *work,
		    passwords_fn fn, void *arg, struct err *err)
{
	struct passwords_work mine = *work;
	struct job *job;

	if (p->jobs.len >= PASSWORDS_AT_ONCE + PASSWORDS_WAITING) {
		work_free(&mine);
		return err_set(err, 0, "too many passwords are being tried");
	}
	job = xcalloc(1, sizeof(*job));
	job->owner = p;
	job->work = mine;
	job->fn = fn;
	job->arg = arg;
	vec_push(&p->jobs, job);
	/* With the loop's next turn: fn is not called in here. */
	if (!p->turn)
		p->turn = loop_timer(p->loop, 0, false, turn_come, p);
	return 0;
}
