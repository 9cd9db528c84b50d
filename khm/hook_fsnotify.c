// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * Hooked as a listener to fsnotify's permission events, the way fanotify is,
 * but inside the kernel: patches nothing and needs no private symbol, so it
 * serves where ftrace cannot be had or a rival holds its site.
 *
 * A mark on each super block. An event brings the path inside of the struct
 * file that is being opened, and so the file. One permission event for each
 * open: FS_OPEN_PERM comes for executions too (the file's flags tell them
 * apart); FS_OPEN_EXEC_PERM is used when plain opens are not wanted at all.
 * FS_CLOSE_WRITE is the close-after-write.
 *
 * A super block must be marked before its first open, and nobody tells the
 * kernel's own listeners that there is a new one. All are looked for
 *  - before a process that mounts in the first mount namespace is back from
 *    its system call (mounts.c);
 *  - when user space says that it saw a mount, by arming again;
 *  - once a second.
 * So what is not seen are the first opens on what is mounted in another mount
 * namespace, or not attached anywhere.
 *
 * An opener that waits leaves fsnotify's SRCU section meanwhile, as fanotify's
 * do: by two functions that the kernel does not export, and that are looked up
 * (x86-64). Where they are not to be had he waits inside: for the verdict
 * timeout at most, whoever ends an inotify or fanotify group waits with him.
 */
#include <linux/fs_struct.h>
#include <linux/fsnotify_backend.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "hook.h"
#include "judge.h"
#include "mounts.h"
#include "rivals.h"
#include "symbols.h"

#define RESCAN HZ
#define SCAN_WAIT (5 * HZ)
#define MOUNT_WAIT HZ /* that a mounting process is held up at most */
#define MAX_TYPES 128

struct listener {
	struct fsnotify_group *group;
	u32 mask;
	struct list_head marks; /* of struct sb_mark; only the scan's */
};

struct sb_mark {
	struct fsnotify_mark mark;
	struct list_head list;
	const struct super_block *sb; /* to compare, while attached */
};

static struct listener *listener; /* NULL: idle; changed under scan_mutex */
/* The listener's list; also orders scans. Taken before s_umount. */
static DEFINE_MUTEX(scan_mutex);
static struct workqueue_struct *scan_queue;
static DECLARE_WAIT_QUEUE_HEAD(scan_done);
static unsigned long scans_begun, scans_ended;
static bool scan_again;
/* Of the root of who armed, with a reference to its module. */
static struct file_system_type *first_root;

static atomic_t marks_used = ATOMIC_INIT(0);  /* attached */
static atomic_t marks_alive = ATOMIC_INIT(0); /* not yet freed */

/* ---- events ---- */

static unsigned long wait_begin, wait_end; /* 0: not to be had */

/* Asks outside of the SRCU section. False from prepare (one of the marks is
 * just going): inside, after all. */
static int ask(struct file *file, struct fsnotify_iter_info *iter_info)
{
	bool outside = wait_begin && wait_end &&
		       (u8)splxmod_icall(wait_begin, (unsigned long)iter_info,
					 0, 0, 0);
	int ret = splxmod_judge_slow(file);

	if (outside)
		splxmod_icall(wait_end, (unsigned long)iter_info, 0, 0, 0);
	return ret;
}

static int saw_event(struct fsnotify_group *group, u32 mask, const void *data,
		     int data_type, struct inode *dir,
		     const struct qstr *file_name, u32 cookie,
		     struct fsnotify_iter_info *iter_info)
{
	const struct path *path = fsnotify_data_path(data, data_type);
	struct file *file;

	if (!path)
		return 0;
	/* Of all events that these marks have, the path is the file's own. */
	file = (struct file *)container_of(path, struct file, f_path);
	if (mask & FS_CLOSE_WRITE) {
		if (S_ISREG(file_inode(file)->i_mode))
			splxmod_judge_close(file);
		return 0;
	}
	if (!(mask & (FS_OPEN_PERM | FS_OPEN_EXEC_PERM)))
		return 0;
	return splxmod_judge_fast(file) ? ask(file, iter_info) : 0;
}

static void mark_leaves(struct fsnotify_mark *mark,
			struct fsnotify_group *group)
{
	atomic_dec(&marks_used);
}

static void mark_free(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct sb_mark, mark));
	atomic_dec(&marks_alive);
}

static const struct fsnotify_ops listener_ops = {
	.handle_event = saw_event,
	.freeing_mark = mark_leaves,
	.free_mark = mark_free,
};

/* ---- which super blocks ---- */

/* What these hold the kernel makes up; nobody puts a file there. */
static bool made_up(const struct file_system_type *type)
{
	static const char *const names[] = {
		"anon_inodefs", "apparmorfs",  "autofs",     "bdev",
		"binder",	"binfmt_misc", "bpf",	     "cgroup",
		"cgroup2",	"configfs",    "cpuset",     "dax",
		"debugfs",	"devpts",      "dmabuf",     "drm",
		"efivarfs",	"fusectl",     "mqueue",     "nfsd",
		"nsfs",		"pidfs",       "pipefs",     "proc",
		"pstore",	"resctrl",     "rpc_pipefs", "secretmem",
		"securityfs",	"selinuxfs",   "smackfs",    "sockfs",
		"sysfs",	"tracefs",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(type->name, names[i]))
			return true;
	return type->fs_flags & FS_DISALLOW_NOTIFY_PERM;
}

static bool types_have(struct file_system_type *const *types,
		       unsigned int count, const struct file_system_type *type)
{
	while (count-- > 0)
		if (types[count] == type)
			return true;
	return false;
}

/* The kernel's first root (an initramfs lies there) has a type that is not
 * registered, and built in. */
static struct file_system_type *root_type(void)
{
	struct file_system_type *type;
	struct path root;

	get_fs_root(current->fs, &root);
	type = root.mnt->mnt_sb->s_type;
	if (!try_module_get(type->owner))
		type = NULL;
	path_put(&root);
	return type;
}

/*
 * The registered types that have super blocks, each with a reference to its
 * module. They form a chain that only grows at its end, and whose first is
 * sysfs: it is registered before all others. A type that leaves the chain
 * stays readable for an RCU grace period.
 */
static unsigned int types_get(struct file_system_type *types[MAX_TYPES])
{
	static const char *const first[] = {"sysfs", "tmpfs", "proc"};
	struct file_system_type *head = NULL, *t;
	unsigned int i, count = 0;

	for (i = 0; i < ARRAY_SIZE(first) && !head; i++)
		head = get_fs_type(first[i]);
	if (!head)
		return 0;
	rcu_read_lock();
	for (t = head; t && count < MAX_TYPES; t = compat_fs_type_next(t))
		if (!hlist_empty(&t->fs_supers) && !made_up(t) &&
		    try_module_get(t->owner))
			types[count++] = t;
	rcu_read_unlock();
	module_put(head->owner);
	if (first_root && count < MAX_TYPES &&
	    !types_have(types, count, first_root) &&
	    try_module_get(first_root->owner))
		types[count++] = first_root;
	return count;
}

/* ---- marking them ---- */

static bool is_attached(const struct sb_mark *m)
{
	return READ_ONCE(m->mark.flags) & FSNOTIFY_MARK_FLAG_ATTACHED;
}

static bool is_marked(const struct listener *l, const struct super_block *sb)
{
	const struct sb_mark *m;

	list_for_each_entry(m, &l->marks, list)
		if (m->sb == sb && is_attached(m))
			return true;
	return false;
}

/* Called with s_umount held: the super block stays. */
static void mark_super(struct super_block *sb, void *arg)
{
	struct listener *l = arg;
	struct sb_mark *m;

	if (is_marked(l, sb))
		return;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return; /* the next scan tries again */
	m->sb = sb;
	fsnotify_init_mark(&m->mark, l->group);
	m->mark.mask = l->mask;
	atomic_inc(&marks_alive);
	/* Counted first: it may leave again at once. */
	atomic_inc(&marks_used);
	if (compat_fsnotify_add_sb_mark(&m->mark, sb)) {
		atomic_dec(&marks_used);
		fsnotify_put_mark(&m->mark);
		return;
	}
	list_add_tail(&m->list, &l->marks);
}

/* Lets go of the marks whose super block has gone. */
static void forget_unmounted(struct listener *l)
{
	struct sb_mark *m, *next;

	list_for_each_entry_safe(m, next, &l->marks, list) {
		if (is_attached(m))
			continue;
		list_del(&m->list);
		fsnotify_put_mark(&m->mark);
	}
}

static void listener_scan(struct listener *l)
{
	struct file_system_type **types;
	unsigned int i, count;

	types = kcalloc(MAX_TYPES, sizeof(*types), GFP_KERNEL);
	if (!types)
		return;
	forget_unmounted(l);
	count = types_get(types);
	for (i = 0; i < count; i++) {
		iterate_supers_type(types[i], mark_super, l);
		module_put(types[i]->owner);
	}
	kfree(types);
}

static void scan_work(struct work_struct *work)
{
	struct delayed_work *again = to_delayed_work(work);

	WRITE_ONCE(scans_begun, scans_begun + 1);
	mutex_lock(&scan_mutex);
	if (listener)
		listener_scan(listener);
	mutex_unlock(&scan_mutex);
	WRITE_ONCE(scans_ended, scans_begun);
	wake_up_all(&scan_done);
	if (READ_ONCE(scan_again))
		queue_delayed_work(scan_queue, again, RESCAN);
}
static DECLARE_DELAYED_WORK(scan, scan_work);

/*
 * Waits for a scan that begins from now on; not for ever, since a file system
 * that is being mounted or unmounted holds it up. False: it is still going.
 */
static bool scan_now(void)
{
	unsigned long want = READ_ONCE(scans_begun) + 1;

	mod_delayed_work(scan_queue, &scan, 0);
	return wait_event_timeout(scan_done,
				  (long)(READ_ONCE(scans_ended) - want) >= 0,
				  SCAN_WAIT);
}

/* In a process that has mounted something. It does not scan itself: another
 * file system's trouble is not its own. */
static void mounted(void)
{
	unsigned long want = READ_ONCE(scans_begun) + 1;

	mod_delayed_work(scan_queue, &scan, 0);
	wait_event_killable_timeout(scan_done,
				    (long)(READ_ONCE(scans_ended) - want) >= 0,
				    MOUNT_WAIT);
}

/* ---- listeners ---- */

static u32 mask_of(u32 classes)
{
	u32 mask = FS_CLOSE_WRITE; /* the cache needs it in any case */

	if (classes & SPLXMOD_OPEN)
		mask |= FS_OPEN_PERM;
	else if (classes & SPLXMOD_EXEC)
		mask |= FS_OPEN_EXEC_PERM;
	return mask;
}

static struct listener *listener_new(u32 classes)
{
	struct listener *l = kzalloc(sizeof(*l), GFP_KERNEL);

	if (!l)
		return NULL;
	l->group = compat_fsnotify_alloc_group(&listener_ops);
	if (IS_ERR(l->group)) {
		kfree(l);
		return NULL;
	}
	l->group->priority = COMPAT_FSNOTIFY_PRIO_CONTENT;
	l->mask = mask_of(classes);
	INIT_LIST_HEAD(&l->marks);
	return l;
}

/* Takes all marks out. From then on no new event comes; those that are under
 * way end before marks_leave() is true. */
static void listener_free(struct listener *l)
{
	struct sb_mark *m, *next;

	list_for_each_entry_safe(m, next, &l->marks, list) {
		list_del(&m->list);
		fsnotify_destroy_mark(&m->mark, l->group);
		fsnotify_put_mark(&m->mark);
	}
	fsnotify_put_group(l->group);
	kfree(l);
}

static bool marks_leave(struct splxmod_report *r)
{
	if (!splxmod_hook_drain(&marks_alive, "fsnotify", "marks", r))
		return false;
	/* The last of them may still be on its way out of mark_free(). */
	synchronize_rcu_tasks();
	synchronize_rcu();
	return true;
}

/* ---- the hook ---- */

static int fsnotify_can_arm(struct splxmod_report *r)
{
	return 0;
}

static int fsnotify_begin(u32 classes, struct splxmod_report *r)
{
	struct listener *l;

	scan_queue = alloc_workqueue("splxmod_scan", WQ_UNBOUND, 1);
	if (!scan_queue)
		return -ENOMEM;
	l = listener_new(classes);
	if (!l) {
		destroy_workqueue(scan_queue);
		return -ENOMEM;
	}
	wait_begin = splxmod_symbol("fsnotify_prepare_user_wait");
	wait_end = splxmod_symbol("fsnotify_finish_user_wait");
	mutex_lock(&scan_mutex);
	listener = l;
	first_root = root_type();
	mutex_unlock(&scan_mutex);
	WRITE_ONCE(scan_again, true);
	if (splxmod_mounts_watch(mounted))
		splxmod_report_line(r, "fsnotify: /proc/1/mounts cannot be "
				       "watched: a new file system is seen "
				       "within a second");
	return 0;
}

static int fsnotify_arm(u32 classes, struct splxmod_report *r)
{
	int ret = listener ? 0 : fsnotify_begin(classes, r);

	if (!ret && !scan_now())
		splxmod_report_line(r,
				    "fsnotify: a file system that is being "
				    "mounted or unmounted delays the marking");
	return ret;
}

/* The marks' mask cannot be changed from a module: new ones first, then the
 * old ones out. A file opened in between is judged twice. */
static int fsnotify_reclass(u32 classes)
{
	struct listener *fresh, *old;

	if (mask_of(classes) == listener->mask)
		return 0;
	if (!scan_now())
		return -EBUSY;
	fresh = listener_new(classes);
	if (!fresh)
		return -ENOMEM;
	mutex_lock(&scan_mutex);
	old = listener;
	listener = fresh;
	mutex_unlock(&scan_mutex);
	scan_now();
	listener_free(old);
	return 0;
}

static int fsnotify_can_disarm(struct splxmod_report *r)
{
	return splxmod_rivals_disarm(r) ? -EBUSY : 0;
}

static int listener_leave(struct splxmod_report *r)
{
	struct listener *l;

	/* Stuck behind a file system, the work could not be waited for. */
	if (!scan_now()) {
		splxmod_report_line(r, "fsnotify: waits for a file system that "
				       "is being mounted or unmounted");
		return -EBUSY;
	}
	splxmod_mounts_unwatch();
	WRITE_ONCE(scan_again, false);
	mutex_lock(&scan_mutex);
	l = listener;
	listener = NULL;
	listener_free(l);
	mutex_unlock(&scan_mutex);
	cancel_delayed_work_sync(&scan);
	destroy_workqueue(scan_queue);
	if (first_root)
		module_put(first_root->owner);
	first_root = NULL;
	return 0;
}

static int fsnotify_disarm(struct splxmod_report *r, void (*release)(void))
{
	/* None any more, when it only looks again. */
	int ret = listener ? listener_leave(r) : 0;

	if (ret)
		return ret;
	release();
	return marks_leave(r) ? 0 : -EUCLEAN;
}

static unsigned int fsnotify_marked(void)
{
	return max(atomic_read(&marks_used), 0);
}

const struct splxmod_hook splxmod_hook_fsnotify = {
	.method = SPLXMOD_METHOD_FSNOTIFY,
	.name = "fsnotify",
	.can_arm = fsnotify_can_arm,
	.arm = fsnotify_arm,
	.reclass = fsnotify_reclass,
	.can_disarm = fsnotify_can_disarm,
	.disarm = fsnotify_disarm,
	.marked = fsnotify_marked,
	.blind = "opens on a file system in the first second of its being "
		 "mounted in another mount namespace than the first, or "
		 "unattached, unless user space says at once that it was "
		 "mounted; descriptors that a fanotify listener got",
};
