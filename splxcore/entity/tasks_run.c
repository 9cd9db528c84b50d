/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* A task's process, and what it says. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/adopt.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/vec.h"
#include "tasks.h"

#define LINE_MAX_OUT 4096

/* ---- its words ---- */

struct words {
	VEC(char *);
};

static void add_value(struct words *w, json_t *value)
{
	json_t *item;
	size_t i;

	if (json_is_string(value))
		vec_push(w, xstrdup(json_string_value(value)));
	json_array_foreach (value, i, item)
		vec_push(w, xstrdup(json_string_value(item)));
}

/*
 * Options as one word each, then "--": so nothing that somebody sends is taken
 * for an option of splxctl's own.
 */
char **tasks_argv(const struct verb *verb, json_t *args, const char *extra)
{
	struct verb_arg known[VERB_ARGS_MAX];
	int i, n = verbs_grammar(verb, known, VERB_ARGS_MAX);
	struct words w = {0};
	json_t *value;

	vec_push(&w, xstrdup("splxctl"));
	if (paths()->root[0]) {
		vec_push(&w, xstrdup("-R"));
		vec_push(&w, xstrdup(paths()->root));
	}
	vec_push(&w, xstrdup(verb->noun));
	if (*verb->verb)
		vec_push(&w, xstrdup(verb->verb));
	for (i = 0; i < n; i++) {
		value = json_object_get(args, known[i].name);
		if (known[i].option && json_is_true(value))
			vec_push(&w, xasprintf("--%s", known[i].name));
		else if (known[i].option && value)
			vec_push(&w, xasprintf("--%s=%s", known[i].name,
					       json_string_value(value)));
	}
	vec_push(&w, xstrdup("--"));
	for (i = 0; i < n; i++)
		if (!known[i].option)
			add_value(&w, json_object_get(args, known[i].name));
	if (extra)
		vec_push(&w, xstrdup(extra));
	vec_push(&w, NULL);
	return w.items;
}

void tasks_argv_free(char ***argv)
{
	char **p;

	for (p = *argv; p && *p; p++)
		free(*p);
	xfree(argv);
}

/* ---- its process ---- */

static void __attribute__((noreturn))
run(const char *program, int out, char *const *argv)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	if (null < 0 || chdir("/") < 0 || dup2(null, 0) < 0 ||
	    dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	close_range(3, ~0U, 0);
	/* what is kept of it is English, whatever entity was started with */
	setenv("LC_ALL", "C", 1);
	execv(program, argv);
	_exit(127);
}

static int watch(struct task *t, struct err *err)
{
	t->pidfd = proc_pidfd_now(t->proc.pid);
	if (t->pidfd >= 0 && proc_identify(t->proc.pid, &t->proc) == 0)
		return 0;
	err_set(err, errno, "pidfd_open");
	kill(t->proc.pid, SIGKILL);
	waitpid(t->proc.pid, NULL, 0);
	fd_close(&t->pidfd);
	return -1;
}

int tasks_spawn(struct task *t, char *const *argv, struct err *err)
{
	char *program = xasprintf("%s/usr/sbin/splxctl", paths()->root);
	int ends[2] = {-1, -1}, rc = -1;
	pid_t pid = -1;

	if (access(program, X_OK) < 0)
		err_set(err, errno, "%s", program);
	else if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		err_set(err, errno, "pipe");
	else if (fd_set_nonblock(ends[1], false) < 0 ||
		 (pid = adopt_fork()) < 0)
		err_set(err, errno, "fork");
	if (pid == 0)
		run(program, ends[1], argv);
	free(program);
	fd_close(&ends[1]);
	if (pid > 0) {
		t->proc.pid = pid;
		t->ours = true;
		rc = watch(t, err);
	}
	if (rc < 0)
		fd_close(&ends[0]);
	t->pipe = ends[0];
	return rc;
}

/* ---- what it says ---- */

void tasks_say(struct str *output, const char *data, size_t len)
{
	size_t over;
	char *line;

	str_addn(output, data, len);
	if (output->len <= 2 * TASKS_OUTPUT)
		return;
	over = output->len - TASKS_OUTPUT;
	line = memchr(output->s + over, '\n', output->len - over);
	if (line)
		over = (size_t)(line + 1 - output->s);
	memmove(output->s, output->s + over, output->len - over + 1);
	output->len -= over;
}

char *tasks_text(const struct str *output)
{
	const char *p = str_get(output), *from;
	char line[LINE_MAX_OUT], safe[4 * LINE_MAX_OUT + 1];
	struct str out = {0};

	if (output->len > TASKS_OUTPUT) {
		p += output->len - TASKS_OUTPUT;
		from = strchr(p, '\n');
		p = from ? from + 1 : p;
	}
	while (*p) {
		size_t n = strcspn(p, "\n");
		size_t take = n < sizeof(line) - 1 ? n : sizeof(line) - 1;

		memcpy(line, p, take);
		line[take] = '\0';
		str_add(&out, log_escape(safe, sizeof(safe), line));
		str_add(&out, "\n");
		p += n + (p[n] == '\n');
	}
	return str_take(&out);
}
