/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/paths.h"
#include "jail.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "link.h"
#include "server.h"
#include "visit.h"

#define PEM_MAX 131072
/* Beside the connections: sockets that are listened at, epoll, entity. */
#define FDS_BESIDE 128
#define END_MS 15000

/* Entity knows by it that we serve (health_console.c). */
#define BEAT_MS 5000

struct serving {
	struct loop *loop;
	struct server *server;
	struct app app;
	struct loop_event *term, *limit, *beat;
};

static void ended(void *arg)
{
	struct serving *s = arg;

	(void)s;
	/* Nothing is ours to be saved. */
	_exit(LSB_OK);
}

static void on_term(int sig, void *arg)
{
	struct serving *s = arg;

	(void)sig;
	if (s->limit)
		return;
	s->limit = loop_timer(s->loop, END_MS, false, ended, s);
	server_end(s->server, ended, s);
}

static void heard(const struct link_answer *answer, void *arg)
{
	struct serving *s = arg;

	if (!answer->ok)
		return;
	json_decref(s->app.health);
	s->app.health = json_incref(answer->data);
	s->app.health_ns = clock_mono_ns();
}

static void beat(void *arg)
{
	struct serving *s = arg;

	link_ask(s->app.link, "console.health", NULL, NULL, NULL, heard, s);
}

static void give_up(const struct err *err)
{
	log_error("%s", err->text);
	_exit(LSB_FAILED);
}

/* Who started us may be gone already. */
static void die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(LSB_FAILED);
}

static void raise_limit(const struct settings *s)
{
	struct rlimit files = {(rlim_t)s->max_connections + FDS_BESIDE,
			       (rlim_t)s->max_connections + FDS_BESIDE};
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warn("setrlimit(RLIMIT_NOFILE): %m");
	setrlimit(RLIMIT_CORE, &none);
}

static char *read_pem(const char *path)
{
	struct err err;
	char *text;
	size_t len;

	if (fd_read_file(path, PEM_MAX, &text, &len, &err) < 0)
		give_up(&err);
	return text;
}

static void start(struct serving *s, const struct settings *set,
		  const struct listeners *l, char *chain, char *key)
{
	const struct server_handlers handlers = {
		.begin = visit_begin,
		.request = visit_request,
		.arg = &s->app,
	};
	const struct listener *one;
	struct err err;

	s->app.loop = s->loop;
	/* Its folder is our root. */
	s->app.link = link_new(s->loop, strrchr(paths()->entity_sock, '/'));
	s->server = server_new(s->loop, chain, key, set->max_connections,
			       set->https_port, &handlers, &err);
	explicit_bzero(key, strlen(key));
	if (!s->server)
		give_up(&err);
	vec_each (one, l)
		server_listen(s->server, one->fd, one->tls);
	s->beat = loop_timer(s->loop, BEAT_MS, true, beat, s);
	s->term = loop_signal_for_life(s->loop, SIGTERM, on_term, s);
}

void serve(const struct settings *set, const struct listeners *l, int ready_fd)
{
	static struct serving s;
	pid_t parent = getppid();
	char *chain, *key;
	struct err err;
	sigset_t none;

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's is the parent's */
	signal(SIGPIPE, SIG_IGN);
	proc_title_set("splxhttpd: serving");
	chain = read_pem(set->certificate);
	key = read_pem(set->key);
	tzset();
	raise_limit(set);
	if (jail_enter(paths()->run_dir, set->uid, set->gid, &err) < 0)
		give_up(&err);
	die_with_parent(parent);
	s.loop = loop_new();
	start(&s, set, l, chain, key);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (jail_seal(&err) < 0)
		give_up(&err);
	if (write(ready_fd, "", 1) != 1)
		_exit(LSB_FAILED);
	fd_close(&ready_fd);
	loop_run(s.loop);
	_exit(LSB_FAILED);
}
