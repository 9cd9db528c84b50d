// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Which build of the kernel module is loaded, and which one is installed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khm.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "paths.h"

#define LOADED "/sys/module/" SPLXMOD_NAME
#define ATTRIBUTE_MAX 4096

bool khm_find(const char *release, char *path_r, size_t size)
{
	static const char *const dirs[] = {"updates/dkms", "updates", "extra",
					   "weak-updates"};
	static const char *const ends[] = {"", ".xz", ".gz", ".zst"};
	size_t d, e;

	for (d = 0; d < sizeof(dirs) / sizeof(*dirs); d++) {
		for (e = 0; e < sizeof(ends) / sizeof(*ends); e++) {
			snprintf(path_r, size,
				 "/lib/modules/%s/%s/" SPLXMOD_NAME ".ko%s",
				 release, dirs[d], ends[e]);
			if (!access(path_r, R_OK))
				return true;
		}
	}
	snprintf(path_r, size, "%s/modules/%s/" SPLXMOD_NAME ".ko",
		 paths()->libexec_dir, release);
	return !access(path_r, R_OK);
}

/* --- what a file says of itself ------------------------------------------ */

/* Of the "name=value" texts, each ended by 0, that a module carries. */
static void find_text(const char *text, size_t len, const char *name, char *out,
		      size_t size)
{
	const char *at = text, *end = text + len;
	size_t n = strlen(name);

	while ((at = memmem(at, (size_t)(end - at), name, n))) {
		const char *value = at + n;

		if (value < end && *value == '=' && (at == text || !at[-1])) {
			value++;
			snprintf(out, size, "%.*s",
				 (int)strnlen(value, (size_t)(end - value)),
				 value);
			return;
		}
		at = value;
	}
}

static void find_mapped(const char *path, const char *name, char *out,
			size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st) || st.st_size <= 0) {
		fd_close(&fd);
		return;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	fd_close(&fd);
	if (p == MAP_FAILED)
		return;
	find_text(p, (size_t)st.st_size, name, out, size);
	munmap(p, (size_t)st.st_size);
}

/* A compressed one: modinfo(8) knows how. */
static void ask_modinfo(const char *path, const char *name, char *out,
			size_t size)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execlp("modinfo", "modinfo", "-F", name, path, NULL);
		_exit(127);
	}
	close(fds[1]);
	n = pid < 0 ? -1 : read(fds[0], out, size - 1);
	close(fds[0]);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

void khm_modinfo(const char *path, const char *name, char *out, size_t size)
{
	*out = '\0';
	if (str_ends(path, ".ko"))
		find_mapped(path, name, out, size);
	else
		ask_modinfo(path, name, out, size);
}

/* --- the two builds ------------------------------------------------------ */

static void read_attribute(const char *path, char *out, size_t size)
{
	char *text;
	size_t len;

	*out = '\0';
	if (fd_read_file(path, ATTRIBUTE_MAX, &text, &len, NULL))
		return;
	str_copy(out, size, str_trim(text));
	free(text);
}

bool khm_build_loaded(struct khm_build *build_r)
{
	read_attribute(LOADED "/version", build_r->version,
		       sizeof(build_r->version));
	read_attribute(LOADED "/srcversion", build_r->sources,
		       sizeof(build_r->sources));
	return *build_r->version || *build_r->sources;
}

bool khm_build_of(const char *path, struct khm_build *build_r)
{
	khm_modinfo(path, "version", build_r->version,
		    sizeof(build_r->version));
	khm_modinfo(path, "srcversion", build_r->sources,
		    sizeof(build_r->sources));
	return *build_r->version || *build_r->sources;
}

/* The same file says the same: it is read once. */
static bool installed(struct khm_build *build_r)
{
	static struct khm_build known;
	static struct stat seen;
	struct utsname uts;
	char path[512];
	struct stat st;

	uname(&uts);
	if (!khm_find(uts.release, path, sizeof(path)) || stat(path, &st))
		return false;
	if (st.st_dev != seen.st_dev || st.st_ino != seen.st_ino ||
	    st.st_size != seen.st_size ||
	    memcmp(&st.st_ctim, &seen.st_ctim, sizeof(st.st_ctim)) != 0) {
		khm_build_of(path, &known);
		seen = st;
	}
	*build_r = known;
	return true;
}

bool khm_build_differs(const struct khm_build *loaded,
		       const struct khm_build *installed, struct err *why)
{
	err_clear(why);
	if (*loaded->version && *installed->version &&
	    strcmp(loaded->version, installed->version) != 0)
		err_set(why, 0,
			"version %s of the kernel module is loaded, %s is "
			"installed",
			loaded->version, installed->version);
	else if (*loaded->sources && *installed->sources &&
		 strcmp(loaded->sources, installed->sources) != 0)
		err_set(why, 0,
			"the kernel module that is loaded is another build "
			"than the one that is installed (both version %s)",
			*loaded->version ? loaded->version : "unknown");
	else
		return false;
	return true;
}

bool khm_is_other(struct err *why)
{
	struct khm_build here, there;

	return khm_build_loaded(&here) && installed(&there) &&
	       khm_build_differs(&here, &there, why);
}
