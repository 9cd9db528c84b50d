/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* task.result: a file of a task, in parts. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatch.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "tasks.h"

#define PART (192u << 10) /* bytes; divides by 3, so base64 has no gaps */

struct sending {
	struct core *core;
	struct ipc_call *call;
	int fd;
	int64_t id;
	long long size, sent;
	struct loop_event *turn;
	bool gone, busy;
};

static void sending_free(struct sending *s)
{
	loop_cancel(&s->turn);
	fd_close(&s->fd);
	free(s);
}

static void on_gone(void *arg)
{
	struct sending *s = arg;

	s->gone = true;
	if (!s->busy)
		sending_free(s);
}

static char *base64(const unsigned char *in, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";
	char *out = xmalloc((len + 2) / 3 * 4 + 1), *p = out;
	size_t i;

	for (i = 0; i < len; i += 3) {
		unsigned int left = len - i < 3 ? (unsigned int)(len - i) : 3;
		unsigned int bits = (unsigned int)in[i] << 16;

		if (left > 1)
			bits |= (unsigned int)in[i + 1] << 8;
		if (left > 2)
			bits |= in[i + 2];
		*p++ = digits[bits >> 18 & 63];
		*p++ = digits[bits >> 12 & 63];
		*p++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*p++ = left > 2 ? digits[bits & 63] : '=';
	}
	*p = '\0';
	return out;
}

/* One part: 1 when there is more, 0 at the end, -1 on an error. */
static int send_part(struct sending *s, bool *room_r)
{
	unsigned char *buf = xmalloc(PART);
	ssize_t n = pread(s->fd, buf, PART, s->sent);
	char name[64], *text;

	*room_r = true;
	if (n <= 0) {
		free(buf);
		return n < 0 ? -1 : 0;
	}
	text = base64(buf, (size_t)n);
	free(buf);
	snprintf(name, sizeof(name), "splx-diagnose-%lld.tar.gz",
		 (long long)s->id);
	s->sent += n;
	*room_r = ipc_more(s->call,
			   json_pack("{s:s, s:I, s:s}", "name", name, "size",
				     (json_int_t)s->size, "data", text));
	free(text);
	return 1;
}

static void turn(void *arg);

static void schedule(struct sending *s)
{
	if (!s->turn)
		s->turn = loop_timer(s->core->loop, 0, false, turn, s);
}

static void on_writable(void *arg)
{
	schedule(arg);
}

static void turn(void *arg)
{
	struct sending *s = arg;
	bool room;
	int rc;

	loop_cancel(&s->turn);
	/* Who was put out meanwhile gets no more of it. */
	if (dispatch_role(s->core, s->call) < VERB_ADMIN) {
		dispatch_fail(s->core, s->call, "no_session",
			      "who asked may not have it any more");
		sending_free(s);
		return;
	}
	s->busy = true;
	rc = send_part(s, &room);
	s->busy = false;
	if (s->gone) {
		sending_free(s);
	} else if (rc > 0) {
		if (room)
			schedule(s);
	} else {
		if (rc < 0)
			dispatch_fail(s->core, s->call, "failed",
				      "the file cannot be read");
		else
			dispatch_reply(s->core, s->call,
				       json_pack("{s:I}", "bytes",
						 (json_int_t)s->sent));
		sending_free(s);
	}
}

static int open_result(int64_t id, long long *size_r)
{
	char *path = tasks_result(id);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	free(path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		fd_close(&fd);
	if (fd >= 0)
		*size_r = st.st_size;
	return fd;
}

void verb_task_result(struct core *core, struct ipc_call *call, json_t *args)
{
	struct sending *s;
	long long id, size = 0;
	struct err err;
	int fd;

	if (dispatch_arg_i64(args, "id", 0, 1, INT64_MAX, &id, &err) < 0) {
		dispatch_fail(core, call, "invalid", "%s", err.text);
		return;
	}
	fd = open_result(id, &size);
	if (fd < 0) {
		dispatch_fail(core, call, "not_found",
			      "task %lld has no result", id);
		return;
	}
	dispatch_audit_now(core, call, VERB_ID_task_result, args);
	s = xcalloc(1, sizeof(*s));
	s->core = core;
	s->call = call;
	s->fd = fd;
	s->id = id;
	s->size = size;
	ipc_on_gone(call, on_gone, s);
	ipc_on_writable(call, on_writable, s);
	schedule(s);
}
