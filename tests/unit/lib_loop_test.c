/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/loop.h"

struct ctx {
	struct loop *loop;
	struct loop_event *ev;
	int count, what, sig;
	int pair[2];
};

static int setup(void **state)
{
	static struct ctx c;

	c = (struct ctx){0};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c.pair) < 0)
		return -1;
	c.loop = loop_new();
	alarm(30);
	*state = &c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;

	loop_cancel(&c->ev);
	loop_free(&c->loop);
	close(c->pair[0]);
	close(c->pair[1]);
	alarm(0);
	return 0;
}

static void stop(void *arg)
{
	struct ctx *c = arg;

	loop_stop(c->loop);
}

static void count_three(void *arg)
{
	struct ctx *c = arg;

	if (++c->count == 3)
		loop_stop(c->loop);
}

static void cancel_itself(void *arg)
{
	struct ctx *c = arg;

	c->count++;
	loop_cancel(&c->ev);
}

static void on_fd(int fd, int what, void *arg)
{
	struct ctx *c = arg;

	c->what = what;
	c->count++;
	loop_stop(c->loop);
}

static void on_fd_cancel(int fd, int what, void *arg)
{
	struct ctx *c = arg;

	c->count++;
	loop_cancel(&c->ev);
	loop_stop(c->loop);
}

static void on_signal(int sig, void *arg)
{
	struct ctx *c = arg;

	c->sig = sig;
	c->count++;
	loop_stop(c->loop);
}

static void a_timer_fires_once_and_not_early(void **state)
{
	struct ctx *c = *state;
	uint64_t begin = clock_mono_ns();
	struct loop_event *end;

	c->ev = loop_timer(c->loop, 50, false, count_three, c);
	end = loop_timer(c->loop, 150, false, stop, c);
	assert_int_equal(loop_run(c->loop), 0);
	loop_cancel(&end);
	assert_int_equal(c->count, 1);
	assert_true(clock_mono_ns() - begin >= 150 * CLOCK_NS_PER_MS);
}

static void a_repeating_timer_fires_every_interval(void **state)
{
	struct ctx *c = *state;
	uint64_t begin = clock_mono_ns();

	c->ev = loop_timer(c->loop, 30, true, count_three, c);
	assert_int_equal(loop_run(c->loop), 0);
	assert_int_equal(c->count, 3);
	assert_true(clock_mono_ns() - begin >= 89 * CLOCK_NS_PER_MS);
}

static void sleep_then_set(void *arg)
{
	struct ctx *c = arg;

	usleep(100000);
	c->ev = loop_timer(c->loop, 50, false, stop, c);
}

static void a_timer_set_after_long_work_counts_from_then(void **state)
{
	struct ctx *c = *state;
	uint64_t begin = clock_mono_ns();
	struct loop_event *first;

	first = loop_timer(c->loop, 0, false, sleep_then_set, c);
	loop_run(c->loop);
	loop_cancel(&first);
	assert_true(clock_mono_ns() - begin >= 150 * CLOCK_NS_PER_MS);
}

static void a_descriptor_is_told_what_it_is_ready_for(void **state)
{
	struct ctx *c = *state;

	c->ev = loop_fd(c->loop, c->pair[0], LOOP_READ | LOOP_WRITE, on_fd, c);
	loop_run(c->loop);
	assert_int_equal(c->what, LOOP_WRITE);
	assert_int_equal(write(c->pair[1], "x", 1), 1);
	loop_run(c->loop);
	assert_int_equal(c->what, LOOP_READ | LOOP_WRITE);
}

static void readiness_is_level_triggered(void **state)
{
	struct ctx *c = *state;

	assert_int_equal(write(c->pair[1], "x", 1), 1);
	c->ev = loop_fd(c->loop, c->pair[0], LOOP_READ, on_fd, c);
	loop_run(c->loop);
	loop_run(c->loop);
	assert_int_equal(c->count, 2);
}

static void a_closed_peer_reads_as_ready(void **state)
{
	struct ctx *c = *state;

	c->ev = loop_fd(c->loop, c->pair[0], LOOP_READ, on_fd, c);
	shutdown(c->pair[1], SHUT_RDWR);
	loop_run(c->loop);
	assert_int_equal(c->count, 1);
}

static void an_event_may_end_itself_in_its_callback(void **state)
{
	struct ctx *c = *state;
	struct loop_event *end;

	c->ev = loop_timer(c->loop, 5, true, cancel_itself, c);
	end = loop_timer(c->loop, 60, false, stop, c);
	loop_run(c->loop);
	loop_cancel(&end);
	assert_int_equal(c->count, 1);
	assert_null(c->ev);

	assert_int_equal(write(c->pair[1], "x", 1), 1);
	c->ev = loop_fd(c->loop, c->pair[0], LOOP_READ, on_fd_cancel, c);
	loop_run(c->loop);
	assert_int_equal(c->count, 2);
	assert_null(c->ev);
}

static void cancel_of_nothing_is_allowed(void **state)
{
	struct loop_event *none = NULL;

	loop_cancel(&none);
}

static void a_signal_arrives_in_the_loop(void **state)
{
	struct ctx *c = *state;

	c->ev = loop_signal(c->loop, SIGUSR1, on_signal, c);
	kill(getpid(), SIGUSR1);
	assert_int_equal(c->count, 0);
	loop_run(c->loop);
	assert_int_equal(c->count, 1);
	assert_int_equal(c->sig, SIGUSR1);
}

static void a_signal_for_life_is_ignored_after_its_end(void **state)
{
	struct ctx *c = *state;
	struct sigaction sa;

	c->ev = loop_signal_for_life(c->loop, SIGUSR1, on_signal, c);
	kill(getpid(), SIGUSR1);
	loop_run(c->loop);
	assert_int_equal(c->sig, SIGUSR1);
	c->sig = 0;
	loop_cancel(&c->ev);
	kill(getpid(), SIGUSR1);
	assert_int_equal(c->sig, 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &sa), 0);
	assert_ptr_equal(sa.sa_handler, SIG_IGN);
	signal(SIGUSR1, SIG_DFL);
}

static void a_stop_before_the_run_counts(void **state)
{
	struct ctx *c = *state;

	loop_stop(c->loop);
	assert_int_equal(loop_run(c->loop), 0);
	/* And once only. */
	c->ev = loop_timer(c->loop, 1, true, count_three, c);
	loop_run(c->loop);
	assert_int_equal(c->count, 3);
}

static void a_loop_without_events_runs_until_it_is_stopped(void **state)
{
	struct ctx *c = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(1);
		loop_forget(&c->loop);
		c->loop = loop_new();
		loop_run(c->loop);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

static void forgetting_in_a_child_leaves_the_parents_loop_whole(void **state)
{
	struct ctx *c = *state;
	struct loop_event *sig = loop_signal(c->loop, SIGUSR1, on_signal, c);
	int status;
	pid_t pid;

	c->ev = loop_fd(c->loop, c->pair[0], LOOP_READ, on_fd, c);
	pid = fork();
	if (pid == 0) {
		loop_forget(&c->loop);
		if (c->loop)
			_exit(1);
		/* The parent's handler is gone: this ends the child. */
		kill(getpid(), SIGUSR1);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);

	assert_int_equal(write(c->pair[1], "x", 1), 1);
	loop_run(c->loop);
	assert_int_equal(c->count, 1);
	assert_int_equal(c->what, LOOP_READ);
	assert_int_equal(c->sig, 0);
	loop_cancel(&c->ev);
	kill(getpid(), SIGUSR1);
	loop_run(c->loop);
	assert_int_equal(c->sig, SIGUSR1);
	loop_cancel(&sig);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_timer_fires_once_and_not_early),
		TEST(a_repeating_timer_fires_every_interval),
		TEST(a_timer_set_after_long_work_counts_from_then),
		TEST(a_descriptor_is_told_what_it_is_ready_for),
		TEST(readiness_is_level_triggered),
		TEST(a_closed_peer_reads_as_ready),
		TEST(an_event_may_end_itself_in_its_callback),
		TEST(cancel_of_nothing_is_allowed),
		TEST(a_signal_arrives_in_the_loop),
		TEST(a_signal_for_life_is_ignored_after_its_end),
		TEST(a_stop_before_the_run_counts),
		TEST(a_loop_without_events_runs_until_it_is_stopped),
		TEST(forgetting_in_a_child_leaves_the_parents_loop_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
