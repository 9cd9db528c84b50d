/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "unixsock.h"

/* Waits for a record, EINTR or not; 0, or -1 (errno; ETIMEDOUT). */
static int wait_readable(int sock, int timeout_ms)
{
	struct pollfd pfd = {.fd = sock, .events = POLLIN};
	uint64_t end = clock_mono_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;

	for (;;) {
		uint64_t now = clock_mono_ns();
		int rc;

		if (now >= end) {
			errno = ETIMEDOUT;
			return -1;
		}
		rc = poll(&pfd, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -1;
	}
}

/* One record there and one back, terminated. */
static int exchange(int sock, const char *command, int timeout_ms, char *reply,
		    size_t size, struct err *err)
{
	ssize_t n;

	if (send(sock, command, strlen(command), MSG_NOSIGNAL) < 0)
		return err_set(err, errno, "send to the supervisor");
	if (wait_readable(sock, timeout_ms) < 0)
		return err_set(err, errno,
			       "no answer from the supervisor to \"%s\"",
			       command);
	do
		n = recv(sock, reply, size - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, errno, "answer of the supervisor");
	if (n == 0)
		return err_set(err, 0,
			       "the supervisor ended without an answer");
	reply[n] = '\0';
	return 0;
}

int control_call(const char *sock_path, const char *command, int timeout_ms,
		 char *reply_r, size_t size, struct err *err)
{
	char reply[CONTROL_MAX + 1];
	int sock, rc;

	sock = unixsock_connect(sock_path, SOCK_SEQPACKET, timeout_ms, err);
	if (sock < 0)
		return -1;
	rc = exchange(sock, command, timeout_ms, reply, sizeof(reply), err);
	fd_close(&sock);
	if (rc < 0)
		return -1;
	if (str_starts(reply, "error: "))
		return err_set(err, 0, "%s", reply + strlen("error: "));
	if (strncmp(reply, "ok", 2) != 0 ||
	    (reply[2] && reply[2] != ' ' && reply[2] != '\n'))
		return err_set(err, 0,
			       "the supervisor's answer makes no sense");
	if (size)
		str_copy(reply_r, size, reply + 2 + (reply[2] != '\0'));
	return 0;
}
