/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fdutil.h"
#include "str.h"

/* Undoes \040 and the like in place (seq_escape() in the kernel). */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
					(s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

enum mountinfo_field {
	FIELD_ID,
	FIELD_PARENT,
	FIELD_DEV,
	FIELD_ROOT,
	FIELD_POINT,
	FIELD_OPTIONS,
	/* after a number of optional fields and the separator "-": */
	FIELD_FSTYPE,
	FIELD_SOURCE,
	FIELD_SUPER_OPTIONS,
	FIELD_COUNT
};

/* Splits a line in place; false when fields are missing. */
static bool split_line(char *line, char *fields[FIELD_COUNT])
{
	int n = 0;
	char *rest = line, *word;

	/* The source may be empty: fields are separated by one blank each. */
	while (n < FIELD_COUNT && (word = strsep(&rest, " "))) {
		if (n == FIELD_FSTYPE && strcmp(word, "-") != 0)
			continue; /* an optional field */
		if (n == FIELD_FSTYPE && !(word = strsep(&rest, " ")))
			return false;
		fields[n++] = word;
	}
	return n == FIELD_COUNT;
}

static bool parse_line(char *line, struct mount *mnt_r)
{
	char *f[FIELD_COUNT];
	unsigned int major_no, minor_no;
	int64_t id, parent;
	char tail;

	if (!split_line(line, f) || f[FIELD_POINT][0] != '/' ||
	    str_to_i64(f[FIELD_ID], 0, INT32_MAX, &id, NULL) < 0 ||
	    str_to_i64(f[FIELD_PARENT], 0, INT32_MAX, &parent, NULL) < 0 ||
	    sscanf(f[FIELD_DEV], "%u:%u%c", &major_no, &minor_no, &tail) != 2)
		return false;
	unescape(f[FIELD_ROOT]);
	unescape(f[FIELD_POINT]);
	unescape(f[FIELD_FSTYPE]);
	unescape(f[FIELD_SOURCE]);
	unescape(f[FIELD_SUPER_OPTIONS]);
	mnt_r->id = (int)id;
	mnt_r->parent = (int)parent;
	mnt_r->dev = makedev(major_no, minor_no);
	mnt_r->root = xstrdup(f[FIELD_ROOT]);
	mnt_r->point = xstrdup(f[FIELD_POINT]);
	mnt_r->fstype = xstrdup(f[FIELD_FSTYPE]);
	mnt_r->source = xstrdup(f[FIELD_SOURCE]);
	mnt_r->options =
		xasprintf("%s,%s", f[FIELD_OPTIONS], f[FIELD_SUPER_OPTIONS]);
	return true;
}

void mounts_parse(const char *text, struct mount_list *list)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = xstrndup(text, len);
		struct mount mnt;

		if (parse_line(line, &mnt))
			vec_push(list, mnt);
		xfree(&line);
		text += len + (text[len] == '\n');
	}
}

int mounts_read(pid_t pid, struct mount_list *list, struct err *err)
{
	char path[64], buf[16384];
	struct str text = {0};
	ssize_t n;
	int fd, code = 0;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/mountinfo");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "open(%s)", path);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n > 0) {
			str_addn(&text, buf, (size_t)n);
		} else if (errno != EINTR) {
			code = errno;
			break;
		}
	}
	fd_close(&fd);
	if (!code)
		mounts_parse(str_get(&text), list);
	str_free(&text);
	return code ? err_set(err, code, "read(%s)", path) : 0;
}

static bool lies_on(const char *path, const char *point)
{
	size_t len = strlen(point);

	if (strcmp(point, "/") == 0)
		return path[0] == '/';
	return strncmp(path, point, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

const struct mount *mounts_find(const struct mount_list *list, const char *path)
{
	const struct mount *mnt, *best = NULL;

	vec_each (mnt, list) {
		/* Of two at one point the later one covers the other. */
		if (lies_on(path, mnt->point) &&
		    (!best || strlen(mnt->point) >= strlen(best->point)))
			best = mnt;
	}
	return best;
}

void mounts_free(struct mount_list *list)
{
	struct mount *mnt;

	vec_each (mnt, list) {
		xfree(&mnt->root);
		xfree(&mnt->point);
		xfree(&mnt->fstype);
		xfree(&mnt->source);
		xfree(&mnt->options);
	}
	vec_free(list);
}

/*
 * Shared disks (gfs2, ocfs2, vmfs) and folders of a hypervisor's host stand
 * with the network: others can change their files without this kernel.
 */
static const char *const network_types[] = {
	"9p",	"acfs",	 "afs",	      "beegfs",	  "ceph",   "cifs",  "coda",
	"gfs",	"gfs2",	 "glusterfs", "gpfs",	  "lustre", "ncpfs", "nfs",
	"nfs3", "nfs4",	 "ocfs2",     "orangefs", "prl_fs", "pvfs2", "smb2",
	"smb3", "smbfs", "vboxsf",    "virtiofs", "vmhgfs",
};

static const char *const fuse_types[] = {"fuse", "fuseblk"};

/* devtmpfs is not among them: it takes any file, like tmpfs. */
static const char *const pseudo_types[] = {
	"anon_inodefs", "autofs",   "bdev",	  "binder",	"binfmt_misc",
	"bpf",		"cgroup",   "cgroup2",	  "configfs",	"cpuset",
	"debugfs",	"devpts",   "dmabuf",	  "efivarfs",	"functionfs",
	"fusectl",	"gadgetfs", "hugetlbfs",  "ipathfs",	"mqueue",
	"nfsd",		"nsfs",	    "oprofilefs", "pidfs",	"pipefs",
	"proc",		"pstore",   "resctrl",	  "rpc_pipefs", "securityfs",
	"selinuxfs",	"smackfs",  "sockfs",	  "spufs",	"sysfs",
	"tracefs",	"usbfs",    "xenfs",
};

static bool among(const char *const *types, size_t n, const char *type)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

#define AMONG(table, type) among(table, sizeof(table) / sizeof(*(table)), type)

enum mount_kind mounts_kind(const char *fstype)
{
	if (strcmp(fstype, "fuse") == 0 || strcmp(fstype, "fuseblk") == 0 ||
	    str_starts(fstype, "fuse.") || str_starts(fstype, "fuseblk."))
		return MOUNT_FUSE;
	if (AMONG(network_types, fstype))
		return MOUNT_NETWORK;
	if (AMONG(pseudo_types, fstype))
		return MOUNT_PSEUDO;
	return MOUNT_LOCAL;
}

#define NTH(table, i)                                                          \
	((i) < sizeof(table) / sizeof(*(table)) ? (table)[i] : NULL)

const char *mounts_type(enum mount_kind kind, size_t i)
{
	switch (kind) {
	case MOUNT_NETWORK:
		return NTH(network_types, i);
	case MOUNT_FUSE:
		return NTH(fuse_types, i);
	case MOUNT_PSEUDO:
		return NTH(pseudo_types, i);
	case MOUNT_LOCAL:
		break;
	}
	return NULL;
}
