/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scanjob.h"
#include "common/unixsock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/vec.h"

#define JOBS_MAX 64
/* Who may not scan has no part in that number, and not more than this. */
#define REFUSED_MAX 16
/* A refused client reads why before its connection is closed. */
#define REFUSED_MS 1000

/* What who may scan may say that his scan is; by the others who uses an
 * infected file is ended, which is root's to have done. */
#define SOURCES_OPERATOR (1ull << SOURCE_MANUAL | 1ull << SOURCE_SCHEDULED)
#define SOURCES_ROOT                                                           \
	(SOURCES_OPERATOR | 1ull << SOURCE_IN_USE | 1ull << SOURCE_REFRESH)

struct job {
	uint64_t id;
	uint64_t sources;    /* that it may name, a bit each */
	enum slot_role role; /* whose it is: BACK or LOW */
	int fd;
	uint64_t close_ns; /* refused: when to close it; 0: a real one */
	uint64_t unsent;   /* bit a slot: workers that had no room for it */
};

/* Where clients connect, and whose work they bring. */
struct door {
	struct jobs *jobs;
	enum slot_role role;
	int listener;
	struct loop_event *incoming;
};
#define DOORS 2

struct jobs {
	struct door doors[DOORS];
	struct slots *slots;
	uint64_t last_id;
	struct jobs_users users;
	struct {
		VEC(struct job);
	} open;
	struct log_limit refuse_limit;
};

_Static_assert(SCOREBOARD_SLOTS <= 64, "job.unsent holds a bit a slot");

/* The sources that a user may name; 0: who may not scan at all. */
static uint64_t sources_of(const struct jobs *jobs, uid_t uid)
{
	size_t i;

	if (uid == 0)
		return SOURCES_ROOT;
	for (i = 0; i < jobs->users.n; i++)
		if (jobs->users.uids[i] == uid)
			return SOURCES_OPERATOR;
	return 0;
}

static size_t count_refused(const struct jobs *jobs)
{
	const struct job *job;
	size_t n = 0;

	vec_each (job, &jobs->open)
		n += job->close_ns != 0;
	return n;
}

/* Takes the descriptor over. */
static void refuse(struct jobs *jobs, int fd, const char *why)
{
	struct scanjob_reply reply = {
		.version = SCANJOB_VERSION,
		.kind = SCANJOB_HELLO,
		.verdict = VERDICT_ERROR,
	};
	struct job job = {
		.fd = fd,
		.close_ns = clock_mono_ns() + REFUSED_MS * CLOCK_NS_PER_MS,
	};

	log_limited(&jobs->refuse_limit, 5, 60000, LOG_LVL_WARN,
		    "scan client refused: %s", why);
	if (count_refused(jobs) >= REFUSED_MAX) {
		fd_close(&fd);
		return;
	}
	str_copy(reply.virus, sizeof(reply.virus), why);
	fd_send(fd, &reply, sizeof(reply), NULL, 0,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	vec_push(&jobs->open, job);
}

static void hand_over(struct job *job, struct slots_worker *w)
{
	struct work_msg msg = {
		.kind = WORK_CLIENT,
		.job = job->id,
		.ino = job->sources,
	};

	if (job->close_ns)
		return;
	job->unsent &= ~(1ull << w->slot);
	if (slots_send(w, &msg, job->fd) && errno == EAGAIN)
		job->unsent |= 1ull << w->slot;
}

static void hand_new(struct slots_worker *w, void *arg)
{
	struct jobs *jobs = arg;

	hand_over(&jobs->open.items[jobs->open.len - 1], w);
}

static void hand_again(struct slots_worker *w, void *arg)
{
	struct jobs *jobs = arg;
	struct job *job;

	vec_each (job, &jobs->open) {
		if (job->role == w->role && job->unsent & 1ull << w->slot)
			hand_over(job, w);
	}
}

/* A low worker is there as long as somebody needs one. */
static void want_low(struct jobs *jobs)
{
	const struct job *job;
	bool wanted = false;

	vec_each (job, &jobs->open)
		wanted = wanted || (job->role == SLOT_LOW && !job->close_ns);
	if (wanted)
		slots_want_low(jobs->slots);
}

static void incoming(int listener, int what, void *arg)
{
	const struct door *door = arg;
	struct jobs *jobs = door->jobs;
	struct job job = {.role = door->role};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		fd_close(&fd);
		return;
	}
	job.sources = sources_of(jobs, peer.uid);
	if (!job.sources) {
		refuse(jobs, fd, "this user may not scan (OperatorUsers)");
		return;
	}
	if (jobs->open.len - count_refused(jobs) >= JOBS_MAX) {
		refuse(jobs, fd, "too many scans are under way");
		return;
	}
	job.id = ++jobs->last_id;
	job.fd = fd;
	log_info("job %llu begins pid=%d uid=%u%s", (unsigned long long)job.id,
		 peer.pid, peer.uid, job.role == SLOT_LOW ? " low" : "");
	vec_push(&jobs->open, job);
	slots_each(jobs->slots, job.role, hand_new, jobs);
	want_low(jobs);
}

static int open_door(struct jobs *jobs, struct loop *loop, int n,
		     const char *path, struct err *err)
{
	struct door *door = &jobs->doors[n];

	door->jobs = jobs;
	door->role = n ? SLOT_LOW : SLOT_BACK;
	/* Anybody may connect; who may scan is decided by credentials. */
	door->listener = unixsock_listen(path, SOCK_SEQPACKET, 0666, err);
	if (door->listener < 0)
		return -1;
	door->incoming =
		loop_fd(loop, door->listener, LOOP_READ, incoming, door);
	return 0;
}

struct jobs *jobs_new(struct loop *loop, const char *path, const char *low_path,
		      struct slots *slots, struct err *err)
{
	struct jobs *jobs = xcalloc(1, sizeof(*jobs));

	jobs->slots = slots;
	/* Numbers of an earlier master are not used again. */
	jobs->last_id = (uint64_t)(clock_real_ns() / 1000000);
	for (int i = 0; i < DOORS; i++)
		jobs->doors[i].listener = -1;
	if (open_door(jobs, loop, 0, path, err) < 0 ||
	    open_door(jobs, loop, 1, low_path, err) < 0)
		jobs_free(&jobs);
	return jobs;
}

void jobs_free(struct jobs **jobs)
{
	struct job *job;

	if (!*jobs)
		return;
	for (int i = 0; i < DOORS; i++) {
		loop_cancel(&(*jobs)->doors[i].incoming);
		fd_close(&(*jobs)->doors[i].listener);
	}
	vec_each (job, &(*jobs)->open)
		fd_close(&job->fd);
	vec_free(&(*jobs)->open);
	free((*jobs)->users.uids);
	xfree(jobs);
}

void jobs_allow(struct jobs *jobs, const struct jobs_users *users)
{
	free(jobs->users.uids);
	jobs->users.uids = xcalloc(users->n + 1, sizeof(uid_t));
	if (users->n)
		memcpy(jobs->users.uids, users->uids, users->n * sizeof(uid_t));
	jobs->users.n = users->n;
}

void jobs_worker_serving(struct jobs *jobs, struct slots_worker *w)
{
	struct job *job;

	vec_each (job, &jobs->open)
		if (job->role == w->role)
			hand_over(job, w);
}

void jobs_worker_gone(struct jobs *jobs, const struct slots_worker *w,
		      const struct slot *slot)
{
	uint64_t id = atomic_load(&slot->job);
	uint64_t request = atomic_load(&slot->job_request);
	struct job *job;

	vec_each (job, &jobs->open) {
		struct scanjob_reply reply = {
			.version = SCANJOB_VERSION,
			.kind = SCANJOB_FILE,
			.id = request,
			.verdict = VERDICT_ERROR,
			.job = id,
		};

		job->unsent &= ~(1ull << w->slot);
		if (job->close_ns || job->id != id || !request)
			continue;
		str_copy(reply.virus, sizeof(reply.virus),
			 w->overdue ? "the scan was past ScanTimeout"
				    : "the scan worker crashed on it");
		if (fd_send(job->fd, &reply, sizeof(reply), NULL, 0,
			    MSG_DONTWAIT | MSG_NOSIGNAL))
			log_warn("job %llu request %llu answer: %m",
				 (unsigned long long)id,
				 (unsigned long long)request);
	}
}

void jobs_tick(struct jobs *jobs)
{
	struct pollfd p[JOBS_MAX + REFUSED_MAX];
	uint64_t now = clock_mono_ns();
	size_t i, n = jobs->open.len;

	for (i = 0; i < n; i++) {
		p[i].fd = jobs->open.items[i].fd;
		p[i].events = POLLRDHUP; /* not what workers read */
		p[i].revents = 0;
	}
	if (!n || poll(p, n, 0) < 0)
		return;
	for (i = n; i-- > 0;) {
		struct job *job = &jobs->open.items[i];

		if (!(p[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) &&
		    !(job->close_ns && now >= job->close_ns))
			continue;
		if (!job->close_ns)
			log_info("job %llu ends", (unsigned long long)job->id);
		fd_close(&job->fd);
		vec_remove(&jobs->open, i);
	}
	slots_each(jobs->slots, SLOT_BACK, hand_again, jobs);
	slots_each(jobs->slots, SLOT_LOW, hand_again, jobs);
	want_low(jobs);
}
