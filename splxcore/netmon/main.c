/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* splxnetmon [-R ROOT] [-f | -r]: the network monitor; started by entity. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/control.h"
#include "common/paths.h"
#include "common/scoreboard.h"
#include "common/version.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "monitor.h"

static int usage(FILE *out, int status)
{
	fprintf(out,
		"usage: splxnetmon [-R ROOT] [-f | -r]\n"
		"The network monitor of " SPLX_NAME ", started by entity.\n"
		"  -R ROOT  work in the stage ROOT\n"
		"  -f       run by hand, in the foreground: a line for each "
		"connection\n"
		"  -r       remove what it has left in the packet filter, and "
		"end\n");
	return status;
}

/* The descriptors that only the supervisor has (control.h). */
static bool started_by_supervisor(void)
{
	struct stat st;
	int type;
	socklen_t len = sizeof(type);

	return fstat(INHERIT_SCOREBOARD, &st) == 0 && S_ISREG(st.st_mode) &&
	       getsockopt(INHERIT_NET_TX, SOL_SOCKET, SO_TYPE, &type, &len) ==
		       0 &&
	       type == SOCK_SEQPACKET;
}

static int run_under_entity(void)
{
	struct log_sinks sinks = {.fd = INHERIT_LOG, .file_fd = -1};
	struct scoreboard *sb;
	struct err err;

	if (!started_by_supervisor()) {
		fprintf(stderr, "splxnetmon: it is started by entity: use "
				"'splxctl config set NetworkMonitor yes'\n");
		return LSB_FAILED;
	}
	log_init("splxnetmon", &sinks, LOG_LVL_INFO);
	sb = scoreboard_map(INHERIT_SCOREBOARD, &err);
	if (!sb) {
		log_error("network: %s", err.text);
		return LSB_FAILED;
	}
	proc_title_set("splxnetmon: monitor");
	return monitor_run(sb);
}

int main(int argc, char **argv)
{
	struct log_sinks sinks = {.fd = -1, .file_fd = -1, .to_stderr = true};
	bool by_hand = false, remove_it = false;
	const char *root = NULL;
	int opt;

	proc_title_init(argc, argv);
	while ((opt = getopt(argc, argv, "R:frhV")) != -1) {
		switch (opt) {
		case 'R':
			root = optarg;
			break;
		case 'f':
			by_hand = true;
			break;
		case 'r':
			remove_it = true;
			break;
		case 'h':
			return usage(stdout, LSB_OK);
		case 'V':
			puts("splxnetmon " SPLX_VERSION);
			return LSB_OK;
		default:
			return usage(stderr, LSB_USAGE);
		}
	}
	if (optind != argc || (by_hand && remove_it))
		return usage(stderr, LSB_USAGE);
	if (geteuid() != 0) {
		fprintf(stderr, "splxnetmon: it needs root\n");
		return LSB_DENIED;
	}
	paths_init(root);
	if (!by_hand && !remove_it)
		return run_under_entity();
	log_init("splxnetmon", &sinks, LOG_LVL_INFO);
	return remove_it ? monitor_remove() : monitor_run(NULL);
}
