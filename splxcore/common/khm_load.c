// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khm.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "paths.h"

#define WHY_MAX 4096
#define DEVICE_WAIT_MS 2000
/* Workers of an earlier line may still hold it for a moment. */
#define UNLOAD_WAIT_MS 10000
#define STEP_MS 20

static void pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* --- reasons ------------------------------------------------------------- */

static bool is_locked_down(const char *lockdown)
{
	return strstr(lockdown, "[integrity]") ||
	       strstr(lockdown, "[confidentiality]");
}

enum status_code khm_refusal_code(const struct khm_refusal *r, struct err *err)
{
	if (!r->code) {
		err_clear(err);
		return STATUS_OK;
	}
	if (r->no_modules || r->code == ENOSYS) {
		err_set(err, 0, "this kernel loads no modules");
		return STATUS_NO_MODULE;
	}
	if (r->modules_off) {
		err_set(err, 0,
			"kernel.modules_disabled is set: no module is "
			"loaded until the next boot");
		return STATUS_NO_MODULE;
	}
	switch (r->code) {
	case EKEYREJECTED:
	case ENOKEY:
	case EBADMSG:
		err_set(err, 0,
			"the kernel takes signed modules alone, and "
			"knows no key for this one");
		return STATUS_MODULE_REFUSED;
	case EPERM:
	case EACCES:
		if (is_locked_down(r->lockdown))
			err_set(err, 0,
				"the kernel is locked down (%s; Secure "
				"Boot): it takes signed modules alone",
				strstr(r->lockdown, "[integrity]")
					? "integrity"
					: "confidentiality");
		else
			err_set(err, 0,
				"loading modules is not allowed here "
				"(a container, or a policy)");
		return STATUS_MODULE_REFUSED;
	case ENOEXEC:
	case EINVAL:
		if (r->vermagic[0])
			err_set(err, 0, "it was built for \"%s\", this is %s",
				r->vermagic, r->release);
		else
			err_set(err, 0, "it was not built for this kernel (%s)",
				r->release);
		return STATUS_MODULE_MISFIT;
	case ENOENT: /* of init_module(2): a symbol is missing */
		err_set(err, 0,
			"it needs symbols that this kernel (%s) does "
			"not have; see dmesg",
			r->release);
		return STATUS_MODULE_MISFIT;
	default:
		err_set(err, r->code, "loading it failed (see dmesg)");
		return STATUS_MODULE_FAILED;
	}
}

/* What the last try came to, in words that khm_why_not() reads. */
static void keep_reason(enum status_code code, const struct err *err)
{
	char *text;

	if (code == STATUS_OK) {
		unlink(paths()->module_why);
		return;
	}
	text = xasprintf("%d\n%s\n", (int)code, err->text);
	if (!fd_mkdirs(paths()->run_dir, 0755, NULL))
		fd_replace_file(paths()->module_why, text, strlen(text), 0644,
				NULL);
	free(text);
}

static enum status_code kept_reason(struct err *err)
{
	enum status_code code = STATUS_OK;
	char *text, *rest;
	size_t len;
	int64_t n;

	if (fd_read_file(paths()->module_why, WHY_MAX, &text, &len, NULL))
		return STATUS_OK;
	rest = strchr(text, '\n');
	if (rest) {
		*rest++ = '\0';
		if (!str_to_i64(text, 20000, 29999, &n, NULL) &&
		    status_field((int)n) == STATUS_FIELD_KERNEL) {
			code = (enum status_code)n;
			err_set(err, 0, "%s", str_trim(rest));
		}
	}
	free(text);
	return code;
}

/* --- what is there ------------------------------------------------------- */

static void read_line(const char *path, char *out, size_t size)
{
	char *text;
	size_t len;

	*out = '\0';
	if (fd_read_file(path, WHY_MAX, &text, &len, NULL))
		return;
	str_copy(out, size, str_trim(text));
	free(text);
}

static enum status_code none_built(const char *release, struct err *err)
{
	char build[192];

	snprintf(build, sizeof(build), "/lib/modules/%s/build", release);
	if (access(build, F_OK))
		err_set(err, 0,
			"no module is built for this kernel (%s), and "
			"its headers are not installed",
			release);
	else
		err_set(err, 0,
			"no module is built for this kernel (%s): make "
			"install, or the package splx-dkms",
			release);
	return STATUS_NO_MODULE_BUILT;
}

/* --- loading ------------------------------------------------------------- */

/* A compressed one: modprobe(8) knows how. An errno value, as well as it can
 * be told. */
static int run_modprobe(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("modprobe", "modprobe", "-q", SPLXMOD_NAME, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EIO;
}

static int insert(const char *path, struct khm_refusal *r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	r->code = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	if (r->code && !str_ends(path, ".ko"))
		r->code = run_modprobe();
	else if (r->code)
		khm_modinfo(path, "vermagic", r->vermagic, sizeof(r->vermagic));
	fd_close(&fd);
	return r->code == EEXIST ? 0 : r->code;
}

static bool is_loaded(void)
{
	return !access("/sys/module/" SPLXMOD_NAME, F_OK);
}

/* How many descriptors of the device are open; ours are among them. */
static long attendants(void)
{
	char *text, *at;
	size_t len;
	long n = 0;

	if (fd_read_file(KHM_PROC "/status", WHY_MAX, &text, &len, NULL))
		return 0;
	at = strstr(text, "\nattended ");
	if (at)
		n = strtol(at + strlen("\nattended "), NULL, 10);
	free(text);
	return n;
}

/* udev or devtmpfs makes the node in a moment. */
static int await_device(struct err *err)
{
	for (int ms = 0; access(KHM_DEVICE, F_OK); ms += STEP_MS) {
		if (ms >= DEVICE_WAIT_MS)
			return err_set(err, 0,
				       "it is loaded, but " KHM_DEVICE
				       " does not appear");
		pause_ms(STEP_MS);
	}
	return 0;
}

/* In words, what the load lock says. */
static enum status_code held_back(const struct loadlock_now *now,
				  const struct loadlock_policy *policy,
				  const struct loadlock_state *st,
				  struct err *err)
{
	char text[400];

	err_set(err, 0,
		"the load lock holds it back: %s; splxctl module unlock lets "
		"it in again",
		loadlock_text(st, now, policy, text, sizeof(text)));
	return STATUS_LOCKED;
}

/*
 * With an open start in the load lock, so that a machine that does not survive
 * this remembers it. In the kernel it does nothing until it is armed, and who
 * arms it writes a start of his own.
 */
static enum status_code insert_locked(const char *path, struct khm_refusal *r,
				      const struct loadlock_policy *policy,
				      struct err *err)
{
	struct loadlock_state st;
	struct loadlock_now now;
	enum status_code code;
	struct err end;

	loadlock_now(&now);
	loadlock_begin(&now, policy, LOADLOCK_BY_LOAD, &st);
	if (st.locked)
		return held_back(&now, policy, &st, err);
	r->code = insert(path, r);
	code = khm_refusal_code(r, err);
	if (loadlock_end(&now, LOADLOCK_BY_LOAD, &end))
		log_warn("load lock: %s", end.text);
	if (code != STATUS_OK)
		err_add(err, "%s", path);
	return code;
}

static enum status_code load_installed(const struct loadlock_policy *policy,
				       struct err *err)
{
	struct khm_refusal r = {0};
	enum status_code code;
	struct utsname uts;
	char path[512], off[8];

	uname(&uts);
	str_copy(r.release, sizeof(r.release), uts.release);
	read_line("/proc/sys/kernel/modules_disabled", off, sizeof(off));
	read_line("/sys/kernel/security/lockdown", r.lockdown,
		  sizeof(r.lockdown));
	r.no_modules = access("/proc/modules", F_OK) != 0;
	r.modules_off = off[0] == '1';
	if (r.no_modules || r.modules_off) {
		r.code = EPERM;
		return khm_refusal_code(&r, err);
	}
	if (!khm_find(uts.release, path, sizeof(path)))
		return none_built(uts.release, err);
	code = insert_locked(path, &r, policy, err);
	if (code != STATUS_OK)
		return code;
	return await_device(err) ? STATUS_MODULE_FAILED : STATUS_OK;
}

/* Does it speak as we do? */
static enum status_code understood(struct err *err)
{
	struct err why;
	int fd = khm_open(&why);
	bool other = fd < 0 && why.code == EPROTO;

	fd_close(&fd);
	if (!other)
		return STATUS_OK;
	err_add(err, "%s", why.text);
	return STATUS_MODULE_OTHER;
}

/* Another build than the one that is installed gives way where nobody uses it
 * and nobody keeps it; else *err tells why it does not. */
static enum status_code exchange(const struct loadlock_policy *policy,
				 struct err *err)
{
	struct khm_report report;
	struct err stays, what = *err;

	if (attendants() > 0)
		err_set(&stays, 0, "it is in use: service splx restart");
	else if (!khm_unload(&report, &stays))
		return load_installed(policy, err);
	err_set(err, 0, "%s; %s", what.text, stays.text);
	return understood(err);
}

/* One that is there already is not to be armed either while it is locked. */
static enum status_code look_loaded(const struct loadlock_policy *policy,
				    struct err *err)
{
	struct loadlock_state st;
	struct loadlock_now now;

	loadlock_now(&now);
	loadlock_look(&now, policy, &st);
	if (st.locked)
		return held_back(&now, policy, &st, err);
	if (await_device(err))
		return STATUS_MODULE_FAILED;
	if (khm_is_other(err))
		return exchange(policy, err);
	return understood(err);
}

enum status_code khm_load(const struct loadlock_policy *policy, struct err *err)
{
	struct err why = {0};
	enum status_code code = is_loaded() ? look_loaded(policy, &why)
					    : load_installed(policy, &why);

	keep_reason(code, &why);
	if (err)
		*err = why;
	return code;
}

enum status_code khm_why_not(struct err *err)
{
	struct utsname uts;
	char path[512];
	enum status_code code;

	if (!access(KHM_DEVICE, F_OK))
		return STATUS_OK;
	if (access("/proc/modules", F_OK)) {
		err_set(err, 0, "this kernel loads no modules");
		return STATUS_NO_MODULE;
	}
	code = kept_reason(err);
	if (code != STATUS_OK)
		return code;
	uname(&uts);
	if (!khm_find(uts.release, path, sizeof(path)))
		return none_built(uts.release, err);
	err_set(err, 0, "the module is there (%s) but not loaded", path);
	return STATUS_MODULE_UNLOADED;
}

void khm_unlocked(void)
{
	if (kept_reason(NULL) == STATUS_LOCKED)
		unlink(paths()->module_why);
}

/* --- unloading ----------------------------------------------------------- */

/* While others hold it, it is theirs: it is not disarmed under their hands. */
static int await_alone(struct err *err)
{
	for (int ms = 0; attendants() > 0; ms += STEP_MS) {
		if (ms >= UNLOAD_WAIT_MS)
			return err_set(err, EBUSY,
				       "somebody holds " KHM_DEVICE
				       " (splxctl config set Interceptor "
				       "fanotify, or stop the service)");
		pause_ms(STEP_MS);
	}
	return 0;
}

int khm_unload(struct khm_report *report_r, struct err *err)
{
	int fd, ms;

	memset(report_r, 0, sizeof(*report_r));
	if (!is_loaded())
		return 0;
	if (await_alone(err))
		return -1;
	fd = khm_open_any(err);
	if (fd >= 0) {
		int rc = khm_disarm(fd, false, report_r, err);

		fd_close(&fd);
		if (rc)
			return -1;
	}
	for (ms = 0; syscall(SYS_delete_module, SPLXMOD_NAME, O_NONBLOCK);
	     ms += STEP_MS) {
		if (errno == ENOENT)
			return 0;
		if (errno != EAGAIN && errno != EBUSY)
			return err_set(err, errno, "unloading " SPLXMOD_NAME);
		if (ms >= UNLOAD_WAIT_MS)
			return err_set(err, EBUSY,
				       "unloading " SPLXMOD_NAME
				       ": somebody holds " KHM_DEVICE);
		pause_ms(STEP_MS);
	}
	return 0;
}
