/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "paths.h"

static struct paths the_paths;
static bool ready;

/*
 * The root as an absolute path without a slash at its end: daemons change
 * their directory. What does not exist yet is taken by its words.
 */
static char *absolute(const char *root)
{
	char *abs = realpath(root, NULL);
	size_t len;

	if (!abs && *root == '/') {
		abs = xstrdup(root);
	} else if (!abs) {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)))
			fatal(1, "getcwd: %m");
		abs = xasprintf("%s/%s", cwd, root);
	}
	len = strlen(abs);
	while (len && abs[len - 1] == '/')
		abs[--len] = '\0';
	return abs;
}

static const char *below(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void fill(struct paths *p, char *root)
{
	p->root = root;
	p->conf_dir = below(root, "etc/splx");
	p->conf = below(p->conf_dir, "splx.conf");
	p->conflicts = below(p->conf_dir, "conflicts.conf");
	p->scans = below(p->conf_dir, "scans.conf");
	p->notify = below(p->conf_dir, "notify.conf");
	p->network = below(p->conf_dir, "network.conf");
	p->sendmail = below(root, "usr/sbin/sendmail");
	p->km_dir = below(p->conf_dir, "km");
	p->load_lock = below(p->km_dir, ".load_lock");
	p->console_dir = below(p->conf_dir, "console");
	p->console_cert = below(p->console_dir, "current/certificate.pem");
	p->console_key = below(p->console_dir, "current/key.pem");
	p->run_dir = below(root, "run/splx");
	p->entity_sock = below(p->run_dir, "entity.sock");
	p->control_sock = below(p->run_dir, "control.sock");
	p->scan_sock = below(p->run_dir, "scan.sock");
	p->low_sock = below(p->run_dir, "scan-low.sock");
	p->pid_file = below(p->run_dir, "entity.pid");
	p->console_pid = below(p->run_dir, "splxhttpd.pid");
	p->active_conf = below(p->run_dir, "active.conf");
	p->state_file = below(p->run_dir, "vsapiapp.json");
	p->module_why = below(p->run_dir, "module");
	p->scratch_dir = below(p->run_dir, "scratch");
	p->lib_dir = below(root, "var/lib/splx");
	p->store = below(p->lib_dir, "splx.db");
	p->last_good = below(p->lib_dir, "last-good.conf");
	p->verdicts = below(p->lib_dir, "verdicts");
	p->spool_dir = below(p->lib_dir, "spool");
	p->quarantine_dir = below(p->lib_dir, "quarantine");
	p->quarantine_key = below(p->lib_dir, "quarantine.key");
	p->pattern_dir = below(p->lib_dir, "patterns");
	p->builtin_dir = below(root, "usr/share/splx/patterns");
	p->log_dir = below(root, "var/log/splx");
	p->log_file = below(p->log_dir, "splx.log");
	p->console_log = below(p->log_dir, "splxhttpd.log");
	p->libexec_dir = below(root, "usr/lib/splx");
}

void paths_init(const char *root)
{
	char *abs;

	if (!root)
		root = getenv("SPLX_ROOT");
	abs = absolute(root && *root ? root : "/");
	if (ready) {
		if (strcmp(abs, the_paths.root) != 0)
			panic("paths_init(%s) after paths_init(%s)", abs,
			      the_paths.root);
		free(abs);
		return;
	}
	fill(&the_paths, abs);
	ready = true;
}

const struct paths *paths(void)
{
	if (!ready)
		panic("paths() before paths_init()");
	return &the_paths;
}
