// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * deny: refuses by fanotify to open files that end with the mark of hook.
 *
 *   deny MARK PATH...   answers for the file systems of the paths until a
 *                       signal ends it; prints "ready" first
 *
 * What the suite's fallback sees, beside which a kernel module is measured.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the file ends with the text. */
static int ends_with(int fd, const char *text)
{
	char end[64];
	size_t n = strlen(text);
	struct stat st;

	if (n > sizeof(end) || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    (size_t)st.st_size < n)
		return 0;
	return pread(fd, end, n, st.st_size - (off_t)n) == (ssize_t)n &&
	       !memcmp(end, text, n);
}

static int answer(int group, const struct fanotify_event_metadata *m,
		  const char *text)
{
	struct fanotify_response r = {
		.fd = m->fd,
		.response = ends_with(m->fd, text) ? FAN_DENY : FAN_ALLOW,
	};
	int bad = write(group, &r, sizeof(r)) != sizeof(r);

	close(m->fd);
	return bad;
}

int main(int argc, char **argv)
{
	char buf[8192] __attribute__((aligned(8)));
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC,
				  O_RDONLY | O_LARGEFILE);
	ssize_t n;

	if (group < 0 || argc < 3) {
		perror("deny: fanotify_init");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				  FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD,
				  argv[i])) {
			perror(argv[i]);
			return 2;
		}
	puts("ready");
	fflush(stdout);
	while ((n = read(group, buf, sizeof(buf))) > 0) {
		const struct fanotify_event_metadata *m = (void *)buf;

		for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
			if (answer(group, m, argv[1]))
				perror("deny: answer");
	}
	return 0;
}
