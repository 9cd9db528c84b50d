/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "httpd.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/args.h"
#include "common/codes.h"
#include "common/paths.h"
#include "lib/proc.h"
#include "parent.h"

static const char usage[] = "usage: splxhttpd [-R ROOT] [-f]\n"
			    "  -R, --root=ROOT   everything lies below ROOT\n"
			    "  -f, --foreground  stay in the foreground, log "
			    "to standard error too\n"
			    "  -V, --version     print the version\n";

int httpd_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"root", required_argument, NULL, 'R'},
		{"foreground", no_argument, NULL, 'f'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool foreground = false;
	const char *root = NULL;
	int c;

	proc_title_init(argc, argv);
	while ((c = getopt_long(argc, argv, "R:fVh", longs, NULL)) != -1) {
		switch (c) {
		case 'R':
			root = optarg;
			break;
		case 'f':
			foreground = true;
			break;
		default:
			return args_told(c, "splxhttpd", usage);
		}
	}
	if (optind < argc)
		return args_told('?', "splxhttpd", usage);
	if (geteuid() != 0) {
		fputs("splxhttpd: only root may do that\n", stderr);
		return LSB_DENIED;
	}
	paths_init(root);
	return parent_run(foreground);
}
