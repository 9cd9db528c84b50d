/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "bringup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/conf.h"
#include "common/control.h"
#include "common/khm.h"
#include "common/paths.h"
#include "lib/fangroup.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"

/* Findings (4 KiB each), log lines and connections that wait while core is
 * away. */
#define FINDING_ROOM (8 << 20)
#define LOG_ROOM (2 << 20)
#define NET_ROOM (2 << 20)
#define FILES_WANTED 4096
/* Slots of workers reach that far up, see scoreboard.h. */
#define FILES_NEEDED 1024

static int check_settings(struct conf **conf_r, struct err *err)
{
	struct err old;

	*conf_r = conf_load(paths()->conf, err);
	if (*conf_r)
		return 0;
	*conf_r = conf_load(paths()->last_good, &old);
	if (!*conf_r)
		return LSB_NOT_CONFIGURED;
	log_warn("%s", err->text);
	log_warn("the last good settings are used: %s", paths()->last_good);
	return 0;
}

static int check_dirs(struct err *err)
{
	const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {
		{paths()->run_dir, 0755},
		{paths()->lib_dir, 0755},
		{paths()->log_dir, 0750},
	};
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fd_mkdirs(dirs[i].path, dirs[i].mode, err))
			return LSB_FAILED;
	return 0;
}

int bringup_check(struct err *err)
{
	struct conf *conf;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int rc;

	if (geteuid() != 0) {
		err_set(err, 0, "only root may start the suite");
		return LSB_DENIED;
	}
	if (proc_pidfile_check(paths()->pid_file, &pid, NULL) == 1) {
		err_set(err, 0, "entity is running already (pid %d)", (int)pid);
		return LSB_FAILED;
	}
	rc = check_settings(&conf, err);
	if (rc)
		return rc;
	if (proc_user(conf->scan_user, &uid, &gid, err)) {
		err_add(err, "ScanUser");
		rc = LSB_NOT_CONFIGURED;
	} else if (uid == 0) {
		err_set(err, 0, "ScanUser: scan workers may not be root");
		rc = LSB_NOT_CONFIGURED;
	}
	conf_free(&conf);
	return rc ? rc : check_dirs(err);
}

/* Whoever starts us may live with less; the hard limit is root's to raise. */
static int raise_files(struct err *err)
{
	const struct rlimit wanted = {FILES_WANTED, FILES_WANTED};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return err_set(err, errno, "getrlimit");
	if (limit.rlim_cur >= FILES_WANTED)
		return 0;
	if (limit.rlim_max < FILES_WANTED && !setrlimit(RLIMIT_NOFILE, &wanted))
		return 0;
	limit.rlim_cur =
		limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < FILES_NEEDED)
		return err_set(err, 0,
			       "only %llu open files are allowed and the "
			       "limit cannot be raised: %d are needed "
			       "(ulimit -Hn)",
			       (unsigned long long)limit.rlim_cur,
			       FILES_NEEDED);
	return 0;
}

int bringup_descriptors(struct err *err)
{
	if (fd_only_standard(err))
		return LSB_FAILED;
	if (raise_files(err))
		return LSB_FAILED;
	return fd_fill(INHERIT_COUNT, err) ? LSB_FAILED : 0;
}

int bringup_high(int *fd, struct err *err)
{
	int high = fd_move(*fd, SUPERVISOR_FD_FLOOR);

	if (high < 0)
		return err_set(err, errno, "cannot move a descriptor");
	*fd = high;
	return 0;
}

int bringup_daemonize(struct supervisor *sup, struct err *err)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, SUPERVISOR_FD_FLOOR);
	int errfd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, SUPERVISOR_FD_FLOOR);

	if (out < 0 || errfd < 0) {
		err_set(err, errno, "dup");
		goto failed;
	}
	sup->ready_fd = proc_daemonize(err);
	if (sup->ready_fd < 0 || bringup_high(&sup->ready_fd, err))
		goto failed;
	dup2(out, STDOUT_FILENO);
	dup2(errfd, STDERR_FILENO);
	close(out);
	close(errfd);
	return 0;
failed:
	fd_close(&out);
	fd_close(&errfd);
	return LSB_FAILED;
}

void bringup_detach(struct supervisor *sup, int status)
{
	if (sup->ready_fd < 0)
		return;
	dup2(sup->null_fd, STDOUT_FILENO);
	dup2(sup->null_fd, STDERR_FILENO);
	proc_daemon_ready(&sup->ready_fd, status);
}

/* Puts `fd` at a number of control.h, where children inherit it. */
static int place(int fd, enum inherited_fd number, struct err *err)
{
	int rc = dup2(fd, number);

	close(fd);
	return rc < 0 ? err_set(err, errno, "dup2") : 0;
}

static void set_room(int fd, int bytes)
{
	/* FORCE needs CAP_NET_ADMIN; without it net.core.wmem_max limits. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int place_pair(enum inherited_fd tx, enum inherited_fd rx, int room,
		      struct err *err)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, sv) < 0)
		return err_set(err, errno, "socketpair");
	set_room(sv[0], room);
	if (place(sv[0], tx, err)) {
		close(sv[1]);
		return -1;
	}
	return place(sv[1], rx, err);
}

static int place_group(struct supervisor *sup, struct err *err)
{
	struct err why;
	int fd = fangroup_new(true, &why);

	if (fd >= 0)
		return place(fd, INHERIT_GROUP, err);
	log_warn("no permission events: %s", why.text);
	if (dup2(sup->null_fd, INHERIT_GROUP) < 0)
		return err_set(err, errno, "dup2");
	return 0;
}

int bringup_objects(struct supervisor *sup, struct err *err)
{
	int fd;

	sup->sb = scoreboard_new(&fd, err);
	if (!sup->sb || place(fd, INHERIT_SCOREBOARD, err) ||
	    place_group(sup, err) ||
	    place_pair(INHERIT_FINDING_TX, INHERIT_FINDING_RX, FINDING_ROOM,
		       err) ||
	    place_pair(INHERIT_LOG, INHERIT_LOG_RX, LOG_ROOM, err) ||
	    place_pair(INHERIT_NET_TX, INHERIT_NET_RX, NET_ROOM, err))
		return LSB_FAILED;
	bringup_module(sup);
	return 0;
}

void bringup_release_module(struct supervisor *sup)
{
	/* Something has to stand there, see bringup_descriptors(). */
	if (dup2(sup->null_fd, INHERIT_KHM) < 0)
		log_error("descriptor of the kernel module: %m");
}

/* Kept until we end, so that vsapiapp may take the device again that it let
 * go of. */
static int lock_module(struct supervisor *sup, struct err *err)
{
	if (sup->khm_lock_fd >= 0)
		return 0;
	sup->khm_lock_fd = khm_lock(err);
	if (sup->khm_lock_fd < 0)
		return -1;
	if (bringup_high(&sup->khm_lock_fd, err)) {
		fd_close(&sup->khm_lock_fd);
		return -1;
	}
	atomic_store(&sup->sb->module_ours, 1);
	return 0;
}

void bringup_module(struct supervisor *sup)
{
	struct err err;
	int fd;

	if (khm_is_device(INHERIT_KHM))
		return;
	bringup_release_module(sup);
	fd = khm_open(&err);
	if (fd < 0) {
		if (err.code != ENOENT)
			log_warn("kernel module: %s", err.text);
		return;
	}
	if (lock_module(sup, &err)) {
		/* the master finds out, and says so */
		log_info("kernel module: %s", err.text);
		fd_close(&fd);
		return;
	}
	if (khm_exempt(fd, 0, true, &err))
		log_warn("kernel module: %s", err.text);
	if (place(fd, INHERIT_KHM, &err))
		log_warn("kernel module: %s", err.text);
}

int bringup_inherit(struct supervisor *sup, struct err *err)
{
	int fd;

	for (fd = 0; fd < INHERIT_COUNT; fd++)
		if (fcntl(fd, F_GETFD) < 0) {
			err_set(err, 0,
				"--adopt is for the suite itself: it inherits "
				"its descriptors");
			return LSB_USAGE;
		}
	sup->sb = scoreboard_map(INHERIT_SCOREBOARD, err);
	return sup->sb ? 0 : LSB_FAILED;
}

int bringup_life(struct supervisor *sup, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		err_set(err, errno, "pipe2");
		return LSB_FAILED;
	}
	sup->life_tx = ends[1];
	if (place(ends[0], INHERIT_LIFE, err) ||
	    bringup_high(&sup->life_tx, err))
		return LSB_FAILED;
	return 0;
}
