/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/control.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "settings.h"

#define RECORD_MAX 8192
/* Records in one turn of the loop: others have work too. */
#define BATCH 256
#define LOOK_MS 2000

struct logsink {
	int fd; /* the file, or -1 */
	bool to_syslog;
	enum log_level level;
	struct loop_event *rx;
	struct loop_event *look;
};

static void use(struct core *core)
{
	struct logsink *sink = core->logsink;
	struct log_sinks sinks = {
		.to_stderr = core->foreground,
		.to_syslog = sink->to_syslog,
		.fd = -1,
		.file_fd = sink->fd,
	};

	log_init("entity", &sinks, sink->level);
}

void logsink_reopen(struct core *core)
{
	struct logsink *sink = core->logsink;
	int fd = open(paths()->log_file,
		      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			      O_NONBLOCK,
		      0640);

	if (fd < 0 && sink->fd >= 0)
		return; /* better the old one than none */
	fd_close(&sink->fd);
	sink->fd = fd;
	use(core);
}

static void look(void *arg)
{
	struct core *core = arg;
	struct stat now, ours;

	if (core->logsink->fd >= 0 && stat(paths()->log_file, &now) == 0 &&
	    fstat(core->logsink->fd, &ours) == 0 && now.st_ino == ours.st_ino &&
	    now.st_dev == ours.st_dev)
		return;
	logsink_reopen(core);
}

/* True when there may be more. */
static bool take(int fd, int most)
{
	char record[RECORD_MAX];
	ssize_t n;
	int i;

	for (i = 0; i < most; i++) {
		n = recv(fd, record, sizeof(record) - 1, MSG_DONTWAIT);
		if (n < 0)
			return errno == EINTR;
		if (n == 0)
			continue; /* an empty record; senders are ours too, so
				     there is no end of file */
		record[n] = '\0';
		log_relay(record);
	}
	return true;
}

static void rx_ready(int fd, int what, void *arg)
{
	(void)what, (void)arg;
	take(fd, BATCH);
}

void logsink_configure(struct core *core)
{
	const struct conf *conf = core_conf(core);

	if (!core->logsink)
		return; /* a test without processes */
	core->logsink->level = (enum log_level)conf->log_level;
	core->logsink->to_syslog = conf->log_syslog;
	use(core);
}

int logsink_init(struct core *core, struct err *err)
{
	struct logsink *sink = xcalloc(1, sizeof(*sink));

	(void)err;
	sink->fd = -1;
	sink->level = LOG_LVL_INFO;
	core->logsink = sink;
	logsink_reopen(core);
	if (sink->fd < 0)
		log_error("open(%s): %m", paths()->log_file);
	sink->rx =
		loop_fd(core->loop, INHERIT_LOG_RX, LOOP_READ, rx_ready, core);
	sink->look = loop_timer(core->loop, LOOK_MS, true, look, core);
	return 0;
}

void logsink_deinit(struct core *core)
{
	struct log_sinks sinks = {
		.to_stderr = core->foreground, .fd = -1, .file_fd = -1};
	struct logsink *sink = core->logsink;

	if (!sink)
		return;
	take(INHERIT_LOG_RX, 100 * BATCH);
	loop_cancel(&sink->rx);
	loop_cancel(&sink->look);
	log_init("entity", &sinks, LOG_LVL_INFO);
	fd_close(&sink->fd);
	xfree(&core->logsink);
}
