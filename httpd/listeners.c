/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define BACKLOG 512

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* Its length, 0 when it is none. */
static socklen_t parse(const char *text, int port, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &out->four.sin_addr) == 1) {
		out->four.sin_family = AF_INET;
		out->four.sin_port = htons((uint16_t)port);
		return sizeof(out->four);
	}
	if (inet_pton(AF_INET6, text, &out->six.sin6_addr) == 1) {
		out->six.sin6_family = AF_INET6;
		out->six.sin6_port = htons((uint16_t)port);
		return sizeof(out->six);
	}
	return 0;
}

static int open_socket(const char *text, int port, struct err *err)
{
	union address a;
	socklen_t len = parse(text, port, &a);
	int one = 1, fd;

	if (!len)
		return err_set(err, EINVAL, "ConsoleAddress %s", text);
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return err_set(err, errno, "socket(%s)", text);
	/* An IPv6 address is one alone: 0.0.0.0 and :: may stand together. */
	if (a.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a.any, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err_set(err, errno, "port %d of %s", port, text);
	fd_close(&fd);
	return -1;
}

/* The number of a socket of `old` that is the same, and no longer in it. */
static int reuse(struct listeners *old, const struct listener *want)
{
	struct listener *l;
	int fd;

	vec_each (l, old) {
		if (l->fd < 0 || l->port != want->port || l->tls != want->tls ||
		    strcmp(l->address, want->address) != 0)
			continue;
		fd = l->fd;
		l->fd = -1;
		return fd;
	}
	return -1;
}

static bool is_absent(int code)
{
	return code == EADDRNOTAVAIL || code == EAFNOSUPPORT;
}

static int add(struct listeners *now, struct listeners *old, const char *text,
	       int port, bool tls, struct err *err)
{
	struct listener l = {xstrdup(text), port, tls, -1};

	l.fd = reuse(old, &l);
	if (l.fd < 0)
		l.fd = open_socket(text, port, err);
	if (l.fd < 0) {
		free(l.address);
		if (!is_absent(err->code))
			return -1;
		log_warn("%s: left out", err->text);
		return 0;
	}
	vec_push(now, l);
	return tls;
}

/* What was taken over goes back. */
static void give_back(struct listeners *now, struct listeners *old)
{
	struct listener *n, *o;

	vec_each (n, now) {
		vec_each (o, old) {
			if (o->fd >= 0 || o->port != n->port ||
			    o->tls != n->tls ||
			    strcmp(o->address, n->address) != 0)
				continue;
			o->fd = n->fd;
			n->fd = -1;
		}
	}
	listeners_close(now);
}

int listeners_open(const struct settings *s, struct listeners *old,
		   struct err *err)
{
	struct listeners now = {0};
	int found = 0, rc = 0;
	char **a;

	err_set(err, 0, "ConsoleAddress names none of this machine's");
	vec_each (a, &s->addresses) {
		rc = add(&now, old, *a, s->https_port, true, err);
		found += rc > 0;
		if (rc >= 0 && s->http_port)
			rc = add(&now, old, *a, s->http_port, false, err);
		if (rc < 0)
			break;
	}
	if (rc < 0 || !found) {
		give_back(&now, old);
		return -1;
	}
	listeners_close(old);
	*old = now;
	return 0;
}

void listeners_close(struct listeners *list)
{
	struct listener *l;

	vec_each (l, list) {
		free(l->address);
		fd_close(&l->fd);
	}
	vec_free(list);
}
