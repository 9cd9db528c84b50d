/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "finding.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fdutil.h"

int finding_send(int sock, const struct finding *f, int fd, struct err *err)
{
	if (fd_send(sock, f, sizeof(*f), &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT) ==
	    0)
		return 0;
	/* ETOOMANYREFS: too many of this user's descriptors are under way;
	 * that ends, like the others, when the receiver reads. */
	if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
		return 1;
	return err_set(err, errno, "sending a finding");
}

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* NULL when all of it is within bounds, else what is not. */
static const char *what_is_wrong(const struct finding *f, ssize_t len)
{
	if (len != (ssize_t)sizeof(*f))
		return "length";
	if (f->magic != FINDING_MAGIC)
		return "magic";
	if (f->version != FINDING_VERSION)
		return "version";
	if (f->source >= SOURCE_COUNT)
		return "source";
	if (f->verdict > VERDICT_ERROR)
		return "verdict";
	if (f->denied > 1 || f->late > 1)
		return "flag";
	if (f->use > USE_WRITTEN)
		return "use";
	if (f->exposed_ns > FINDING_EXPOSED_MAX)
		return "exposure";
	if (f->pid < 0)
		return "pid";
	if (f->first_action > ACTION_NONE || f->second_action > ACTION_NONE)
		return "action";
	if (!terminated(f->virus, sizeof(f->virus)))
		return "virus name";
	if (!terminated(f->path, sizeof(f->path)))
		return "path";
	return NULL;
}

/* An empty record, which any worker can send, looks like the end. */
static bool hung_up(int sock)
{
	struct pollfd p = {.fd = sock, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP));
}

int finding_recv(int sock, struct finding *f_r, int *fd_r, struct err *err)
{
	int fds[FD_PASS_MAX], nfds = 0;
	const char *wrong;
	ssize_t len;

	*fd_r = -1;
	len = fd_recv(sock, f_r, sizeof(*f_r), fds, &nfds, MSG_DONTWAIT);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0)
		return err_set(err, errno, "receiving a finding");
	if (len == 0 && hung_up(sock))
		return err_set(err, EPIPE, "receiving a finding");
	wrong = nfds > 1 ? "number of descriptors" : what_is_wrong(f_r, len);
	if (!wrong) {
		*fd_r = nfds ? fds[0] : -1;
		return 1;
	}
	while (nfds > 0)
		fd_close(&fds[--nfds]);
	return err_set(err, EBADMSG, "a finding with a bad %s", wrong);
}
