// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * The parts that decide without a question, against plain models: with inodes
 * and dentries that no file system has.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>

#include "cache.h"
#include "exempt.h"
#include "report.h"
#include "rules.h"
#include "selftest.h"

/* What does not hold is said, and ends the function. */
#define HOLDS(what)                                                            \
	do {                                                                   \
		if (!(what)) {                                                 \
			pr_err(SPLXMOD_NAME                                    \
			       ": selftest: %s:%d: %s does not hold\n",        \
			       __func__, __LINE__, #what);                     \
			return -EINVAL;                                        \
		}                                                              \
	} while (0)

static u64 test_random_state;

/* Below `below`. The seed is in the log: what failed can be run again. */
static u32 test_random(u32 below)
{
	test_random_state ^= test_random_state << 13;
	test_random_state ^= test_random_state >> 7;
	test_random_state ^= test_random_state << 17;
	return (u32)(test_random_state >> 32) % below;
}

/* ---- files that are none ---- */

#define TEST_DEV MKDEV(511, 77777)
#define TEST_NODES 48

struct test_bed {
	struct file_system_type disk, memory, net;
	struct super_block sb;
	struct file file;
	struct inode inodes[TEST_NODES];
	struct dentry dentries[TEST_NODES];
	char names[TEST_NODES][48];
	bool known[TEST_NODES]; /* the model of the cache */
};

static void test_set_ctime(struct inode *inode, s64 ns_ago)
{
	compat_timespec now;

	ktime_get_coarse_real_ts64(&now);
	compat_inode_set_ctime(
		inode, ns_to_timespec64(timespec64_to_ns(&now) - ns_ago));
}

static void test_inode(struct test_bed *bed, struct inode *inode, u64 ino)
{
	memset(inode, 0, sizeof(*inode));
	inode->i_mode = S_IFREG | 0644;
	inode->i_sb = &bed->sb;
	inode->i_ino = ino;
	inode->i_generation = 7;
	i_size_write(inode, 1000);
	test_set_ctime(inode, NSEC_PER_SEC);
}

static void test_bed_init(struct test_bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->disk.name = "testdisk";
	bed->disk.fs_flags = FS_REQUIRES_DEV;
	bed->memory.name = "tmpfs";
	bed->net.name = "testnet";
	bed->sb.s_type = &bed->disk;
	bed->sb.s_dev = TEST_DEV;
	bed->sb.s_time_gran = 1;
}

/* ---- cache ---- */

static void test_learn(struct inode *inode, u64 epoch)
{
	struct splxmod_cache_mark mark;

	splxmod_cache_mark(&mark, inode);
	splxmod_cache_put(&mark, inode, epoch);
}

static int test_cache_keys(struct test_bed *bed)
{
	struct inode *inode = &bed->inodes[0];

	test_inode(bed, inode, 4711);
	HOLDS(!splxmod_cache_has(inode, 1));
	test_learn(inode, 1);
	HOLDS(splxmod_cache_has(inode, 1));
	HOLDS(splxmod_cache_used() == 1);
	HOLDS(!splxmod_cache_has(inode, 2));
	inode->i_generation++;
	HOLDS(!splxmod_cache_has(inode, 1));
	inode->i_generation--;
	i_size_write(inode, 1001);
	HOLDS(!splxmod_cache_has(inode, 1));
	i_size_write(inode, 1000);
	HOLDS(splxmod_cache_has(inode, 1));
	test_set_ctime(inode, 2 * NSEC_PER_SEC);
	HOLDS(!splxmod_cache_has(inode, 1));
	test_learn(inode, 1);
	HOLDS(splxmod_cache_has(inode, 1));
	HOLDS(splxmod_cache_used() == 1);
	bed->sb.s_dev++;
	HOLDS(!splxmod_cache_has(inode, 1));
	bed->sb.s_dev--;
	splxmod_cache_flush();
	HOLDS(!splxmod_cache_has(inode, 1));
	HOLDS(splxmod_cache_used() == 0);
	return 0;
}

/* Nothing is learnt, and nothing holds, while or after somebody writes. */
static int test_cache_writers(struct test_bed *bed)
{
	struct inode *inode = &bed->inodes[0];
	struct splxmod_cache_mark mark;

	test_inode(bed, inode, 4712);
	atomic_set(&inode->i_writecount, 1);
	test_learn(inode, 1);
	atomic_set(&inode->i_writecount, 0);
	HOLDS(!splxmod_cache_has(inode, 1));

	splxmod_cache_mark(&mark, inode);
	atomic_set(&inode->i_writecount, 1);
	HOLDS(!splxmod_cache_steady(&mark, inode));
	splxmod_cache_put(&mark, inode, 1);
	splxmod_cache_written(inode);
	atomic_set(&inode->i_writecount, 0);
	HOLDS(!splxmod_cache_steady(&mark, inode));
	splxmod_cache_put(&mark, inode, 1);
	HOLDS(!splxmod_cache_has(inode, 1));

	test_learn(inode, 1);
	atomic_set(&inode->i_writecount, -1); /* it is executed */
	HOLDS(splxmod_cache_has(inode, 1));
	atomic_set(&inode->i_writecount, 1);
	HOLDS(!splxmod_cache_has(inode, 1));
	splxmod_cache_written(inode);
	atomic_set(&inode->i_writecount, 0);
	HOLDS(!splxmod_cache_has(inode, 1));
	HOLDS(splxmod_cache_used() == 0);

	splxmod_cache_mark(&mark, inode);
	splxmod_cache_flush();
	splxmod_cache_put(&mark, inode, 1);
	HOLDS(!splxmod_cache_has(inode, 1));
	return 0;
}

/* What changed in this tick may change in it once more. */
static int test_cache_tick(struct test_bed *bed)
{
	struct inode *inode = &bed->inodes[0];
	struct splxmod_cache_mark mark;

	test_inode(bed, inode, 4713);
	/* In the future, as now lies behind it by the time it is asked. */
	test_set_ctime(inode, -(s64)NSEC_PER_SEC);
	splxmod_cache_mark(&mark, inode);
	HOLDS(!mark.usable);
	test_set_ctime(inode, 3 * TICK_NSEC);
	splxmod_cache_mark(&mark, inode);
	HOLDS(mark.usable);
	bed->sb.s_time_gran = NSEC_PER_SEC;
	test_set_ctime(inode, NSEC_PER_SEC / 2);
	splxmod_cache_mark(&mark, inode);
	HOLDS(!mark.usable);
	bed->sb.s_time_gran = 1;
	bed->sb.s_magic = MSDOS_SUPER_MAGIC;
	test_set_ctime(inode, NSEC_PER_SEC);
	splxmod_cache_mark(&mark, inode);
	HOLDS(!mark.usable);
	bed->sb.s_magic = 0;
	return 0;
}

static int test_cache_kinds(struct test_bed *bed)
{
	struct inode *inode = &bed->inodes[0];
	struct splxmod_known known;

	test_inode(bed, inode, 4714);
	known = (struct splxmod_known){
		.dev = splxmod_dev_out(TEST_DEV),
		.ino = 4714,
		.size = 1000,
		.ctime_sec = compat_inode_ctime(inode).tv_sec,
		.ctime_nsec = compat_inode_ctime(inode).tv_nsec,
	};
	splxmod_cache_preset(&known, 3);
	HOLDS(splxmod_cache_has(inode, 3));
	HOLDS(!splxmod_cache_has(inode, 1));
	/* Of a file in memory nobody knows what it was before. */
	bed->sb.s_type = &bed->memory;
	bed->sb.s_magic = TMPFS_MAGIC;
	HOLDS(!splxmod_cache_has(inode, 3));
	test_learn(inode, 3);
	HOLDS(splxmod_cache_has(inode, 3));
	/* What was learnt is not replaced by what may be older. */
	splxmod_cache_preset(&known, 3);
	HOLDS(splxmod_cache_has(inode, 3));
	bed->sb.s_type = &bed->net;
	bed->sb.s_magic = 0;
	HOLDS(!splxmod_cache_suits(inode));
	HOLDS(!splxmod_cache_has(inode, 3));
	bed->sb.s_type = &bed->disk;
	bed->sb.s_magic = BTRFS_SUPER_MAGIC;
	HOLDS(!splxmod_cache_suits(inode));
	bed->sb.s_magic = 0;
	splxmod_cache_flush();
	return 0;
}

/* 64k files have room; of more, the latest stay. */
static int test_cache_fill(struct test_bed *bed)
{
	const u32 promised = 65536, many = 200000;
	struct inode *inode = &bed->inodes[0];
	u32 i, kept = 0;

	test_inode(bed, inode, 0);
	for (i = 0; i < many; i++) {
		inode->i_ino = 100 + i;
		test_learn(inode, 1);
		if (i == promised - 1)
			HOLDS(splxmod_cache_used() >= promised * 98 / 100);
		if (i % 1024 == 0)
			cond_resched();
	}
	HOLDS(splxmod_cache_used() < many);
	for (i = 0; i < many; i++) {
		inode->i_ino = 100 + i;
		kept += splxmod_cache_has(inode, 1);
	}
	HOLDS(kept == splxmod_cache_used());
	for (i = many - 1000; i < many; i++) {
		inode->i_ino = 100 + i;
		HOLDS(splxmod_cache_has(inode, 1));
	}
	splxmod_cache_flush();
	return 0;
}

/* One random thing happens to a file; the model tells whether it is known. */
static void test_cache_step(struct test_bed *bed, u32 n, u64 *epoch)
{
	struct inode *inode = &bed->inodes[n];

	switch (test_random(16)) {
	case 0: /* a writer comes and goes, and changes nothing */
		splxmod_cache_written(inode);
		bed->known[n] = false;
		break;
	case 1: /* it is changed behind our back */
		i_size_write(inode, i_size_read(inode) + 1);
		bed->known[n] = false;
		break;
	case 2: /* it is replaced by another with its number */
		inode->i_generation++;
		bed->known[n] = false;
		break;
	case 3:
		if (test_random(20))
			break;
		++*epoch;
		memset(bed->known, 0, sizeof(bed->known));
		break;
	case 4:
		if (test_random(20))
			break;
		splxmod_cache_flush();
		memset(bed->known, 0, sizeof(bed->known));
		break;
	default:
		test_learn(inode, *epoch);
		bed->known[n] = true;
	}
}

static int test_cache_model(struct test_bed *bed)
{
	u64 epoch = 1;
	u32 i, n;

	memset(bed->known, 0, sizeof(bed->known));
	for (n = 0; n < TEST_NODES; n++)
		test_inode(bed, &bed->inodes[n], 5000 + n);
	for (i = 0; i < 20000; i++) {
		test_cache_step(bed, test_random(TEST_NODES), &epoch);
		n = test_random(TEST_NODES);
		HOLDS(splxmod_cache_has(&bed->inodes[n], epoch) ==
		      bed->known[n]);
	}
	splxmod_cache_flush();
	HOLDS(splxmod_cache_used() == 0);
	return 0;
}

/* ---- exempt ---- */

static int test_exempt(struct test_bed *bed)
{
	/* This process by both its names, and two others. */
	const pid_t pids[] = {0, task_tgid_vnr(current), 1, 2};
	bool in[ARRAY_SIZE(pids)] = {};
	u32 i, n;
	int err;

	HOLDS(!splxmod_exempt_current());
	HOLDS(splxmod_exempt_add(PID_MAX_LIMIT) == -ESRCH);
	for (i = 0; i < 3000; i++) {
		n = test_random(ARRAY_SIZE(pids));
		if (test_random(2)) {
			err = splxmod_exempt_add(pids[n]);
			if (n > 1 && err == -ESRCH)
				continue; /* not in this namespace */
			HOLDS(err == 0);
			in[n] = true;
		} else {
			err = splxmod_exempt_remove(pids[n]);
			HOLDS(err == (in[n] ? 0 : -ESRCH));
			in[n] = false;
		}
		if (n < 2)
			in[!n] = in[n];
		HOLDS(splxmod_exempt_current() == in[0]);
	}
	for (n = 1; n < ARRAY_SIZE(pids); n++)
		splxmod_exempt_remove(pids[n]);

	HOLDS(splxmod_exempt_add(0) == 0);
	current->self_exec_id++; /* as executing something does */
	err = splxmod_exempt_current();
	n = splxmod_exempt_add(0) == 0 && splxmod_exempt_current();
	current->self_exec_id--;
	HOLDS(!err);
	HOLDS(n);
	HOLDS(!splxmod_exempt_current());
	HOLDS(splxmod_exempt_remove(0) == 0);
	return 0;
}

/* ---- rules ---- */

static void test_node(struct test_bed *bed, u32 n)
{
	static const char *const names[] = {
		"a", "b", "aa", "ab", ".a", "a long name that is not inline"};
	struct dentry *d = &bed->dentries[n];
	struct dentry *parent = n ? &bed->dentries[test_random(n)] : d;
	const char *name = n ? names[test_random(ARRAY_SIZE(names))] : "/";

	test_inode(bed, &bed->inodes[n], 900 + n);
	memset(d, 0, sizeof(*d));
	strscpy(bed->names[n], name, sizeof(bed->names[n]));
	*(struct qstr *)&d->d_name = (struct qstr)QSTR_INIT(
		(const unsigned char *)bed->names[n], strlen(name));
	d->d_parent = parent;
	d->d_sb = &bed->sb;
	d->d_inode = &bed->inodes[n];
	d->d_hash.pprev = (void *)d; /* it is hashed, that is: not removed */
}

/* Its path from the root, at the end of the buffer. */
static const char *test_path(struct test_bed *bed, const struct dentry *d,
			     char *buf, size_t size)
{
	size_t at = size - 1, len;

	buf[at] = 0;
	for (; d != &bed->dentries[0]; d = d->d_parent) {
		const char *name = bed->names[d - bed->dentries];

		len = strlen(name);
		if (len + 1 > at)
			return "";
		at -= len;
		memcpy(buf + at, name, len);
		buf[--at] = '/';
	}
	return buf[at] ? buf + at : "/";
}

/* Makes it the path of something else, but for a chance. */
static void test_spoil(char *path, size_t size)
{
	size_t len = strlen(path), at = test_random(len);

	switch (test_random(6)) {
	case 0:
		if (len > 1)
			path[len - 1] = 'x';
		break;
	case 1: /* one border less */
		if (at && path[at] == '/')
			path[at] = 'x';
		break;
	case 2: /* it lies elsewhere */
		if (len > 1 && len + 3 < size) {
			memmove(path + 2, path, len + 1);
			memcpy(path, "/a", 2);
		}
		break;
	default:
		break;
	}
}

static void test_rule(struct test_bed *bed, struct splxmod_rule *rule)
{
	u32 n = test_random(TEST_NODES);
	char buf[sizeof(rule->text)];
	const char *path;

	memset(rule, 0, sizeof(*rule));
	switch (test_random(12)) {
	case 0:
		rule->kind = SPLXMOD_RULE_DEV;
		rule->dev = splxmod_dev_out(TEST_DEV + !!test_random(8));
		return;
	case 1:
		rule->kind = SPLXMOD_RULE_UID;
		rule->ino = from_kuid(&init_user_ns, current_uid()) +
			    !!test_random(8);
		return;
	case 2:
		rule->kind = SPLXMOD_RULE_FSTYPE;
		strscpy(rule->text, test_random(8) ? "testdis" : "testdisk",
			sizeof(rule->text));
		return;
	default:
		break;
	}
	path = test_path(bed, &bed->dentries[n], buf, sizeof(buf));
	rule->dev = splxmod_dev_out(TEST_DEV);
	if (test_random(4)) {
		rule->kind = SPLXMOD_RULE_DIRECTORY;
		rule->ino = 900 + n;
	} else {
		rule->kind = SPLXMOD_RULE_ONLY_BELOW;
		rule->dev += !test_random(4);
	}
	strscpy(rule->text, *path ? path : "/too/long", sizeof(rule->text));
	test_spoil(rule->text, sizeof(rule->text));
}

/* Does the file lie below the directory that the rule's text names? */
static bool test_is_below(struct test_bed *bed, const struct splxmod_rule *rule,
			  const struct dentry *d)
{
	char buf[sizeof(rule->text)];

	while (d != &bed->dentries[0]) {
		d = d->d_parent;
		if ((!rule->ino || rule->ino == d->d_inode->i_ino) &&
		    !strcmp(rule->text, test_path(bed, d, buf, sizeof(buf))))
			return true;
	}
	return false;
}

/* Does this rule exclude that file? As it is written in the interface. */
static bool test_rule_says(struct test_bed *bed,
			   const struct splxmod_rule *rule,
			   const struct dentry *file)
{
	switch (rule->kind) {
	case SPLXMOD_RULE_DEV:
		return rule->dev == splxmod_dev_out(TEST_DEV);
	case SPLXMOD_RULE_UID:
		return rule->ino == from_kuid(&init_user_ns, current_uid());
	case SPLXMOD_RULE_FSTYPE:
		return !strcmp(rule->text, "testdisk");
	case SPLXMOD_RULE_ONLY_BELOW:
		return false; /* not by itself */
	default:
		return test_is_below(bed, rule, file);
	}
}

/* Do they, together? */
static bool test_rules_say(struct test_bed *bed,
			   const struct splxmod_rule *rules, u32 count,
			   const struct dentry *file)
{
	bool only = false, below = false;
	u32 i;

	for (i = 0; i < count; i++) {
		if (test_rule_says(bed, &rules[i], file))
			return true;
		if (rules[i].kind == SPLXMOD_RULE_ONLY_BELOW &&
		    rules[i].dev == splxmod_dev_out(TEST_DEV)) {
			only = true;
			below |= test_is_below(bed, &rules[i], file);
		}
	}
	return only && !below;
}

static bool test_excludes(struct test_bed *bed, u32 n)
{
	struct dentry *d = &bed->dentries[n];

	bed->file.f_inode = d->d_inode;
	*(struct dentry **)&bed->file.f_path.dentry = d;
	return splxmod_rules_exclude(&bed->file);
}

static int test_rules_model(struct test_bed *bed, struct splxmod_rule *rules)
{
	u32 round, count, bad, i, n;

	for (round = 0; round < 400; round++) {
		for (n = 0; n < TEST_NODES; n++)
			test_node(bed, n);
		bed->sb.s_root = &bed->dentries[0];
		count = test_random(7);
		for (i = 0; i < count; i++)
			test_rule(bed, &rules[i]);
		HOLDS(splxmod_rules_set(rules, count, &bad) == 0);
		HOLDS(splxmod_rules_count() == count);
		for (n = 1; n < TEST_NODES; n++)
			HOLDS(test_excludes(bed, n) ==
			      test_rules_say(bed, rules, count,
					     &bed->dentries[n]));
	}
	return 0;
}

static int test_rules_checks(struct test_bed *bed, struct splxmod_rule *rules)
{
	u32 bad;

	memset(rules, 0, 2 * sizeof(*rules));
	rules[0].kind = SPLXMOD_RULE_ONLY_DEV;
	rules[0].dev = splxmod_dev_out(TEST_DEV);
	HOLDS(splxmod_rules_set(rules, 1, &bad) == 0);
	HOLDS(!test_excludes(bed, 1));
	rules[0].dev++;
	HOLDS(splxmod_rules_set(rules, 1, &bad) == 0);
	HOLDS(test_excludes(bed, 1));

	rules[1].kind = SPLXMOD_RULE_ONLY_BELOW + 1;
	HOLDS(splxmod_rules_set(rules, 2, &bad) == -EINVAL && bad == 1);
	rules[1].kind = SPLXMOD_RULE_DIRECTORY;
	strscpy(rules[1].text, "a/b", sizeof(rules[1].text));
	HOLDS(splxmod_rules_set(rules, 2, &bad) == -EINVAL && bad == 1);
	memset(rules[1].text, '/', sizeof(rules[1].text));
	HOLDS(splxmod_rules_set(rules, 2, &bad) == -EINVAL && bad == 1);
	/* What was refused has changed nothing. */
	HOLDS(test_excludes(bed, 1) && splxmod_rules_count() == 1);
	HOLDS(splxmod_rules_set(NULL, SPLXMOD_RULES_MAX + 1, &bad) == -EINVAL);
	HOLDS(splxmod_rules_set(NULL, 0, &bad) == 0);
	HOLDS(!test_excludes(bed, 1));
	return 0;
}

static int test_rules(struct test_bed *bed)
{
	struct splxmod_rule *rules = kcalloc(8, sizeof(*rules), GFP_KERNEL);
	u32 bad;
	int err;

	if (!rules)
		return -ENOMEM;
	err = test_rules_model(bed, rules);
	if (!err)
		err = test_rules_checks(bed, rules);
	splxmod_rules_set(NULL, 0, &bad);
	kfree(rules);
	return err;
}

/* ---- report ---- */

/* However much is put in, it ends in 0, and once in that something is left
 * out. */
static int test_report_fill(struct splxmod_report *r)
{
	u32 i;

	splxmod_report_rival(r, "kprobe", NULL, "a b", SPLXMOD_BLOCKS_ARM);
	HOLDS(!strcmp(r->text, "kprobe - a_b blocks-arm\n"));
	HOLDS(r->rivals == 1);
	for (i = 0; i < 600; i++) {
		splxmod_report_line(r, "%*s", (int)test_random(40), "x");
		HOLDS(r->len < sizeof(r->text) && strlen(r->text) == r->len);
	}
	HOLDS(strstr(r->text, "\n...\n") == r->text + r->len - 5);
	return 0;
}

static int test_report(struct test_bed *bed)
{
	struct splxmod_report *r = kzalloc(sizeof(*r), GFP_KERNEL);
	int err = 0, i;

	if (!r)
		return -ENOMEM;
	for (i = 0; i < 20 && !err; i++) {
		memset(r, 0, sizeof(*r));
		err = test_report_fill(r);
	}
	kfree(r);
	return err;
}

int splxmod_selftest(void)
{
	static int (*const tests[])(struct test_bed *) = {
		test_cache_keys,  test_cache_writers, test_cache_tick,
		test_cache_kinds, test_cache_fill,    test_cache_model,
		test_exempt,	  test_rules,	      test_report,
	};
	struct test_bed *bed = kvmalloc(sizeof(*bed), GFP_KERNEL);
	u64 seed = get_random_u64() | 1;
	int err = 0, cpu;
	size_t i;

	if (!bed)
		return -ENOMEM;
	test_random_state = seed;
	for (i = 0; i < ARRAY_SIZE(tests) && !err; i++) {
		test_bed_init(bed);
		err = tests[i](bed);
	}
	kvfree(bed);
	/* What was counted here is nothing that happened. */
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&splxmod_counts, cpu), 0,
		       sizeof(splxmod_counts));
	pr_info(SPLXMOD_NAME ": selftest %s, seed %llx\n",
		err ? "failed" : "passed", seed);
	return err;
}
