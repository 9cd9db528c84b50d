/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netlink_queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink_impl.h"

#define MSG_TYPE(type) ((uint16_t)(NFNL_SUBSYS_QUEUE << 8 | (type)))

static struct nlmsghdr *config_begin(struct netlink *nl, void *buf,
				     uint16_t number, uint16_t flags)
{
	return netlink_begin(nl, buf, MSG_TYPE(NFQNL_MSG_CONFIG), flags,
			     AF_UNSPEC, number);
}

static int ask(struct netlink *nl, const struct nlmsghdr *h, const char *what,
	       struct err *err)
{
	if (netlink_talk(nl, h, h->nlmsg_len, h->nlmsg_seq, NULL, NULL, err))
		return err_add(err, "NFQUEUE %s", what);
	return 0;
}

static int bind_queue(struct netlink *nl, uint16_t number, struct err *err)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = config_begin(nl, buf, number, NLM_F_ACK);
	struct nfqnl_msg_config_cmd cmd = {.command = NFQNL_CFG_CMD_BIND,
					   .pf = htons(AF_UNSPEC)};

	mnl_attr_put(h, NFQA_CFG_CMD, sizeof(cmd), &cmd);
	return ask(nl, h, "bind", err);
}

static int set_copy(struct netlink *nl, uint16_t number, struct err *err)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = config_begin(nl, buf, number, NLM_F_ACK);
	struct nfqnl_msg_config_params params = {
		.copy_range = htonl(QUEUE_COPY),
		.copy_mode = NFQNL_COPY_PACKET};

	mnl_attr_put(h, NFQA_CFG_PARAMS, sizeof(params), &params);
	return ask(nl, h, "copy mode", err);
}

static void put_flag(struct nlmsghdr *h, uint32_t flag)
{
	mnl_attr_put_u32(h, NFQA_CFG_FLAGS, htonl(flag));
	mnl_attr_put_u32(h, NFQA_CFG_MASK, htonl(flag));
}

/* Both in one message: with no instant in which a full queue would drop. */
static int set_bounds(struct netlink *nl, const struct queue_plan *plan,
		      struct err *err)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = config_begin(nl, buf, plan->number, NLM_F_ACK);

	mnl_attr_put_u32(h, NFQA_CFG_QUEUE_MAXLEN, htonl(plan->length));
	put_flag(h, NFQA_CFG_F_FAIL_OPEN);
	return ask(nl, h, "length and fail-open", err);
}

/* The kernel refuses a message with one flag that it does not know as a
 * whole, so each is asked for alone. */
static bool optional(struct netlink *nl, uint16_t number, uint32_t flag,
		     uint32_t *refused)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = config_begin(nl, buf, number, NLM_F_ACK);
	struct err err;

	put_flag(h, flag);
	if (ask(nl, h, "flag", &err) == 0)
		return true;
	*refused |= flag;
	return false;
}

int queue_open(struct netlink *nl, const struct queue_plan *plan,
	       struct queue_got *got_r, struct err *err)
{
	uint32_t bit;

	memset(got_r, 0, sizeof(*got_r));
	if (bind_queue(nl, plan->number, err) ||
	    set_copy(nl, plan->number, err) || set_bounds(nl, plan, err))
		return -1;
	got_r->uid =
		optional(nl, plan->number, NFQA_CFG_F_UID_GID, &got_r->refused);
	for (bit = 1; bit; bit <<= 1)
		if (plan->more_flags & bit)
			optional(nl, plan->number, bit, &got_r->refused);
	got_r->buffer = queue_buffer(nl, plan->buffer);
	return 0;
}

uint32_t queue_buffer(struct netlink *nl, uint32_t bytes)
{
	int fd = netlink_fd(nl), half = (int)(bytes / 2), got = 0;
	socklen_t len = sizeof(got);

	/* The kernel doubles what is asked for, and tells the double. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len);
	return (uint32_t)got;
}

static int tell(struct netlink *nl, const struct nlmsghdr *h)
{
	return send(netlink_fd(nl), h, h->nlmsg_len, MSG_DONTWAIT) < 0 ? -1 : 0;
}

int queue_length(struct netlink *nl, uint16_t number, uint32_t length)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = config_begin(nl, buf, number, 0);

	mnl_attr_put_u32(h, NFQA_CFG_QUEUE_MAXLEN, htonl(length));
	return tell(nl, h);
}

static void put_verdict(struct nlmsghdr *h, uint32_t verdict, uint32_t id)
{
	struct nfqnl_msg_verdict_hdr vh = {.verdict = htonl(verdict),
					   .id = htonl(id)};

	mnl_attr_put(h, NFQA_VERDICT_HDR, sizeof(vh), &vh);
}

int queue_release(struct netlink *nl, uint16_t number, uint32_t id)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h =
		netlink_begin(nl, buf, MSG_TYPE(NFQNL_MSG_VERDICT_BATCH), 0,
			      AF_UNSPEC, number);

	put_verdict(h, NF_ACCEPT, id);
	return tell(nl, h);
}

/* ---- what comes ---- */

static void take_attr(const struct nlattr *a, struct queue_packet *p)
{
	const struct nfqnl_msg_packet_hdr *ph = mnl_attr_get_payload(a);
	uint16_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case NFQA_PACKET_HDR:
		if (len < sizeof(*ph))
			break;
		p->id = ntohl(ph->packet_id);
		p->hook = ph->hook;
		break;
	case NFQA_IFINDEX_OUTDEV:
		if (len == sizeof(uint32_t))
			p->out_if = ntohl(mnl_attr_get_u32(a));
		break;
	case NFQA_UID:
		if (len == sizeof(uint32_t))
			p->uid = ntohl(mnl_attr_get_u32(a));
		break;
	case NFQA_PAYLOAD:
		p->data = mnl_attr_get_payload(a);
		p->len = len;
		break;
	default:
		break;
	}
}

static enum queue_event take_error(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*e) || !e->error)
		return QUEUE_NONE;
	errno = -e->error;
	/* Of our messages only a verdict can miss what it is about. */
	return errno == ENOENT ? QUEUE_GONE : QUEUE_COMPLAINT;
}

bool queue_next(const void **at, int *left, enum queue_event *event_r,
		struct queue_packet *packet_r)
{
	const struct nlmsghdr *h = *at;
	const struct nlattr *a;

	if (!mnl_nlmsg_ok(h, *left))
		return false;
	*event_r = QUEUE_NONE;
	if (h->nlmsg_type == NLMSG_ERROR) {
		*event_r = take_error(h);
	} else if (h->nlmsg_type == MSG_TYPE(NFQNL_MSG_PACKET) &&
		   mnl_nlmsg_get_payload_len(h) >= sizeof(struct nfgenmsg)) {
		memset(packet_r, 0, sizeof(*packet_r));
		packet_r->uid = -1;
		mnl_attr_for_each (a, h, sizeof(struct nfgenmsg))
			take_attr(a, packet_r);
		*event_r = QUEUE_PACKET;
	}
	*at = mnl_nlmsg_next(h, left);
	return true;
}

/* ---- answers ---- */

void queue_answer(struct queue_answers *answers, uint16_t number, uint32_t id,
		  enum queue_verdict verdict, uint32_t mark)
{
	static const uint32_t verdicts[] = {NF_ACCEPT, NF_DROP, NF_REPEAT};
	struct netlink none = {0};
	struct nlmsghdr *h = netlink_begin(&none, answers->data + answers->len,
					   MSG_TYPE(NFQNL_MSG_VERDICT), 0,
					   AF_UNSPEC, number);

	put_verdict(h, verdicts[verdict], id);
	if (verdict == QUEUE_REPEAT)
		mnl_attr_put_u32(h, NFQA_MARK, htonl(mark));
	answers->len += NLMSG_ALIGN(h->nlmsg_len);
	answers->n++;
}

int queue_flush(struct queue_answers *answers, int fd)
{
	ssize_t n = 0;

	if (answers->n)
		n = send(fd, answers->data, answers->len, 0);
	answers->len = answers->n = 0;
	return n < 0 ? -1 : 0;
}
