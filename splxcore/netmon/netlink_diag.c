/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netlink_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

#include "netlink_impl.h"

static int take(const struct nlmsghdr *h, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct diag_socket *s = arg;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	s->uid = m->idiag_uid;
	s->inode = m->idiag_inode;
	return MNL_CB_OK;
}

static void put_end(__be32 out[4], const uint8_t address[NET_ADDR_SIZE],
		    bool v6)
{
	if (v6)
		memcpy(out, address, NET_ADDR_SIZE);
	else
		memcpy(out, address + 12, 4);
}

/* Of an incoming connection the other end is left out: then the kernel finds
 * who listens, and not a connection that nobody has accepted yet. */
static int find(struct netlink *nl, const struct conn *conn, bool v6,
		struct diag_socket *s)
{
	char buf[256] __attribute__((aligned(8)));
	struct inet_diag_req_v2 *req;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct err err;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++nl->seq;
	req = mnl_nlmsg_put_extra_header(h, sizeof(*req));
	req->sdiag_family = v6 ? AF_INET6 : AF_INET;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = ~0u;
	req->id.idiag_sport = htons(conn->local_port);
	req->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	put_end(req->id.idiag_src, conn->local, v6);
	if (!conn->in) {
		req->id.idiag_dport = htons(conn->remote_port);
		put_end(req->id.idiag_dst, conn->remote, v6);
	}
	return netlink_talk(nl, h, h->nlmsg_len, h->nlmsg_seq, take, s, &err);
}

int diag_find(struct netlink *nl, const struct conn *conn,
	      struct diag_socket *socket_r)
{
	*socket_r = (struct diag_socket){.uid = -1};
	return find(nl, conn, conn->v6, socket_r);
}

int64_t diag_uid(struct netlink *nl, const struct conn *conn)
{
	struct diag_socket s;

	return diag_find(nl, conn, &s) ? -1 : s.uid;
}
