/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"

/* Storms of mounts (containers starting) are taken together. */
#define FOLLOW_SETTLE_MS 20
/* A foreign table is also read unasked now and then, see follow_wake(). */
#define FOLLOW_REREAD_SCANS 5

struct place {
	struct follow_ns ns; /* first: follow_list() hands it out */
	int fd;		     /* its mountinfo, open for good */
	uint64_t hash;	     /* of its text */
	bool seen;
};

struct follow {
	struct loop *loop;
	follow_skip_fn skip;
	loop_fn changed;
	void *arg;
	int epoll; /* all mountinfo files, EPOLLPRI */
	struct {
		VEC(struct place *);
	} places;
	struct loop_event *wake;
	struct loop_event *settle;
	struct loop_event *timer;
	uint64_t read_ns;
	unsigned int scans;
};

static uint64_t hash_bytes(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return h;
}

static ino_t ns_of(const char *pid)
{
	char path[64], link[64];
	unsigned long long id;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return 0;
	link[n] = '\0';
	return sscanf(link, "mnt:[%llu]", &id) == 1 ? (ino_t)id : 0;
}

/* True when the table differs from what was known. */
static bool place_read(struct place *p)
{
	struct str text = {0};
	char buf[16384];
	uint64_t hash;
	ssize_t n;

	if (lseek(p->fd, 0, SEEK_SET) < 0)
		return false;
	while ((n = read(p->fd, buf, sizeof(buf))) > 0 ||
	       (n < 0 && errno == EINTR))
		if (n > 0)
			str_addn(&text, buf, (size_t)n);
	hash = hash_bytes(str_get(&text), text.len);
	if (hash == p->hash || n < 0) {
		str_free(&text);
		return false;
	}
	p->hash = hash;
	mounts_free(&p->ns.mounts);
	mounts_parse(str_get(&text), &p->ns.mounts);
	str_free(&text);
	return true;
}

static struct place *place_new(struct follow *f, pid_t pid, ino_t id)
{
	struct epoll_event ev = {.events = EPOLLPRI};
	struct place *p = xcalloc(1, sizeof(*p));
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	else
		str_copy(path, sizeof(path), "/proc/self/mountinfo");
	p->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	p->ns.pid = pid;
	p->ns.id = id;
	p->seen = true;
	if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, p->fd, &ev))
		log_warn("mounts watch pid=%d: %m", pid);
	place_read(p);
	vec_push(&f->places, p);
	return p;
}

static void place_free(struct place *p)
{
	mounts_free(&p->ns.mounts);
	fd_close(&p->fd);
	free(p);
}

/*
 * `anyway`: tells of a change though no text differs. Mount ids and device
 * numbers are given again, so what was unmounted and what was mounted in its
 * place at once can read the same; only the marks of the first are gone.
 */
static void reread(struct follow *f, bool all, bool anyway)
{
	struct place **p;
	bool differs = anyway;

	vec_each (p, &f->places) {
		if ((all || !(*p)->ns.pid) && place_read(*p))
			differs = true;
	}
	f->read_ns = clock_mono_ns();
	if (differs && f->changed)
		f->changed(f->arg);
}

static void follow_settled(void *arg)
{
	struct follow *f = arg;

	loop_cancel(&f->settle);
	reread(f, true, true);
}

/*
 * Some table changed. Which one cannot be asked reliably: to poll a mountinfo
 * file is to take note of its change, and our own epoll instance was polled
 * by the loop's. So all are read (and now and then unasked, should a wake-up
 * have been taken note of without reaching us).
 */
static void follow_wake(int fd, int what, void *arg)
{
	struct follow *f = arg;
	struct epoll_event ev[8];
	uint64_t now = clock_mono_ns();

	while (epoll_wait(f->epoll, ev, 8, 0) == 8)
		;
	if (f->settle)
		return;
	if (now - f->read_ns < FOLLOW_SETTLE_MS * CLOCK_NS_PER_MS)
		f->settle = loop_timer(f->loop, FOLLOW_SETTLE_MS, false,
				       follow_settled, f);
	else
		reread(f, true, true);
}

static struct place *place_of(struct follow *f, ino_t id)
{
	struct place **p;

	vec_each (p, &f->places) {
		if ((*p)->ns.id == id)
			return *p;
	}
	return NULL;
}

/* One process: its namespace is seen; true when that is a new one. */
static bool scan_process(struct follow *f, const char *name)
{
	pid_t pid = (pid_t)atoi(name);
	ino_t id = ns_of(name);
	struct place *p;

	if (!id)
		return false;
	p = place_of(f, id);
	if (p) {
		/* The lowest pid is most likely the one that sees it all. */
		if (!p->seen && p->ns.pid)
			p->ns.pid = pid;
		p->seen = true;
		return false;
	}
	if (f->skip && f->skip(pid, id, f->arg))
		return false;
	return place_new(f, pid, id) != NULL;
}

/* Namespaces without processes are let go at once: an open mountinfo keeps
 * what is mounted in them from being freed. */
static bool drop_unseen(struct follow *f)
{
	bool dropped = false;
	size_t i;

	for (i = f->places.len; i-- > 1;) {
		struct place *p = f->places.items[i];

		if (p->seen &&
		    !(f->skip && f->skip(p->ns.pid, p->ns.id, f->arg)))
			continue;
		vec_remove(&f->places, i);
		place_free(p);
		dropped = true;
	}
	return dropped;
}

void follow_scan(struct follow *f)
{
	struct place **p;
	struct dirent *de;
	bool differs = false;
	DIR *dir = opendir("/proc");

	if (!dir) {
		log_warn("mounts scan: opendir(/proc): %m");
		return;
	}
	vec_each (p, &f->places)
		(*p)->seen = false;
	while ((de = readdir(dir)))
		if (de->d_name[0] >= '1' && de->d_name[0] <= '9' &&
		    scan_process(f, de->d_name))
			differs = true;
	closedir(dir);
	if (drop_unseen(f))
		differs = true;
	if (differs && f->changed)
		f->changed(f->arg);
}

static void follow_timer(void *arg)
{
	struct follow *f = arg;
	bool all = ++f->scans % FOLLOW_REREAD_SCANS == 0;

	follow_scan(f);
	reread(f, all, all);
}

struct follow *follow_new(struct loop *loop, follow_skip_fn skip,
			  loop_fn changed, void *arg, struct err *err)
{
	struct follow *f = xcalloc(1, sizeof(*f));

	f->loop = loop;
	f->skip = skip;
	f->arg = arg;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0) {
		err_set(err, errno, "epoll_create1");
		free(f);
		return NULL;
	}
	if (!place_new(f, 0, ns_of("self"))) {
		err_set(err, errno, "open(/proc/self/mountinfo)");
		fd_close(&f->epoll);
		free(f);
		return NULL;
	}
	f->wake = loop_fd(loop, f->epoll, LOOP_READ, follow_wake, f);
	f->timer = loop_timer(loop, FOLLOW_SCAN_MS, true, follow_timer, f);
	follow_scan(f);
	f->changed = changed; /* not for the first reading */
	return f;
}

void follow_free(struct follow **follow)
{
	struct follow *f = *follow;
	struct place **p;

	if (!f)
		return;
	loop_cancel(&f->wake);
	loop_cancel(&f->settle);
	loop_cancel(&f->timer);
	vec_each (p, &f->places)
		place_free(*p);
	vec_free(&f->places);
	fd_close(&f->epoll);
	free(f);
	*follow = NULL;
}

const struct follow_ns *const *follow_list(const struct follow *f, size_t *n_r)
{
	*n_r = f->places.len;
	/* struct place begins with its struct follow_ns */
	return (const struct follow_ns *const *)(const void *)f->places.items;
}

/* The id that mountinfo names the mount of a descriptor by; -1. */
static int mount_id_of(int fd)
{
	char path[64], line[128];
	int id = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	in = fopen(path, "re");
	if (!in)
		return -1;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "mnt_id: %d", &id) == 1)
			break;
	fclose(in);
	return id;
}

static int open_root(const struct follow_ns *ns)
{
	char path[64], pid[16];
	int fd;

	if (!ns->pid)
		return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(pid, sizeof(pid), "%d", ns->pid);
	snprintf(path, sizeof(path), "/proc/%s/root", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && ns_of(pid) != ns->id) {
		/* the process went, or entered another one */
		fd_close(&fd);
		errno = ESTALE;
	}
	return fd;
}

int follow_open(const struct follow_ns *ns, const struct mount *m)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	int root = open_root(ns);
	int fd;

	if (root < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root, m->point, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS) /* before 5.6; links are ruled out by
					  the comparison below */
		fd = openat(root, m->point[1] ? m->point + 1 : ".",
			    O_PATH | O_CLOEXEC | O_NOFOLLOW);
	fd_close(&root);
	if (fd >= 0 && mount_id_of(fd) != m->id) {
		fd_close(&fd);
		errno = ESTALE;
	}
	return fd;
}
