/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* vsapiapp [-R ROOT] [-f]: the scan daemon; started by the supervisor. With -t
 * it tries patterns instead, for whoever updates them. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/control.h"
#include "common/paths.h"
#include "common/version.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "master.h"
#include "trial.h"

static int usage(FILE *out, int status)
{
	fprintf(out,
		"usage: vsapiapp [-R ROOT] [-f]\n"
		"       vsapiapp [-R ROOT] [-m BYTES] [-s SECONDS] -t SET|-c "
		"FILE\n"
		"The scan daemon of " SPLX_NAME ", started by entity.\n"
		"  -R ROOT  work in the stage ROOT\n"
		"  -f       log to standard error too\n"
		"  -t SET   try the patterns of that directory, say in "
		"JSON how it went, and end\n"
		"  -c FILE  check ClamAV's signature of that database in the "
		"same manner\n"
		"  -m BYTES, -s SECONDS  the most that may take\n");
	return status;
}

static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* The descriptors that only the supervisor has (control.h). */
static bool started_by_supervisor(void)
{
	struct stat st;

	return fstat(INHERIT_SCOREBOARD, &st) == 0 && S_ISREG(st.st_mode) &&
	       fcntl(INHERIT_GROUP, F_GETFD) >= 0 &&
	       is_socket(INHERIT_FINDING_TX) && is_socket(INHERIT_LOG) &&
	       fstat(INHERIT_LIFE, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int try_patterns(const char *root, const char *set, const char *file,
			const struct trial_limits *limits)
{
	struct log_sinks sinks = {.fd = -1, .file_fd = -1, .to_stderr = true};

	if (geteuid() != 0) {
		fprintf(stderr, "vsapiapp: it needs root\n");
		return LSB_DENIED;
	}
	paths_init(root);
	log_init("vsapiapp", &sinks, LOG_LVL_WARN);
	proc_title_set("vsapiapp: trial");
	if (set)
		trial_run(set, limits);
	trial_check(file, limits);
}

int main(int argc, char **argv)
{
	struct log_sinks sinks = {.fd = INHERIT_LOG, .file_fd = -1};
	const char *root = NULL, *set = NULL, *file = NULL;
	struct trial_limits limits = {0};
	int opt;

	proc_title_init(argc, argv);
	while ((opt = getopt(argc, argv, "R:fhVt:c:m:s:")) != -1) {
		switch (opt) {
		case 'R':
			root = optarg;
			break;
		case 'f':
			sinks.to_stderr = true;
			break;
		case 't':
			set = optarg;
			break;
		case 'c':
			file = optarg;
			break;
		case 'm':
			limits.memory = strtoull(optarg, NULL, 10);
			break;
		case 's':
			limits.seconds = (unsigned int)atoi(optarg);
			break;
		case 'h':
			return usage(stdout, LSB_OK);
		case 'V':
			puts("vsapiapp " SPLX_VERSION);
			return LSB_OK;
		default:
			return usage(stderr, LSB_USAGE);
		}
	}
	if (optind != argc)
		return usage(stderr, LSB_USAGE);
	if (set || file)
		return try_patterns(root, set, file, &limits);
	if (!started_by_supervisor()) {
		fprintf(stderr, "vsapiapp: it is started by entity: use "
				"'service splx start'\n");
		return LSB_FAILED;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "vsapiapp: it needs root\n");
		return LSB_DENIED;
	}
	paths_init(root);
	log_init("vsapiapp", &sinks, LOG_LVL_INFO);
	proc_title_set("vsapiapp: master");
	return master_run(sinks.to_stderr);
}
