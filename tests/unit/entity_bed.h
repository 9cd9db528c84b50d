/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_ENTITY_BED_H
#define SPLX_TESTS_ENTITY_BED_H

/*
 * A whole suite of processes in a root of its own. The test program itself
 * lies there as `entity` (which it then really is) and as `vsapiapp`: a
 * master that scans nothing but does what the supervisor and core see of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/adopt.h"
#include "common/control.h"
#include "common/ipc.h"
#include "common/paths.h"
#include "common/scoreboard.h"
#include "common/state.h"
#include "entity/entity.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/loop.h"
#include "lib/proc.h"
#include "lib/str.h"

#define BED __attribute__((unused)) static
#define BED_WAIT_MS 15000

struct bed {
	char root[64];
	int alive; /* its end tells the watchdog that the test has ended */
	pid_t pid; /* what bed_start() started */
};

/* ---- the master that scans nothing ---- */

struct fake {
	struct loop *loop;
	struct scoreboard *sb;
};

/* What the test wants of it: a word in ROOT/fake. */
BED bool fake_is(const char *word)
{
	char path[PATH_MAX], *text;
	size_t len;
	bool is;

	snprintf(path, sizeof(path), "%s/fake", paths()->root);
	if (fd_read_file(path, 100, &text, &len, NULL))
		return false;
	is = !strcmp(text, word);
	free(text);
	return is;
}

BED void fake_signal(int sig, void *arg)
{
	static int errors;
	struct fake *f = arg;
	json_t *state;

	if (sig == SIGTERM) {
		if (fake_is("stubborn"))
			return;
		atomic_store(&f->sb->master_state, MASTER_STOPPING);
		loop_stop(f->loop);
	} else if (fake_is("refuse")) {
		state = json_pack("{s:[{s:i, s:s, s:i}]}", "errors", "code",
				  20032, "text", "no, thank you", "time",
				  ++errors);
		state_write(state, NULL);
		json_decref(state);
	} else if (!fake_is("silent")) {
		atomic_fetch_add(sig == SIGHUP ? &f->sb->policy_generation
					       : &f->sb->generation,
				 1);
	}
}

BED void fake_beat(void *arg)
{
	struct fake *f = arg;

	scoreboard_beat(f->sb, master);
}

BED void fake_quit(void *arg)
{
	struct fake *f = arg;

	loop_stop(f->loop);
}

BED int fake_vsapiapp(int argc, char **argv)
{
	struct fake f;
	struct loop_event *ev[4];
	struct sigaction sa;
	struct adopt *adopt;
	size_t i;

	paths_init(argc > 2 ? argv[2] : NULL);
	if (fake_is("die"))
		return 3;
	/* What its parent ignores is not handed down by execve(2). */
	sigaction(SIGTERM, NULL, &sa);
	if (sa.sa_handler != SIG_DFL)
		return 4;
	f.sb = scoreboard_map(INHERIT_SCOREBOARD, NULL);
	f.loop = loop_new();
	ev[0] = loop_signal(f.loop, SIGTERM, fake_signal, &f);
	ev[1] = loop_signal(f.loop, SIGHUP, fake_signal, &f);
	ev[2] = loop_signal(f.loop, SIGUSR1, fake_signal, &f);
	ev[3] = loop_timer(f.loop, 200, true, fake_beat, &f);
	adopt = adopt_watch(f.loop, f.sb, 2000, fake_quit, &f);
	scoreboard_enter(f.sb, master);
	atomic_store(&f.sb->interceptor, INTERCEPTOR_FANOTIFY);
	atomic_store(&f.sb->master_state, MASTER_READY);
	if (fake_is("foreign"))
		f.sb->version++; /* as if another build had made it */
	loop_run(f.loop);
	adopt_free(&adopt);
	for (i = 0; i < 4; i++)
		loop_cancel(&ev[i]);
	loop_free(&f.loop);
	return 0;
}

/* At the beginning of main(): true when this is not the test itself. */
BED bool bed_role(int argc, char **argv, int *status_r)
{
	const char *base = strrchr(argv[0], '/');

	base = base ? base + 1 : argv[0];
	if (!strcmp(base, "entity"))
		*status_r = entity_main(argc, argv);
	else if (!strcmp(base, "vsapiapp"))
		*status_r = fake_vsapiapp(argc, argv);
	else
		return false;
	return true;
}

/* ---- the root ---- */

BED void bed_write(const struct bed *b, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", b->root, name);
	assert_int_equal(fd_replace_file(path, text, strlen(text), 0644, NULL),
			 0);
}

BED char *bed_read(const struct bed *b, const char *name)
{
	char path[PATH_MAX], *text;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", b->root, name);
	if (fd_read_file(path, 1 << 22, &text, &len, NULL))
		return strdup("");
	return text;
}

/* Does the log say so? */
BED bool bed_told(const struct bed *b, const char *text)
{
	char *log = bed_read(b, "var/log/splx/splx.log");
	bool told = strstr(log, text) != NULL;

	free(log);
	return told;
}

BED bool bed_has(const struct bed *b, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", b->root, name);
	return access(path, F_OK) == 0;
}

BED void bed_copy(const char *from, const char *to)
{
	char *data;
	size_t len;

	assert_int_equal(fd_read_file(from, 1 << 28, &data, &len, NULL), 0);
	assert_int_equal(fd_replace_file(to, data, len, 0755, NULL), 0);
	free(data);
}

/* Pids of this root's programs; at most max. */
BED int bed_pids(const struct bed *b, pid_t *pids, int max)
{
	DIR *dir = opendir("/proc");
	char link[300], exe[PATH_MAX];
	struct dirent *e;
	ssize_t n;
	int count = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (atoi(e->d_name) <= 0)
			continue;
		snprintf(link, sizeof(link), "/proc/%s/exe", e->d_name);
		n = readlink(link, exe, sizeof(exe) - 1);
		if (n <= 0)
			continue;
		exe[n] = '\0';
		if (str_starts(exe, b->root) && exe[strlen(b->root)] == '/' &&
		    count < max)
			pids[count++] = atoi(e->d_name);
	}
	closedir(dir);
	return count;
}

BED void bed_kill_all(struct bed *b)
{
	pid_t pids[64];
	int i, n, round;

	for (round = 0; round < 50; round++) {
		n = bed_pids(b, pids, 64);
		for (i = 0; i < n; i++)
			kill(pids[i], SIGKILL);
		if (b->pid > 0 && waitpid(b->pid, NULL, WNOHANG) == b->pid)
			b->pid = 0;
		if (n == 0)
			break;
		usleep(20000);
	}
}

BED void bed_remove(const struct bed *b)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", b->root);
	if (system(command))
		fprintf(stderr, "%s is left\n", b->root);
}

BED void bed_free(struct bed *b)
{
	bed_kill_all(b);
	bed_remove(b);
	fd_close(&b->alive);
}

/* A test that is killed leaves daemons behind: then somebody has to end them.
 */
BED void bed_guard(struct bed *b)
{
	int ends[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	b->alive = ends[1];
	pid = fork();
	if (pid > 0) {
		close(ends[0]);
		waitpid(pid, NULL, 0);
		return;
	}
	if (fork() > 0)
		_exit(0);
	setsid();
	close(ends[1]);
	dup2(open("/dev/null", O_RDWR), 1);
	dup2(1, 2);
	while (read(ends[0], &c, 1) < 0 && errno == EINTR)
		;
	if (access(b->root, F_OK) == 0) {
		bed_kill_all(b);
		bed_remove(b);
	}
	_exit(0);
}

BED void bed_new(struct bed *b)
{
	char path[PATH_MAX];

	memset(b, 0, sizeof(*b));
	strcpy(b->root, "/tmp/splx-entity-XXXXXX");
	assert_non_null(mkdtemp(b->root));
	chmod(b->root, 0755);
	snprintf(path, sizeof(path), "%s/usr/lib/splx", b->root);
	assert_int_equal(fd_mkdirs(path, 0755, NULL), 0);
	snprintf(path, sizeof(path), "%s/etc/splx", b->root);
	assert_int_equal(fd_mkdirs(path, 0755, NULL), 0);
	snprintf(path, sizeof(path), "%s/usr/lib/splx/entity", b->root);
	bed_copy("/proc/self/exe", path);
	snprintf(path, sizeof(path), "%s/usr/lib/splx/vsapiapp", b->root);
	bed_copy("/proc/self/exe", path);
	bed_write(b, "etc/splx/splx.conf",
		  "# kept\nInclude = {\"/nowhere\"}\nScanUser = \"61184\"\n"
		  "LogSyslog = no\n");
	bed_guard(b);
}

/* Runs `entity -R ROOT options...`, its output into ROOT/out. */
BED pid_t bed_spawn(struct bed *b, const char *o1, const char *o2)
{
	char program[PATH_MAX], out[PATH_MAX];
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	snprintf(program, sizeof(program), "%s/usr/lib/splx/entity", b->root);
	snprintf(out, sizeof(out), "%s/out", b->root);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	dup2(fd, 1);
	dup2(fd, 2);
	/* Should the test be killed its suite ends too. */
	execl(program, "entity", "-R", b->root, o1, o2, NULL);
	_exit(99);
}

/* The exit status of `entity -R ROOT o1`. */
BED int bed_run(struct bed *b, const char *o1)
{
	int status = 0;
	pid_t pid = bed_spawn(b, o1, NULL);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define bed_until(what)                                                        \
	do {                                                                   \
		int until_ms_;                                                 \
		for (until_ms_ = 0; !(what); until_ms_ += 20) {                \
			if (until_ms_ > BED_WAIT_MS)                           \
				fail_msg("not in time: %s", #what);            \
			usleep(20000);                                         \
		}                                                              \
	} while (0)

/* ---- talking to it ---- */

BED int bed_control_in(const struct bed *b, const char *command, char *reply,
		       size_t size, int ms)
{
	char path[PATH_MAX];
	struct err err;

	snprintf(path, sizeof(path), "%s/run/splx/control.sock", b->root);
	if (control_call(path, command, ms, reply, size, &err) == 0)
		return 0;
	snprintf(reply, size, "%s", err.text);
	return -1;
}

BED int bed_control(const struct bed *b, const char *command, char *reply,
		    size_t size)
{
	return bed_control_in(b, command, reply, size, BED_WAIT_MS);
}

/* The pid of supervisor, entity or vsapiapp as the supervisor says; 0 none,
 * -1 no answer. With `state` only when it is in that state, else 0. */
BED pid_t bed_pid(const struct bed *b, const char *part, const char *state)
{
	char reply[CONTROL_MAX], *line, word[32], st[32];
	int pid;

	if (bed_control_in(b, "status", reply, sizeof(reply), 500))
		return -1;
	line = strstr(reply, part);
	if (!line ||
	    sscanf(line, "%31s pid=%d state=%31s", word, &pid, st) != 3)
		return -1;
	return state && strcmp(st, state) ? 0 : pid;
}

/* Data of a verb (new reference); NULL and the code word when refused. */
BED json_t *bed_call(const struct bed *b, const char *verb, json_t *args,
		     char code[32])
{
	char path[PATH_MAX], mine[32];
	struct ipc_client *c;
	json_t *data = NULL;
	struct err err;

	snprintf(path, sizeof(path), "%s/run/splx/entity.sock", b->root);
	c = ipc_connect(path, BED_WAIT_MS, &err);
	if (!c) {
		json_decref(args);
		return NULL;
	}
	if (ipc_call_sync(c, verb, args, &data, code ? code : mine, &err))
		data = NULL;
	ipc_client_free(&c);
	json_decref(args);
	return data;
}

/* What a user gets for a verb: "" for an answer, else the code word. Args go.
 */
BED void bed_ask(const struct bed *b, uid_t uid, const char *verb, json_t *args,
		 char code[32])
{
	json_t *data;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		char got[32] = "none";

		if (setgroups(0, NULL) || setgid(uid) || setuid(uid))
			_exit(1);
		data = bed_call(b, verb, args, got);
		if (data)
			got[0] = '\0';
		_exit(write(ends[1], got, sizeof(got)) != sizeof(got));
	}
	json_decref(args);
	close(ends[1]);
	assert_int_equal(read(ends[0], code, 32), 32);
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

/* In the foreground, until core answers. */
BED void bed_start(struct bed *b, const char *option)
{
	b->pid = bed_spawn(b, "-f", option);
	bed_until(bed_pid(b, "entity", "running") > 0);
	if (option)
		bed_until(bed_pid(b, "vsapiapp", "running") > 0);
}

/* The exit status of what bed_start() started. */
BED int bed_wait(struct bed *b)
{
	int status = -1;

	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
