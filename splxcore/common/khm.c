// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "khm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fdutil.h"
#include "lib/str.h"

static int open_device(int flags, bool any, struct err *err)
{
	struct splxmod_status status;
	struct stat st;
	int fd = open(KHM_DEVICE, O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		return err_set(err, errno, "open(" KHM_DEVICE ")");
	/* Before anything of it is believed: a plain file there is none. */
	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) ||
	    khm_status(fd, &status, NULL)) {
		fd_close(&fd);
		return err_set(err, ENODEV, KHM_DEVICE " is not " SPLXMOD_NAME);
	}
	if (any || status.abi == SPLXMOD_ABI)
		return fd;
	fd_close(&fd);
	err_set(err, 0,
		"the loaded kernel module %s speaks interface %u, this suite "
		"%u",
		status.version, status.abi, SPLXMOD_ABI);
	if (err)
		err->code = EPROTO;
	return -1;
}

int khm_open(struct err *err)
{
	return open_device(0, false, err);
}

int khm_open_any(struct err *err)
{
	return open_device(0, true, err);
}

int khm_lock(struct err *err)
{
	int fd =
		open(KHM_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(err, errno, "open(" KHM_LOCK ")");
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	fd_close(&fd);
	err_set(err, 0, "another suite of this machine uses the module");
	if (err)
		err->code = EBUSY;
	return -1;
}

bool khm_is_device(int fd)
{
	struct splxmod_status status;

	return fd >= 0 && khm_status(fd, &status, NULL) == 0 &&
	       status.abi == SPLXMOD_ABI;
}

int khm_reader(uint32_t classes, struct err *err)
{
	struct splxmod_reader_setup setup = {.classes = classes};
	int fd = open_device(O_NONBLOCK, false, err);

	if (fd >= 0 && ioctl(fd, SPLXMOD_IOC_READER, &setup)) {
		err_set(err, errno, "a reader of " KHM_DEVICE);
		fd_close(&fd);
	}
	return fd;
}

int khm_read(int reader, struct splxmod_event *ev_r)
{
	ssize_t n = read(reader, ev_r, sizeof(*ev_r));

	if (n == (ssize_t)sizeof(*ev_r) && ev_r->abi == SPLXMOD_ABI)
		return 1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	errno = n == 0 ? ENODEV : EPROTO;
	return -1;
}

enum khm_answered khm_answer(int reader, uint64_t id, uint64_t epoch,
			     bool allow, uint32_t flags)
{
	struct splxmod_verdict v = {
		.id = id,
		.epoch = epoch,
		.verdict = allow ? SPLXMOD_ALLOW : SPLXMOD_DENY,
		.flags = flags,
	};
	ssize_t n;

	do
		n = write(reader, &v, sizeof(v));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(v))
		return KHM_TAKEN;
	if (n >= 0)
		errno = EPROTO;
	else if (errno == ESTALE)
		return KHM_LATE;
	else if (errno == ENOENT)
		return KHM_UNKNOWN;
	return KHM_FAILED;
}

int khm_configure(int fd, const struct splxmod_config *config, struct err *err)
{
	if (ioctl(fd, SPLXMOD_IOC_CONFIG, config))
		return err_set(err, errno, "configuring " SPLXMOD_NAME);
	return 0;
}

int khm_exempt(int fd, pid_t pid, bool on, struct err *err)
{
	struct splxmod_exempt_setup setup = {
		.pid = pid,
		.flags = on ? 0 : SPLXMOD_EXEMPT_REMOVE,
	};

	if (ioctl(fd, SPLXMOD_IOC_EXEMPT, &setup))
		return err_set(err, errno, "exempting process %d", (int)pid);
	return 0;
}

int khm_status(int fd, struct splxmod_status *status_r, struct err *err)
{
	memset(status_r, 0, sizeof(*status_r));
	if (ioctl(fd, SPLXMOD_IOC_STATUS, status_r))
		return err_set(err, errno, "status of " SPLXMOD_NAME);
	status_r->version[sizeof(status_r->version) - 1] = '\0';
	if (status_r->counters > SPLXMOD_COUNTS)
		status_r->counters = SPLXMOD_COUNTS;
	return 0;
}

int khm_flush(int fd, struct err *err)
{
	if (ioctl(fd, SPLXMOD_IOC_FLUSH))
		return err_set(err, errno,
			       "emptying the cache of " SPLXMOD_NAME);
	return 0;
}

/* 0, or the errno of the system call. */
static int turn(int fd, unsigned long what, uint32_t flags,
		struct khm_report *report_r)
{
	struct splxmod_arming arming = {.flags = flags};
	int code = ioctl(fd, what, &arming) ? errno : 0;

	memset(report_r, 0, sizeof(*report_r));
	report_r->method = arming.method;
	report_r->rivals = arming.rivals;
	arming.report[sizeof(arming.report) - 1] = '\0';
	str_copy(report_r->text, sizeof(report_r->text), arming.report);
	return code;
}

static int refused(int code, const struct khm_report *report, const char *what,
		   struct err *err)
{
	char words[512];

	khm_report_words(report->text, words, sizeof(words));
	if (!words[0])
		return err_set(err, code, "%s", what);
	err_set(err, 0, "%s: %s", what, words);
	if (err)
		err->code = code;
	return -1;
}

int khm_arm(int fd, struct khm_report *report_r, struct err *err)
{
	int code = turn(fd, SPLXMOD_IOC_ARM, 0, report_r);

	if (!code)
		return 0;
	return refused(code, report_r, "the module cannot be armed", err);
}

int khm_disarm(int fd, bool passive, struct khm_report *report_r,
	       struct err *err)
{
	int code = turn(fd, SPLXMOD_IOC_DISARM,
			passive ? SPLXMOD_DISARM_PASSIVE : 0, report_r);

	if (!code || (passive && code == EBUSY))
		return 0;
	return refused(code, report_r, "the module cannot be disarmed", err);
}

const char *khm_method_name(unsigned int method)
{
	static const char *const names[] = {
		[SPLXMOD_METHOD_AUTO] = "auto",
		[SPLXMOD_METHOD_FTRACE] = "ftrace",
		[SPLXMOD_METHOD_FSNOTIFY] = "fsnotify",
	};

	return method < sizeof(names) / sizeof(*names) ? names[method] : "?";
}

const char *khm_state_name(unsigned int state)
{
	static const char *const names[] = {
		[SPLXMOD_IDLE] = "idle",
		[SPLXMOD_ARMED] = "armed",
		[SPLXMOD_PASSIVE] = "passive",
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

const char *khm_counter_name(unsigned int i)
{
	static const char *const names[] = {
#define NAME(id, name, text) name,
		SPLXMOD_COUNTERS(NAME)
#undef NAME
	};

	return i < sizeof(names) / sizeof(*names) ? names[i] : NULL;
}
