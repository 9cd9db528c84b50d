/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * What the kernel alone makes of a question: answer DIR marks the mount DIR
 * and allows every open at once, looking at nothing. Says "ready" and goes on
 * until its standard input ends, ten minutes at most.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <unistd.h>

static int answer_one(int group)
{
	struct fanotify_event_metadata ev;
	struct fanotify_response answer = {.response = FAN_ALLOW};

	if (read(group, &ev, sizeof(ev)) != (ssize_t)sizeof(ev))
		return -1;
	close(ev.fd);
	answer.fd = ev.fd;
	return write(group, &answer, sizeof(answer)) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	int group;

	alarm(600);
	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK,
			      O_RDONLY | O_CLOEXEC | O_NOATIME);
	if (argc != 2 || group < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_PERM,
			  AT_FDCWD, argv[1])) {
		perror("answer");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p[] = {{.fd = group, .events = POLLIN},
				     {.fd = 0, .events = POLLIN}};

		poll(p, 2, -1);
		if (p[1].revents)
			return 0;
		while (answer_one(group) == 0)
			;
	}
}
