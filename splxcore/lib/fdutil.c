/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "fdutil.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_move(int fd, int floor)
{
	int moved;

	if (fd == floor)
		return fd_set_cloexec(fd, true) < 0 ? -1 : fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, floor);
	if (moved >= 0)
		close(fd);
	return moved;
}

int fd_only_standard(struct err *err)
{
	int fd;

	/* open() hands out the lowest: 0 to 2 first, should one be closed. */
	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd < 0)
		return err_set(err, errno, "open(/dev/null)");
	close_range(STDERR_FILENO + 1, ~0U, 0);
	return 0;
}

int fd_fill(int below, struct err *err)
{
	int null, fd, saved, n = 0;
	int *filled;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_set(err, errno, "open(/dev/null)");
	if (null >= below) {
		close(null);
		return 0;
	}
	filled = xcalloc((size_t)below, sizeof(*filled));
	filled[n++] = null;
	while ((fd = fcntl(null, F_DUPFD_CLOEXEC, null + 1)) >= 0 && fd < below)
		filled[n++] = fd;
	saved = errno;
	if (fd >= 0)
		close(fd);
	else
		while (n > 0)
			close(filled[--n]);
	free(filled);
	if (fd < 0)
		return err_set(err, saved, "cannot occupy the numbers below %d",
			       below);
	return 0;
}

int fd_set_cloexec(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -1;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags);
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

int fd_read_all(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = EPIPE;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_send(int sock, const void *buf, size_t len, const int *fds, int nfds,
	    int flags)
{
	union {
		char buf[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;
	ssize_t n;

	if (nfds < 0 || nfds > FD_PASS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (nfds > 0) {
		size_t size = (size_t)nfds * sizeof(int);

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(size);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(cmsg), fds, size);
	}
	do
		n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	/* Only a stream can take a part; our records never go over one. */
	if ((size_t)n != len) {
		errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

/*
 * Collects the descriptors of a message in fds[FD_PASS_MAX]; those beyond it
 * are closed. Returns how many came in all.
 */
static int fd_collect(struct msghdr *msg, int *fds)
{
	struct cmsghdr *cmsg;
	size_t i, n;
	int count = 0, fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			       sizeof(fd));
			if (count < FD_PASS_MAX)
				fds[count] = fd;
			else
				close(fd);
			count++;
		}
	}
	return count;
}

ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, int *nfds_r,
		int flags)
{
	/* With room for the credentials of a socket with SO_PASSCRED. */
	union {
		char buf[CMSG_SPACE(FD_PASS_MAX * sizeof(int)) +
			 CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	int got[FD_PASS_MAX], count, i;
	bool whole;
	ssize_t n;

	*nfds_r = 0;
	do
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	count = fd_collect(&msg, got);
	whole = count <= FD_PASS_MAX &&
		!(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	if (n == 0 || !whole) {
		for (i = 0; i < count && i < FD_PASS_MAX; i++)
			close(got[i]);
		errno = EMSGSIZE;
		return whole ? 0 : -1;
	}
	if (count > 0)
		memcpy(fds, got, (size_t)count * sizeof(int));
	*nfds_r = count;
	return n;
}

/* The directory part of path, "." where it has none; the caller frees it. */
static char *fd_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xstrndup(path, (size_t)(slash - path));
}

/* Fills a new file; the call that failed in *call_r. */
static int fd_fill_file(int fd, const void *data, size_t len, mode_t mode,
			const char **call_r)
{
	*call_r = "write";
	if (fd_write_all(fd, data, len) < 0)
		return -1;
	*call_r = "fchmod";
	if (fchmod(fd, mode) < 0)
		return -1;
	*call_r = "fsync";
	return fsync(fd);
}

/* Writes beside `path` and moves it there; *err names the call that failed. */
static int fd_put_file(const char *path, char *temp, const void *data,
		       size_t len, mode_t mode, struct err *err)
{
	const char *call = "mkostemp";
	int fd, saved;

	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "%s(%s)", call, temp);
	if (fd_fill_file(fd, data, len, mode, &call) < 0)
		goto failed;
	call = "close";
	if (close(fd) < 0) {
		fd = -1;
		goto failed;
	}
	fd = -1;
	call = "rename";
	if (rename(temp, path) < 0)
		goto failed;
	return 0;
failed:
	saved = errno;
	fd_close(&fd);
	unlink(temp);
	return err_set(err, saved, "%s(%s)", call, temp);
}

int fd_replace_file(const char *path, const void *data, size_t len, mode_t mode,
		    struct err *err)
{
	char *dir = fd_dirname(path), *temp = NULL;
	int dirfd, rc = -1;

	/* First, so that nothing can fail once the file is in its place. */
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		err_set(err, errno, "open(%s)", dir);
		goto out;
	}
	temp = xasprintf("%s.XXXXXX", path);
	if (fd_put_file(path, temp, data, len, mode, err) < 0) {
		err_add(err, "cannot write %s", path);
		goto out;
	}
	/*
	 * A failure here cannot be undone without a worse risk, and every
	 * reader sees the new file already: the replacement stands.
	 */
	(void)fsync(dirfd);
	rc = 0;
out:
	fd_close(&dirfd);
	free(temp);
	free(dir);
	return rc;
}

/* All of fd, up to max + 1 bytes, so that the caller sees what is too long. */
static int fd_slurp(int fd, size_t max, char **data_r, size_t *len_r)
{
	size_t len = 0, cap = 4096;
	char *data = xmalloc(cap + 1);
	ssize_t n;

	for (;;) {
		n = read(fd, data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (len > max)
			break;
		if (len == cap) {
			cap *= 2;
			data = xrealloc(data, cap + 1);
		}
	}
	if (n >= 0 && len > max) {
		n = -1;
		errno = EFBIG;
	}
	if (n < 0) {
		free(data);
		return -1;
	}
	data[len] = '\0';
	*data_r = data;
	*len_r = len;
	return 0;
}

int fd_read_file(const char *path, size_t max, char **data_r, size_t *len_r,
		 struct err *err)
{
	struct stat st;
	int fd, rc;

	/* O_NONBLOCK: a FIFO in the file's place must not hold us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, errno, "open(%s)", path);
	if (fstat(fd, &st) < 0)
		rc = err_set(err, errno, "fstat(%s)", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, EINVAL, "%s: not a regular file", path);
	else if ((rc = fd_slurp(fd, max, data_r, len_r)) < 0)
		rc = err_set(err, errno, "read(%s)", path);
	fd_close(&fd);
	return rc;
}

static int fd_mkdir(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		/* Whatever the umask says. */
		if (chmod(path, mode) < 0)
			return err_set(err, errno, "chmod(%s)", path);
		return 0;
	}
	if (errno != EEXIST)
		return err_set(err, errno, "mkdir(%s)", path);
	if (stat(path, &st) < 0)
		return err_set(err, errno, "stat(%s)", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "mkdir(%s)", path);
	return 0;
}

int fd_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char *part = xstrdup(path);
	char *p = part + strspn(part, "/");
	int rc = 0;

	while (rc == 0 && *p) {
		p += strcspn(p, "/");
		char kept = *p;

		*p = '\0';
		rc = fd_mkdir(part, mode, err);
		*p = kept;
		p += strspn(p, "/");
	}
	free(part);
	return rc;
}

int fd_path(int fd, char *out, size_t size)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size);
	if (n < 0)
		return -1;
	if ((size_t)n >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	out[n] = '\0';
	return 0;
}
