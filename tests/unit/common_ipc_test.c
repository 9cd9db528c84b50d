/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control.h"
#include "common/ipc.h"
#include "common/unixsock.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"

/* A real service on a real socket, in a thread of its own. */
static char dir[] = "/tmp/splx_ipc_XXXXXX";
static char path[64];
static struct loop *loop;
static struct ipc_server *server;
static pthread_t thread;
static atomic_int gone_count, late_count, parts_made, hang_count;

struct later {
	struct ipc_call *call;
	struct loop_event *timer;
	json_t *args;
};

static void answer_later(void *arg)
{
	struct later *l = arg;

	loop_cancel(&l->timer);
	ipc_reply(&l->call, l->args);
	atomic_fetch_add(&late_count, 1);
	free(l);
}

static void later(struct ipc_call *call, json_t *args)
{
	struct later *l = xcalloc(1, sizeof(*l));

	l->call = call;
	l->args = json_incref(args);
	l->timer = loop_timer(
		loop, (uint64_t)json_integer_value(json_object_get(args, "ms")),
		false, answer_later, l);
}

static void on_gone(void *arg)
{
	atomic_fetch_add(&gone_count, 1);
}

/* A stream of `left` parts of `size` bytes. */
struct stream {
	struct ipc_call *call;
	json_int_t left;
	char *text;
};

static void stream_free(struct stream *s)
{
	free(s->text);
	free(s);
}

static void stream_gone(void *arg)
{
	on_gone(NULL);
	stream_free(arg);
}

static void stream_on(void *arg)
{
	struct stream *s = arg;

	while (s->left > 0) {
		s->left--;
		atomic_fetch_add(&parts_made, 1);
		if (!ipc_more(s->call, json_string(s->text)))
			return;
	}
	ipc_reply(&s->call, json_string("end"));
	stream_free(s);
}

static void stream(struct ipc_call *call, json_t *args)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	size_t size = (size_t)json_integer_value(json_object_get(args, "size"));

	s->call = call;
	s->left = json_integer_value(json_object_get(args, "parts"));
	s->text = xmalloc(size + 1);
	memset(s->text, 'x', size);
	s->text[size] = '\0';
	ipc_on_gone(call, stream_gone, s);
	ipc_on_writable(call, stream_on, s);
	stream_on(s);
}

static void big(struct ipc_call *call)
{
	char *text = xmalloc(IPC_ANSWER_MAX + 1);

	memset(text, 'x', IPC_ANSWER_MAX);
	text[IPC_ANSWER_MAX] = '\0';
	ipc_reply(&call, json_string(text));
	free(text);
}

static void hang(struct ipc_call *call)
{
	ipc_on_gone(call, on_gone, NULL);
	atomic_fetch_add(&hang_count, 1);
}

static void stop(struct ipc_call *call)
{
	ipc_reply(&call, NULL);
	loop_stop(loop);
}

static void on_request(struct ipc_call *call, const char *verb, json_t *args,
		       void *arg)
{
	const struct ipc_peer *peer = ipc_call_peer(call);

	if (strcmp(verb, "echo") == 0)
		ipc_reply(&call, json_incref(args));
	else if (strcmp(verb, "null") == 0)
		ipc_reply(&call, NULL);
	else if (strcmp(verb, "fail") == 0)
		ipc_fail(&call, "conflict", "it is %s", "so");
	else if (strcmp(verb, "fail.bytes") == 0)
		ipc_fail(&call, "failed", "/a\377b");
	else if (strcmp(verb, "later") == 0)
		later(call, args);
	else if (strcmp(verb, "hang") == 0)
		hang(call);
	else if (strcmp(verb, "stream") == 0)
		stream(call, args);
	else if (strcmp(verb, "big") == 0)
		big(call);
	else if (strcmp(verb, "peer") == 0)
		ipc_reply(&call, json_pack("{s:i, s:i}", "uid", (int)peer->uid,
					   "pid", (int)peer->pid));
	else if (strcmp(verb, "stop") == 0)
		stop(call);
	else
		ipc_fail(&call, "unknown_verb", "%s", verb);
}

static void *serve(void *arg)
{
	loop_run(loop);
	return NULL;
}

static int setup(void **state)
{
	struct err err;

	strcpy(dir, "/tmp/splx_ipc_XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/entity.sock", dir);
	loop = loop_new();
	server = ipc_listen(loop, path, on_request, NULL, &err);
	assert_non_null(server);
	gone_count = late_count = parts_made = hang_count = 0;
	return pthread_create(&thread, NULL, serve, NULL);
}

static struct ipc_client *client(int timeout_ms)
{
	struct err err = {0};
	struct ipc_client *c = ipc_connect(path, timeout_ms, &err);

	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static int teardown(void **state)
{
	struct err err;
	int sock;

	sock = unixsock_connect(path, SOCK_STREAM, 5000, &err);
	assert_true(sock >= 0);
	assert_int_equal(fd_write_all(sock, "{\"verb\":\"stop\"}\n", 16), 0);
	pthread_join(thread, NULL);
	close(sock);
	ipc_server_free(&server);
	loop_free(&loop);
	assert_int_equal(access(path, F_OK), -1);
	return rmdir(dir);
}

/* A raw connection, for what a well-behaved client would not send. */
static int raw(void)
{
	struct timeval limit = {10, 0};
	struct err err;
	int sock = unixsock_connect(path, SOCK_STREAM, 5000, &err);

	assert_true(sock >= 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return sock;
}

static void say(int sock, const char *text)
{
	assert_int_equal(fd_write_all(sock, text, strlen(text)), 0);
}

/* Reads one line without its newline; "" at the end of the connection. */
static const char *hear(int sock)
{
	static char line[4096];
	size_t n = 0;

	while (n < sizeof(line) - 1 && recv(sock, line + n, 1, 0) == 1 &&
	       line[n] != '\n')
		n++;
	line[n] = '\0';
	return line;
}

static void wait_for(atomic_int *count, int value)
{
	int i;

	for (i = 0; i < 500 && atomic_load(count) < value; i++)
		usleep(10000);
	assert_int_equal(atomic_load(count), value);
}

static void a_request_is_answered_with_its_data(void **state)
{
	struct ipc_client *c = client(5000);
	json_t *args = json_pack("{s:s, s:[i]}", "a", "\303\244\n", "b", 1);
	json_t *data = NULL;
	struct err err;
	char code[32];
	int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(
			ipc_call_sync(c, "echo", args, &data, code, &err), 0);
		assert_true(json_equal(args, data));
		json_decref(data);
	}
	assert_int_equal(ipc_call_sync(c, "echo", NULL, &data, NULL, &err), 0);
	assert_true(json_is_object(data));
	json_decref(data);
	assert_int_equal(ipc_call_sync(c, "null", NULL, &data, NULL, &err), 0);
	assert_true(json_is_null(data));
	assert_int_equal(ipc_call_sync(c, "null", NULL, NULL, NULL, &err), 0);
	json_decref(args);
	ipc_client_free(&c);
	assert_null(c);
}

static void an_error_carries_its_code_and_message(void **state)
{
	struct ipc_client *c = client(5000);
	struct err err;
	char code[32];

	assert_int_equal(ipc_call_sync(c, "fail", NULL, NULL, code, &err), -1);
	assert_string_equal(code, "conflict");
	assert_string_equal(err.text, "it is so");
	assert_int_equal(ipc_call_sync(c, "fail.bytes", NULL, NULL, code, &err),
			 -1);
	assert_string_equal(err.text, "/a\\xffb");
	assert_int_equal(ipc_call_sync(c, "x.y", NULL, NULL, code, &err), -1);
	assert_string_equal(code, "unknown_verb");
	ipc_client_free(&c);
}

static void the_service_knows_who_calls(void **state)
{
	struct ipc_client *c = client(5000);
	json_t *data;
	struct err err;

	assert_int_equal(ipc_call_sync(c, "peer", NULL, &data, NULL, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(data, "uid")),
			 getuid());
	assert_int_equal(json_integer_value(json_object_get(data, "pid")),
			 getpid());
	json_decref(data);
	ipc_client_free(&c);
}

static void what_is_no_request_gets_an_error_and_the_line_goes_on(void **state)
{
	static const char *const bad[] = {
		"nonsense\n",
		"[1]\n",
		"{\"verb\":1}\n",
		"{}\n",
		"\"x\"\n",
		"{\"verb\":\"echo\",\"args\":[]}\n",
		"{\"id\":{},\"verb\":\"echo\"}\n",
		"{\"verb\":\"echo\"\n",
		"\001\377\n",
		"{\"verb\":\"echo\"}}\n",
	};
	int sock = raw();
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		say(sock, bad[i]);
		assert_non_null(strstr(hear(sock), "\"bad_request\""));
	}
	say(sock, "\n\r\n{\"id\":\"s\",\"verb\":\"echo\"}\r\n");
	assert_string_equal(hear(sock),
			    "{\"id\":\"s\",\"ok\":true,\"data\":{}}");
	say(sock, "{\"id\":7,\"args\":{}}\n");
	assert_true(str_starts(hear(sock), "{\"id\":7,\"ok\":false"));
	close(sock);
}

static void a_line_that_is_too_long_ends_the_connection(void **state)
{
	char *text = xmalloc(IPC_LINE_MAX + 100000);
	int sock = raw();

	memset(text, ' ', IPC_LINE_MAX + 100000);
	memcpy(text, "{\"verb\":\"echo\"}", 15);
	text[IPC_LINE_MAX - 1] = '\n';
	assert_int_equal(fd_write_all(sock, text, IPC_LINE_MAX), 0);
	assert_string_equal(hear(sock),
			    "{\"id\":null,\"ok\":true,\"data\":{}}");
	text[IPC_LINE_MAX - 1] = ' ';
	send(sock, text, IPC_LINE_MAX + 100000, MSG_NOSIGNAL);
	assert_non_null(strstr(hear(sock), "too long"));
	assert_string_equal(hear(sock), "");
	close(sock);
	free(text);
}

static void requests_may_come_in_pieces_and_in_heaps(void **state)
{
	static const char request[] = "{\"id\":1,\"verb\":\"echo\"}\n";
	int sock = raw(), i;
	struct str heap = {0};
	const char *p;

	for (p = request; *p; p++) {
		assert_int_equal(send(sock, p, 1, 0), 1);
		usleep(100);
	}
	assert_true(str_starts(hear(sock), "{\"id\":1,\"ok\":true"));
	/* more than may be unanswered at once, each answered later */
	for (i = 0; i < 200; i++)
		str_addf(&heap, "{\"id\":%d,\"verb\":\"later\"}\n", i);
	say(sock, str_get(&heap));
	str_free(&heap);
	shutdown(sock, SHUT_WR); /* we still listen */
	for (i = 0; i < 200; i++)
		assert_true(str_starts(hear(sock), "{\"id\":"));
	assert_string_equal(hear(sock), "");
	close(sock);
}

static void a_slow_answer_runs_out_of_time(void **state)
{
	struct ipc_client *c = client(200);
	json_t *args = json_pack("{s:i}", "ms", 1000);
	uint64_t start = clock_mono_ns(), took;
	struct err err;
	char code[32];

	assert_int_equal(ipc_call_sync(c, "later", args, NULL, code, &err), -1);
	took = (clock_mono_ns() - start) / CLOCK_NS_PER_MS;
	assert_int_equal(err.code, ETIMEDOUT);
	assert_string_equal(code, "");
	assert_in_range(took, 190, 900);
	assert_int_equal(ipc_call_sync(c, "echo", NULL, NULL, NULL, &err), -1);
	ipc_client_free(&c);
	/* its answer comes when nobody is there any more */
	wait_for(&late_count, 1);
	json_decref(args);
}

static void a_client_that_leaves_ends_its_calls(void **state)
{
	int sock = raw();

	say(sock, "{\"verb\":\"hang\"}\n{\"verb\":\"hang\"}\n");
	usleep(50000);
	assert_int_equal(atomic_load(&gone_count), 0);
	close(sock);
	wait_for(&gone_count, 2);
}

static void unanswered_requests_are_limited(void **state)
{
	int sock = raw(), i;

	for (i = 0; i < 100; i++)
		say(sock, "{\"verb\":\"hang\"}\n");
	usleep(100000);
	assert_int_equal(atomic_load(&hang_count), 32);
	close(sock);
}

struct seen {
	int parts;
	size_t bytes;
	int stop_at;
	int pause_us;
};

static int on_part(json_t *part, void *arg)
{
	struct seen *seen = arg;

	seen->bytes += json_string_length(part);
	usleep((useconds_t)seen->pause_us);
	return ++seen->parts == seen->stop_at;
}

static void a_stream_comes_whole_however_slowly_it_is_read(void **state)
{
	struct ipc_client *c = client(10000);
	json_t *args = json_pack("{s:i, s:i}", "parts", 300, "size", 100000);
	struct seen seen = {.pause_us = 500};
	json_t *data;
	struct err err;
	char code[32];

	assert_int_equal(ipc_call_stream(c, "stream", args, on_part, &seen,
					 &data, code, &err),
			 0);
	assert_string_equal(json_string_value(data), "end");
	assert_int_equal(seen.parts, 300);
	assert_int_equal(seen.bytes, 300 * 100000);
	json_decref(data);
	json_decref(args);
	ipc_client_free(&c);
}

static void a_reader_that_stops_holds_only_itself_up(void **state)
{
	struct ipc_client *c = client(5000);
	int sock = raw();
	struct err err;
	int made;

	say(sock, "{\"verb\":\"stream\",\"args\":{\"parts\":1000,"
		  "\"size\":100000}}\n");
	usleep(200000);
	made = atomic_load(&parts_made);
	assert_in_range(made, 40, 80); /* 4 MiB and what the socket holds */
	assert_int_equal(ipc_call_sync(c, "echo", NULL, NULL, NULL, &err), 0);
	assert_int_equal(atomic_load(&parts_made), made);
	close(sock);
	wait_for(&gone_count, 1);
	ipc_client_free(&c);
}

static void a_stream_can_be_ended_by_its_reader(void **state)
{
	struct ipc_client *c = client(5000);
	json_t *args = json_pack("{s:i, s:i}", "parts", 1000, "size", 100000);
	struct seen seen = {.stop_at = 3};
	struct err err;

	assert_int_equal(ipc_call_stream(c, "stream", args, on_part, &seen,
					 NULL, NULL, &err),
			 -1);
	assert_int_equal(seen.parts, 3);
	ipc_client_free(&c);
	wait_for(&gone_count, 1);
	json_decref(args);
}

static void an_answer_that_is_too_large_becomes_an_error(void **state)
{
	struct ipc_client *c = client(20000);
	struct err err;
	char code[32];

	assert_int_equal(ipc_call_sync(c, "big", NULL, NULL, code, &err), -1);
	assert_string_equal(code, "failed");
	assert_int_equal(ipc_call_sync(c, "echo", NULL, NULL, code, &err), 0);
	ipc_client_free(&c);
}

static void connections_are_limited_and_the_next_one_is_told(void **state)
{
	int socks[IPC_CLIENTS_MAX], more, i;

	for (i = 0; i < IPC_CLIENTS_MAX; i++) {
		socks[i] = raw();
		say(socks[i], "{\"verb\":\"echo\"}\n");
		assert_non_null(strstr(hear(socks[i]), "\"ok\":true"));
	}
	more = raw();
	assert_non_null(strstr(hear(more), "\"unavailable\""));
	assert_string_equal(hear(more), "");
	close(more);
	for (i = 0; i < IPC_CLIENTS_MAX; i++)
		close(socks[i]);
	usleep(100000);
	more = raw();
	say(more, "{\"verb\":\"echo\"}\n");
	assert_non_null(strstr(hear(more), "\"ok\":true"));
	close(more);
}

/* As another user: takes all it can get, tells how many that were. */
static void greedy_user(void)
{
	int n = 0, sock;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(255);
	for (;;) {
		sock = raw();
		if (send(sock, "{\"verb\":\"echo\"}\n", 16, MSG_NOSIGNAL) < 0 ||
		    !strstr(hear(sock), "\"ok\":true"))
			_exit(n);
		n++;
	}
}

static void no_user_can_shut_the_others_out(void **state)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		greedy_user();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), IPC_CLIENTS_USER);
}

static void a_living_socket_is_refused_and_a_dead_one_replaced(void **state)
{
	struct loop *other = loop_new();
	struct ipc_server *srv;
	char dead[64];
	struct err err;
	int sock;

	assert_null(ipc_listen(other, path, on_request, NULL, &err));
	assert_int_equal(err.code, EADDRINUSE);
	snprintf(dead, sizeof(dead), "%s/dead.sock", dir);
	sock = unixsock_listen(dead, SOCK_STREAM, 0600, &err);
	close(sock);
	assert_null(ipc_connect(dead, 1000, &err));
	assert_int_equal(err.code, ECONNREFUSED);
	srv = ipc_listen(other, dead, on_request, NULL, &err);
	assert_non_null(srv);
	ipc_server_free(&srv);
	assert_null(ipc_connect(dead, 1000, &err));
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(fd_replace_file(dead, "x", 1, 0600, &err), 0);
	assert_null(ipc_listen(other, dead, on_request, NULL, &err));
	assert_int_equal(err.code, EEXIST);
	unlink(dead);
	loop_free(&other);
}

static void the_socket_has_its_mode_whatever_the_umask(void **state)
{
	struct stat st;
	mode_t old;
	char other[64];
	struct err err;
	int sock;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	snprintf(other, sizeof(other), "%s/o.sock", dir);
	old = umask(0);
	sock = unixsock_listen(other, SOCK_SEQPACKET, 0600, &err);
	umask(old);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(sock);
	unlink(other);
}

static void a_path_longer_than_an_address_works(void **state)
{
	char deep[256], name[120], file[300];
	int listener, sock;
	struct err err = {0};

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(deep, sizeof(deep), "%s/%s", dir, name);
	assert_int_equal(mkdir(deep, 0755), 0);
	snprintf(file, sizeof(file), "%s/s.sock", deep);
	listener = unixsock_listen(file, SOCK_STREAM, 0600, &err);
	if (listener < 0)
		fail_msg("%s", err.text);
	sock = unixsock_connect(file, SOCK_STREAM, 1000, &err);
	assert_true(sock >= 0);
	assert_int_equal(unixsock_listen(file, SOCK_STREAM, 0600, &err), -1);
	assert_int_equal(err.code, EADDRINUSE);
	close(sock);
	close(listener);
	unlink(file);
	rmdir(deep);
}

static void a_full_backlog_runs_out_of_time(void **state)
{
	int listener, socks[200], n = 0, i;
	char file[64];
	struct err err;

	snprintf(file, sizeof(file), "%s/full.sock", dir);
	listener = unixsock_listen(file, SOCK_STREAM, 0600, &err);
	while (n < 200 &&
	       (socks[n] = unixsock_connect(file, SOCK_STREAM, 50, &err)) >= 0)
		n++;
	assert_in_range(n, 1, 199);
	assert_int_equal(err.code, ETIMEDOUT);
	for (i = 0; i < n; i++)
		close(socks[i]);
	close(listener);
	unlink(file);
}

/* A supervisor that gives one answer. */
static void *supervise(void *arg)
{
	const char *const *lines = arg; /* expected command, answer */
	char command[64] = "";
	struct err err;
	int listener, sock;

	listener = unixsock_listen(lines[2], SOCK_SEQPACKET, 0600, &err);
	fd_set_nonblock(listener, false);
	sock = accept(listener, NULL, NULL);
	if (recv(sock, command, sizeof(command) - 1, 0) < 0 ||
	    strcmp(command, lines[0]) != 0)
		abort();
	if (lines[1])
		send(sock, lines[1], strlen(lines[1]), MSG_NOSIGNAL);
	else
		usleep(400000);
	close(sock);
	close(listener);
	unlink(lines[2]);
	return NULL;
}

static int control(const char *answer, char *reply, size_t size,
		   struct err *err)
{
	char file[64];
	const char *lines[] = {"status", answer, file};
	pthread_t t;
	int rc, i;

	snprintf(file, sizeof(file), "%s/control.sock", dir);
	assert_int_equal(pthread_create(&t, NULL, supervise, lines), 0);
	for (i = 0; i < 100 && access(file, F_OK) < 0; i++)
		usleep(1000);
	usleep(20000);
	rc = control_call(file, "status", 200, reply, size, err);
	pthread_join(t, NULL);
	return rc;
}

static void the_supervisors_answer_is_told_apart_from_its_error(void **state)
{
	char reply[64];
	struct err err;

	assert_int_equal(control("ok", reply, sizeof(reply), &err), 0);
	assert_string_equal(reply, "");
	assert_int_equal(control("ok\na b=1\nc", reply, sizeof(reply), &err),
			 0);
	assert_string_equal(reply, "a b=1\nc");
	assert_int_equal(control("error: not now", reply, sizeof(reply), &err),
			 -1);
	assert_string_equal(err.text, "not now");
	assert_int_equal(control("okay", reply, sizeof(reply), &err), -1);
	assert_int_equal(control(NULL, reply, sizeof(reply), &err), -1);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_int_equal(control_call("/nowhere/x", "status", 100, reply,
				      sizeof(reply), &err),
			 -1);
	assert_int_equal(err.code, ENOENT);
}

#define WITH_SERVICE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVICE(a_request_is_answered_with_its_data),
		WITH_SERVICE(an_error_carries_its_code_and_message),
		WITH_SERVICE(the_service_knows_who_calls),
		WITH_SERVICE(
			what_is_no_request_gets_an_error_and_the_line_goes_on),
		WITH_SERVICE(a_line_that_is_too_long_ends_the_connection),
		WITH_SERVICE(requests_may_come_in_pieces_and_in_heaps),
		WITH_SERVICE(a_slow_answer_runs_out_of_time),
		WITH_SERVICE(a_client_that_leaves_ends_its_calls),
		WITH_SERVICE(unanswered_requests_are_limited),
		WITH_SERVICE(a_stream_comes_whole_however_slowly_it_is_read),
		WITH_SERVICE(a_reader_that_stops_holds_only_itself_up),
		WITH_SERVICE(a_stream_can_be_ended_by_its_reader),
		WITH_SERVICE(an_answer_that_is_too_large_becomes_an_error),
		WITH_SERVICE(connections_are_limited_and_the_next_one_is_told),
		WITH_SERVICE(no_user_can_shut_the_others_out),
		WITH_SERVICE(
			a_living_socket_is_refused_and_a_dead_one_replaced),
		WITH_SERVICE(the_socket_has_its_mode_whatever_the_umask),
		WITH_SERVICE(a_path_longer_than_an_address_works),
		WITH_SERVICE(a_full_backlog_runs_out_of_time),
		WITH_SERVICE(
			the_supervisors_answer_is_told_apart_from_its_error),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
