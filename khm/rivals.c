// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Who else hooks where we do, or points into this module.
 *
 * Nothing here holds others up: lists are walked as their owners allow it
 * (ftrace's and the kprobes' with preemption off, the modules' memory under
 * module_mutex, so that none goes away meanwhile).
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_64
#include <asm/unistd.h>
#endif

#include "hook_ftrace.h"
#include "rivals.h"
#include "symbols.h"

/* What is looked for, and where it is told. */
struct search {
	struct splxmod_report *report;
	bool all;
	enum splxmod_effect effect; /* unless all */
	unsigned int count;
};

static void found(struct search *s, const char *kind, const char *module,
		  const char *symbol, enum splxmod_effect effect)
{
	if (!s->all && effect != s->effect)
		return;
	s->count++;
	splxmod_report_rival(s->report, kind, module, symbol, effect);
}

static void not_looked_for(struct search *s, const char *kind)
{
	if (s->all)
		splxmod_report_rival(s->report, kind, "-", "not-looked-for",
				     SPLXMOD_SAFE);
}

/* ---- names ---- */

struct name {
	char symbol[KSYM_SYMBOL_LEN];
	char module[MODULE_NAME_LEN];
};

/* "function [module]" into its two. */
static void name_of(struct name *n, unsigned long address)
{
	char *owner;

	sprint_symbol_no_offset(n->symbol, address);
	n->module[0] = '\0';
	owner = strstr(n->symbol, " [");
	if (!owner)
		return;
	*owner = '\0';
	strscpy(n->module, owner + 2, sizeof(n->module));
	owner = strchr(n->module, ']');
	if (owner)
		*owner = '\0';
}

/* The kernel's list of modules; its head is no module. */
static struct list_head *modules_head(void)
{
	return (struct list_head *)splxmod_symbol("modules");
}

#ifdef SPLXMOD_FTRACE

/* Also of data, which has no symbol. "" for the kernel's own. */
static void module_of(char name_r[MODULE_NAME_LEN], unsigned long address)
{
	struct list_head *head = modules_head();
	const struct module *mod;

	name_r[0] = '\0';
	if (!head)
		return;
	preempt_disable();
	list_for_each_entry_rcu(mod, head, list) {
		if (mod->state == MODULE_STATE_UNFORMED ||
		    !within_module(address, mod))
			continue;
		strscpy(name_r, mod->name, MODULE_NAME_LEN);
		break;
	}
	preempt_enable();
}

/* ---- ftrace ---- */

struct ftrace_view {
	struct ftrace_ops __rcu **list;
	struct ftrace_ops *end;
	struct ftrace_hash *empty;
	unsigned long lookup_ip;
};

static bool hash_has(const struct ftrace_view *v, struct ftrace_hash *hash,
		     unsigned long ip)
{
	return splxmod_icall(v->lookup_ip, (unsigned long)hash, ip, 0, 0);
}

/* Does it trace this place? An empty filter lets all pass. */
static bool ops_traces(const struct ftrace_view *v,
		       const struct ftrace_ops *ops, unsigned long ip)
{
	struct ftrace_hash *only =
		rcu_dereference_raw(ops->func_hash->filter_hash);
	struct ftrace_hash *never =
		rcu_dereference_raw(ops->func_hash->notrace_hash);

	if (never && never != v->empty && hash_has(v, never, ip))
		return false;
	return !only || only == v->empty || hash_has(v, only, ip);
}

/* Which live patch it is the ops do not tell: all there are. */
static void livepatches(struct search *s, enum splxmod_effect effect)
{
	struct list_head *head = modules_head();
	struct module *mod;
	bool any = false;

	if (head)
		list_for_each_entry_rcu(mod, head, list) {
			if (mod->state == MODULE_STATE_UNFORMED ||
			    !is_livepatch_module(mod))
				continue;
			any = true;
			found(s, "livepatch", mod->name, "klp_ftrace_handler",
			      effect);
		}
	if (!any)
		found(s, "livepatch", "", "klp_ftrace_handler", effect);
}

static void found_ops(struct search *s, const struct ftrace_ops *ops,
		      struct name *n, bool open_site)
{
	bool modifies = ops->flags & FTRACE_OPS_FL_IPMODIFY;
	/* Only one may change where the opened function goes on. */
	enum splxmod_effect effect =
		modifies && open_site ? SPLXMOD_BLOCKS_ARM : SPLXMOD_SAFE;

	name_of(n, (unsigned long)ops->func);
	if (!strcmp(n->symbol, "klp_ftrace_handler")) {
		livepatches(s, effect);
		return;
	}
	if (!strcmp(n->symbol, "kprobe_ftrace_handler"))
		return; /* kprobes_at() knows whose */
	if (!n->module[0])
		module_of(n->module, (unsigned long)ops);
	if (!strcmp(n->symbol, "call_direct_funcs"))
		found(s, "bpf", n->module, n->symbol, effect);
	else
		found(s, modifies ? "ftrace-ipmodify" : "ftrace", n->module,
		      n->symbol, effect);
}

static void ftrace_at(struct search *s, const struct ftrace_view *v,
		      const struct splxmod_site *site, bool open_site,
		      struct name *n)
{
	const struct ftrace_ops *ops;

	if (!v->list || !v->end || !v->empty || !v->lookup_ip) {
		not_looked_for(s, "ftrace");
		return;
	}
	preempt_disable();
	for (ops = rcu_dereference_raw(*v->list); ops && ops != v->end;
	     ops = rcu_dereference_raw(ops->next)) {
		if (!within_module((unsigned long)ops, THIS_MODULE) &&
		    ops_traces(v, ops, site->fentry))
			found_ops(s, ops, n, open_site);
	}
	preempt_enable();
}

/* ---- kprobes ---- */

struct kprobe_view {
	unsigned long get;
	unsigned long aggregate; /* handler of one that stands for several */
	unsigned long kretprobe; /* handler of one that is a kretprobe's */
};

static void found_kprobe(struct search *s, const struct kprobe_view *v,
			 struct kprobe *p, bool open_site, struct name *n)
{
	unsigned long handler = (unsigned long)p->pre_handler;
	/* One with a post_handler has ftrace lock the place for itself. */
	bool locks = open_site && p->post_handler && !kprobe_disabled(p);

	if (handler && handler == v->kretprobe)
		handler = (unsigned long)container_of(p, struct kretprobe, kp)
				  ->handler;
	else if (!handler)
		handler = (unsigned long)p->post_handler;
	name_of(n, handler);
	module_of(n->module, (unsigned long)p);
	found(s, "kprobe", n->module, n->symbol,
	      locks ? SPLXMOD_BLOCKS_ARM : SPLXMOD_SAFE);
}

/* In the first bytes of the function: there it is one on the hook's place. */
#define KPROBE_REACH 32

static void kprobes_at(struct search *s, const struct kprobe_view *v,
		       const struct splxmod_site *site, bool open_site,
		       struct name *n)
{
	struct kprobe *p, *one;
	unsigned long at;

	if (!v->get) {
		not_looked_for(s, "kprobe");
		return;
	}
	preempt_disable();
	for (at = site->entry; at < site->entry + KPROBE_REACH; at++) {
		p = (struct kprobe *)splxmod_icall(v->get, at, 0, 0, 0);
		if (!p)
			continue;
		if ((unsigned long)p->pre_handler != v->aggregate) {
			found_kprobe(s, v, p, open_site, n);
			continue;
		}
		list_for_each_entry_rcu(one, &p->list, list)
			found_kprobe(s, v, one, open_site, n);
	}
	preempt_enable();
}

/* ---- the bytes at the site ---- */

static void patch_at(struct search *s, const struct splxmod_site *site,
		     bool registered, struct name *n)
{
	enum splxmod_effect effect =
		registered ? SPLXMOD_BLOCKS_UNLOAD : SPLXMOD_BLOCKS_ARM;
	char text[SPLXMOD_SITE_TEXT];
	unsigned long target;

	switch (splxmod_site_look(site, &target, text)) {
	case SPLXMOD_SITE_KERNEL:
		return;
	case SPLXMOD_SITE_IDLE:
		if (registered)
			found(s, "inline-patch", "", "nop", effect);
		return;
	case SPLXMOD_SITE_UNKNOWN:
		found(s, "inline-patch", "", text, effect);
		return;
	case SPLXMOD_SITE_FOREIGN:
		name_of(n, target);
		found(s, "inline-patch", n->module, n->symbol, effect);
		return;
	}
}

static void at_sites(struct search *s, struct name *n)
{
	const struct ftrace_view tracing = {
		.list = (struct ftrace_ops __rcu **)splxmod_symbol(
			"ftrace_ops_list"),
		.end = (struct ftrace_ops *)splxmod_symbol("ftrace_list_end"),
		.empty = (struct ftrace_hash *)splxmod_symbol("empty_hash"),
		.lookup_ip = splxmod_symbol("ftrace_lookup_ip"),
	};
	const struct kprobe_view probes = {
		.get = splxmod_symbol("get_kprobe"),
		.aggregate = splxmod_symbol("aggr_pre_handler"),
		.kretprobe = splxmod_symbol("pre_handler_kretprobe"),
	};
	const struct splxmod_site *site;
	bool registered, open_site;
	unsigned int i;

	splxmod_ftrace_find();
	for (i = 0; i < SPLXMOD_FTRACE_SITES; i++) {
		site = splxmod_ftrace_site(i, &registered);
		if (!site)
			continue;
		open_site = i == SPLXMOD_FTRACE_OPEN;
		patch_at(s, site, registered, n);
		ftrace_at(s, &tracing, site, open_site, n);
		kprobes_at(s, &probes, site, open_site, n);
	}
}

/* ---- the system call table ---- */

/* A hook there does nothing to us (and since 6.1 nothing at all). */
static void syscall_table(struct search *s, struct name *n)
{
	const unsigned long *table =
		(unsigned long *)splxmod_symbol("sys_call_table");
	unsigned long begin = splxmod_symbol("_stext");
	unsigned long end = splxmod_symbol("_etext");
	unsigned int i;

	if (!table || !begin || !end) {
		not_looked_for(s, "syscall-table");
		return;
	}
	for (i = 0; i < NR_syscalls; i++) {
		if (table[i] >= begin && table[i] < end)
			continue;
		name_of(n, table[i]);
		found(s, "syscall-table", n->module, n->symbol, SPLXMOD_SAFE);
	}
}

#else

static void at_sites(struct search *s, struct name *n)
{
}

static void syscall_table(struct search *s, struct name *n)
{
}

#endif

/* ---- words in other modules' memory that point into our code ---- */

struct word {
	unsigned long at;
	unsigned long value;
};

/* Those there were at our load: what an unloaded module, whose place our code
 * got, has left behind. */
#define CHANCE_MAX 64
static struct word chance[CHANCE_MAX];
static unsigned int chance_count;

static bool is_chance(const struct word *w)
{
	unsigned int i;

	for (i = 0; i < chance_count; i++)
		if (chance[i].at == w->at && chance[i].value == w->value)
			return true;
	return false;
}

struct pointer_scan {
	void (*hit)(struct pointer_scan *scan, const struct module *mod,
		    const struct word *w);
	struct search *search;
	struct name *name;
	unsigned long text, text_size; /* ours */
	unsigned long *page;	       /* a copy of what is looked at */
};

static void scan_piece(struct pointer_scan *scan, const struct module *mod,
		       unsigned long base, unsigned long size)
{
	unsigned long offset, part, i;
	struct word w;

	for (offset = 0; offset < size; offset += part) {
		part = min_t(unsigned long, size - offset, PAGE_SIZE);
		if (copy_from_kernel_nofault(scan->page,
					     (void *)(base + offset), part))
			continue;
		for (i = 0; i < part / sizeof(w.value); i++) {
			w.value = scan->page[i];
			if (w.value - scan->text >= scan->text_size)
				continue;
			w.at = base + offset + i * sizeof(w.value);
			scan->hit(scan, mod, &w);
		}
		cond_resched();
	}
}

static int scan_modules(struct pointer_scan *scan)
{
	struct mutex *mutex = (struct mutex *)splxmod_symbol("module_mutex");
	struct list_head *head = modules_head();
	const struct module *mod;
	const void *base;
	unsigned long size;
	unsigned int i;

	if (!mutex || !head)
		return -EOPNOTSUPP;
	scan->page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!scan->page)
		return -ENOMEM;
	scan->text = compat_module_text(THIS_MODULE, &scan->text_size);
	mutex_lock(mutex);
	list_for_each_entry(mod, head, list) {
		if (mod == THIS_MODULE || mod->state == MODULE_STATE_UNFORMED)
			continue;
		for (i = 0; (base = compat_module_piece(mod, i, &size)); i++)
			scan_piece(scan, mod, (unsigned long)base, size);
	}
	mutex_unlock(mutex);
	kfree(scan->page);
	return 0;
}

static void remember_chance(struct pointer_scan *scan, const struct module *mod,
			    const struct word *w)
{
	if (chance_count < CHANCE_MAX)
		chance[chance_count++] = *w;
}

static void found_pointer(struct pointer_scan *scan, const struct module *mod,
			  const struct word *w)
{
	struct name *n = scan->name;
	char word[100];
	char *size;

	if (is_chance(w))
		return;
	/* "table+0x20/0x108 [rival]" */
	sprint_symbol(n->symbol, w->at);
	size = strchr(n->symbol, '/');
	if (size)
		*size = '\0';
	strscpy(word, n->symbol, 48);
	strlcat(word, "->", sizeof(word));
	name_of(n, w->value);
	strlcat(word, n->symbol, sizeof(word));
	found(scan->search,
	      !strncmp(n->symbol, "dev_", 4) ? "file-operations" : "pointer",
	      mod->name, word, SPLXMOD_BLOCKS_UNLOAD);
}

static void pointers(struct search *s, struct name *n)
{
	struct pointer_scan scan = {
		.hit = found_pointer,
		.search = s,
		.name = n,
	};

	if (scan_modules(&scan))
		not_looked_for(s, "pointer");
}

int splxmod_rivals_init(void)
{
	struct pointer_scan scan = {.hit = remember_chance};

	scan_modules(&scan); /* where it cannot be, it cannot be later either */
	if (chance_count)
		pr_info("%s: %u words in other modules look like pointers into "
			"this one, and are left out\n",
			SPLXMOD_NAME, chance_count);
	return 0;
}

void splxmod_rivals_exit(void)
{
	chance_count = 0;
}

/* ---- the three questions ---- */

static unsigned int search(struct splxmod_report *r, bool all,
			   enum splxmod_effect effect)
{
	struct search s = {.report = r, .all = all, .effect = effect};
	struct name *n = kmalloc(sizeof(*n), GFP_KERNEL);

	if (!n) {
		/* Not known: then better not. */
		splxmod_report_line(r, "rivals: no memory to look for them");
		return 1;
	}
	at_sites(&s, n);
	if (all)
		syscall_table(&s, n);
	if (all || effect == SPLXMOD_BLOCKS_UNLOAD)
		pointers(&s, n);
	kfree(n);
	return s.count;
}

void splxmod_rivals_all(struct splxmod_report *r)
{
	search(r, true, SPLXMOD_SAFE);
}

unsigned int splxmod_rivals_arm(struct splxmod_report *r)
{
	return search(r, false, SPLXMOD_BLOCKS_ARM);
}

unsigned int splxmod_rivals_disarm(struct splxmod_report *r)
{
	return search(r, false, SPLXMOD_BLOCKS_UNLOAD);
}
