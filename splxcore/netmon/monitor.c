/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "monitor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/control.h"
#include "common/paths.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "monitor_impl.h"

#define STALL_NS (MONITOR_STALL_MS * CLOCK_NS_PER_MS)
/* A tick that comes so late tells that we stood still ourselves. */
#define ASLEEP_NS (150 * CLOCK_NS_PER_MS)
#define RENEW_NS (TABLE_ALIVE_MS / 3 * CLOCK_NS_PER_MS)
#define COUNT_NS (250 * CLOCK_NS_PER_MS)
#define LOOK_NS (500 * CLOCK_NS_PER_MS)
/* A judge that stands still for so long is replaced. */
#define STUCK_NS (10 * CLOCK_NS_PER_S)
#define WELL_NS (60 * CLOCK_NS_PER_S)
/* Loading large lists takes a second or two. */
#define LOAD_NS (60 * CLOCK_NS_PER_S)
/* Without a supervisor for so long we end: entity adopts within two. */
#define ORPHAN_NS (5 * CLOCK_NS_PER_S)
/* At the end: what is held is answered, or let go. */
#define END_NS (100 * CLOCK_NS_PER_MS)
#define BROKEN_RETRY_NS (30 * CLOCK_NS_PER_S)

/* The kernel in which a queue that is full lets pass: before, only the length
 * of the queue did, and a full buffer lost packets. */
#define KERNEL_MAJOR 4
#define KERNEL_MINOR 6
/* For the tests alone: a version, and flags that are asked for. */
#define FAKE_KERNEL "SPLX_TEST_NET_KERNEL"
#define FAKE_FLAGS "SPLX_TEST_NET_FLAGS"

static uint64_t pause_ns(unsigned int failures)
{
	static const unsigned int ms[] = {0, 200, 500, 1000, 2000, 5000, 10000};
	size_t last = sizeof(ms) / sizeof(*ms) - 1;

	return ms[failures < last ? failures : last] * CLOCK_NS_PER_MS;
}

/* Never of an instant that is still to come. */
static uint64_t age_ns(uint64_t since_ns)
{
	return clock_mono_ns() - since_ns;
}

/* ---- open and shut ---- */

static void set_active(struct monitor *m, bool active)
{
	if (m->open == active)
		return;
	m->open = active;
	atomic_store(&m->board->active, active);
	atomic_store(&m->board->since_ns, (uint64_t)clock_real_ns());
}

/*
 * Lets go on what the kernel holds. The bound first: what comes meanwhile is
 * not held any more, so that the id that is read then is the last one.
 */
static void release(struct monitor *m)
{
	struct held held;

	if (queue_length(m->queue, m->plan.number, 0))
		log_error("network: queue: %m");
	if (held_read(m->held_fd, m->plan.number, &held) || !held.waiting)
		return;
	crew_released(&m->crew, held.last_id);
	if (queue_release(m->queue, m->plan.number, held.last_id))
		log_error("network: release: %m");
	atomic_fetch_add(&m->board->released, held.waiting);
	log_warn("network: %u packets released", (unsigned int)held.waiting);
}

static void shut(struct monitor *m, const char *why)
{
	const struct seat *seat = m->crew.judges[CREW_JUDGE].seat;
	struct err err;

	/* A turn after this one tells that it lives again. */
	m->last_turns = seat ? atomic_load(&seat->turns) : 0;
	release(m);
	if (table_pause(m->filter, &err))
		log_warn("network: %s", err.text);
	m->shut_ns = clock_mono_ns();
	set_active(m, false);
	monitor_code(m, STATUS_NET_JUDGE, why);
}

/* Our table is gone: somebody has flushed the rules. */
static bool put_back(struct monitor *m)
{
	struct err err;

	if (table_put(m->filter, &m->table, &err)) {
		log_error("network: %s", err.text);
		return false;
	}
	m->counted = 0;
	atomic_fetch_add(&m->board->put_back, 1);
	log_warn("network: our table was gone; it is there again");
	return true;
}

static bool renew(struct monitor *m, uint64_t now)
{
	struct err err;

	m->renew_ns = now + RENEW_NS;
	if (table_renew(m->filter, &err) == 0)
		return true;
	if (err.code == ENOENT && put_back(m) &&
	    table_renew(m->filter, &err) == 0)
		return true;
	log_error("network: %s", err.text);
	return false;
}

static void reopen(struct monitor *m, uint64_t now)
{
	if (queue_length(m->queue, m->plan.number, m->plan.length)) {
		log_error("network: queue: %m");
		return;
	}
	m->well_ns = now;
	if (!renew(m, now))
		return;
	set_active(m, true);
	monitor_code(m, 0, "");
}

/* ---- the guard ---- */

static void stalled(struct monitor *m)
{
	atomic_fetch_add(&m->board->stalls, 1);
	shut(m, "the judge stands still");
}

/* Held packets and no answer to any: the judge stands still. */
static void guard_open(struct monitor *m, const struct held *held, uint64_t now)
{
	const struct seat *seat = m->crew.judges[CREW_JUDGE].seat;
	uint64_t answered = seat ? atomic_load(&seat->answered) : 0;

	if (!crew_judging(&m->crew)) {
		shut(m, "the judge has ended");
		return;
	}
	if (!held->waiting || answered != m->last_answered ||
	    now - m->last_tick_ns > ASLEEP_NS)
		m->well_ns = now;
	m->last_answered = answered;
	if (now - m->well_ns >= STALL_NS)
		stalled(m);
}

static void guard_shut(struct monitor *m, const struct held *held, uint64_t now)
{
	struct seat *seat = m->crew.judges[CREW_JUDGE].seat;
	uint64_t turns = seat ? atomic_load(&seat->turns) : 0;
	bool lives = crew_judging(&m->crew) && turns != m->last_turns;

	m->last_turns = turns;
	if (held->waiting) {
		release(m);
		return;
	}
	if (lives) {
		reopen(m, now);
		return;
	}
	if (crew_judging(&m->crew) && age_ns(m->shut_ns) > STUCK_NS) {
		log_error("network: judge stuck pid=%d: it is replaced",
			  (int)m->crew.judges[CREW_JUDGE].pid);
		kill(m->crew.judges[CREW_JUDGE].pid, SIGKILL);
		m->shut_ns = clock_mono_ns();
	}
}

static void guard(struct monitor *m, uint64_t now)
{
	struct held held;

	if (held_read(m->held_fd, m->plan.number, &held))
		return;
	if (m->open)
		guard_open(m, &held, now);
	else
		guard_shut(m, &held, now);
}

/* ---- judges ---- */

static void judge_ended(enum crew_place place, int status, void *arg)
{
	struct monitor *m = arg;
	uint64_t now = clock_mono_ns();

	monitor_seats(m);
	if (place == CREW_OLD || m->ending)
		return;
	if (place == CREW_NEXT) {
		struct seat *seat = m->crew.judges[CREW_NEXT].seat;

		if (atomic_load(&seat->state) == SEAT_REFUSED) {
			seat->error[sizeof(seat->error) - 1] = '\0';
			monitor_broken(m, seat->error);
		} else {
			log_error("network: judge ended in its start: %d",
				  status);
		}
		/* While one judges nothing is lost: only a change helps. */
		if (!crew_judging(&m->crew)) {
			m->fork_ns = now + BROKEN_RETRY_NS;
			monitor_code(m, STATUS_NET_RULES, m->board->broken);
		}
		return;
	}
	log_error("network: judge ended: %s %d",
		  WIFSIGNALED(status) ? "signal" : "exit status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	atomic_fetch_add(&m->board->deaths, 1);
	atomic_store(&m->board->judge, 0);
	if (age_ns(m->crew.judges[CREW_JUDGE].since_ns) > WELL_NS)
		m->deaths = 0;
	m->fork_ns = now + pause_ns(m->deaths++) + 1;
	if (m->open)
		shut(m, "the judge has ended");
}

static void fork_judge(struct monitor *m, uint64_t now)
{
	struct err err;

	m->fork_ns = 0;
	if (crew_fork_judge(&m->crew, &err) == 0)
		return;
	log_error("network: judge: %s", err.text);
	m->fork_ns = now + CLOCK_NS_PER_S;
}

static void look_at_next(struct monitor *m)
{
	struct crew_member *next = &m->crew.judges[CREW_NEXT];
	struct net_board *b = m->board;

	if (!next->pid)
		return;
	if (atomic_load(&next->seat->state) != SEAT_JUDGING) {
		if (age_ns(next->since_ns) > LOAD_NS)
			kill(next->pid, SIGKILL);
		return;
	}
	atomic_store(&b->rules, atomic_load(&next->seat->rules));
	atomic_store(&b->lists, atomic_load(&next->seat->lists));
	atomic_store(&b->entries, atomic_load(&next->seat->entries));
	atomic_store(&b->loaded_ns, (uint64_t)clock_real_ns());
	atomic_store(&b->judge, next->pid);
	monitor_broken(m, "");
	crew_change(&m->crew);
	m->last_answered = m->last_turns = 0;
	log_info("network: judge pid=%d rules=%u lists=%u entries=%llu",
		 (int)m->crew.judges[CREW_JUDGE].pid, atomic_load(&b->rules),
		 atomic_load(&b->lists),
		 (unsigned long long)atomic_load(&b->entries));
}

/* ---- begin and end ---- */

static bool kernel_old(char *name, size_t size)
{
	const char *fake = getenv(FAKE_KERNEL);
	unsigned int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	snprintf(name, size, "%s", fake ? fake : u.release);
	sscanf(name, "%u.%u", &major, &minor);
	return major < KERNEL_MAJOR ||
	       (major == KERNEL_MAJOR && minor < KERNEL_MINOR);
}

/* The next number, too: a judge whose monitor was killed has the first one
 * for a moment. */
static int open_queue(struct monitor *m, struct err *err)
{
	const char *flags = getenv(FAKE_FLAGS);
	int i, rc = -1;

	m->plan.more_flags = flags ? (uint32_t)strtoul(flags, NULL, 0) : 0;
	for (i = 0; i < 2 && rc; i++) {
		m->plan.number = (uint16_t)(m->conf->network_queue + i);
		m->queue = netlink_open(NETLINK_NETFILTER, err);
		if (!m->queue)
			return -1;
		rc = queue_open(m->queue, &m->plan, &m->got, err);
		if (rc)
			netlink_close(&m->queue);
		if (rc && err->code != EBUSY && err->code != EPERM)
			break;
	}
	return rc;
}

static int begin_queue(struct monitor *m, struct err *err)
{
	if (open_queue(m, err)) {
		monitor_code(m,
			     err->code == EBUSY || err->code == EPERM
				     ? STATUS_NET_QUEUE
				     : STATUS_NET_UNSUPPORTED,
			     err->text);
		return -1;
	}
	m->held_fd = held_open();
	if (m->held_fd < 0) {
		err_set(err, errno, "/proc/net/netfilter/nfnetlink_queue");
		monitor_code(m, STATUS_NET_UNSUPPORTED, err->text);
		return -1;
	}
	if (m->got.refused)
		log_info("network: this kernel does not know the queue's flags "
			 "%#x; they are done without",
			 (unsigned int)m->got.refused);
	atomic_store(&m->board->queue, m->plan.number);
	atomic_store(&m->board->buffer, m->got.buffer);
	return 0;
}

/* A table that a monitor of this suite has left was counting meanwhile. */
static void take_old_count(struct monitor *m)
{
	struct table_counts counts = {0};
	struct net_board *b = m->board;
	struct err err;

	if (!atomic_load(&b->since_ns) || table_count(m->filter, &counts, &err))
		return;
	if (counts.first > atomic_load(&b->counted))
		atomic_fetch_add(&b->first_packets,
				 counts.first - atomic_load(&b->counted));
}

/*
 * A chain that goes makes the kernel drop what any queue holds: nothing is
 * queued any more, and what was is answered first.
 */
static void quieten(struct monitor *m)
{
	uint64_t end = clock_mono_ns() + END_NS;
	uint16_t queue = (uint16_t)m->conf->network_queue;
	struct held a, b;
	struct err err;

	/* ENOENT: there is no table. */
	if (table_pause(m->filter, &err))
		return;
	do {
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		held_read(m->held_fd, queue, &a);
		held_read(m->held_fd, queue + 1, &b);
	} while ((a.waiting || b.waiting) && clock_mono_ns() < end &&
		 usleep(2000) == 0);
}

static int begin_table(struct monitor *m, struct err *err)
{
	take_old_count(m);
	quieten(m);
	if (getrandom(&m->table.mark, sizeof(m->table.mark), 0) < 0)
		return err_set(err, errno, "getrandom");
	m->table.mark |= 1; /* never 0 */
	m->table.queue = m->plan.number;
	m->table.loopback = m->conf->network_loopback;
	m->counted = 0;
	if (table_put(m->filter, &m->table, err)) {
		monitor_code(m, STATUS_NET_UNSUPPORTED, err->text);
		return -1;
	}
	return 0;
}

static void unwind(struct monitor *m)
{
	netlink_close(&m->queue);
	netlink_close(&m->filter);
	fd_close(&m->held_fd);
}

static int try_begin(struct monitor *m, struct err *err)
{
	m->plan.length = (uint32_t)m->conf->network_queue_length;
	m->plan.buffer = (uint32_t)m->conf->network_buffer;
	m->filter = netlink_open(NETLINK_NETFILTER, err);
	if (!m->filter) {
		monitor_code(m, STATUS_NET_UNSUPPORTED, err->text);
		return -1;
	}
	/* The queue lets pass until the table's set is filled. */
	if (begin_queue(m, err) || begin_table(m, err))
		return -1;
	m->crew.queue_fd = netlink_fd(m->queue);
	m->crew.queue = m->plan.number;
	m->crew.mark = m->table.mark;
	return 0;
}

static void begin(struct monitor *m, uint64_t now)
{
	char name[96];
	struct err err;

	if (kernel_old(name, sizeof(name))) {
		monitor_code(m, STATUS_NET_KERNEL, name);
		m->begin_ns = UINT64_MAX;
		return;
	}
	if (try_begin(m, &err)) {
		unwind(m);
		m->begin_ns = now + pause_ns(++m->failures);
		return;
	}
	m->failures = 0;
	m->begun = true;
	m->shut_ns = now;
	monitor_code(m, STATUS_NET_JUDGE, "it is starting");
	fork_judge(m, now);
}

/* The rule goes first; what is held is answered, or let go; then the rest. */
static void finish(struct monitor *m)
{
	struct err err;

	m->ending = true;
	if (m->begun) {
		quieten(m);
		release(m);
		monitor_first(m);
		if (table_remove(m->filter, &err) < 0)
			log_error("network: %s", err.text);
	}
	m->begun = false;
	set_active(m, false);
	atomic_store(&m->board->judge, 0);
	crew_deinit(&m->crew);
	unwind(m);
}

/* ---- settings ---- */

static struct conf *read_settings(struct err *err)
{
	struct conf *conf = conf_load(paths()->active_conf, err);

	return conf ? conf : conf_load(paths()->conf, err);
}

static int take_user(struct monitor *m, struct err *err)
{
	if (proc_user(m->conf->scan_user, &m->crew.uid, &m->crew.gid, err))
		return err_add(err, "ScanUser");
	return m->crew.uid ? 0 : err_set(err, 0, "ScanUser: not root");
}

/* What the queue and the table are made of, as it is now. */
static void apply(struct monitor *m)
{
	struct err err;

	m->plan.length = (uint32_t)m->conf->network_queue_length;
	if (m->open && queue_length(m->queue, m->plan.number, m->plan.length))
		log_error("network: queue: %m");
	m->got.buffer =
		queue_buffer(m->queue, (uint32_t)m->conf->network_buffer);
	atomic_store(&m->board->buffer, m->got.buffer);
	if (m->table.loopback == m->conf->network_loopback)
		return;
	m->table.loopback = m->conf->network_loopback;
	quieten(m);
	monitor_first(m);
	if (table_put(m->filter, &m->table, &err))
		log_error("network: %s", err.text);
	m->counted = 0;
	m->renew_ns = 0;
}

static void reload(struct monitor *m, uint64_t now)
{
	struct conf *conf;
	struct err err;

	conf = read_settings(&err);
	if (conf) {
		conf_free(&m->conf);
		m->conf = conf;
		if (take_user(m, &err))
			log_error("network: %s", err.text);
	} else {
		log_error("network: %s", err.text);
	}
	if (!m->begun)
		return;
	apply(m);
	fork_judge(m, now);
}

static void look_around(struct monitor *m, uint64_t now)
{
	struct scoreboard *sb = m->sb;
	struct proc_id id;

	m->look_ns = now + LOOK_NS;
	if (!sb)
		return;
	id.pid = atomic_load(&sb->supervisor.pid);
	id.start = atomic_load(&sb->supervisor.start);
	if (proc_alive(&id))
		m->orphan_ns = 0;
	else if (!m->orphan_ns)
		m->orphan_ns = now;
	else if (now - m->orphan_ns > ORPHAN_NS)
		m->ending = true;
}

static void look_at_changes(struct monitor *m, uint64_t now)
{
	uint32_t changes = m->sb ? atomic_load(&m->sb->net_changes) : 0;

	if (changes == m->changes)
		return;
	m->changes = changes;
	reload(m, now);
}

/* ---- the loop ---- */

static void tick(struct monitor *m)
{
	uint64_t now = clock_mono_ns();

	if (m->sb)
		scoreboard_beat(m->sb, netmon);
	crew_reap(&m->crew, judge_ended, m);
	if (!m->begun && now >= m->begin_ns)
		begin(m, now);
	if (m->begun) {
		look_at_next(m);
		guard(m, now);
		if (m->fork_ns && now >= m->fork_ns)
			fork_judge(m, now);
		if (m->open && now >= m->renew_ns && !renew(m, now))
			shut(m, "the packet filter does not take our rule");
		if (now >= m->count_ns) {
			m->count_ns = now + COUNT_NS;
			monitor_first(m);
		}
		crew_need_looker(&m->crew, now);
	}
	look_at_changes(m, now);
	if (now >= m->look_ns)
		look_around(m, now);
	m->last_tick_ns = clock_mono_ns();
}

static void on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			m->ending = true;
		else if (info.ssi_signo == SIGHUP)
			reload(m, clock_mono_ns());
	}
}

static void loop(struct monitor *m)
{
	struct pollfd p = {.fd = m->signal_fd, .events = POLLIN};

	while (!m->ending) {
		if (poll(&p, 1, MONITOR_TICK_MS) > 0)
			on_signal(m);
		if (!m->ending)
			tick(m);
	}
}

static int catch_signals(struct monitor *m, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd < 0 ? err_set(err, errno, "signalfd") : 0;
}

static void enter(pid_t pid, void *arg)
{
	struct monitor *m = arg;

	if (m->sb)
		scoreboard_exempt(m->sb, pid);
}

static void leave(pid_t pid, void *arg)
{
	struct monitor *m = arg;

	if (m->sb)
		scoreboard_unexempt(m->sb, pid);
}

static int prepare(struct monitor *m, struct err *err)
{
	m->conf = read_settings(err);
	if (!m->conf || take_user(m, err) || catch_signals(m, err))
		return -1;
	m->crew.to_fd = m->sb ? INHERIT_NET_TX : -1;
	m->crew.enter = enter;
	m->crew.leave = leave;
	m->crew.arg = m;
	return crew_init(&m->crew, err);
}

static void print_board(struct net_board *b)
{
#define PRINT(name)                                                            \
	printf(#name "=%llu\n", (unsigned long long)atomic_load(&b->name))
	PRINT(first_packets);
	PRINT(judged);
	PRINT(uninspected);
	PRINT(stalls);
	PRINT(released);
	PRINT(deaths);
	PRINT(overruns);
	PRINT(unreported);
#undef PRINT
}

int monitor_run(struct scoreboard *sb)
{
	static struct net_board own;
	static struct monitor m = {.held_fd = -1, .signal_fd = -1};
	struct err err;

	m.sb = sb;
	m.board = sb ? &sb->net : &own;
	if (sb) {
		m.changes = atomic_load(&sb->net_changes);
		scoreboard_enter(sb, netmon);
		scoreboard_exempt(sb, getpid());
	}
	if (prepare(&m, &err)) {
		log_error("network: %s", err.text);
		return LSB_FAILED;
	}
	log_info("network: monitor started pid=%d", (int)getpid());
	loop(&m);
	finish(&m);
	if (!sb)
		print_board(&own);
	else
		monitor_code(&m, 0, "");
	log_info("network: monitor ended");
	conf_free(&m.conf);
	return LSB_OK;
}

int monitor_remove(void)
{
	struct err err;
	struct netlink *nl = netlink_open(NETLINK_NETFILTER, &err);
	int rc = nl ? table_remove(nl, &err) : -1;

	netlink_close(&nl);
	/* Where there is no packet filter nothing of ours is in it. */
	if (rc >= 0 || err.code == EPROTONOSUPPORT || err.code == EOPNOTSUPP ||
	    err.code == EAFNOSUPPORT)
		return LSB_OK;
	log_error("network: %s", err.text);
	return LSB_FAILED;
}
