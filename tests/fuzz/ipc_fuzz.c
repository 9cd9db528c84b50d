/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * A client that sends anything, in pieces of any size. The service answers
 * with whole JSON lines and lets go of the connection in the end; the first
 * byte chooses how the client behaves.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/unixsock.h"
#include "common/verbs.h"
#include "fuzz.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

static struct loop *loop;
static char dir[] = "/tmp/splx_fuzz_XXXXXX";
static char *path;

/* The client. */
static struct {
	int sock;
	struct loop_event *on_read, *on_write;
	struct loop_event *rest; /* lets the service see that we left */
	const uint8_t *data;
	size_t left;
	size_t piece;
	int leaves; /* without waiting for answers */
	struct str heard;
} client;

/* Calls that are answered by a timer. */
struct later {
	struct ipc_call *call;
	struct loop_event *timer;
	json_t *args;
};

static void check(int holds)
{
	if (!holds)
		abort();
}

static void later_end(struct later *l)
{
	loop_cancel(&l->timer);
	json_decref(l->args);
	free(l);
}

static void later_gone(void *arg)
{
	later_end(arg);
}

static void later_fire(void *arg)
{
	struct later *l = arg;

	if (ipc_more(l->call, json_incref(l->args)))
		ipc_more(l->call, NULL);
	ipc_reply(&l->call, json_incref(l->args));
	later_end(l);
}

static void on_request(struct ipc_call *call, const char *verb, json_t *args,
		       void *arg)
{
	const struct verb *v = verbs_find(verb);
	struct err err = {0};
	struct later *l;

	if (!v) {
		ipc_fail(&call, "unknown_verb", "%s", verb);
	} else if (verbs_check(v, args, &err) < 0) {
		ipc_fail(&call, "invalid", "%s", err.text);
	} else if (v->role == VERB_VIEWER) {
		ipc_reply(&call, json_incref(args));
	} else {
		l = xcalloc(1, sizeof(*l));
		l->call = call;
		l->args = json_incref(args);
		l->timer = loop_timer(loop, 0, false, later_fire, l);
		ipc_on_gone(call, later_gone, l);
	}
}

static void client_leave(void)
{
	loop_cancel(&client.rest);
	loop_cancel(&client.on_read);
	loop_cancel(&client.on_write);
	fd_close(&client.sock);
}

static void client_rested(void *arg)
{
	loop_stop(loop);
}

static void client_write(int fd, int what, void *arg)
{
	size_t n = client.piece < client.left ? client.piece : client.left;
	ssize_t sent = 0;

	if (n)
		sent = send(fd, client.data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0) {
		client.data += sent;
		client.left -= (size_t)sent;
	}
	if (client.left && sent > 0)
		return;
	loop_cancel(&client.on_write);
	if (!client.leaves) {
		shutdown(fd, SHUT_WR);
		return;
	}
	client_leave();
	client.rest = loop_timer(loop, 1, false, client_rested, NULL);
}

static void client_read(int fd, int what, void *arg)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0) {
		str_addn(&client.heard, buf, (size_t)n);
		return;
	}
	client_leave();
	loop_stop(loop);
}

/* Everything that came is whole lines, each an answer. */
static void check_answers(void)
{
	const char *p = str_get(&client.heard);

	while (*p) {
		const char *end = strchr(p, '\n');
		json_t *answer;

		check(end != NULL);
		answer = json_loadb(p, (size_t)(end - p), 0, NULL);
		check(json_is_object(answer));
		check(json_is_boolean(json_object_get(answer, "ok")));
		json_decref(answer);
		p = end + 1;
	}
}

static void cleanup(void)
{
	rmdir(dir);
}

static void prepare(void)
{
	check(mkdtemp(dir) != NULL);
	path = xasprintf("%s/s", dir);
	atexit(cleanup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 7, 100, 100000};
	struct ipc_server *server;
	struct err err;

	if (!size)
		return 0;
	if (!path)
		prepare();
	loop = loop_new();
	server = ipc_listen(loop, path, on_request, NULL, &err);
	check(server != NULL);
	client.sock = unixsock_connect(path, SOCK_STREAM, 1000, &err);
	check(client.sock >= 0);
	client.data = data + 1;
	client.left = size - 1;
	client.piece = pieces[data[0] & 3];
	client.leaves = data[0] & 4;
	client.on_read =
		loop_fd(loop, client.sock, LOOP_READ, client_read, NULL);
	client.on_write =
		loop_fd(loop, client.sock, LOOP_WRITE, client_write, NULL);
	loop_run(loop);
	check_answers();
	str_free(&client.heard);
	client_leave();
	ipc_server_free(&server);
	loop_free(&loop);
	return 0;
}
