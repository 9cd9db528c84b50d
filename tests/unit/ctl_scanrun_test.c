/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/paths.h"
#include "common/scanjob.h"
#include "ctlbed.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"

/*
 * splxctl scan, against something that speaks scanjob.h as the workers do: a
 * file whose content begins with BAD is infected, with ODD unreadable, with
 * BIG too large, with SLOW it takes a minute, with END the service ends, INT
 * interrupts who asks.
 */
static char root[PATH_MAX];
static pid_t server;
static pid_t client_pid; /* in the server */

static const char *in_root(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void make(const char *name, const char *content)
{
	assert_int_equal(fd_replace_file(in_root(name), content,
					 strlen(content), 0644, NULL),
			 0);
}

static void examine(int fd, struct scanjob_reply *reply)
{
	char head[8] = "";
	struct stat st;

	if (fstat(fd, &st) == 0)
		reply->bytes = (uint64_t)st.st_size;
	if (pread(fd, head, 4, 0) < 0)
		_exit(3);
	if (str_starts(head, "END"))
		_exit(0);
	if (str_starts(head, "INT") && client_pid > 0) {
		kill(client_pid, SIGINT);
		client_pid = 0; /* once: a second one is not caught */
	}
	if (str_starts(head, "SLOW"))
		sleep(60);
	if (str_starts(head, "BAD")) {
		reply->verdict = VERDICT_INFECTED;
		strcpy(reply->virus, "Test.Bad");
	} else if (str_starts(head, "ODD")) {
		reply->verdict = VERDICT_ERROR;
	} else if (str_starts(head, "BIG")) {
		reply->verdict = VERDICT_OVERSIZE;
	}
}

static void serve_client(int sock)
{
	static struct scanjob_request req;
	int fds[FD_PASS_MAX], nfds;
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		client_pid = who.pid;
	while (fd_recv(sock, &req, sizeof(req), fds, &nfds, 0) > 0) {
		struct scanjob_reply reply = {
			.version = SCANJOB_VERSION,
			.kind = req.kind,
			.id = req.id,
			.workers = 2,
			.job = 77,
		};

		if (nfds > 0) {
			examine(fds[0], &reply);
			close(fds[0]);
		}
		fd_send(sock, &reply, sizeof(reply), NULL, 0, MSG_NOSIGNAL);
	}
	close(sock);
}

static void serve(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0), client;

	str_copy(sa.sun_path, sizeof(sa.sun_path), paths()->scan_sock);
	unlink(sa.sun_path);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(sock, 4), 0);
	server = fork();
	if (server == 0) {
		alarm(100);
		while ((client = accept(sock, NULL, NULL)) >= 0)
			serve_client(client);
		_exit(1);
	}
	close(sock);
}

static int setup(void **state)
{
	struct err err;

	alarm(100);
	if (!*root) {
		strcpy(root, "/tmp/splx-scan-XXXXXX");
		if (!mkdtemp(root))
			return -1;
		paths_init(root);
	}
	if (fd_mkdirs(paths()->run_dir, 0755, &err) < 0 ||
	    fd_mkdirs(in_root("data/d"), 0755, &err) < 0)
		return -1;
	make("run/splx/active.conf", "ScanTimeout = 1s\n");
	serve();
	return 0;
}

static int teardown(void **state)
{
	char *command = xasprintf("rm -rf '%s'/*", root);
	int rc = system(command);

	kill(server, SIGKILL);
	kill(server, SIGCONT);
	waitpid(server, NULL, 0);
	free(command);
	return rc;
}

static pid_t start(const char *line)
{
	char *words = xasprintf("scan %s", line);
	pid_t pid = ctlbed_start(root, 0, words);

	free(words);
	return pid;
}

static int finish(pid_t pid)
{
	return ctlbed_finish(root, pid);
}

static int run(const char *options)
{
	char *line = xasprintf("%s %s/data", options, root);
	int rc = finish(start(line));

	free(line);
	return rc;
}

static void clean_files_are_0_with_a_summary_alone(void **state)
{
	make("data/a", "good");
	make("data/d/b", "good");
	assert_int_equal(run(""), 0);
	assert_true(str_starts(out, "Scanned:     2 files, 8 "));
	assert_non_null(strstr(out, "Infected:    0\n"));
	assert_int_equal(run("--quiet"), 0);
	assert_string_equal(out, "");
}

static void a_finding_is_a_line_and_1(void **state)
{
	char *want = xasprintf("%s/data/d/bad: Test.Bad FOUND (deny)\n", root);

	make("data/a", "good");
	make("data/d/bad", "BAD");
	make("data/odd", "ODD");
	assert_int_equal(run("--quiet"), 1);
	assert_string_equal(out, want);
	free(want);
	assert_int_equal(run("--quiet --action=delete"), 1);
	assert_non_null(strstr(out, "FOUND (delete)\n"));
}

static void what_cannot_be_examined_is_2_and_on_standard_error(void **state)
{
	make("data/odd", "ODD");
	make("data/big", "BIG");
	assert_int_equal(run(""), 2);
	assert_non_null(strstr(complaints, "/data/odd: could not be"));
	assert_non_null(strstr(complaints, "/data/big: too large"));
	assert_non_null(strstr(out, "Errors:      1"));
	assert_non_null(strstr(out, "Partly:      1"));
	unlink(in_root("data/odd"));
	assert_int_equal(run(""), 0);
	assert_int_equal(run("/nowhere/at/all"), 2);
	assert_non_null(strstr(complaints, "/nowhere/at/all: No such file"));
}

static void json_is_a_line_each_and_the_summary_last(void **state)
{
	json_t *o;
	char *second;

	make("data/bad", "BAD");
	make("data/good", "good");
	assert_int_equal(run("-o json"), 1);
	second = strchr(out, '\n') + 1;
	o = json_loads(second, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "type")),
			    "summary");
	assert_int_equal(json_integer_value(json_object_get(o, "files")), 2);
	assert_int_equal(json_integer_value(json_object_get(o, "infected")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "job")), 77);
	assert_true(json_is_false(json_object_get(o, "interrupted")));
	json_decref(o);
	*second = '\0';
	o = json_loads(out, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "virus")),
			    "Test.Bad");
	json_decref(o);
}

static void exclusions_of_the_settings_in_force_hold(void **state)
{
	char *conf = xasprintf("ExcludeDirectory = {\"%s/data/d\"}\n", root);

	make("run/splx/active.conf", conf);
	free(conf);
	make("data/d/bad", "BAD");
	assert_int_equal(run(""), 0);
	assert_non_null(strstr(out, "Excluded:    1"));
	assert_int_equal(run("--no-exclusions"), 1);
}

static void an_interrupt_ends_it_with_a_true_summary(void **state)
{
	char *line = xasprintf("%s/data/bad %s/data/slow", root, root);
	pid_t pid;

	make("data/bad", "BAD");
	make("data/slow", "SLOW");
	pid = start(line);
	sleep(1);
	kill(pid, SIGINT);
	assert_int_equal(finish(pid), 1);
	assert_non_null(strstr(out, "Interrupted"));
	assert_non_null(strstr(out, "Scanned:     1 files"));
	assert_non_null(strstr(out, "Infected:    1"));
	assert_non_null(strstr(out, "Unfinished:  1"));
	free(line);
}

static void an_interrupt_without_a_finding_is_2(void **state)
{
	char *line = xasprintf("-o json %s/data/slow", root);
	uint64_t begin;
	pid_t pid;

	make("data/slow", "SLOW");
	pid = start(line);
	sleep(1);
	begin = clock_mono_ns();
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), 2);
	assert_true(clock_mono_ns() - begin < 3 * CLOCK_NS_PER_S);
	assert_non_null(strstr(out, "\"interrupted\":true"));
	assert_non_null(strstr(out, "\"unfinished\":1"));
	free(line);
}

static void an_interrupt_ends_the_walk_between_two_files(void **state)
{
	char name[32];
	json_t *o;
	int i;

	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "data/%d", i);
		make(name, "INT");
	}
	assert_int_equal(run("-o json"), 2);
	o = json_loads(out, 0, NULL);
	assert_true(json_is_true(json_object_get(o, "interrupted")));
	assert_in_range(json_integer_value(json_object_get(o, "files")), 0,
			1000);
	json_decref(o);
}

static void a_service_that_ends_meanwhile_is_2_and_told(void **state)
{
	make("data/end", "END");
	assert_int_equal(run(""), 2);
	assert_non_null(strstr(complaints, "scan service"));
	assert_non_null(strstr(out, "Errors:      1"));
}

static void a_service_that_is_stopped_does_not_hold_it_for_ever(void **state)
{
	uint64_t begin = clock_mono_ns();

	make("data/slow", "SLOW"); /* ScanTimeout is 1 s: 6 s at most */
	assert_int_equal(run(""), 2);
	assert_non_null(strstr(complaints, "do not answer any more"));
	assert_true(clock_mono_ns() - begin < 15 * CLOCK_NS_PER_S);
}

static void a_terminal_sees_progress_that_goes_away(void **state)
{
	char *argv[] = {"splxctl", "-R", root, "scan", NULL, NULL};
	static char seen[65536];
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int pty, status;

	make("data/a", "good");
	argv[4] = xstrdup(in_root("data"));
	pid = forkpty(&pty, NULL, NULL, NULL);
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("TERM", "xterm", 1);
		_exit(ctl_main(5, argv));
	}
	while ((n = read(pty, seen + len, sizeof(seen) - 1 - len)) > 0)
		len += (size_t)n;
	close(pty);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_non_null(strstr(seen, "\r\033[K0 files"));
	assert_non_null(strstr(seen, "MB/s\r\033[KScanned:"));
	free(argv[4]);
}

#define RUN(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(clean_files_are_0_with_a_summary_alone),
		RUN(a_finding_is_a_line_and_1),
		RUN(what_cannot_be_examined_is_2_and_on_standard_error),
		RUN(json_is_a_line_each_and_the_summary_last),
		RUN(exclusions_of_the_settings_in_force_hold),
		RUN(an_interrupt_ends_it_with_a_true_summary),
		RUN(an_interrupt_without_a_finding_is_2),
		RUN(an_interrupt_ends_the_walk_between_two_files),
		RUN(a_service_that_ends_meanwhile_is_2_and_told),
		RUN(a_service_that_is_stopped_does_not_hold_it_for_ever),
		RUN(a_terminal_sees_progress_that_goes_away),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	rmdir(root);
	free(out);
	free(complaints);
	return rc;
}
