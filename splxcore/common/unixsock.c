/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "unixsock.h"

#define BACKLOG 128
#define RETRY_NS 10000000L

/*
 * The address of `path`. A long one goes through the folder's descriptor,
 * which is stored in *dir_r (else -1) and has to live as long as the address.
 */
static int address(const char *path, struct sockaddr_un *addr, int *dir_r)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int n;

	*dir_r = -1;
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (str_copy(addr->sun_path, sizeof(addr->sun_path), path))
		return 0;
	if (!slash || (size_t)(slash - path) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*dir_r = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_r < 0)
		return -1;
	n = snprintf(addr->sun_path, sizeof(addr->sun_path),
		     "/proc/self/fd/%d%s", *dir_r, slash);
	if ((size_t)n < sizeof(addr->sun_path))
		return 0;
	fd_close(dir_r);
	errno = ENAMETOOLONG;
	return -1;
}

/* One non-blocking try. The descriptor, or -1 (errno). */
static int try_connect(const char *path, int type)
{
	struct sockaddr_un addr;
	int sock, dir, rc;

	if (address(path, &addr, &dir) < 0)
		return -1;
	sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0) {
		fd_close(&dir);
		return -1;
	}
	do
		rc = connect(sock, (struct sockaddr *)&addr, sizeof(addr));
	while (rc < 0 && errno == EINTR);
	fd_close(&dir);
	if (rc < 0)
		fd_close(&sock);
	return sock;
}

int unixsock_connect(const char *path, int type, int timeout_ms,
		     struct err *err)
{
	const struct timespec pause = {0, RETRY_NS};
	uint64_t end = clock_mono_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
	int sock;

	/* EAGAIN: the backlog is full; the kernel offers no event to wait
	 * for, and a blocking connect could not be bounded */
	while ((sock = try_connect(path, type)) < 0 && errno == EAGAIN) {
		if (clock_mono_ns() >= end) {
			errno = ETIMEDOUT;
			break;
		}
		nanosleep(&pause, NULL);
	}
	if (sock < 0)
		return err_set(err, errno, "connect(%s)", path);
	if (fd_set_nonblock(sock, false) < 0) {
		err_set(err, errno, "fcntl(%s)", path);
		fd_close(&sock);
	}
	return sock;
}

/* Makes room for a new socket file: 0, or -1 and *err. */
static int remove_dead(const char *path, int type, struct err *err)
{
	struct stat st;
	int sock;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_set(err, errno, "stat(%s)", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s is no socket", path);
	sock = try_connect(path, type);
	if (sock >= 0 || (errno != ECONNREFUSED && errno != ENOENT)) {
		fd_close(&sock);
		return err_set(err, EADDRINUSE, "listen(%s)", path);
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, errno, "unlink(%s)", path);
	return 0;
}

int unixsock_listen(const char *path, int type, mode_t mode, struct err *err)
{
	struct sockaddr_un addr;
	int sock, dir, rc;

	if (remove_dead(path, type, err) < 0)
		return -1;
	if (address(path, &addr, &dir) < 0)
		return err_set(err, errno, "listen(%s)", path);
	sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0) {
		fd_close(&dir);
		return err_set(err, errno, "socket(%s)", path);
	}
	/* on Linux the file is made with the socket's own mode: nobody can
	 * connect before it is as it should be, and no umask is touched */
	rc = fchmod(sock, mode & 0600);
	if (rc == 0)
		rc = bind(sock, (struct sockaddr *)&addr, sizeof(addr));
	if (rc == 0)
		rc = chmod(path, mode);
	if (rc == 0)
		rc = listen(sock, BACKLOG);
	if (rc < 0) {
		err_set(err, errno, "listen(%s)", path);
		fd_close(&sock);
	}
	fd_close(&dir);
	return sock;
}
