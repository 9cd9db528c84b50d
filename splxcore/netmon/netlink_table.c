/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netlink_table.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <string.h>

#include "netlink_impl.h"

#define ALIVE_SET "alive"
#define ALIVE_SET_ID 1
#define ALIVE_KEY 1
/* What nft(8) takes the element for, so that it can show the set. */
#define NFT_TYPE_MARK 19
/* Those of `nft` and iptables stand at NF_IP_PRI_FILTER: what they drop does
 * not reach us. */
#define PRIORITY (NF_IP_PRI_FILTER + 10)
/* The loopback interface of each network namespace. */
#define LOOPBACK_INDEX 1
#define TCP_FLAGS_OFFSET 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* Several messages that the kernel takes as a whole or not at all. */
struct batch {
	struct netlink *nl;
	char data[8192] __attribute__((aligned(8)));
	size_t len;
};

static struct nlmsghdr *next(struct batch *b, uint16_t type, uint16_t flags,
			     uint8_t family, uint16_t res_id)
{
	return netlink_begin(b->nl, b->data + b->len, type, flags, family,
			     res_id);
}

static void done(struct batch *b, const struct nlmsghdr *h)
{
	b->len += NLMSG_ALIGN(h->nlmsg_len);
}

static void batch_begin(struct batch *b, struct netlink *nl)
{
	b->nl = nl;
	b->len = 0;
	done(b,
	     next(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

static int batch_send(struct batch *b, struct err *err)
{
	uint32_t last = b->nl->seq;

	done(b,
	     next(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	return netlink_talk(b->nl, b->data, b->len, last, NULL, NULL, err);
}

/* A message about our table; each is acknowledged. */
static struct nlmsghdr *about(struct batch *b, int type, uint16_t flags,
			      uint16_t table_attr)
{
	struct nlmsghdr *h =
		next(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
		     flags | NLM_F_ACK, NFPROTO_INET, 0);

	mnl_attr_put_strz(h, table_attr, TABLE_NAME);
	return h;
}

static void put_u32(struct nlmsghdr *h, int attr, uint32_t value)
{
	mnl_attr_put_u32(h, (uint16_t)attr, htonl(value));
}

static void put_data(struct nlmsghdr *h, int attr, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(h, (uint16_t)attr);

	mnl_attr_put(h, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(h, nest);
}

/* ---- expressions: what a rule is made of, from left to right ---- */

struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct nlmsghdr *h, const char *name)
{
	struct expr e;

	e.elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	mnl_attr_put_strz(h, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct nlmsghdr *h, struct expr e)
{
	mnl_attr_nest_end(h, e.data);
	mnl_attr_nest_end(h, e.elem);
}

static void expr_meta(struct nlmsghdr *h, uint32_t key)
{
	struct expr e = expr_begin(h, "meta");

	put_u32(h, NFTA_META_KEY, key);
	put_u32(h, NFTA_META_DREG, NFT_REG_1);
	expr_end(h, e);
}

static void expr_cmp(struct nlmsghdr *h, uint32_t op, const void *data,
		     size_t len)
{
	struct expr e = expr_begin(h, "cmp");

	put_u32(h, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(h, NFTA_CMP_OP, op);
	put_data(h, NFTA_CMP_DATA, data, len);
	expr_end(h, e);
}

/* SYN, and not ACK: the first packet of a connection. */
static void expr_first_packet(struct nlmsghdr *h)
{
	static const uint8_t tcp = IPPROTO_TCP, none = 0, syn = TCP_SYN;
	static const uint8_t mask = TCP_SYN | TCP_ACK;
	struct expr e;

	expr_meta(h, NFT_META_L4PROTO);
	expr_cmp(h, NFT_CMP_EQ, &tcp, 1);
	e = expr_begin(h, "payload");
	put_u32(h, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(h, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_u32(h, NFTA_PAYLOAD_OFFSET, TCP_FLAGS_OFFSET);
	put_u32(h, NFTA_PAYLOAD_LEN, 1);
	expr_end(h, e);
	e = expr_begin(h, "bitwise");
	put_u32(h, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(h, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(h, NFTA_BITWISE_LEN, 1);
	put_data(h, NFTA_BITWISE_MASK, &mask, 1);
	put_data(h, NFTA_BITWISE_XOR, &none, 1);
	expr_end(h, e);
	expr_cmp(h, NFT_CMP_EQ, &syn, 1);
}

static void expr_not_loopback(struct nlmsghdr *h, uint32_t key)
{
	const uint32_t index = LOOPBACK_INDEX;

	expr_meta(h, key);
	expr_cmp(h, NFT_CMP_NEQ, &index, sizeof(index));
}

static void expr_jump(struct nlmsghdr *h, const char *chain)
{
	struct expr e = expr_begin(h, "immediate");
	struct nlattr *data, *verdict;

	put_u32(h, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(h, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
	put_u32(h, NFTA_VERDICT_CODE, (uint32_t)NFT_JUMP);
	mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(h, verdict);
	mnl_attr_nest_end(h, data);
	expr_end(h, e);
}

static void expr_counter(struct nlmsghdr *h)
{
	struct expr e = expr_begin(h, "counter");

	mnl_attr_put_u64(h, NFTA_COUNTER_BYTES, 0);
	mnl_attr_put_u64(h, NFTA_COUNTER_PACKETS, 0);
	expr_end(h, e);
}

/* Goes on only while the set has its element. */
static void expr_alive(struct nlmsghdr *h)
{
	const uint32_t key = ALIVE_KEY;
	struct expr e = expr_begin(h, "immediate");

	put_u32(h, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_data(h, NFTA_IMMEDIATE_DATA, &key, sizeof(key));
	expr_end(h, e);
	e = expr_begin(h, "lookup");
	mnl_attr_put_strz(h, NFTA_LOOKUP_SET, ALIVE_SET);
	put_u32(h, NFTA_LOOKUP_SET_ID, ALIVE_SET_ID);
	put_u32(h, NFTA_LOOKUP_SREG, NFT_REG_1);
	expr_end(h, e);
}

static void expr_queue(struct nlmsghdr *h, const struct table_plan *plan)
{
	/* A target's data has the length that xt's alignment gives it. */
	union {
		struct xt_NFQ_info_v3 info;
		uint64_t aligned;
	} target = {.aligned = 0};
	struct expr e;

	if (!plan->by_target) {
		e = expr_begin(h, "queue");
		mnl_attr_put_u16(h, NFTA_QUEUE_NUM, htons(plan->queue));
		mnl_attr_put_u16(h, NFTA_QUEUE_TOTAL, htons(1));
		mnl_attr_put_u16(h, NFTA_QUEUE_FLAGS,
				 htons(NFT_QUEUE_FLAG_BYPASS));
		expr_end(h, e);
		return;
	}
	target.info.queuenum = plan->queue;
	target.info.queues_total = 1;
	target.info.flags = NFQ_FLAG_BYPASS;
	e = expr_begin(h, "target");
	mnl_attr_put_strz(h, NFTA_TARGET_NAME, "NFQUEUE");
	put_u32(h, NFTA_TARGET_REV, 3);
	mnl_attr_put(h, NFTA_TARGET_INFO, sizeof(target), &target);
	expr_end(h, e);
}

/* ---- the table ---- */

static void add_chain(struct batch *b, const char *name, int hook)
{
	struct nlmsghdr *h =
		about(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_TABLE);
	struct nlattr *nest;

	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, name);
	if (hook >= 0) {
		nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
		put_u32(h, NFTA_HOOK_HOOKNUM, (uint32_t)hook);
		put_u32(h, NFTA_HOOK_PRIORITY, PRIORITY);
		mnl_attr_nest_end(h, nest);
		put_u32(h, NFTA_CHAIN_POLICY, NF_ACCEPT);
		mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, "filter");
	}
	done(b, h);
}

static void add_set(struct batch *b)
{
	struct nlmsghdr *h =
		about(b, NFT_MSG_NEWSET, NLM_F_CREATE, NFTA_SET_TABLE);

	mnl_attr_put_strz(h, NFTA_SET_NAME, ALIVE_SET);
	put_u32(h, NFTA_SET_FLAGS, NFT_SET_TIMEOUT);
	put_u32(h, NFTA_SET_KEY_TYPE, NFT_TYPE_MARK);
	put_u32(h, NFTA_SET_KEY_LEN, sizeof(uint32_t));
	put_u32(h, NFTA_SET_ID, ALIVE_SET_ID);
	done(b, h);
}

static struct nlmsghdr *rule_begin(struct batch *b, const char *chain,
				   struct nlattr **nest_r)
{
	struct nlmsghdr *h =
		about(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
		      NFTA_RULE_TABLE);

	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
	*nest_r = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);
	return h;
}

static void rule_end(struct batch *b, struct nlmsghdr *h, struct nlattr *nest)
{
	mnl_attr_nest_end(h, nest);
	done(b, h);
}

static void add_rules(struct batch *b, const struct table_plan *plan)
{
	struct nlattr *nest;
	struct nlmsghdr *h;
	struct expr e;

	/* A connection over loopback is seen on its way out. */
	h = rule_begin(b, "in", &nest);
	expr_first_packet(h);
	expr_not_loopback(h, NFT_META_IIF);
	expr_jump(h, "new");
	rule_end(b, h, nest);

	h = rule_begin(b, "out", &nest);
	expr_first_packet(h);
	if (!plan->loopback)
		expr_not_loopback(h, NFT_META_OIF);
	expr_jump(h, "new");
	rule_end(b, h, nest);

	h = rule_begin(b, "new", &nest);
	expr_meta(h, NFT_META_MARK);
	expr_cmp(h, NFT_CMP_EQ, &plan->mark, sizeof(plan->mark));
	expr_first_packet(h); /* a reset wants to be known as TCP's */
	e = expr_begin(h, "reject");
	put_u32(h, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	expr_end(h, e);
	rule_end(b, h, nest);

	h = rule_begin(b, "new", &nest);
	expr_counter(h);
	rule_end(b, h, nest);

	h = rule_begin(b, "new", &nest);
	expr_alive(h);
	expr_counter(h);
	expr_queue(h, plan);
	rule_end(b, h, nest);
}

/* NEWTABLE first, so that DELTABLE always finds one. */
static void replace_table(struct batch *b)
{
	struct nlmsghdr *h;

	h = about(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFTA_TABLE_NAME);
	done(b, h);
	h = about(b, NFT_MSG_DELTABLE, 0, NFTA_TABLE_NAME);
	done(b, h);
	h = about(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFTA_TABLE_NAME);
	done(b, h);
}

static int put_once(struct netlink *nl, const struct table_plan *plan,
		    struct err *err)
{
	struct batch b;

	batch_begin(&b, nl);
	replace_table(&b);
	add_set(&b);
	add_chain(&b, "new", -1);
	add_chain(&b, "in", NF_INET_LOCAL_IN);
	add_chain(&b, "out", NF_INET_LOCAL_OUT);
	add_rules(&b, plan);
	return batch_send(&b, err);
}

int table_put(struct netlink *nl, struct table_plan *plan, struct err *err)
{
	if (put_once(nl, plan, err) == 0)
		return 0;
	/* A kernel built without nft_queue does not know the expression. */
	if (err->code == ENOENT && !plan->by_target) {
		plan->by_target = true;
		if (put_once(nl, plan, err) == 0)
			return 0;
		plan->by_target = false;
	}
	return err_add(err, "nf_tables");
}

static void element(struct batch *b, int type, uint16_t flags, uint64_t ms)
{
	struct nlmsghdr *h = about(b, type, flags, NFTA_SET_ELEM_LIST_TABLE);
	const uint32_t key = ALIVE_KEY;
	struct nlattr *list, *elem;

	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, ALIVE_SET);
	list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	put_data(h, NFTA_SET_ELEM_KEY, &key, sizeof(key));
	if (ms)
		mnl_attr_put_u64(h, NFTA_SET_ELEM_TIMEOUT, htobe64(ms));
	mnl_attr_nest_end(h, elem);
	mnl_attr_nest_end(h, list);
	done(b, h);
}

static int change(struct netlink *nl, bool drop, bool add, struct err *err)
{
	struct batch b;

	batch_begin(&b, nl);
	if (drop)
		element(&b, NFT_MSG_DELSETELEM, 0, 0);
	if (add)
		element(&b, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL,
			TABLE_ALIVE_MS);
	return batch_send(&b, err);
}

int table_renew(struct netlink *nl, struct err *err)
{
	/* Added again it would keep its old time: it goes and comes in one
	 * step. ENOENT: it had run out, or there is no table. */
	if (change(nl, true, true, err) == 0)
		return 0;
	return err->code == ENOENT ? change(nl, false, true, err) : -1;
}

/* Whether the table is there; -1 and *err. */
static int look(struct netlink *nl, struct err *err)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *h = netlink_begin(
		nl, buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
		NLM_F_ACK, NFPROTO_INET, 0);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, TABLE_NAME);
	return netlink_talk(nl, h, h->nlmsg_len, h->nlmsg_seq, NULL, NULL, err);
}

int table_pause(struct netlink *nl, struct err *err)
{
	if (change(nl, true, false, err) == 0)
		return 0;
	return err->code == ENOENT ? look(nl, err) : -1;
}

int table_remove(struct netlink *nl, struct err *err)
{
	struct nlmsghdr *h;
	struct batch b;

	batch_begin(&b, nl);
	h = about(&b, NFT_MSG_DELTABLE, 0, NFTA_TABLE_NAME);
	done(&b, h);
	if (batch_send(&b, err) == 0)
		return 1;
	return err->code == ENOENT ? 0 : -1;
}

/* ---- counters ---- */

struct counting {
	int found;
	struct table_counts *counts;
};

/* The packets of a counter's data. */
static uint64_t packets_of(const struct nlattr *data)
{
	const struct nlattr *a;
	uint64_t n = 0;

	mnl_attr_for_each_nested (a, data) {
		if (mnl_attr_get_type(a) == NFTA_COUNTER_PACKETS &&
		    mnl_attr_get_payload_len(a) == sizeof(n))
			n = be64toh(mnl_attr_get_u64(a));
	}
	return n;
}

static void count_expr(const struct nlattr *elem, struct counting *c)
{
	const struct nlattr *a, *data = NULL;
	bool counter = false;

	mnl_attr_for_each_nested (a, elem) {
		if (mnl_attr_get_type(a) == NFTA_EXPR_NAME)
			counter = strcmp(mnl_attr_get_str(a), "counter") == 0;
		else if (mnl_attr_get_type(a) == NFTA_EXPR_DATA)
			data = a;
	}
	if (!counter || !data)
		return;
	if (c->found++ == 0)
		c->counts->first = packets_of(data);
	else
		c->counts->queued = packets_of(data);
}

static int count_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *elem;

	mnl_attr_for_each (a, h, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) != NFTA_RULE_EXPRESSIONS)
			continue;
		mnl_attr_for_each_nested (elem, a)
			count_expr(elem, arg);
	}
	return MNL_CB_OK;
}

int table_count(struct netlink *nl, struct table_counts *counts_r,
		struct err *err)
{
	char buf[512] __attribute__((aligned(8)));
	struct counting c = {.counts = counts_r};
	struct nlmsghdr *h = netlink_begin(
		nl, buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE,
		NLM_F_DUMP, NFPROTO_INET, 0);

	mnl_attr_put_strz(h, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, "new");
	if (netlink_talk(nl, h, h->nlmsg_len, h->nlmsg_seq, count_rule, &c,
			 err))
		return -1;
	return c.found == 2 ? 0
			    : err_set(err, ENOENT, "nf_tables: our counters");
}
