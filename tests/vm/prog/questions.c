// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * questions CASE: what splxmod does with questions, readers and verdicts, and
 * with all that can go wrong with them. Each case wants a module that was just
 * loaded, and leaves one that can be unloaded. Without a case it lists them.
 */
#include "dev.h"

/* ---- plain ---- */

static void verdicts_decide(void)
{
	file_make(path_of("good"), "good");
	file_make(path_of("bad"), "Doomed");
	reader_start((struct serving){0});
	equal(open_once(path_of("good")), 0);
	equal(open_once(path_of("bad")), EPERM);
	equal(counter(ALLOWED), 1);
	equal(counter(DENIED), 1);
	equal(counter(ASKED), 2);
}

static void executor_run(void *arg)
{
	execl(arg, "x", NULL);
	_exit(errno);
}

static void exec_is_asked(void)
{
	struct splxmod_event ev;
	char first[2] = "";
	pid_t pid;
	int fd;

	file_make(path_of("script"), "Denied");
	conf.classes = SPLXMOD_EXEC;
	conf.grace_ms = 5000;
	configure();
	pid = child_start(executor_run, (void *)path_of("script"));
	eventually(status().pending == 1);
	sleep_ms(100);
	/* this process reads from here on, and is never asked about again */
	fd = reader_open(SPLXMOD_EXEC);
	ev = event_read(fd);
	equal(ev.kind, SPLXMOD_EXEC);
	equal(ev.pid, pid);
	equal(ev.uid, 0);
	check(ev.waited_us > 50000);
	equal(ev.deaths, 0);
	equal(ev.flags, 0);
	equal(ev.size, 6);
	check(!strcmp(ev.comm, "questions"));
	equal(pread(ev.fd, first, 1, 0), 1);
	check(first[0] == 'D');
	check(fcntl(ev.fd, F_GETFD) & FD_CLOEXEC);
	equal(fcntl(ev.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	check(fcntl(ev.fd, F_GETFL) & O_NONBLOCK);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(pid), EPERM);
	close(fd);
}

/* ---- nobody there ---- */

static void no_reader_is_policy_at_once(void)
{
	long begin = now_ms();

	file_make(path_of("f"), "f");
	equal(open_once(path_of("f")), 0);
	conf.deny = SPLXMOD_DENY_TIMEOUT | SPLXMOD_DENY_FULL;
	configure();
	equal(open_once(path_of("f")), 0);
	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	equal(open_once(path_of("f")), EPERM);
	check(now_ms() - begin < 1000);
	equal(counter(NO_READER), 3);
	equal(counter(POLICY_ALLOWED), 2);
	equal(counter(POLICY_DENIED), 1);
}

static void a_reader_may_come_late(void)
{
	long begin = now_ms();
	pid_t pid;

	file_make(path_of("f"), "Denied");
	conf.grace_ms = 10000;
	configure();
	pid = opener_start(path_of("f"));
	sleep_ms(300);
	equal(status().pending, 1);
	reader_start((struct serving){0});
	equal(child_wait(pid), EPERM);
	check(now_ms() - begin < 5000);
	equal(counter(DENIED), 1);
	equal(counter(NO_READER), 0);
}

static void grace_ends(void)
{
	long begin = now_ms();

	file_make(path_of("f"), "f");
	conf.grace_ms = 500;
	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	equal(open_once(path_of("f")), EPERM);
	check(now_ms() - begin >= 490 && now_ms() - begin < 3000);
	equal(counter(NO_READER), 1);
}

/* ---- readers that end ---- */

static void a_dead_readers_question_goes_on(void)
{
	struct splxmod_event ev;
	pid_t opener, holder;
	int fd;

	file_make(path_of("f"), "Denied");
	holder = holder_start(1);
	opener = opener_start(path_of("f"));
	eventually(status().pending == 1);
	sleep_ms(300);
	fd = reader_open(conf.classes);
	equal(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	check(read(fd, &ev, sizeof(ev)) < 0 && errno == EAGAIN);
	equal(fcntl(fd, F_SETFL, O_RDWR), 0);
	child_kill(holder);
	ev = event_read(fd);
	equal(ev.deaths, 1);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(opener), EPERM);
	equal(counter(REQUEUED), 1);
	close(fd);
}

static void the_last_readers_death_is_policy(void)
{
	pid_t opener, holder;
	long begin;

	file_make(path_of("f"), "f");
	conf.deny = SPLXMOD_DENY_ERROR;
	configure();
	holder = holder_start(1);
	opener = opener_start(path_of("f"));
	eventually(status().pending == 1);
	sleep_ms(200);
	begin = now_ms();
	child_kill(holder);
	equal(child_wait(opener), EPERM);
	check(now_ms() - begin < 1000);
	equal(counter(NO_READER), 1);
}

static void three_deaths_are_enough(void)
{
	pid_t opener, holder[3];

	file_make(path_of("f"), "f");
	conf.deny = SPLXMOD_DENY_ERROR;
	conf.grace_ms = 10000;
	configure();
	opener = opener_start(path_of("f"));
	for (int i = 0; i < 3; i++) {
		holder[i] = holder_start(1);
		sleep_ms(300);
		child_kill(holder[i]);
	}
	equal(child_wait(opener), EPERM);
	equal(counter(GAVE_UP), 1);
	equal(counter(REQUEUED), 2);
}

/* ---- readers that stand still ---- */

static void a_stopped_reader_trips_the_breaker(void)
{
	pid_t reader;
	long begin;

	conf.verdict_timeout_ms = 400;
	conf.breaker_timeouts = 3;
	conf.breaker_retry_ms = 600000;
	configure();
	for (int i = 0; i < 10; i++)
		file_make(path_of((char[]){'a' + i, 0}), "file");
	reader = reader_start((struct serving){.delay_ms = 1});
	equal(open_once(path_of("a")), 0);
	reader_stop(reader);
	begin = now_ms();
	for (int i = 1; i <= 3; i++)
		equal(open_once(path_of((char[]){'a' + i, 0})), 0);
	check(now_ms() - begin >= 3 * 390);
	equal(counter(TIMEOUT), 3);
	equal(status().breaker, 1);
	begin = now_ms();
	equal(open_once(path_of("e")), 0);
	check(now_ms() - begin < 200);
	equal(counter(BREAKER), 1);
	/* it lives: the first verdict, though late, lets one try */
	kill(reader, SIGCONT);
	eventually(counter(LATE) == 3);
	equal(status().breaker, 1);
	equal(open_once(path_of("f")), 0);
	equal(status().breaker, 0);
	equal(open_once(path_of("g")), 0);
	equal(counter(ALLOWED), 3);
}

static void the_breaker_tries_again(void)
{
	long begin;

	conf.verdict_timeout_ms = 200;
	conf.breaker_timeouts = 2;
	conf.breaker_retry_ms = 1500;
	conf.deny = SPLXMOD_DENY_TIMEOUT;
	configure();
	for (int i = 0; i < 10; i++)
		file_make(path_of((char[]){'a' + i, 0}), "file");
	holder_start(100);
	equal(open_once(path_of("a")), EPERM);
	equal(open_once(path_of("b")), EPERM);
	equal(status().breaker, 1);
	equal(open_once(path_of("c")), EPERM);
	equal(counter(BREAKER), 1);
	sleep_ms(1600);
	begin = now_ms();
	equal(open_once(path_of("d")), EPERM); /* the probe */
	check(now_ms() - begin >= 190);
	equal(counter(TIMEOUT), 3);
	equal(open_once(path_of("e")), EPERM);
	equal(counter(BREAKER), 2);
}

static void one_slow_file_is_one_timeout(void)
{
	pid_t opener[8];

	conf.verdict_timeout_ms = 300;
	conf.breaker_timeouts = 2;
	configure();
	file_make(path_of("f"), "f");
	holder_start(100);
	for (int i = 0; i < 8; i++)
		opener[i] = opener_start(path_of("f"));
	for (int i = 0; i < 8; i++)
		equal(child_wait(opener[i]), 0);
	equal(counter(TIMEOUT), 8);
	equal(status().breaker, 0);
}

static void one_file_that_nobody_takes_is_many(void)
{
	pid_t reader, opener[8];

	conf.verdict_timeout_ms = 300;
	conf.breaker_timeouts = 3;
	conf.breaker_retry_ms = 600000;
	configure();
	file_make(path_of("f"), "f");
	reader = reader_start((struct serving){.delay_ms = 1});
	reader_stop(reader);
	/* who waits at the same time waits for the same */
	for (int i = 0; i < 8; i++)
		opener[i] = opener_start(path_of("f"));
	for (int i = 0; i < 8; i++)
		equal(child_wait(opener[i]), 0);
	equal(status().breaker, 0);
	equal(open_once(path_of("f")), 0);
	equal(status().breaker, 0);
	equal(open_once(path_of("f")), 0);
	equal(status().breaker, 1);
	equal(counter(TIMEOUT), 10);
	equal(open_once(path_of("f")), 0);
	equal(counter(BREAKER), 1);
}

static void a_late_verdict_is_stale(void)
{
	struct splxmod_event ev, late;
	int fd;

	conf.verdict_timeout_ms = 300;
	configure();
	file_make(path_of("taken"), "Doomed");
	file_make(path_of("queued"), "Doomed");
	fd = reader_open(conf.classes);
	equal(child_wait(opener_start(path_of("taken"))), 0);
	equal(child_wait(opener_start(path_of("queued"))), 0);
	ev = event_read(fd);
	late = event_read(fd);
	equal(ev.flags, SPLXMOD_EV_LATE);
	equal(late.flags, SPLXMOD_EV_LATE);
	check(ev.fd >= 0 && late.fd >= 0);
	equal(event_answer(fd, &ev), -ESTALE);
	equal(event_answer(fd, &ev), -ENOENT);
	/* somebody comes who waits for it */
	conf.verdict_timeout_ms = 20000;
	configure();
	{
		pid_t opener = opener_start(path_of("queued"));

		eventually(status().pending == 1);
		sleep_ms(100);
		equal(event_answer(fd, &late), 0);
		equal(child_wait(opener), EPERM);
	}
	equal(counter(LATE), 1);
	equal(counter(JOINED), 1);
	close(fd);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* A reader that asked poll() and then stands still keeps nobody waiting who
 * could be served by another one. (The other one sleeps on another processor,
 * and came later: so the first is chosen.) */
static void work_is_taken_from_who_does_not_come(void)
{
	int fd = reader_open(conf.classes);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	long begin;

	file_make(path_of("a"), "a");
	file_make(path_of("b"), "b");
	run_on(0);
	reader_start((struct serving){0});
	run_on(1);
	for (int i = 0; i < 20; i++) {
		sleep_ms(10);
		p.revents = 0;
		equal(poll(&p, 1, 0), 0);
		begin = now_ms();
		equal(child_wait(opener_start(path_of(i % 2 ? "a" : "b"))), 0);
		check(now_ms() - begin < 2000);
	}
	equal(counter(ALLOWED), 20);
	close(fd);
}

static void poll_tells(void)
{
	int fd = reader_open(conf.classes);
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	struct splxmod_event ev;
	pid_t opener;

	file_make(path_of("f"), "Denied");
	equal(poll(&p, 1, 0), 1);
	equal(p.revents, POLLOUT);
	opener = opener_start(path_of("f"));
	p.events = POLLIN;
	equal(poll(&p, 1, 10000), 1);
	equal(p.revents, POLLIN);
	ev = event_read(fd);
	equal(poll(&p, 1, 0), 0);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(opener), EPERM);
	close(fd);
}

/* ---- limits ---- */

static void full_is_policy(void)
{
	pid_t opener[40];
	int denied = 0;
	char name[16];

	conf.max_pending = 16;
	conf.deny = SPLXMOD_DENY_FULL;
	configure();
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		file_make(path_of(name), "f");
	}
	reader_start((struct serving){.delay_ms = 100});
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		opener[i] = opener_start(path_of(name));
	}
	for (int i = 0; i < 40; i++)
		denied += child_wait(opener[i]) == EPERM;
	check(denied > 0);
	equal(counter(FULL), denied);
	equal(counter(ALLOWED), 40 - denied);
}

static void readers_have_a_limit(void)
{
	struct splxmod_reader_setup setup = {.classes = SPLXMOD_OPEN};
	int fd[80], n;

	for (n = 0; n < 80; n++) {
		fd[n] = open(DEVICE, O_RDWR | O_CLOEXEC);
		check(fd[n] >= 0);
		if (ioctl(fd[n], SPLXMOD_IOC_READER, &setup))
			break;
	}
	equal(errno, EUSERS);
	equal(n, 64);
	equal(status().readers, 64);
	for (; n >= 0; n--)
		close(fd[n]);
	equal(status().readers, 0);
}

/* ---- openers that are killed ---- */

static void handled(int sig)
{
	(void)sig;
}

static void alarmed_run(void *arg)
{
	struct sigaction sa = {.sa_handler = handled};
	struct timespec t = {0, 50000000};
	sigset_t set;
	pid_t ringer;
	int fd;

	sigemptyset(&set);
	sigaction(SIGALRM, &sa, NULL);
	ringer = fork();
	if (!ringer)
		for (;;) {
			nanosleep(&t, NULL);
			kill(getppid(), SIGALRM);
		}
	fd = open(arg, O_RDONLY | O_CLOEXEC);
	kill(ringer, SIGKILL);
	waitpid(ringer, NULL, 0);
	_exit(fd >= 0 ? 0 : errno);
}

static void signals_end_or_do_not(void)
{
	struct splxmod_event ev;
	pid_t pid;
	long begin;
	int fd;

	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	/* killed before anybody took it: it is gone */
	for (int i = 0; i < 2; i++) {
		pid = opener_start(path_of("f"));
		eventually(status().pending == 1);
		begin = now_ms();
		kill(pid, i ? SIGTERM : SIGKILL);
		equal(child_wait(pid), 1000 + (i ? SIGTERM : SIGKILL));
		check(now_ms() - begin < 500);
		equal(status().pending, 0);
	}
	equal(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	check(read(fd, &ev, sizeof(ev)) < 0 && errno == EAGAIN);
	equal(fcntl(fd, F_SETFL, O_RDWR), 0);
	/* and after: nobody waits for the verdict */
	pid = opener_start(path_of("f"));
	ev = event_read(fd);
	child_kill(pid);
	equal(event_answer(fd, &ev), -ESTALE);
	equal(counter(KILLED), 3);
	/* a signal that is handled ends no wait */
	pid = child_start(alarmed_run, (void *)path_of("f"));
	ev = event_read(fd);
	sleep_ms(600);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(pid), EPERM);
	close(fd);
}

/* ---- many at a time ---- */

static void many_openers_ask_once(void)
{
	struct splxmod_event ev;
	pid_t opener[30];
	int fd;

	file_make(path_of("f"), "Denied");
	fd = reader_open(conf.classes);
	for (int i = 0; i < 30; i++)
		opener[i] = opener_start(path_of("f"));
	eventually(counter(JOINED) == 29);
	ev = event_read(fd);
	equal(event_answer(fd, &ev), 0);
	for (int i = 0; i < 30; i++)
		equal(child_wait(opener[i]), EPERM);
	equal(counter(ASKED), 1);
	equal(counter(DENIED), 30);
	close(fd);
}

/* Who joins a scan that has begun is answered by it if nobody wrote since. */
static void joining_a_scan(void)
{
	struct splxmod_event ev, again;
	pid_t first, second;
	int fd, w;

	file_make(path_of("f"), "fine");
	sleep_ms(100); /* past the clock tick in which it was written */
	fd = reader_open(conf.classes);
	first = opener_start(path_of("f"));
	ev = event_read(fd);
	second = opener_start(path_of("f"));
	eventually(counter(JOINED) == 1);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(first), 0);
	equal(child_wait(second), 0);
	equal(counter(AGAIN), 0);
	/* now it is written to while it is scanned */
	first = opener_start(path_of("f"));
	ev = event_read(fd);
	second = opener_start(path_of("f"));
	eventually(counter(JOINED) == 2);
	/* this process reads, so is exempt */
	w = open(path_of("f"), O_WRONLY | O_CLOEXEC);
	check(w >= 0);
	equal(pwrite(w, "Doom", 4, 0), 4);
	close(w);
	ev.fd = -1; /* was found to be fine before that */
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(first), 0);
	again = event_read(fd);
	equal(event_answer(fd, &again), 0);
	equal(child_wait(second), EPERM);
	equal(counter(AGAIN), 1);
	close(fd);
}

static void what_is_for_one_is_not_for_others(void)
{
	struct splxmod_verdict v;
	struct splxmod_event ev;
	pid_t first, second;
	int fd;

	file_make(path_of("f"), "Denied");
	sleep_ms(100);
	fd = reader_open(conf.classes);
	first = opener_start(path_of("f"));
	ev = event_read(fd);
	second = opener_start(path_of("f"));
	eventually(counter(JOINED) == 1);
	v = event_judge(&ev);
	v.verdict = SPLXMOD_ALLOW;
	v.flags = SPLXMOD_ONE;
	close(ev.fd);
	equal(verdict_write(fd, &v), 0);
	equal(child_wait(first), 0);
	ev = event_read(fd);
	equal(ev.pid, second);
	equal(event_answer(fd, &ev), 0);
	equal(child_wait(second), EPERM);
	equal(counter(AGAIN), 1);
	close(fd);
}

static void several_at_once(void)
{
	struct splxmod_event ev[16];
	struct splxmod_verdict v[10];
	pid_t opener[8];
	char name[16];
	ssize_t n;
	int fd;

	fd = reader_open(conf.classes);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		file_make(path_of(name), i % 2 ? "Denied" : "allowed");
		opener[i] = opener_start(path_of(name));
	}
	eventually(status().pending == 8);
	n = read(fd, ev, 5 * sizeof(ev[0]) + 7);
	equal(n, 5 * sizeof(ev[0]));
	n = read(fd, ev + 5, sizeof(ev) - 5 * sizeof(ev[0]));
	equal(n, 3 * sizeof(ev[0]));
	for (int i = 0; i < 8; i++)
		v[i] = event_judge(&ev[i]);
	/* one that is wrong, in the middle */
	v[8] = v[3];
	v[3].id ^= 1ull << 20;
	equal(write(fd, v, 8 * sizeof(v[0])), 3 * sizeof(v[0]));
	check(write(fd, v + 3, 5 * sizeof(v[0])) < 0 && errno == ENOENT);
	v[3] = v[8];
	/* what does not fit is left */
	equal(write(fd, v + 3, 5 * sizeof(v[0]) + 3), 5 * sizeof(v[0]));
	for (int i = 0; i < 8; i++)
		equal(child_wait(opener[i]), i % 2 ? EPERM : 0);
	close(fd);
}

static void stale_in_the_middle(void)
{
	struct splxmod_event ev[3];
	struct splxmod_verdict v[3];
	pid_t opener[3];
	int fd = reader_open(conf.classes);

	for (int i = 0; i < 3; i++) {
		file_make(path_of((char[]){'a' + i, 0}), "D");
		opener[i] = opener_start(path_of((char[]){'a' + i, 0}));
		ev[i] = event_read(fd);
		v[i] = event_judge(&ev[i]);
	}
	child_kill(opener[1]);
	equal(write(fd, v, sizeof(v)), sizeof(v[0]));
	check(write(fd, v + 1, 2 * sizeof(v[0])) < 0 && errno == ESTALE);
	equal(write(fd, v + 2, sizeof(v[0])), sizeof(v[0]));
	equal(child_wait(opener[0]), EPERM);
	equal(child_wait(opener[2]), EPERM);
	close(fd);
}

static const struct test_case cases[] = {
	CASE(verdicts_decide),
	CASE(exec_is_asked),
	CASE(no_reader_is_policy_at_once),
	CASE(a_reader_may_come_late),
	CASE(grace_ends),
	CASE(a_dead_readers_question_goes_on),
	CASE(the_last_readers_death_is_policy),
	CASE(three_deaths_are_enough),
	CASE(a_stopped_reader_trips_the_breaker),
	CASE(the_breaker_tries_again),
	CASE(one_slow_file_is_one_timeout),
	CASE(one_file_that_nobody_takes_is_many),
	CASE(a_late_verdict_is_stale),
	CASE(work_is_taken_from_who_does_not_come),
	CASE(poll_tells),
	CASE(full_is_policy),
	CASE(readers_have_a_limit),
	CASE(signals_end_or_do_not),
	CASE(many_openers_ask_once),
	CASE(joining_a_scan),
	CASE(what_is_for_one_is_not_for_others),
	CASE(several_at_once),
	CASE(stale_in_the_middle),
};

int main(int argc, char **argv)
{
	return run_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
