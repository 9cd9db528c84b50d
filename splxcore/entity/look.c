/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "childjob.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"

struct look {
	struct look_request request;
	char *path;
	int ends[2]; /* the child sends the descriptors through [1] */
	struct childjob *job;
	look_fn done;
	void *arg;
};

/* Which descriptors come along. */
struct sent {
	bool file, dir;
};

int look_open(const char *path)
{
	char dir_path[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int root, dir, fd = -1;

	if (path[0] != '/')
		return -1;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	str_copy(dir_path, sizeof(dir_path), path);
	dir_path[slash == path ? 1 : slash - path] = '\0';
	dir = root < 0 ? -1 : holding_walk(root, dir_path, NULL);
	if (dir >= 0)
		fd = openat(dir, slash + 1,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME |
				    O_CLOEXEC);
	fd_close(&dir);
	fd_close(&root);
	return fd;
}

static void look_free(struct look *look)
{
	fd_close(&look->ends[0]);
	fd_close(&look->ends[1]);
	free(look->path);
	free(look);
}

/* ---- in the child ---- */

/* We are not core by our pid, and an infected file would be refused. */
static int open_exempt(struct look *look)
{
	struct scoreboard *sb = look->request.sb;
	int fd;

	if (sb)
		scoreboard_exempt(sb, getpid());
	fd = look_open(look->path);
	if (sb)
		scoreboard_unexempt(sb, getpid());
	return fd;
}

static void look_run(void *arg, void *result)
{
	struct look *look = arg;
	struct look_result *r = result;
	struct sent sent = {false, false};
	int fd = look->request.fd, fds[2], n = 0;

	r->place.h.dir = r->place.h.priv = -1;
	r->rc = -1;
	if (fd < 0) {
		fd = open_exempt(look);
		if (fd < 0)
			return;
		sent.file = true;
		fds[n++] = fd;
	}
	r->rc = file_key_get(fd, &r->key, &r->st);
	if (r->rc == 0 && look->request.locate &&
	    holding_locate(&r->place.h, fd, look->request.pid, &r->place.err) ==
		    0) {
		sent.dir = true;
		fds[n++] = r->place.h.dir;
	}
	/* Nothing waits at the other end, but there is room for one record. */
	if (fd_send(look->ends[1], &sent, sizeof(sent), fds, n,
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r->rc = -1;
}

/* ---- in core ---- */

static void receive(struct look *look, int *file, int *dir)
{
	struct sent sent;
	int fds[FD_PASS_MAX], n = 0, at = 0;

	*file = *dir = -1;
	if (fd_recv(look->ends[0], &sent, sizeof(sent), fds, &n,
		    MSG_DONTWAIT) != sizeof(sent))
		return;
	if (sent.file && at < n)
		*file = fds[at++];
	if (sent.dir && at < n)
		*dir = fds[at++];
	while (at < n)
		close(fds[at++]);
}

static void look_done(void *arg, const void *result)
{
	struct look *look = arg;
	struct look_result *r = xmalloc(sizeof(*r));
	int file, dir;

	receive(look, &file, &dir);
	if (result) {
		memcpy(r, result, sizeof(*r));
		/* The child's number is not ours. */
		r->place.h.dir = dir;
	} else {
		fd_close(&file);
	}
	look->done(result ? r : NULL, file, look->arg);
	fd_close(&dir);
	free(r);
	look_free(look);
}

struct look *look_start(const struct look_request *request, look_fn done,
			void *arg, struct err *err)
{
	struct look *look = xcalloc(1, sizeof(*look));
	int fds[2];
	struct childjob_work work = {
		.run = look_run,
		.done = look_done,
		.arg = look,
		.result_size = sizeof(struct look_result),
		.fds = fds,
		.timeout_ms =
			request->limit_ms ? request->limit_ms : LOOK_LIMIT_MS,
	};

	look->request = *request;
	look->path = request->path ? xstrdup(request->path) : NULL;
	look->done = done;
	look->arg = arg;
	look->ends[0] = look->ends[1] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, look->ends) <
	    0) {
		err_set(err, errno, "socketpair");
		look_free(look);
		return NULL;
	}
	fds[work.nfds++] = look->ends[1];
	if (request->fd >= 0)
		fds[work.nfds++] = request->fd;
	look->job = childjob_start(request->loop, &work, err);
	if (!look->job) {
		look_free(look);
		return NULL;
	}
	return look;
}

void look_cancel(struct look **look)
{
	if (!*look)
		return;
	childjob_cancel(&(*look)->job);
	look_free(*look);
	*look = NULL;
}
