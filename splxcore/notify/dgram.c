/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "dgram.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"

#define REFUSAL_MS 300
#define SEND_S 5

struct dgram {
	int fd;
	char where[300];
};

bool dgram_split(const char *server, const char *port, char host[256],
		 char port_r[8])
{
	const char *end = *server == '[' ? strchr(server, ']') : NULL;
	const char *begin = end ? server + 1 : server;
	size_t n = end ? (size_t)(end - begin) : strcspn(server, ":");
	const char *rest = end ? end + 1 : server + n;

	if (n == 0 || n >= 256)
		return false;
	memcpy(host, begin, n);
	host[n] = '\0';
	return str_copy(port_r, 8, *rest == ':' ? rest + 1 : port);
}

static int connect_to(const char *host, const char *port, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list, *ai;
	int rc = getaddrinfo(host, port, &hints, &list), fd = -1;

	if (rc != 0)
		return err_set(err, 0, "%s: %s", host, gai_strerror(rc));
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		err_set(err, errno, "%s port %s", host, port);
		fd_close(&fd);
	}
	freeaddrinfo(list);
	return fd;
}

static struct dgram *made(int fd, const char *where)
{
	struct timeval patience = {.tv_sec = SEND_S};
	struct dgram *d;

	if (fd < 0)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->fd = fd;
	str_copy(d->where, sizeof(d->where), where);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return d;
}

struct dgram *dgram_open(const struct job *job, const char *port,
			 struct err *err)
{
	const char *server = job_get(job, "server");
	char host[256], p[8];

	if (!server || !dgram_split(server, port, host, p)) {
		err_set(err, 0, "Server is none");
		return NULL;
	}
	return made(connect_to(host, p, err), server);
}

struct dgram *dgram_local(const char *path, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || !str_copy(addr.sun_path, sizeof(addr.sun_path), path)) {
		err_set(err, 0, "Server is no path of a socket");
		fd_close(&fd);
	} else if (fd < 0 ||
		   connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err_set(err, errno, "%s", path);
		fd_close(&fd);
	}
	return made(fd, path ? path : "");
}

int dgram_send(struct dgram *d, const void *data, size_t len, struct err *err)
{
	while (send(d->fd, data, len, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "%s", d->where);
	return 0;
}

int dgram_end(struct dgram *d, struct err *err)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	socklen_t len = sizeof(int);
	int why = 0;

	if (poll(&p, 1, REFUSAL_MS) > 0 && (p.revents & POLLERR) &&
	    getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 && why)
		return err_set(err, why, "%s", d->where);
	return 0;
}

void dgram_free(struct dgram **d)
{
	if (!*d)
		return;
	close((*d)->fd);
	xfree(d);
}
