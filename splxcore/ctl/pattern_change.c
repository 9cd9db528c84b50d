/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * From a set in the making to one that serves: tried, put into its place,
 * switched to, loaded by the service; and back, when that fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "output.h"
#include "pattern.h"
#include "pattern_wait.h"
#include "render.h"

/* It ends itself before, unless somebody holds it. */
#define TRIAL_MS 660000

int pattern_change_lock(struct pattern_change *c, struct ctl *ctl,
			struct err *err)
{
	memset(c, 0, sizeof(*c));
	c->ctl = ctl;
	c->lock = -1;
	if (geteuid() != 0)
		return err_set(err, 0, "only root changes the patterns");
	c->conf = conf_in_force(err);
	if (!c->conf)
		return -1;
	c->lock = patternset_lock(err);
	return c->lock < 0 ? -1 : 0;
}

int pattern_change_begin(struct pattern_change *c, struct ctl *ctl,
			 struct err *err)
{
	return pattern_change_lock(c, ctl, err) < 0 ||
			       patternset_stage_begin(&c->stage, err) < 0
		       ? -1
		       : 0;
}

/* ---- the trial ---- */

/* Starts vsapiapp for it, with its standard output in *out_r. */
static pid_t start_trial(const char *option, const char *path, int *out_r,
			 struct err *err)
{
	char *program = xasprintf("%s/vsapiapp", paths()->libexec_dir);
	/* Installed it has no root of its own. */
	bool staged = paths()->root[0] != '\0';
	char *argv[] = {program,
			(char *)option,
			(char *)path,
			staged ? (char *)"-R" : NULL,
			(char *)paths()->root,
			NULL};
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		free(program);
		return err_set(err, errno, "pipe");
	}
	pid = fork();
	if (pid == 0) {
		/* It takes memory, and nobody hears it any more. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		execv(program, argv);
		_exit(127);
	}
	if (pid < 0)
		err_set(err, errno, "fork");
	close(ends[1]);
	*out_r = ends[0];
	free(program);
	return pid;
}

/* -1 and *err, with ENOMEM when it was for want of memory. */
static int judge(const json_t *said, int status, struct err *err)
{
	const char *why = json_string_value(json_object_get(said, "why"));
	bool is_short = json_is_true(json_object_get(said, "short"));

	if (WIFSIGNALED(status) &&
	    (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU))
		return err_set(err, 0, "it took too long");
	if (WIFSIGNALED(status))
		return err_set(err, 0, "it was ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (why) {
		err_set(err, 0, "%s", why);
		err->code = is_short ? ENOMEM : 0;
		return -1;
	}
	if (!json_is_true(json_object_get(said, "ok")) ||
	    WEXITSTATUS(status) != 0)
		return err_set(err, 0, "it ended with status %d",
			       WEXITSTATUS(status));
	return 0;
}

/* What vsapiapp says of it, when that is good (new reference); NULL and
 * *err. */
static json_t *try_it(const char *option, const char *path, struct err *err)
{
	struct pattern_wait wait = {.limit_ms = TRIAL_MS};
	struct str text = {0};
	int status = 0, rc;
	json_t *said;

	wait.pid = start_trial(option, path, &wait.in, err);
	if (wait.pid < 0)
		return NULL;
	rc = pattern_wait(&wait, &text, &status, err);
	said = rc == 0 ? json_loads(str_get(&text), 0, NULL) : NULL;
	str_free(&text);
	if (rc == 0 && judge(said, status, err) == 0)
		return said;
	json_decref(said);
	return NULL;
}

static int64_t number(const json_t *said, const char *what)
{
	return json_integer_value(json_object_get(said, what));
}

static int try_set(const char *dir, struct err *err)
{
	json_t *said = try_it("-t", dir, err);

	if (!said)
		return err_add(err, "the trial failed");
	printf(T("tried: %lld signatures, %lld files of the system pass\n"),
	       (long long)number(said, "signatures"),
	       (long long)number(said, "files"));
	if (number(said, "lists"))
		printf(T("tried: %lld networks in %lld lists\n"),
		       (long long)number(said, "networks"),
		       (long long)number(said, "lists"));
	json_decref(said);
	return 0;
}

int pattern_clamav_check(const char *file, struct cvd_head *head,
			 struct err *err)
{
	json_t *said = try_it("-c", file, err);

	if (!said)
		return -1;
	memset(head, 0, sizeof(*head));
	head->version = (uint64_t)number(said, "version");
	head->signatures = (uint64_t)number(said, "signatures");
	head->time = number(said, "time");
	json_decref(said);
	return 0;
}

/* ---- one engine at a time ---- */

#define UNLOAD_SECONDS 60

/* Has the service unload what it has, until the next reload. */
static int unload(struct pattern_change *c, struct err *err)
{
	json_t *data = NULL;

	for (int i = 0; i < UNLOAD_SECONDS * 5; i++) {
		bool done;

		if (ctl_call(c->ctl, "pattern.unload", NULL, &data, err) !=
		    CTL_OK) {
			json_decref(data);
			return -1;
		}
		c->unloaded = true;
		done = json_is_true(json_object_get(data, "unloaded"));
		json_decref(data);
		data = NULL;
		if (done)
			return 0;
		usleep(200000);
	}
	return err_set(err, 0,
		       "the patterns that serve could not be unloaded within "
		       "%d s",
		       UNLOAD_SECONDS);
}

/* Beside the engine that serves, or where that is allowed in its stead. */
static int try_stage(struct pattern_change *c, struct err *err)
{
	if (try_set(c->stage.dir, err) == 0)
		return 0;
	if (err->code != ENOMEM || status_is_stopped())
		return -1;
	if (c->conf->low_memory_update != CONF_LOW_MEMORY_UNLOAD) {
		err_add(err,
			"there is no memory for two engines (LowMemoryUpdate "
			"= unload: the one that serves is unloaded first)");
		return -1;
	}
	puts(T("there is no memory for two engines: the one that serves is "
	       "unloaded until there is another one (LowMemoryUpdate)"));
	fflush(stdout);
	return unload(c, err) < 0 ? -1 : try_set(c->stage.dir, err);
}

/* ---- taking it into use ---- */

/* 1 when the service loaded it, 0 when it is not running, -1 and *err. */
static int load(struct pattern_change *c, struct err *err)
{
	json_t *data = NULL;
	int rc = ctl_call(c->ctl, "pattern.reload", NULL, &data, err);

	if (rc == CTL_UNREACHABLE && status_is_stopped())
		return 0;
	if (rc == CTL_OK && json_is_false(json_object_get(data, "applied"))) {
		err_set(err, 0, "the service did not take them: %s",
			json_string_value(json_object_get(data, "note")));
		rc = CTL_ERROR;
	}
	json_decref(data);
	c->unloaded &= rc != CTL_OK;
	return rc == CTL_OK ? 1 : -1;
}

void pattern_change_end(struct pattern_change *c)
{
	struct err err;

	/* The service would see that we are gone; so it need not. */
	if (c->unloaded && load(c, &err) < 0)
		ctl_complain("the patterns are not loaded again yet: %s",
			     err.text);
	vec_free(&c->laid);
	patternset_stage_end(&c->stage);
	patternset_unlock(&c->lock);
	conf_free(&c->conf);
}

int pattern_change_to(struct pattern_change *c, const struct patternset *from,
		      uint64_t number, struct err *err)
{
	struct err why;
	int rc;

	if (patternset_switch(number, err) < 0)
		return -1;
	rc = load(c, err);
	if (rc >= 0) {
		printf(T("set %llu %s\n"), (unsigned long long)number,
		       rc ? T("serves") : T("serves from the next start on"));
		return 0;
	}
	if (patternset_switch(from->number, &why) < 0)
		ctl_complain("the former set could not be put back: %s",
			     why.text);
	else if (load(c, &why) < 0)
		ctl_complain("the former set is in its place again, and was "
			     "not loaded anew: %s",
			     why.text);
	return -1;
}

int pattern_change_commit(struct pattern_change *c, struct err *err)
{
	struct patternset before, now;
	uint64_t number;
	int rc = -1;

	if (patternset_stage_seal(&c->stage, err) < 0 ||
	    try_stage(c, err) < 0 || patternset_current(&before, err) < 0)
		return -1;
	if (patternset_install(&c->stage, &number, err) == 0)
		rc = pattern_change_to(c, &before, number, err);
	/* It serves all the same. */
	if (rc == 0 && (patternset_current(&now, err) < 0 ||
			patternset_saw(&now, err) < 0))
		ctl_complain("older patterns could come back: %s", err->text);
	if (rc == 0)
		patternset_free(&now);
	patternset_free(&before);
	patternset_prune((unsigned int)c->conf->pattern_keep);
	return rc;
}
