/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/args.h"
#include "common/paths.h"
#include "core.h"
#include "lib/proc.h"
#include "supervisor.h"

static const char usage[] = "usage: entity [-R ROOT] [-f] [-a]\n"
			    "  -R, --root=ROOT   everything lies below ROOT\n"
			    "  -f, --foreground  stay in the foreground, log "
			    "to standard error too\n"
			    "  -a, --all         start vsapiapp too\n"
			    "  -V, --version     print the version\n";

enum role { ROLE_SUPERVISOR, ROLE_CORE, ROLE_ADOPT };

int entity_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"root", required_argument, NULL, 'R'},
		{"foreground", no_argument, NULL, 'f'},
		{"all", no_argument, NULL, 'a'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{"core", no_argument, NULL, ROLE_CORE},
		{"adopt", no_argument, NULL, ROLE_ADOPT},
		{NULL, 0, NULL, 0},
	};
	struct supervisor_options options = {0};
	enum role role = ROLE_SUPERVISOR;
	const char *root = NULL;
	int c;

	proc_title_init(argc, argv);
	/* Executed by way of /proc/self/exe it would be called "exe". */
	prctl(PR_SET_NAME, "entity");
	while ((c = getopt_long(argc, argv, "R:faVh", longs, NULL)) != -1) {
		switch (c) {
		case 'R':
			root = optarg;
			break;
		case 'f':
			options.foreground = true;
			break;
		case 'a':
			options.start_all = true;
			break;
		case ROLE_CORE:
		case ROLE_ADOPT:
			role = c;
			break;
		default:
			return args_told(c, "entity", usage);
		}
	}
	if (optind < argc)
		return args_told('?', "entity", usage);
	paths_init(root);
	if (role == ROLE_CORE)
		return core_main(options.foreground);
	options.adopt = role == ROLE_ADOPT;
	return supervisor_run(&options);
}
