/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fdutil.h"

int sandbox_unshare(struct err *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) <
	    0)
		return err_set(err, errno, "unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(err, errno, "making all mounts private");
	return 0;
}

int sandbox_tmpfs(const char *dir, uint64_t bytes, uid_t uid, gid_t gid,
		  struct err *err)
{
	char options[128];
	long page = sysconf(_SC_PAGESIZE);

	/* To tmpfs a size of 0 would mean no limit at all. An inode takes
	 * kernel memory that the size does not count: they are limited too. */
	if (bytes < (uint64_t)page)
		bytes = (uint64_t)page;
	snprintf(options, sizeof(options),
		 "size=%llu,nr_inodes=%llu,mode=0700,uid=%u,gid=%u",
		 (unsigned long long)bytes, 1024ull + bytes / (uint64_t)page,
		 (unsigned int)uid, (unsigned int)gid);
	if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  options) < 0)
		return err_set(err, errno, "mount(tmpfs, %s, %s)", dir,
			       options);
	return 0;
}

int sandbox_jail_make(const char *dir, uid_t uid, gid_t gid, struct err *err)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	char path[512];

	if (snprintf(path, sizeof(path), "%s/tmp", dir) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s/tmp", dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno, "mkdir(%s)", path);
	if (chown(path, uid, gid) < 0)
		return err_set(err, errno, "chown(%s)", path);
	snprintf(path, sizeof(path), "%s/proc", dir);
	if (mkdir(path, 0555) < 0 && errno != EEXIST)
		return err_set(err, errno, "mkdir(%s)", path);
	/*
	 * Before 5.8 all of a pid namespace share one procfs with its
	 * options, and "subset" is unknown: there it is mounted as it is.
	 */
	if (mount("proc", path, "proc", flags, "subset=pid,hidepid=2") < 0 &&
	    mount("proc", path, "proc", flags, NULL) < 0)
		return err_set(err, errno, "mount(proc, %s)", path);
	return 0;
}

int sandbox_jail_enter(const char *dir, struct err *err)
{
	if (chdir(dir) < 0)
		return err_set(err, errno, "chdir(%s)", dir);
	if (chroot(".") < 0)
		return err_set(err, errno, "chroot(%s)", dir);
	return 0;
}

static int cap_sets_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return (int)syscall(SYS_capget, &head, data);
}

/* Permitted and effective become exactly `keep`, inheritable empty. */
static int cap_sets_keep(uint64_t keep, struct err *err)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2], now[2];

	memset(data, 0, sizeof(data));
	for (int i = 0; i < 2; i++)
		data[i].permitted = data[i].effective =
			(uint32_t)(keep >> (32 * i));
	if (syscall(SYS_capset, &head, data) < 0)
		return err_set(err, errno, "capset(%#llx)",
			       (unsigned long long)keep);
	/* What is said is not enough where everything hangs on it. */
	if (cap_sets_get(now) < 0)
		return err_set(err, errno, "capget");
	if (memcmp(now, data, sizeof(now)) != 0)
		return err_set(err, 0, "capabilities are not what was set");
	return 0;
}

/* Where the bounding set cannot be emptied (no CAP_SETPCAP) no_new_privs
 * alone keeps an exec from giving anything. */
static void cap_bounding_clear(void)
{
	for (unsigned long cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			break; /* EINVAL: beyond the last one */
}

static bool is_already(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	return getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid &&
	       getresgid(&gr, &ge, &gs) == 0 && gr == gid && ge == gid &&
	       gs == gid && getgroups(0, NULL) == 0;
}

static int change_ids(uid_t uid, gid_t gid, struct err *err)
{
	if (is_already(uid, gid))
		return 0;
	if (setgroups(0, NULL) < 0)
		return err_set(err, errno, "setgroups");
	if (setresgid(gid, gid, gid) < 0)
		return err_set(err, errno, "setresgid(%u)", (unsigned int)gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_set(err, errno, "setresuid(%u)", (unsigned int)uid);
	if (!is_already(uid, gid))
		return err_set(err, 0, "still not user %u, group %u",
			       (unsigned int)uid, (unsigned int)gid);
	return 0;
}

int sandbox_become(uid_t uid, gid_t gid, uint64_t keep, struct err *err)
{
	cap_bounding_clear();
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_KEEPCAPS)");
	if (change_ids(uid, gid, err) < 0 || cap_sets_keep(keep, err) < 0)
		return -1;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_KEEPCAPS)");
	/* Before 4.3 there are no ambient capabilities. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		return err_set(err, errno, "prctl(PR_CAP_AMBIENT)");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_NO_NEW_PRIVS)");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_DUMPABLE)");
	return 0;
}

/*
 * Landlock as of ABI 6 (linux/landlock.h; older headers know less). Each ABI
 * adds rights at the end; a kernel takes the larger struct as long as what it
 * does not know is zero.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define LL_EXECUTE (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE (1ull << 2)
#define LL_READ_DIR (1ull << 3)
#define LL_REMOVE_DIR (1ull << 4)
#define LL_REMOVE_FILE (1ull << 5)
#define LL_MAKE_DIR (1ull << 7)
#define LL_MAKE_REG (1ull << 8)
#define LL_ABI1 ((1ull << 13) - 1)
#define LL_REFER (1ull << 13)	  /* ABI 2 */
#define LL_TRUNCATE (1ull << 14)  /* ABI 3 */
#define LL_NET_ALL 3ull		  /* ABI 4: bind and connect TCP */
#define LL_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define LL_SCOPE_ALL 3ull	  /* ABI 6: abstract sockets, signals */

#define LL_CREATE_RULESET_VERSION 1u
#define LL_RULE_PATH_BENEATH 1

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct ll_path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/*
 * LL_READ_FILE is left out on purpose: the descriptor of a fanotify event is
 * opened in the name of the process that reads the event, so a reader that
 * may not open it gets EACCES and the kernel denies the opener.
 */
static void ll_rights(long abi, struct ll_ruleset *rules_r, uint64_t *allowed_r)
{
	memset(rules_r, 0, sizeof(*rules_r));
	rules_r->fs = LL_ABI1 & ~LL_READ_FILE;
	if (abi >= 2)
		rules_r->fs |= LL_REFER;
	if (abi >= 3)
		rules_r->fs |= LL_TRUNCATE;
	if (abi >= 4)
		rules_r->net = LL_NET_ALL;
	if (abi >= 5)
		rules_r->fs |= LL_IOCTL_DEV;
	if (abi >= 6)
		rules_r->scoped = LL_SCOPE_ALL;
	*allowed_r =
		rules_r->fs &
		(LL_WRITE_FILE | LL_READ_DIR | LL_REMOVE_DIR | LL_REMOVE_FILE |
		 LL_MAKE_DIR | LL_MAKE_REG | LL_REFER | LL_TRUNCATE);
}

static int ll_allow(int ruleset, const char *dir, uint64_t allowed,
		    struct err *err)
{
	struct ll_path_beneath rule = {.allowed = allowed};
	long rc;

	rule.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return err_set(err, errno, "open(%s)", dir);
	rc = syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH,
		     &rule, 0);
	close(rule.parent_fd);
	return rc < 0 ? err_set(err, errno, "landlock_add_rule(%s)", dir) : 0;
}

/* dir NULL: nowhere is anything of it allowed. */
static int ll_restrict(int ruleset, const char *dir, uint64_t allowed,
		       struct err *err)
{
	if (dir && ll_allow(ruleset, dir, allowed, err) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_set(err, errno, "landlock_restrict_self");
	return 1;
}

static int landlock(const char *dir, uint64_t free_fs, uint64_t more_fs,
		    bool network, struct err *err)
{
	struct ll_ruleset rules;
	uint64_t allowed;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LL_CREATE_RULESET_VERSION);
	int ruleset, rc;

	if (abi < 1) /* ENOSYS: not built in, EOPNOTSUPP: switched off */
		return 0;
	ll_rights(abi, &rules, &allowed);
	rules.fs &= ~free_fs;
	allowed &= ~free_fs;
	rules.fs |= more_fs;
	if (network)
		rules.net = 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules,
			       sizeof(rules), 0);
	if (ruleset < 0)
		return err_set(err, errno, "landlock_create_ruleset (ABI %ld)",
			       abi);
	rc = ll_restrict(ruleset, dir, allowed, err);
	fd_close(&ruleset);
	return rc;
}

int sandbox_landlock(const char *dir, struct err *err)
{
	return landlock(dir, 0, 0, false, err);
}

int sandbox_landlock_writes(const char *dir, struct err *err)
{
	return landlock(dir, LL_EXECUTE | LL_READ_DIR, 0, true, err);
}

int sandbox_landlock_all(struct err *err)
{
	return landlock(NULL, 0, LL_READ_FILE, false, err);
}

/* A mapping that is made longer shows more of what it maps. */
static int allow_mremap(scmp_filter_ctx ctx, const struct sandbox_memory *fixed)
{
	scmp_datum_t from = (scmp_datum_t)(uintptr_t)fixed->at;
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 1,
				  SCMP_A0(SCMP_CMP_LT, from));

	if (rc < 0)
		return rc;
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 1,
				SCMP_A0(SCMP_CMP_GE, from + fixed->size));
}

int sandbox_seccomp(const char *const *names, size_t n,
		    const struct sandbox_memory *fixed, bool log_only,
		    struct err *err)
{
	uint32_t otherwise =
		log_only ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int rc = 0;

	if (!ctx && !log_only) /* a kernel before 4.14 */
		ctx = seccomp_init(SCMP_ACT_KILL);
	if (!ctx)
		return err_set(err, 0, "seccomp_init failed");
	for (size_t i = 0; i < n && rc == 0; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr < 0) /* not on this architecture, or too new */
			continue;
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
		if (rc == -EEXIST)
			rc = 0;
		if (rc < 0)
			err_set(err, -rc, "seccomp_rule_add(%s)", names[i]);
	}
	if (rc == 0 && fixed) {
		rc = allow_mremap(ctx, fixed);
		if (rc < 0)
			err_set(err, -rc, "seccomp_rule_add(mremap)");
	}
	if (rc == 0) {
		/* A tree instead of a chain, where this library can. */
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		rc = seccomp_load(ctx);
		if (rc < 0)
			err_set(err, -rc, "seccomp_load");
	}
	seccomp_release(ctx);
	return rc < 0 ? -1 : 0;
}
