/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* How the web console is: another program, known by its pid file and by what
 * its process asks. */
#include <errno.h>
#include <unistd.h>

#include "accounts.h"
#include "common/cert.h"
#include "common/paths.h"
#include "health_check.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/proc.h"

/* It is started after us, and asks something every few seconds. */
#define START_NS (60 * CLOCK_NS_PER_S)
#define SILENT_NS (30 * CLOCK_NS_PER_S)
#define CERTIFICATE_NS (60 * CLOCK_NS_PER_S)
#define CERTIFICATE_DAYS 14

static void look_at_certificate(struct console_watch *w)
{
	uint64_t now = clock_mono_ns();
	struct cert_info info;
	struct err err;

	if (w->certificate_ns && now - w->certificate_ns < CERTIFICATE_NS)
		return;
	w->certificate_ns = now;
	w->ends_s = cert_show(paths()->console_dir, &info, &err) < 0
			    ? 0
			    : info.not_after_s;
}

static void check_certificate(struct console_watch *w, struct report *r)
{
	int64_t left;

	look_at_certificate(w);
	if (!w->ends_s)
		return; /* none yet: the console has one made when it starts */
	left = w->ends_s - clock_real_ns() / (int64_t)CLOCK_NS_PER_S;
	if (left < 0)
		health_issue(r, STATUS_CERTIFICATE_ENDS, "console",
			     "the web console's certificate is out of its "
			     "time");
	else if (left < CERTIFICATE_DAYS * 86400)
		health_issue(r, STATUS_CERTIFICATE_ENDS, "console",
			     "the web console's certificate ends in %d days",
			     (int)(left / 86400));
}

static bool is_installed(void)
{
	char *path = xasprintf("%s/splxhttpd", paths()->libexec_dir);
	bool there = access(path, X_OK) == 0;

	xfree(&path);
	return there;
}

static void stopped(const struct core *core, struct report *r)
{
	if (clock_mono_ns() - core->sb->boot_ns < START_NS || !is_installed())
		return;
	health_issue(r, STATUS_CONSOLE_STOPPED, "console",
		     "the web console does not run");
	r->field[STATUS_FIELD_CONSOLE] = STATUS_CONSOLE_STOPPED;
}

static void check_voice(struct console_watch *w, struct report *r, pid_t pid)
{
	uint64_t now = clock_mono_ns(), last = w->heard_ns;

	if (w->pid != pid) {
		w->pid = pid;
		w->since_ns = now;
	}
	if (last < w->since_ns)
		last = w->since_ns;
	if (now - last > SILENT_NS)
		health_issue(r, STATUS_CONSOLE_SILENT, "console",
			     "the web console (process %d) does not serve",
			     (int)pid);
}

void health_check_console(const struct core *core, struct report *r)
{
	pid_t pid;
	int rc;

	if (!core_conf(core)->console_enabled || !core->accounts)
		return;
	rc = proc_pidfile_check(paths()->console_pid, &pid, NULL);
	if (rc > 0) {
		check_voice(&core->accounts->watch, r, pid);
		check_certificate(&core->accounts->watch, r);
	} else if (rc == 0 && pid > 0) {
		health_issue(r, STATUS_CONSOLE_GONE, "console",
			     "the web console (process %d) ended without "
			     "having been stopped",
			     (int)pid);
	} else if (rc == 0) {
		stopped(core, r);
	}
}
