/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "judge.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/netreport.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "netlink_diag.h"
#include "netlink_queue.h"
#include "packet.h"

#define IDLE_MS 50
/* What the rule may still send when the monitor is gone, and a little. */
#define AFTERLIFE_NS (1 * CLOCK_NS_PER_S)
#define LOOPBACK_INDEX 1
/* Alerts and what was prevented wait here while the looker has no room. */
#define WAITING 64

static const char *const calls[] = {
	"brk",
	"clock_gettime",
	"close",
	"exit",
	"exit_group",
	"futex",
	"getpid",
	"gettimeofday",
	"mmap",
	"munmap",
	"poll",
	"ppoll",
	"recvfrom",
	"recvmsg",
	"restart_syscall",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sendmsg",
	"sendto",
	"write",
};

struct judge {
	const struct judge_job *job;
	struct seat *seat;
	struct netrules *rules;
	struct netlink *diag; /* only where a rule asks for users */
	struct queue_answers answers;
	struct net_report reports[QUEUE_ANSWERS]; /* of these answers */
	size_t n_reports;
	struct net_report waiting[WAITING];
	size_t n_waiting;
	uint64_t orphan_ns; /* since when the monitor is gone; 0: it lives */
	struct log_limit complaints;
};

static void count(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* ---- reports ---- */

static bool same(const struct net_report *a, const struct net_report *b)
{
	const struct conn *x = &a->conn, *y = &b->conn;

	return x->in == y->in && a->answer.verdict == b->answer.verdict &&
	       a->answer.rule == b->answer.rule &&
	       memcmp(x->remote, y->remote, sizeof(x->remote)) == 0 &&
	       (x->in ? x->local_port == y->local_port
		      : x->remote_port == y->remote_port);
}

static void keep_waiting(struct judge *j, const struct net_report *r)
{
	size_t i;

	if (r->answer.verdict == CONN_ALLOW) {
		count(&j->seat->unreported);
		return;
	}
	for (i = 0; i < j->n_waiting; i++)
		if (same(&j->waiting[i], r)) {
			j->waiting[i].times += r->times;
			return;
		}
	if (j->n_waiting < WAITING)
		j->waiting[j->n_waiting++] = *r;
	else
		count(&j->seat->unreported);
}

static void send_waiting(struct judge *j)
{
	struct err err;
	size_t i = 0;

	while (i < j->n_waiting &&
	       net_report_send(j->job->report_fd, &j->waiting[i], &err) == 0)
		i++;
	j->n_waiting -= i;
	memmove(j->waiting, j->waiting + i, j->n_waiting * sizeof(*j->waiting));
}

static void send_reports(struct judge *j)
{
	struct err err;
	size_t i;

	if (j->n_waiting)
		send_waiting(j);
	for (i = 0; i < j->n_reports; i++)
		if (j->n_waiting ||
		    net_report_send(j->job->report_fd, &j->reports[i], &err))
			keep_waiting(j, &j->reports[i]);
	j->n_reports = 0;
}

static void add_report(struct judge *j, const struct conn *conn,
		       const struct conn_answer *answer)
{
	struct net_report *r = &j->reports[j->n_reports++];

	memset(r, 0, sizeof(*r));
	r->magic = NET_REPORT_MAGIC;
	r->version = NET_REPORT_VERSION;
	r->conn = *conn;
	r->answer = *answer;
	r->times = 1;
	str_copy(r->rule, sizeof(r->rule),
		 netrules_rule_name(j->rules, answer->rule));
	str_copy(r->list, sizeof(r->list),
		 netrules_list_name(j->rules, answer->list));
}

/* ---- packets ---- */

/* The monitor has let it go on already: whatever we say comes too late. */
static bool was_released(const struct judge *j, uint32_t id)
{
	uint64_t r = atomic_load(&j->seat->released);

	return r >> 32 && (int32_t)(id - (uint32_t)r) <= 0;
}

static void answer(struct judge *j, uint32_t id, enum conn_verdict verdict)
{
	static const enum queue_verdict how[CONN_VERDICTS] = {
		[CONN_ALLOW] = QUEUE_ACCEPT,
		[CONN_ALERT] = QUEUE_ACCEPT,
		[CONN_DROP] = QUEUE_DROP,
		/* Run through our chain once more, which knows the mark. */
		[CONN_RESET] = QUEUE_REPEAT,
	};

	queue_answer(&j->answers, j->job->queue, id, how[verdict],
		     j->job->mark);
}

static void tally(struct seat *seat, enum conn_verdict verdict)
{
	count(&seat->judged);
	if (verdict == CONN_ALERT)
		count(&seat->alerted);
	else if (verdict == CONN_DROP)
		count(&seat->dropped);
	else if (verdict == CONN_RESET)
		count(&seat->reset);
}

static void look_at(struct judge *j, const struct queue_packet *p)
{
	struct conn conn = {.uid = p->uid,
			    .loopback = p->out_if == LOOPBACK_INDEX};
	struct conn_answer a;

	if (was_released(j, p->id))
		return;
	if (!packet_read(p->data, p->len, p->hook == NF_INET_LOCAL_IN, &conn)) {
		answer(j, p->id, CONN_ALLOW); /* told as uninspected */
		return;
	}
	conn.at_ns = (uint64_t)clock_real_ns();
	if (j->diag && conn.uid < 0)
		conn.uid = diag_uid(j->diag, &conn);
	judge_conn(j->rules, &conn, &a);
	answer(j, p->id, a.verdict);
	tally(j->seat, a.verdict);
	add_report(j, &conn, &a);
}

static void take(struct judge *j, const char *data, int len)
{
	const void *at = data;
	enum queue_event event;
	struct queue_packet p;

	while (queue_next(&at, &len, &event, &p)) {
		switch (event) {
		case QUEUE_PACKET:
			look_at(j, &p);
			break;
		case QUEUE_GONE:
			count(&j->seat->late);
			break;
		case QUEUE_COMPLAINT:
			log_limited(&j->complaints, 3, 60000, LOG_LVL_WARN,
				    "network: the kernel refused an answer: "
				    "%m");
			break;
		default:
			break;
		}
		if (j->answers.n == QUEUE_ANSWERS)
			break; /* the rest of a datagram: there is none */
	}
}

/* All that waits, up to what one call answers. */
static bool read_some(struct judge *j)
{
	char buf[4096] __attribute__((aligned(8)));
	bool more = true;
	size_t n;

	while (j->answers.n < QUEUE_ANSWERS) {
		ssize_t len =
			recv(j->job->queue_fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (len < 0 && errno == ENOBUFS) {
			count(&j->seat->overruns);
			continue;
		}
		if (len < 0) {
			more = false;
			break;
		}
		take(j, buf, (int)len);
	}
	n = j->answers.n;
	if (queue_flush(&j->answers, j->job->queue_fd))
		log_limited(&j->complaints, 3, 60000, LOG_LVL_ERROR,
			    "network: answers could not be sent: %m");
	atomic_fetch_add(&j->seat->answered, n);
	send_reports(j);
	return more;
}

static bool is_over(struct judge *j, const struct pollfd *life)
{
	if (atomic_load(&j->seat->leave))
		return true;
	if (life->revents && !j->orphan_ns)
		j->orphan_ns = clock_mono_ns();
	return j->orphan_ns && clock_mono_ns() - j->orphan_ns > AFTERLIFE_NS;
}

static void serve(struct judge *j)
{
	struct pollfd p[] = {{.fd = j->job->queue_fd, .events = POLLIN},
			     {.fd = j->job->life_fd, .events = POLLIN}};

	while (!is_over(j, &p[1])) {
		count(&j->seat->turns);
		/* Its end is told once; asked again it would not let us rest.
		 */
		poll(p, j->orphan_ns ? 1 : 2, IDLE_MS);
		if (p[0].revents || j->n_waiting)
			read_some(j);
	}
	while (read_some(j))
		;
}

/* ---- the way there ---- */

static int refuse(struct judge *j, const struct err *err)
{
	str_copy(j->seat->error, sizeof(j->seat->error), err->text);
	atomic_store(&j->seat->state, SEAT_REFUSED);
	return 1;
}

static int load(struct judge *j, struct err *err)
{
	const uint64_t net = 1ull << CAP_NET_ADMIN;
	const uint64_t files = 1ull << CAP_DAC_READ_SEARCH;

	/* Lists are large and came from elsewhere: not as root. */
	if (sandbox_become(j->job->uid, j->job->gid, net | files, err))
		return -1;
	j->rules = netrules_load(err);
	if (!j->rules)
		return -1;
	if (netrules_by_user(j->rules)) {
		j->diag = netlink_open(NETLINK_SOCK_DIAG, err);
		if (!j->diag)
			return -1;
	}
	return sandbox_become(j->job->uid, j->job->gid, net, err);
}

static int enter_jail(struct err *err)
{
	if (sandbox_landlock_all(err) < 0)
		return -1;
	return sandbox_seccomp(calls, sizeof(calls) / sizeof(*calls), NULL,
			       false, err);
}

int judge_run(const struct judge_job *job)
{
	static struct judge j;
	struct err err;

	j.job = job;
	j.seat = job->seat;
	atomic_store(&j.seat->state, SEAT_LOADING);
	if (load(&j, &err) || enter_jail(&err))
		return refuse(&j, &err);
	atomic_store(&j.seat->rules, (uint32_t)netrules_rules(j.rules));
	atomic_store(&j.seat->lists, (uint32_t)netrules_lists(j.rules));
	atomic_store(&j.seat->entries, netrules_entries(j.rules));
	atomic_store(&j.seat->state, SEAT_JUDGING);
	serve(&j);
	return 0;
}
