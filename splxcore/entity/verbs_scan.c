/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * scan.begin {"pid"}: the client's process is exempt from being held until it
 * ends, so that it can open infected files to have them scanned.
 * scan.end null: an event of kind scan.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/scoreboard.h"
#include "dispatch.h"
#include "keepers.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/proc.h"
#include "lib/vec.h"
#include "store.h"

struct client {
	struct core *core;
	pid_t pid;
	int pidfd;
	struct loop_event *exit_event;
};

/* Those of this core; one that was before us had its own. */
static struct {
	VEC(struct client *);
} clients;

static void client_free(struct client *c)
{
	scoreboard_unexempt(c->core->sb, c->pid);
	loop_cancel(&c->exit_event);
	fd_close(&c->pidfd);
	for (size_t i = 0; i < clients.len; i++) {
		if (clients.items[i] == c) {
			vec_remove(&clients, i);
			break;
		}
	}
	free(c);
}

static void on_exit_event(int fd, int what, void *arg)
{
	client_free(arg);
}

void scan_clients_end(void)
{
	while (clients.len)
		client_free(clients.items[0]);
	vec_free(&clients);
}

static bool is_registered(pid_t pid)
{
	for (size_t i = 0; i < clients.len; i++)
		if (clients.items[i]->pid == pid)
			return true;
	return false;
}

static int client_new(struct core *core, pid_t pid, struct err *err)
{
	struct client *c;
	struct proc_id id;
	int pidfd;

	if (is_registered(pid))
		return 0;
	if (pid <= 1 || proc_identify(pid, &id) < 0 ||
	    (pidfd = proc_pidfd(&id)) < 0)
		return err_set(err, ESRCH, "process %d", (int)pid);
	if (!scoreboard_exempt(core->sb, pid)) {
		close(pidfd);
		return err_set(err, EAGAIN, "too many scanning clients");
	}
	c = xcalloc(1, sizeof(*c));
	c->core = core;
	c->pid = pid;
	c->pidfd = pidfd;
	c->exit_event = loop_fd(core->loop, pidfd, LOOP_READ, on_exit_event, c);
	vec_push(&clients, c);
	return 0;
}

void verb_scan_begin(struct core *core, struct ipc_call *call, json_t *args)
{
	pid_t pid = ipc_call_peer(call)->pid;
	struct err err;

	if (client_new(core, pid, &err) < 0) {
		dispatch_fail(core, call, "unavailable", "%s", err.text);
		return;
	}
	dispatch_reply(core, call, json_pack("{s:i}", "pid", (int)pid));
}

/* A number column of the event, when the client gave one. */
static int copy_number(json_t *args, const char *from, json_t *cols,
		       const char *to, struct err *err)
{
	long long n;

	if (dispatch_arg_i64(args, from, -1, -1, INT64_MAX, &n, err) < 0)
		return -1;
	if (n >= 0)
		json_object_set_new(cols, to, json_integer(n));
	return 0;
}

static int scan_columns(json_t *args, json_t *cols, struct err *err)
{
	static const char *const numbers[] = {"job", "files", "infected",
					      "errors", "bytes"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (copy_number(args, numbers[i], cols, numbers[i], err) < 0)
			return -1;
	return copy_number(args, "duration", cols, "duration_ms", err);
}

void verb_scan_end(struct core *core, struct ipc_call *call, json_t *args)
{
	const char *state = dispatch_arg(args, "state");
	json_t *cols = json_object();
	json_t *files, *infected;
	struct err err;

	if (!state)
		state = "done";
	if (strcmp(state, "begun") != 0 && strcmp(state, "done") != 0 &&
	    strcmp(state, "interrupted") != 0)
		err_set(&err, 0, "state: begun, done or interrupted");
	else if (scan_columns(args, cols, &err) == 0)
		err_clear(&err);
	if (err.text[0]) {
		json_decref(cols);
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	json_object_set_new(cols, "state", json_string(state));
	files = json_object_get(cols, "files");
	infected = json_object_get(cols, "infected");
	store_event(core->store, EVENT_scan,
		    json_integer_value(infected) ? EVENT_SEVERITY_MEDIUM
						 : EVENT_SEVERITY_INFO,
		    cols, "scan %s: %lld files, %lld infected", state,
		    (long long)json_integer_value(files),
		    (long long)json_integer_value(infected));
	dispatch_reply(core, call, NULL);
}
