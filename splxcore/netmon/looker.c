/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "looker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/netreport.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "netlink_diag.h"
#include "owner.h"

#define IDLE_MS 500
/* Looked up together. */
#define LOT 128
/* Core has no room: how long until it is tried again. */
#define FULL_MS 20

static const char *const calls[] = {
	"brk",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"exit",
	"exit_group",
	"fcntl",
	"fstat",
	"fstatfs",
	"futex",
	"getdents64",
	"getpid",
	"gettimeofday",
	"lseek",
	"mmap",
	"munmap",
	"mremap",
	"nanosleep",
	"newfstatat",
	"openat",
	"poll",
	"ppoll",
	"read",
	"readlink",
	"readlinkat",
	"recvfrom",
	"recvmsg",
	"restart_syscall",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sendmsg",
	"sendto",
	"stat",
	"statx",
	"write",
};

struct looker {
	const struct looker_job *job;
	struct netlink *diag; /* NULL: the kernel has none */
	struct owners *owners;
	struct net_report lot[LOT];
	struct owner_wanted wanted[LOT];
	struct log_limit bad;
};

static bool gone(const struct looker *l, int ms)
{
	struct pollfd p = {.fd = l->job->life_fd, .events = POLLIN};

	return poll(&p, 1, ms) > 0;
}

static size_t receive(struct looker *l)
{
	struct err err;
	size_t n = 0;
	int rc;

	while (n < LOT) {
		rc = net_report_recv(l->job->from_fd, &l->lot[n], &err);
		if (rc == 0 || (rc < 0 && err.code == EPIPE))
			break;
		if (rc > 0)
			n++;
		else
			log_limited(&l->bad, 3, 60000, LOG_LVL_WARN,
				    "network: %s", err.text);
	}
	return n;
}

static void look_up(struct looker *l, size_t n)
{
	struct diag_socket s;
	size_t i;

	for (i = 0; i < n; i++) {
		struct net_report *r = &l->lot[i];

		l->wanted[i] = (struct owner_wanted){0};
		if (!l->diag || diag_find(l->diag, &r->conn, &s))
			continue;
		l->wanted[i].inode = s.inode;
		if (r->conn.uid < 0)
			r->conn.uid = s.uid;
	}
	owners_find(l->owners, l->wanted, n);
	for (i = 0; i < n; i++) {
		struct net_report *r = &l->lot[i];

		r->pid = l->wanted[i].pid;
		owner_program(r->pid, r->program, sizeof(r->program));
	}
}

/* ---- handing on ---- */

static void print_end(const uint8_t address[NET_ADDR_SIZE], bool v6,
		      uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? address : address + 12, text,
		  sizeof(text));
	printf(v6 ? "[%s]:%u " : "%s:%u ", text, port);
}

static void print(const struct net_report *r)
{
	static const char *const words[CONN_VERDICTS] = {"allow", "alert",
							 "drop", "reset"};

	printf("%s %s ", words[r->answer.verdict], r->conn.in ? "in" : "out");
	print_end(r->conn.local, r->conn.v6, r->conn.local_port);
	print_end(r->conn.remote, r->conn.v6, r->conn.remote_port);
	printf("uid=%lld pid=%d program=%s rule=%s list=%s\n",
	       (long long)r->conn.uid, (int)r->pid, r->program, r->rule,
	       r->list);
	fflush(stdout);
}

/* Waits while core is away or behind; meanwhile judges count what they cannot
 * tell. False when the monitor is gone. */
static bool hand_on(struct looker *l, const struct net_report *r)
{
	struct err err;
	int rc;

	if (l->job->to_fd < 0) {
		print(r);
		return true;
	}
	while ((rc = net_report_send(l->job->to_fd, r, &err)) == 1)
		if (gone(l, FULL_MS))
			return false;
	if (rc < 0)
		log_limited(&l->bad, 3, 60000, LOG_LVL_ERROR, "network: %s",
			    err.text);
	return true;
}

static void serve(struct looker *l)
{
	struct pollfd p[] = {{.fd = l->job->from_fd, .events = POLLIN},
			     {.fd = l->job->life_fd, .events = POLLIN}};
	size_t i, n;

	for (;;) {
		poll(p, 2, IDLE_MS);
		n = receive(l);
		if (!n && p[1].revents)
			return;
		look_up(l, n);
		for (i = 0; i < n; i++)
			if (!hand_on(l, &l->lot[i]))
				return;
	}
}

int looker_run(const struct looker_job *job)
{
	/* To see whose descriptors are whose. No Landlock: it would hide other
	 * processes from us. */
	const uint64_t keep =
		1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH;
	static struct looker l;
	struct err err;

	l.job = job;
	l.owners = owners_new();
	l.diag = netlink_open(NETLINK_SOCK_DIAG, &err);
	if (!l.diag)
		log_warn("network: no programs are told: %s", err.text);
	if (sandbox_become(job->uid, job->gid, keep, &err) ||
	    sandbox_seccomp(calls, sizeof(calls) / sizeof(*calls), NULL, false,
			    &err)) {
		log_error("network: looker: %s", err.text);
		return 1;
	}
	serve(&l);
	return 0;
}
