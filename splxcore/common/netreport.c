/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netreport.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

int net_report_send(int sock, const struct net_report *report, struct err *err)
{
	if (send(sock, report, sizeof(*report), MSG_DONTWAIT | MSG_NOSIGNAL) >=
	    0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
		return 1;
	return err_set(err, errno, "sending a connection");
}

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* A bool that came from elsewhere may be any byte. */
static bool is_bool(const bool *b)
{
	return *(const unsigned char *)b <= 1;
}

/* NULL when all of it is within bounds, else what is not. */
static const char *what_is_wrong(const struct net_report *r, ssize_t len)
{
	if (len != (ssize_t)sizeof(*r))
		return "length";
	if (r->magic != NET_REPORT_MAGIC)
		return "magic";
	if (r->version != NET_REPORT_VERSION)
		return "version";
	if (!is_bool(&r->conn.in) || !is_bool(&r->conn.v6) ||
	    !is_bool(&r->conn.loopback))
		return "flag";
	if (r->conn.uid < -1 || r->conn.uid > UINT32_MAX)
		return "uid";
	if ((unsigned int)r->answer.verdict >= CONN_VERDICTS)
		return "verdict";
	if (r->answer.rule < -1 || r->answer.list < -1)
		return "rule";
	if (r->pid < 0)
		return "pid";
	if (!r->times)
		return "count";
	if (!terminated(r->program, sizeof(r->program)))
		return "program";
	if (!terminated(r->rule, sizeof(r->rule)) ||
	    !terminated(r->list, sizeof(r->list)))
		return "name";
	return NULL;
}

/* An empty record looks like the end. */
static bool hung_up(int sock)
{
	struct pollfd p = {.fd = sock, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP));
}

int net_report_recv(int sock, struct net_report *report_r, struct err *err)
{
	const char *wrong;
	ssize_t len;

	/* MSG_TRUNC: the true length of one that is too long. */
	len = recv(sock, report_r, sizeof(*report_r), MSG_DONTWAIT | MSG_TRUNC);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0)
		return err_set(err, errno, "receiving a connection");
	if (len == 0 && hung_up(sock))
		return err_set(err, EPIPE, "receiving a connection");
	wrong = what_is_wrong(report_r, len);
	if (!wrong)
		return 1;
	return err_set(err, EBADMSG, "a connection with a bad %s", wrong);
}
