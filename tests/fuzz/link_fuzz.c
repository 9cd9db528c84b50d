/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Anything as entity's answers to the console, in pieces of any size (the first
 * byte); a byte from 0xf0 on becomes a call's number. Each call ends exactly
 * once, with data or with a code and a message; a cancelled one is never heard
 * of again; parts are for who wanted them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/unixsock.h"
#include "fuzz.h"
#include "httpd/link.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"

#define CALLS 4
#define PARTS 0 /* the one that wants parts */
#define GONE 2	/* the one that is cancelled */

static struct loop *loop;
static struct link *conn;
static char dir[] = "/tmp/splx_fuzz_XXXXXX";
static char *path;
static int listener = -1;

static struct call {
	struct link_call *call;
	int ended;
} calls[CALLS];

static struct {
	int sock;
	struct str text;
	size_t sent, piece;
	struct loop_event *readable, *writable;
} entity;

static void check(int holds)
{
	if (!holds)
		abort();
}

static void on_part(json_t *data, void *arg)
{
	(void)data;
	check(arg == &calls[PARTS] && !calls[PARTS].ended);
}

static void on_answer(const struct link_answer *a, void *arg)
{
	struct call *c = arg;

	check(c->call == a->call && !c->ended++ && c != &calls[GONE]);
	check(a->ok || (a->code && a->message));
}

static void send_some(int fd, int what, void *arg)
{
	size_t left = entity.text.len - entity.sent;
	size_t n = entity.piece < left ? entity.piece : left;
	ssize_t sent = 0;

	(void)what, (void)arg;
	if (n)
		sent = send(fd, entity.text.s + entity.sent, n,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		entity.sent += (size_t)sent;
	if (sent > 0 && entity.sent < entity.text.len)
		return;
	/* What was not answered ends by it. */
	loop_cancel(&entity.writable);
	shutdown(fd, SHUT_WR);
}

/* Until the console's side is closed, too. */
static void read_on(int fd, int what, void *arg)
{
	char buf[4096];

	(void)what, (void)arg;
	if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
		loop_stop(loop);
}

static void take(const uint8_t *data, size_t size, long long first)
{
	size_t i;

	str_clear(&entity.text);
	for (i = 0; i < size; i++)
		if (data[i] >= 0xf0)
			str_addf(&entity.text, "%lld", first + data[i] - 0xf0);
		else
			str_addn(&entity.text, (const char *)&data[i], 1);
	entity.sent = 0;
}

static void cleanup(void)
{
	unlink(path);
	rmdir(dir);
}

static void prepare(void)
{
	struct log_sinks none = {.fd = -1, .file_fd = -1};
	struct err err;

	log_init("fuzz", &none, LOG_LVL_ERROR);
	check(mkdtemp(dir) != NULL);
	path = xasprintf("%s/s", dir);
	listener = unixsock_listen(path, SOCK_STREAM, 0600, &err);
	check(listener >= 0);
	atexit(cleanup);
	loop = loop_new();
	conn = link_new(loop, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 7, 100, 100000};
	static long long asked;
	int i;

	if (!size)
		return 0;
	if (!path)
		prepare();
	for (i = 0; i < CALLS; i++) {
		calls[i].ended = 0;
		calls[i].call = link_ask(conn, "status", NULL, NULL, NULL,
					 on_answer, &calls[i]);
	}
	link_parts(calls[PARTS].call, on_part);
	link_cancel(&calls[GONE].call);
	entity.sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(entity.sock >= 0);
	take(data + 1, size - 1, asked + 1);
	asked += CALLS;
	entity.piece = pieces[data[0] & 3];
	entity.writable =
		loop_fd(loop, entity.sock, LOOP_WRITE, send_some, NULL);
	entity.readable = loop_fd(loop, entity.sock, LOOP_READ, read_on, NULL);
	loop_run(loop);
	loop_cancel(&entity.writable);
	loop_cancel(&entity.readable);
	fd_close(&entity.sock);
	for (i = 0; i < CALLS; i++)
		check(calls[i].ended == (i != GONE));
	return 0;
}
