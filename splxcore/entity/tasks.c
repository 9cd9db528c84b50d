/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * task.*.
 * TASK {"id", "verb", "args", "by", "state": running, done, failed, cancelled
 *   or interrupted, "code": exit status or null, "started", "ended": ns since
 *   1970 or null, "progress": the last line it said, "result": whether
 *   task.result has something}
 * task.list [TASK], newest first; task.show TASK with "output": the last
 *   64 KiB; task.start {"task": id}; task.cancel null
 * task.result: a stream, parts {"name", "size", "data": base64}; the answer is
 *   {"bytes"}.
 */
#include "tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/address.h"
#include "common/jsontext.h"
#include "common/paths.h"
#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define LIST_MAX TASKS_KEEP
#define CHUNK 65536

struct tasks {
	struct task *running;
};

const char *task_state_name(enum task_state state)
{
	static const char *const names[] = {
		[TASK_RUNNING] = "running",
		[TASK_DONE] = "done",
		[TASK_FAILED] = "failed",
		[TASK_CANCELLED] = "cancelled",
		[TASK_INTERRUPTED] = "interrupted",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state]
							: "unknown";
}

static char *tasks_dir(void)
{
	return xasprintf("%s/tasks", paths()->lib_dir);
}

char *tasks_result(int64_t id)
{
	return xasprintf("%s/tasks/%lld.tar.gz", paths()->lib_dir,
			 (long long)id);
}

static struct task *find(const struct core *core, int64_t id)
{
	struct task *t = core->tasks->running;

	while (t && t->id != id)
		t = t->next;
	return t;
}

static void task_free(struct task *t)
{
	struct task **p = &t->core->tasks->running;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p)
		*p = t->next;
	loop_cancel(&t->exit_event);
	loop_cancel(&t->output_event);
	loop_cancel(&t->kill_timer);
	fd_close(&t->pidfd);
	fd_close(&t->pipe);
	str_free(&t->output);
	free(t->args);
	free(t->by);
	free(t);
}

/* As they are listed; the command gets them as they are. */
static char *shown_args(json_t *list)
{
	char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
	char *shown = address_mask(text ? text : "[]");

	free(text);
	return shown;
}

/* ---- from its start to its end ---- */

static void save(struct task *t, enum task_state state, int code)
{
	char wire[64], *output = tasks_text(&t->output);
	struct task_row row = {
		.id = t->id,
		.verb = verbs_wire(t->verb, wire, sizeof(wire)),
		.args = t->args,
		.by = t->by,
		.state = state,
		.code = code,
		.started_ns = t->started_ns,
		.ended_ns = state == TASK_RUNNING ? 0 : clock_real_ns(),
		.output = output,
		.proc = t->proc,
	};
	struct err err;

	if (store_task_save(t->core->store, &row, &err) < 0)
		log_warn("task %lld: %s", (long long)t->id, err.text);
	free(output);
}

static void read_output(struct task *t)
{
	char buf[CHUNK];
	ssize_t n;

	while (t->pipe >= 0 && (n = read(t->pipe, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		tasks_say(&t->output, buf, (size_t)n);
		if (n < (ssize_t)sizeof(buf))
			return;
	}
	loop_cancel(&t->output_event);
	fd_close(&t->pipe);
}

static void on_output(int fd, int what, void *arg)
{
	char buf[CHUNK];
	struct task *t = arg;
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0) {
		tasks_say(&t->output, buf, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_cancel(&t->output_event);
		fd_close(&t->pipe);
	}
}

/* 1 is an answer of pattern check, and of others a failure. */
static enum task_state outcome(const struct task *t, int status)
{
	if (t->cancelled)
		return TASK_CANCELLED;
	if (!WIFEXITED(status))
		return TASK_FAILED;
	if (WEXITSTATUS(status) == 1 && t->verb->id == VERB_ID_pattern_check)
		return TASK_DONE;
	return WEXITSTATUS(status) ? TASK_FAILED : TASK_DONE;
}

static void on_exit_event(int fd, int what, void *arg)
{
	struct task *t = arg;
	int status = 0, code = -1;
	enum task_state state = TASK_INTERRUPTED;

	if (t->ours && waitpid(t->proc.pid, &status, WNOHANG) == t->proc.pid) {
		state = outcome(t, status);
		code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	read_output(t);
	log_info("task %lld ended verb=%s %s state=%s code=%d",
		 (long long)t->id, t->verb->noun, t->verb->verb,
		 task_state_name(state), code);
	save(t, state, code);
	task_free(t);
}

static void follow(struct task *t)
{
	struct core *core = t->core;

	t->next = core->tasks->running;
	core->tasks->running = t;
	t->exit_event =
		loop_fd(core->loop, t->pidfd, LOOP_READ, on_exit_event, t);
	if (t->pipe >= 0)
		t->output_event =
			loop_fd(core->loop, t->pipe, LOOP_READ, on_output, t);
}

/* ---- what ran before this core did ---- */

struct found {
	struct core *core;
	struct {
		VEC(struct task *);
	} tasks;
};

static void on_former(const struct task_row *row, void *arg)
{
	const struct verb *verb = verbs_find(row->verb);
	struct found *f = arg;
	struct task *t;

	if (row->state != TASK_RUNNING || !verb)
		return;
	t = xcalloc(1, sizeof(*t));
	t->core = f->core;
	t->id = row->id;
	t->verb = verb;
	t->args = xstrdup(row->args);
	t->by = xstrdup(row->by);
	t->started_ns = row->started_ns;
	t->proc = row->proc;
	t->pidfd = t->pipe = -1;
	str_add(&t->output, row->output);
	vec_push(&f->tasks, t);
}

int tasks_init(struct core *core, struct err *err)
{
	struct found f = {.core = core};
	struct task **p;
	char *dir = tasks_dir();

	core->tasks = xcalloc(1, sizeof(*core->tasks));
	if (fd_mkdirs(dir, 0700, err) < 0)
		log_warn("tasks: %s", err->text);
	free(dir);
	store_tasks(core->store, LIST_MAX, on_former, &f, NULL);
	vec_each (p, &f.tasks) {
		if (proc_runs(&(*p)->proc, "splxctl"))
			(*p)->pidfd = proc_pidfd(&(*p)->proc);
		if ((*p)->pidfd >= 0) {
			follow(*p);
		} else {
			save(*p, TASK_INTERRUPTED, -1);
			task_free(*p);
		}
	}
	vec_free(&f.tasks);
	return 0;
}

void tasks_deinit(struct core *core)
{
	if (!core->tasks)
		return;
	while (core->tasks->running) {
		save(core->tasks->running, TASK_RUNNING, -1);
		task_free(core->tasks->running);
	}
	xfree(&core->tasks);
}

/* ---- task.start ---- */

/* Of the words that came: what splxctl takes them for. NULL and *err. */
static json_t *read_args(const struct verb *verb, json_t *args, struct err *err)
{
	json_t *list = json_object_get(args, "arg"), *item, *parsed;
	size_t n = json_array_size(list), i;
	char **words = xcalloc(n + 1, sizeof(*words));
	const char *part;

	json_array_foreach (list, i, item)
		words[i] = xstrdup(json_string_value(item));
	parsed = verbs_parse(verb, (int)n, words, err);
	tasks_argv_free(&words);
	if (!parsed)
		return NULL;
	part = json_string_value(json_object_get(parsed, "part"));
	if (part && strcmp(part, "vsapiapp") != 0)
		err_set(err, 0, "%s: only vsapiapp is started and stopped so",
			part);
	else if (verb->id == VERB_ID_diagnose && json_object_size(parsed))
		err_set(err, 0, "where it lies is chosen here: task result");
	else if (json_object_get(parsed, "cron"))
		err_set(err, 0, "--cron is for cron");
	else
		return parsed;
	json_decref(parsed);
	return NULL;
}

/* Bundles take room: those of the newest few are kept. */
struct bundles {
	int seen;
};

static void on_bundle(const struct task_row *row, void *arg)
{
	struct bundles *b = arg;
	char *path;

	if (strcmp(row->verb, "diagnose") != 0 || ++b->seen < TASKS_BUNDLES)
		return;
	path = tasks_result(row->id);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warn("unlink(%s): %m", path);
	free(path);
}

static void make_room(struct core *core)
{
	struct bundles b = {0};

	store_tasks(core->store, 10 * TASKS_KEEP, on_bundle, &b, NULL);
	store_tasks_trim(core->store, TASKS_KEEP - 1, NULL);
}

static int begin(struct task *t, json_t *parsed, struct err *err)
{
	struct task_row row = {.state = TASK_RUNNING, .code = -1};
	char wire[64], *result = NULL, **argv;
	int rc;

	make_room(t->core);
	row.verb = verbs_wire(t->verb, wire, sizeof(wire));
	row.args = t->args;
	row.by = t->by;
	row.started_ns = t->started_ns = clock_real_ns();
	row.output = "";
	if (store_task_add(t->core->store, &row, err) < 0)
		return -1;
	t->id = row.id;
	if (t->verb->id == VERB_ID_diagnose)
		result = tasks_result(t->id);
	argv = tasks_argv(t->verb, parsed, result);
	rc = tasks_spawn(t, argv, err);
	tasks_argv_free(&argv);
	free(result);
	if (rc < 0) {
		str_add(&t->output, err->text);
		save(t, TASK_FAILED, -1);
		return -1;
	}
	save(t, TASK_RUNNING, -1);
	follow(t);
	return 0;
}

static struct task *same_kind(const struct core *core, const struct verb *verb)
{
	struct task *t = core->tasks->running;

	while (t && strcmp(t->verb->noun, verb->noun) != 0)
		t = t->next;
	return t;
}

static void start(struct core *core, struct ipc_call *call,
		  const struct verb *verb, json_t *args, json_t *parsed)
{
	struct task *t = same_kind(core, verb);
	struct caller who;
	const char *code;
	struct err err;

	if (t) {
		dispatch_fail(core, call, "conflict", "task %lld runs: %s %s",
			      (long long)t->id, t->verb->noun, t->verb->verb);
		return;
	}
	if (accounts_caller(core, call, &who, &code, &err) < 0) {
		dispatch_fail(core, call, code, "%s", err.text);
		return;
	}
	t = xcalloc(1, sizeof(*t));
	t->core = core;
	t->verb = verb;
	t->pidfd = t->pipe = -1;
	t->by = xstrdup(who.name);
	t->args = shown_args(json_object_get(args, "arg"));
	if (begin(t, parsed, &err) < 0) {
		dispatch_fail(core, call, "failed", "%s", err.text);
		task_free(t);
		return;
	}
	dispatch_reply(core, call,
		       json_pack("{s:I}", "task", (json_int_t)t->id));
}

void verb_task_start(struct core *core, struct ipc_call *call, json_t *args)
{
	const struct verb *verb = verbs_find(dispatch_arg(args, "verb"));
	struct err err = {0};
	json_t *parsed;

	if (!verb || verb->does != VERB_TASK) {
		dispatch_fail(core, call, "invalid",
			      "this is no verb that is run as a task");
		return;
	}
	parsed = read_args(verb, args, &err);
	if (!parsed) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	start(core, call, verb, args, parsed);
	json_decref(parsed);
}

/* ---- looking ---- */

/* The last line that says something. */
static json_t *progress(const char *text)
{
	const char *end = text + strlen(text), *begin;
	char *line;
	json_t *out;

	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	begin = end;
	while (begin > text && begin[-1] != '\n')
		begin--;
	line = xstrndup(begin, (size_t)(end - begin));
	out = jsontext_new(line);
	free(line);
	return out;
}

static bool has_result(const struct task_row *row)
{
	char *path = tasks_result(row->id);
	bool has = row->state == TASK_DONE && access(path, R_OK) == 0;

	free(path);
	return has;
}

static json_t *row_json(const struct task_row *row, bool with_output)
{
	json_t *args = json_loads(row->args, 0, NULL);
	json_t *out = json_pack(
		"{s:I, s:s, s:o, s:o, s:s, s:o, s:I, s:o, s:o, s:b}", "id",
		(json_int_t)row->id, "verb", row->verb, "args",
		args ? args : json_array(), "by", jsontext_new(row->by),
		"state", task_state_name((enum task_state)row->state), "code",
		row->code < 0 ? json_null() : json_integer(row->code),
		"started", (json_int_t)row->started_ns, "ended",
		row->ended_ns ? json_integer(row->ended_ns) : json_null(),
		"progress", progress(row->output), "result", has_result(row));

	if (with_output)
		json_object_set_new(out, "output", jsontext_new(row->output));
	return out;
}

struct view {
	struct core *core;
	json_t *list;
	bool with_output;
};

static void on_row(const struct task_row *row, void *arg)
{
	struct view *v = arg;
	struct task *t = find(v->core, row->id);
	struct task_row now = *row;
	char *text = t ? tasks_text(&t->output) : NULL;

	if (text)
		now.output = text;
	json_array_append_new(v->list, row_json(&now, v->with_output));
	free(text);
}

void verb_task_list(struct core *core, struct ipc_call *call, json_t *args)
{
	struct view v = {core, json_array(), false};
	struct err err;

	(void)args;
	if (store_tasks(core->store, LIST_MAX, on_row, &v, &err) == 0) {
		dispatch_reply(core, call, v.list);
		return;
	}
	json_decref(v.list);
	dispatch_fail(core, call, "unavailable", "%s", err.text);
}

/* The number that is named; false, and the call has failed, when it is none. */
static bool read_id(struct core *core, struct ipc_call *call, json_t *args,
		    int64_t *id_r)
{
	struct err err;
	long long id;

	if (dispatch_arg_i64(args, "id", 0, 1, INT64_MAX, &id, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return false;
	}
	*id_r = id;
	return true;
}

void verb_task_show(struct core *core, struct ipc_call *call, json_t *args)
{
	struct view v = {core, NULL, true};
	struct err err;
	int64_t id;
	int rc;

	if (!read_id(core, call, args, &id))
		return;
	v.list = json_array();
	rc = store_task_get(core->store, id, on_row, &v, &err);
	if (rc > 0)
		dispatch_reply(core, call,
			       json_incref(json_array_get(v.list, 0)));
	else if (rc == 0)
		dispatch_fail(core, call, "not_found", "there is no task %lld",
			      (long long)id);
	else
		dispatch_fail(core, call, "unavailable", "%s", err.text);
	json_decref(v.list);
}

/* ---- cancel ---- */

static void signal_all(const struct task *t, int sig)
{
	/* Its number is its own while nobody has waited for it. */
	if (t->ours)
		kill(-t->proc.pid, sig);
	proc_signal(t->pidfd, sig);
}

static void on_kill(void *arg)
{
	struct task *t = arg;

	loop_cancel(&t->kill_timer);
	signal_all(t, SIGKILL);
}

void verb_task_cancel(struct core *core, struct ipc_call *call, json_t *args)
{
	struct task *t;
	int64_t id;

	if (!read_id(core, call, args, &id))
		return;
	t = find(core, id);
	if (!t) {
		dispatch_fail(core, call, "not_found",
			      "there is no task %lld that runs", (long long)id);
		return;
	}
	t->cancelled = true;
	signal_all(t, SIGTERM);
	if (!t->kill_timer)
		t->kill_timer = loop_timer(core->loop, TASKS_CANCEL_MS, false,
					   on_kill, t);
	dispatch_reply(core, call, NULL);
}
