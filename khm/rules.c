// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * What needs no question: all rules in one hash table, which is never changed,
 * only replaced. A kind of which there is no rule costs nothing.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/jhash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "rules.h"

#define RULES_KINDS (SPLXMOD_RULE_ONLY_BELOW + 1)
#define RULES_NONE U32_MAX

/* What is looked for: of a kind that is named by numbers or by text. */
struct rules_name {
	u32 kind;
	dev_t dev;
	u64 ino;
	const char *text; /* NULL: none */
	u32 len;
};
struct rules_entry {
	struct rules_name name; /* text: into the rule below, or NULL */
	u32 next;		/* of the same bucket; RULES_NONE: the last */
	char text[sizeof(((struct splxmod_rule *)0)->text)];
};
struct rules_set {
	u32 count;
	u32 mask;		/* of the buckets */
	u32 kinds[RULES_KINDS]; /* how many of each */
	u32 *buckets;		/* the first entry of each */
	struct rules_entry entries[];
};

static struct rules_set __rcu *rules_now;
static DEFINE_MUTEX(rules_mutex); /* who replaces it */

static u32 rules_hash(const struct rules_name *n)
{
	u32 hash =
		jhash_3words((u32)n->ino, (u32)(n->ino >> 32), n->dev, n->kind);

	return n->text ? jhash(n->text, n->len, hash) : hash;
}

static bool rules_equal(const struct rules_name *a, const struct rules_name *b)
{
	return a->kind == b->kind && a->dev == b->dev && a->ino == b->ino &&
	       !a->text == !b->text &&
	       (!a->text ||
		(a->len == b->len && !memcmp(a->text, b->text, a->len)));
}

/* The next entry from `at` on that has this name; NULL: none. */
static const struct rules_entry *rules_next(const struct rules_set *set,
					    const struct rules_name *name,
					    u32 at)
{
	for (; at != RULES_NONE; at = set->entries[at].next)
		if (rules_equal(&set->entries[at].name, name))
			return &set->entries[at];
	return NULL;
}

static const struct rules_entry *rules_find(const struct rules_set *set,
					    const struct rules_name *name)
{
	return rules_next(set, name,
			  set->buckets[rules_hash(name) & set->mask]);
}

/* ---- what a rule says about a file ---- */

/*
 * The inode of the program that the current process executes, as numbers. The
 * link can be moved to another file by whoever is privileged in a user
 * namespace of his own: there no rule about programs holds.
 */
static bool rules_program(dev_t *dev_r, u64 *ino_r)
{
	struct mm_struct *mm = current->mm;
	const struct inode *inode;
	const struct file *exe;

	if (!mm || (current->flags & PF_KTHREAD) ||
	    current_user_ns() != &init_user_ns)
		return false;
	/* A file that lets go of its inode, and the inode, last until the end
	 * of the grace period; one that is used again is seen below. */
	exe = rcu_dereference(mm->exe_file);
	inode = exe ? READ_ONCE(exe->f_inode) : NULL;
	if (!inode)
		return false;
	*dev_r = inode->i_sb->s_dev;
	*ino_r = inode->i_ino;
	return rcu_access_pointer(mm->exe_file) == exe;
}

static bool rules_by_program(const struct rules_set *set)
{
	struct rules_name name = {.kind = SPLXMOD_RULE_EXE};

	return set->kinds[SPLXMOD_RULE_EXE] &&
	       rules_program(&name.dev, &name.ino) && rules_find(set, &name);
}

static bool rules_by_user(const struct rules_set *set)
{
	struct rules_name name = {.kind = SPLXMOD_RULE_UID};

	if (!set->kinds[SPLXMOD_RULE_UID])
		return false;
	name.ino = from_kuid(&init_user_ns, current_uid());
	return rules_find(set, &name);
}

static bool rules_by_device(const struct rules_set *set,
			    const struct super_block *sb)
{
	struct rules_name name = {.kind = SPLXMOD_RULE_DEV, .dev = sb->s_dev};

	if (set->kinds[SPLXMOD_RULE_DEV] && rules_find(set, &name))
		return true;
	name.kind = SPLXMOD_RULE_ONLY_DEV;
	return set->kinds[SPLXMOD_RULE_ONLY_DEV] && !rules_find(set, &name);
}

static bool rules_by_type(const struct rules_set *set,
			  const struct super_block *sb)
{
	struct rules_name name = {
		.kind = SPLXMOD_RULE_FSTYPE,
		.text = sb->s_type->name,
	};

	if (!set->kinds[SPLXMOD_RULE_FSTYPE])
		return false;
	name.len = strlen(name.text);
	return rules_find(set, &name);
}

/* ---- directories ---- */

/* Takes the dentry's name off the end of a path. False: it does not end so. A
 * name may be changed while it is read: it ends in 0 then too, and the walk is
 * done again. */
static bool rules_strip(const char *text, u32 *len, const struct dentry *d)
{
	const unsigned char *name = READ_ONCE(d->d_name.name);
	u32 size = READ_ONCE(d->d_name.len);
	u32 i, at;

	if (*len < size + 1)
		return false;
	at = *len - size;
	for (i = 0; i < size; i++)
		if (!name[i] || (char)name[i] != text[at + i])
			return false;
	if (name[size] || text[at - 1] != '/')
		return false;
	*len = at - 1;
	return true;
}

/* Is this directory's path from the root of its file system the text? */
static bool rules_is_at(const struct dentry *d, const char *text, u32 len)
{
	const struct dentry *root = d->d_sb->s_root;

	if (len == 1) /* "/" */
		len = 0;
	for (; d != root; d = READ_ONCE(d->d_parent))
		if (READ_ONCE(d->d_parent) == d || !rules_strip(text, &len, d))
			return false;
	return len == 0;
}

/* Does a directory rule name this one? RCU read lock held. */
static bool rules_names_directory(const struct rules_set *set,
				  const struct dentry *d)
{
	const struct inode *inode = d_inode_rcu(d);
	struct rules_name name = {.kind = SPLXMOD_RULE_DIRECTORY};
	const struct rules_entry *e;

	if (!inode)
		return false;
	name.dev = d->d_sb->s_dev;
	name.ino = inode->i_ino;
	for (e = rules_find(set, &name); e; e = rules_next(set, &name, e->next))
		if (rules_is_at(d, e->text, strlen(e->text)))
			return true;
	return false;
}

/* Does one of its directories have such a rule? */
static bool rules_is_below(const struct rules_set *set, const struct dentry *d)
{
	const struct dentry *parent;

	if (!set->kinds[SPLXMOD_RULE_DIRECTORY])
		return false;
	for (;;) {
		parent = READ_ONCE(d->d_parent);
		if (parent == d)
			return false;
		d = parent;
		if (rules_names_directory(set, d))
			return true;
	}
}

/* Is there an ONLY_BELOW rule for its file system, and none for one of its
 * directories? What hangs on no root may lie anywhere. */
static bool rules_is_outside(const struct rules_set *set,
			     const struct dentry *d)
{
	struct rules_name name = {.kind = SPLXMOD_RULE_ONLY_BELOW};
	const struct rules_entry *first, *e;
	const struct dentry *parent;

	if (!set->kinds[SPLXMOD_RULE_ONLY_BELOW])
		return false;
	name.dev = d->d_sb->s_dev;
	first = rules_find(set, &name);
	if (!first)
		return false;
	while (d != d->d_sb->s_root) {
		parent = READ_ONCE(d->d_parent);
		if (parent == d)
			return false;
		d = parent;
		for (e = first; e; e = rules_next(set, &name, e->next))
			if (rules_is_at(d, e->text, strlen(e->text)))
				return false;
	}
	return true;
}

static bool rules_by_place(const struct rules_set *set, const struct dentry *d)
{
	unsigned int seq;
	int tries;
	bool excluded;

	if (!set->kinds[SPLXMOD_RULE_DIRECTORY] &&
	    !set->kinds[SPLXMOD_RULE_ONLY_BELOW])
		return false;
	/* Where so much is renamed that no walk comes through, nothing is
	 * excluded. */
	for (tries = 0; tries < 8; tries++) {
		seq = read_seqbegin(&rename_lock);
		excluded = rules_is_below(set, d) || rules_is_outside(set, d);
		if (!read_seqretry(&rename_lock, seq))
			return excluded && !d_unlinked(d);
	}
	return false;
}

bool splxmod_rules_exclude(struct file *file)
{
	const struct super_block *sb = file_inode(file)->i_sb;
	const struct rules_set *set;
	bool excluded;

	rcu_read_lock();
	set = rcu_dereference(rules_now);
	excluded = set && (rules_by_device(set, sb) || rules_by_type(set, sb) ||
			   rules_by_user(set) || rules_by_program(set) ||
			   rules_by_place(set, file->f_path.dentry));
	rcu_read_unlock();
	return excluded;
}

/* ---- replacing them ---- */

static bool rules_text_is_sound(const struct splxmod_rule *rule, bool path)
{
	size_t len = strnlen(rule->text, sizeof(rule->text));

	if (len == 0 || len == sizeof(rule->text))
		return false;
	/* As a walk over names gives it. */
	return !path || (rule->text[0] == '/' && !strstr(rule->text, "//") &&
			 (len == 1 || rule->text[len - 1] != '/'));
}

static bool rules_is_sound(const struct splxmod_rule *rule)
{
	bool dev_fits = rule->dev <= U32_MAX;

	if (rule->reserved)
		return false;
	switch (rule->kind) {
	case SPLXMOD_RULE_EXE:
		return dev_fits && !rule->text[0];
	case SPLXMOD_RULE_UID:
		return !rule->dev && rule->ino < U32_MAX && !rule->text[0];
	case SPLXMOD_RULE_FSTYPE:
		return !rule->dev && !rule->ino &&
		       rules_text_is_sound(rule, false);
	case SPLXMOD_RULE_DIRECTORY:
		return dev_fits && rules_text_is_sound(rule, true);
	case SPLXMOD_RULE_ONLY_BELOW:
		return dev_fits && !rule->ino &&
		       rules_text_is_sound(rule, true);
	case SPLXMOD_RULE_DEV:
	case SPLXMOD_RULE_ONLY_DEV:
		return dev_fits && !rule->ino && !rule->text[0];
	default:
		return false;
	}
}

/*
 * Such a rule excludes all that it does not name: so the directory's place is
 * not what somebody says, but what the kernel itself makes of it.
 */
static int rules_place(struct splxmod_rule *rule, const struct dentry *d)
{
	char buf[sizeof(rule->text)];
	const char *path;
	int err = -EXDEV;

	if (!d_is_dir(d))
		return -ENOTDIR;
	path = dentry_path_raw((struct dentry *)d, buf, sizeof(buf));
	if (IS_ERR(path))
		return PTR_ERR(path);
	rcu_read_lock();
	if (d_unlinked(d))
		err = -ENOENT;
	else if (rules_is_at(d, path, strlen(path)))
		err = 0;
	rcu_read_unlock();
	if (err)
		return err;
	strscpy(rule->text, path, sizeof(rule->text));
	rule->dev = splxmod_dev_out(d->d_sb->s_dev);
	rule->ino = 0;
	return 0;
}

int splxmod_rules_locate(struct splxmod_rule *rules, u32 count, u32 *bad_r)
{
	struct file *file;
	u32 i;
	int err;

	for (i = 0; i < count; i++) {
		if (rules[i].kind != SPLXMOD_RULE_ONLY_BELOW)
			continue;
		*bad_r = i;
		if (rules[i].dev || rules[i].text[0] || rules[i].ino > INT_MAX)
			return -EINVAL;
		file = fget_raw(rules[i].ino);
		if (!file)
			return -EBADF;
		err = rules_place(&rules[i], file->f_path.dentry);
		fput(file);
		if (err)
			return err;
	}
	return 0;
}

static void rules_insert(struct rules_set *set, const struct splxmod_rule *rule)
{
	struct rules_entry *e = &set->entries[set->count];
	u32 *bucket;

	strscpy(e->text, rule->text, sizeof(e->text));
	e->name.kind = rule->kind;
	e->name.dev = splxmod_dev_in(rule->dev);
	e->name.ino = rule->ino;
	if (rule->kind == SPLXMOD_RULE_FSTYPE) {
		e->name.text = e->text;
		e->name.len = strlen(e->text);
	}
	bucket = &set->buckets[rules_hash(&e->name) & set->mask];
	e->next = *bucket;
	*bucket = set->count++;
	set->kinds[rule->kind]++;
}

static void rules_free(struct rules_set *set)
{
	if (!set)
		return;
	kvfree(set->buckets);
	kvfree(set);
}

/* NULL: no memory. */
static struct rules_set *rules_new(u32 count)
{
	u32 buckets = roundup_pow_of_two(count * 2), i;
	struct rules_set *set;

	set = kvzalloc(struct_size(set, entries, count), GFP_KERNEL);
	if (!set)
		return NULL;
	set->buckets =
		kvmalloc_array(buckets, sizeof(*set->buckets), GFP_KERNEL);
	if (!set->buckets) {
		kvfree(set);
		return NULL;
	}
	set->mask = buckets - 1;
	for (i = 0; i < buckets; i++)
		set->buckets[i] = RULES_NONE;
	return set;
}

/* Takes over the new one, which may be NULL: none. */
static void rules_replace(struct rules_set *set)
{
	struct rules_set *old;

	mutex_lock(&rules_mutex);
	old = rcu_replace_pointer(rules_now, set,
				  lockdep_is_held(&rules_mutex));
	mutex_unlock(&rules_mutex);
	if (!old)
		return;
	synchronize_rcu();
	rules_free(old);
}

int splxmod_rules_set(const struct splxmod_rule *rules, u32 count, u32 *bad_r)
{
	struct rules_set *set = NULL;
	u32 i;

	*bad_r = 0;
	if (count > SPLXMOD_RULES_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (!rules_is_sound(&rules[i])) {
			*bad_r = i;
			return -EINVAL;
		}
	}
	if (count) {
		set = rules_new(count);
		if (!set)
			return -ENOMEM;
		for (i = 0; i < count; i++)
			rules_insert(set, &rules[i]);
	}
	rules_replace(set);
	return 0;
}

unsigned int splxmod_rules_count(void)
{
	const struct rules_set *set;
	unsigned int count;

	rcu_read_lock();
	set = rcu_dereference(rules_now);
	count = set ? set->count : 0;
	rcu_read_unlock();
	return count;
}

void splxmod_rules_exit(void)
{
	rules_replace(NULL);
}
