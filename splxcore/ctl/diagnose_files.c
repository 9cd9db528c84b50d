/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/address.h"
#include "common/conf.h"
#include "common/paths.h"
#include "common/version.h"
#include "diagnose.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "mask.h"

#define FILE_MAX (4u << 20)
#define LOG_TAIL (512u << 10)
#define LIST_MAX 2000 /* entries of one listing */

/* A file as it is, addresses masked. */
static void add_file(struct diagnose *d, const char *name, const char *path)
{
	struct err err = {0};
	char *text, *masked;
	size_t len;

	if (fd_read_file(path, FILE_MAX, &text, &len, &err) < 0) {
		diagnose_problem(d, path, err.text);
		return;
	}
	masked = address_mask(text);
	tar_add(d->tar, name, masked, strlen(masked));
	free(masked);
	free(text);
}

static void add_conf(struct diagnose *d, const char *name, const char *path)
{
	struct err err = {0};
	char *text, *masked;
	size_t len;

	if (fd_read_file(path, CONF_FILE_MAX, &text, &len, &err) < 0) {
		diagnose_problem(d, path, err.text);
		return;
	}
	masked = mask_conf(text);
	tar_add(d->tar, name, masked, strlen(masked));
	free(masked);
	free(text);
}

static void add_log(struct diagnose *d)
{
	int fd = open(paths()->log_file, O_RDONLY | O_CLOEXEC);
	char *buf, *masked;
	struct stat st;
	ssize_t n;
	off_t from;

	if (fd < 0 || fstat(fd, &st) < 0) {
		diagnose_problem(d, paths()->log_file, strerror(errno));
		fd_close(&fd);
		return;
	}
	from = st.st_size > LOG_TAIL ? st.st_size - LOG_TAIL : 0;
	buf = xmalloc(LOG_TAIL + 1);
	n = pread(fd, buf, LOG_TAIL, from);
	if (n < 0)
		diagnose_problem(d, paths()->log_file, strerror(errno));
	buf[n < 0 ? 0 : n] = '\0';
	masked = address_mask(buf);
	tar_add(d->tar, "log.txt", masked, strlen(masked));
	free(masked);
	free(buf);
	close(fd);
}

/* ---- listings ---- */

static void list_entry(struct str *out, int at, const char *dir,
		       const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	str_addf(out, "%06o %5u:%-5u %12lld %lld %s/%s\n", st.st_mode,
		 st.st_uid, st.st_gid, (long long)st.st_size,
		 (long long)st.st_mtime, dir, name);
}

/* A directory and those in it, `depth` deep. */
static void list_dir(struct str *out, const char *path, int depth)
{
	DIR *d = opendir(path);
	struct dirent *de;
	char *below;
	int n = 0;

	if (!d) {
		str_addf(out, "%s: %s\n", path, strerror(errno));
		return;
	}
	while ((de = readdir(d)) && n++ < LIST_MAX) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		list_entry(out, dirfd(d), path, de->d_name);
		if (de->d_type != DT_DIR || depth == 0)
			continue;
		below = xasprintf("%s/%s", path, de->d_name);
		list_dir(out, below, depth - 1);
		free(below);
	}
	if (n > LIST_MAX)
		str_addf(out, "%s: … more\n", path);
	closedir(d);
}

static void add_listing(struct diagnose *d)
{
	const struct paths *p = paths();
	const char *const dirs[] = {p->conf_dir,    p->run_dir,
				    p->lib_dir,	    p->log_dir,
				    p->builtin_dir, p->libexec_dir};
	struct statvfs vfs;
	struct str out = {0};
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (statvfs(dirs[i], &vfs) == 0)
			str_addf(&out,
				 "%s: free bytes %" PRIu64
				 ", free inodes %" PRIu64 "\n",
				 dirs[i], (uint64_t)vfs.f_bavail * vfs.f_frsize,
				 (uint64_t)vfs.f_favail);
		list_dir(&out, dirs[i], 2);
		str_add(&out, "\n");
	}
	tar_add(d->tar, "listing.txt", str_get(&out), out.len);
	str_free(&out);
}

static void add_versions(struct diagnose *d)
{
	struct utsname u;
	struct str out = {0};

	str_addf(&out, "%s %s\n", SPLX_NAME, SPLX_VERSION);
	if (uname(&u) == 0)
		str_addf(&out, "%s %s %s %s\n", u.sysname, u.release, u.version,
			 u.machine);
	tar_add(d->tar, "versions.txt", str_get(&out), out.len);
	str_free(&out);
}

void diagnose_files(struct diagnose *d)
{
	static const char *const kernel[] = {
		"/etc/os-release",
		"/proc/version",
		"/proc/mounts",
		"/proc/self/mountinfo",
		"/proc/self/net/netfilter/nfnetlink_queue",
		"/proc/sys/net/core/rmem_max",
		"/proc/meminfo",
		"/proc/loadavg",
		"/proc/uptime",
		"/proc/pressure/cpu",
		"/proc/pressure/io",
		"/proc/sys/kernel/tainted",
		"/proc/sys/fs/file-nr",
		"/proc/sys/fs/fanotify/max_queued_events",
		"/proc/sys/fs/fanotify/max_user_groups",
		"/proc/sys/fs/fanotify/max_user_marks",
		"/proc/sys/fs/fanotify/watchdog_timeout",
		"/sys/kernel/security/lsm",
		"/sys/kernel/security/lockdown",
	};
	char name[96];
	size_t i;

	add_versions(d);
	add_conf(d, "splx.conf", paths()->conf);
	add_conf(d, "active.conf", paths()->active_conf);
	add_conf(d, "last-good.conf", paths()->last_good);
	add_file(d, "conflicts.conf", paths()->conflicts);
	add_file(d, "vsapiapp.json", paths()->state_file);
	add_log(d);
	add_listing(d);
	for (i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++) {
		snprintf(name, sizeof(name), "kernel%s", kernel[i]);
		/* Not every kernel has all of them. */
		if (access(kernel[i], F_OK) == 0)
			add_file(d, name, kernel[i]);
	}
}
