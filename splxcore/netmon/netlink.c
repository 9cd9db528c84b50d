/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "netlink_impl.h"

struct netlink *netlink_open(int protocol, struct err *err)
{
	struct netlink *nl = xcalloc(1, sizeof(*nl));

	nl->sock = mnl_socket_open2(protocol, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_set(err, errno, "netlink socket");
		netlink_close(&nl);
		return NULL;
	}
	nl->portid = mnl_socket_get_portid(nl->sock);
	return nl;
}

void netlink_close(struct netlink **nl)
{
	if (!*nl)
		return;
	if ((*nl)->sock)
		mnl_socket_close((*nl)->sock);
	free(*nl);
	*nl = NULL;
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->sock);
}

struct nlmsghdr *netlink_begin(struct netlink *nl, void *at, uint16_t type,
			       uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
	return h;
}

/* One answer of the kernel's: 1 when it was the last one. */
static int take(const struct nlmsghdr *h, uint32_t last, mnl_cb_t fn, void *arg,
		int *error)
{
	const struct nlmsgerr *e;

	if (h->nlmsg_type == NLMSG_DONE)
		return h->nlmsg_seq == last;
	if (h->nlmsg_type != NLMSG_ERROR) {
		if (fn)
			fn(h, arg);
		return 0;
	}
	e = mnl_nlmsg_get_payload(h);
	if (e->error && !*error)
		*error = -e->error;
	/* An error of the batch's own begin ends all of it. */
	return h->nlmsg_seq == last || e->error == -EPERM ||
	       e->error == -EPROTONOSUPPORT;
}

static int await(struct netlink *nl, uint32_t last, mnl_cb_t fn, void *arg,
		 int *error)
{
	char buf[16384] __attribute__((aligned(8)));
	uint64_t end = clock_mono_ns() + NETLINK_WAIT_MS * CLOCK_NS_PER_MS;
	struct pollfd p = {.fd = netlink_fd(nl), .events = POLLIN};

	for (;;) {
		const struct nlmsghdr *h = (const void *)buf;
		uint64_t now = clock_mono_ns();
		ssize_t n;
		int left;

		if (now >= end)
			return ETIMEDOUT;
		poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1);
		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return errno;
		for (left = (int)n; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left))
			if (take(h, last, fn, arg, error))
				return 0;
	}
}

int netlink_talk(struct netlink *nl, const void *data, size_t len,
		 uint32_t last, mnl_cb_t fn, void *arg, struct err *err)
{
	int error = 0, rc;

	if (mnl_socket_sendto(nl->sock, data, len) < 0)
		return err_set(err, errno, "netlink");
	rc = await(nl, last, fn, arg, &error);
	if (rc || error)
		return err_set(err, rc ? rc : error, "netlink");
	return 0;
}
