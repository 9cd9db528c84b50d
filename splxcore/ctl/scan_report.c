/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "scan_report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "render.h"

/* The last findings may still be acted on. */
#define WAIT_NS (10 * CLOCK_NS_PER_S)
#define LOOK_NS 200000000L

/* ---- what it says ---- */

/* What scan.show answers, with all findings if they come in time. */
static json_t *ask(const struct ctl *ctl, int64_t id, uint64_t infected,
		   struct err *err)
{
	static const struct timespec look = {0, LOOK_NS};
	uint64_t end = clock_mono_ns() + WAIT_NS;
	char number[24];
	json_t *args, *data = NULL;

	snprintf(number, sizeof(number), "%lld", (long long)id);
	args = json_pack("{s:s}", "id", number);
	for (;;) {
		if (ctl_call(ctl, "scan.show", args, &data, err) != CTL_OK)
			break;
		if (json_array_size(json_object_get(data, "findings")) >=
			    infected ||
		    json_is_true(json_object_get(data, "more")) ||
		    clock_mono_ns() > end)
			break;
		json_decref(data);
		nanosleep(&look, NULL);
	}
	json_decref(args);
	return data;
}

static char *subject(const struct scan_what *what, json_t *job)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	return xasprintf(
		"splx on %s: scan %s %s, %lld infected", host, what->schedule,
		json_string_value(json_object_get(job, "state")) ?: "ended",
		(long long)json_integer_value(
			json_object_get(job, "infected")));
}

static char *text_of(const char *title, json_t *data, const char *to)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	if (to)
		fprintf(f,
			"To: %s\nSubject: %s\nMIME-Version: 1.0\n"
			"Content-Type: text/plain; charset=UTF-8\n"
			"Content-Transfer-Encoding: 8bit\n"
			"Auto-Submitted: auto-generated\n\n",
			to, title);
	else
		fprintf(f, "%s\n\n", title);
	scan_print(f, data);
	fclose(f);
	return text;
}

/* ---- by mail ---- */

static void __attribute__((noreturn)) be_sendmail(int in)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, STDIN_FILENO);
	close_range(3, ~0U, 0);
	execl(paths()->sendmail, "sendmail", "-i", "-t", NULL);
	_exit(127);
}

static int mail(const char *text, struct err *err)
{
	int ends[2], status = 0, rc;
	pid_t pid;

	if (access(paths()->sendmail, X_OK) < 0)
		return err_set(err, errno,
			       "no mail can be sent, for there is no %s",
			       paths()->sendmail);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	pid = fork();
	if (pid == 0)
		be_sendmail(ends[0]);
	close(ends[0]);
	rc = pid < 0 ? err_set(err, errno, "fork") : 0;
	if (rc == 0 && fd_write_all(ends[1], text, strlen(text)) < 0)
		rc = err_set(err, errno, "%s", paths()->sendmail);
	close(ends[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* What it says of itself tells more than that it did not read on. */
	if (pid > 0 && status != 0)
		rc = err_set(err, 0, "%s: status %d", paths()->sendmail,
			     WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return rc;
}

/* ---- as a file ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Names end in their times: the oldest come first. */
static void prune(const char *dir, const char *name)
{
	char *pattern = xasprintf("%s-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-"
				  "[0-9][0-9][0-9][0-9][0-9][0-9].txt",
				  name);
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, by_name), ours = 0, i;

	for (i = n - 1; i >= 0; i--) {
		char *path = xasprintf("%s/%s", dir, list[i]->d_name);

		if (fnmatch(pattern, list[i]->d_name, 0) == 0 &&
		    ++ours > SCAN_REPORT_KEEP)
			unlink(path);
		free(path);
		free(list[i]);
	}
	free(list);
	free(pattern);
}

static int leave_file(const char *dir, const char *name, const char *text,
		      struct err *err)
{
	time_t now = time(NULL);
	char stamp[32], *path;
	struct tm tm;
	int rc;

	if (!localtime_r(&now, &tm) ||
	    !strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm))
		return err_set(err, errno, "localtime");
	if (fd_mkdirs(dir, 0750, err) < 0)
		return -1;
	path = xasprintf("%s/%s-%s.txt", dir, name, stamp);
	rc = fd_replace_file(path, text, strlen(text), 0640, err);
	free(path);
	if (rc == 0)
		prune(dir, name);
	return rc;
}

/* ---- delivery ---- */

static void tell(const struct ctl *ctl, const char *error)
{
	json_t *args = json_object(), *data = NULL;

	if (error)
		json_object_set_new(args, "error", json_string(error));
	ctl_call(ctl, "scan.report", args, &data, NULL);
	json_decref(data);
	json_decref(args);
}

static int deliver(const struct scan_what *what, json_t *data, struct err *err)
{
	const char *to =
		str_starts(what->report, "mail:") ? what->report + 5 : NULL;
	char *title = subject(what, json_object_get(data, "job"));
	char *text = text_of(title, data, to);
	int rc;

	if (!text)
		rc = err_set(err, errno, "report");
	else if (to)
		rc = mail(text, err);
	else
		rc = leave_file(what->report, what->schedule, text, err);
	free(text);
	free(title);
	return rc;
}

void scan_report(const struct ctl *ctl, const struct scan_what *what,
		 int64_t id, const struct scan_tally *tally)
{
	struct err err = {0};
	json_t *data;
	int rc = -1;

	if (!what->report || strcmp(what->report, "none") == 0)
		return;
	data = ask(ctl, id, tally->infected, &err);
	if (data)
		rc = deliver(what, data, &err);
	json_decref(data);
	if (rc < 0) {
		err_add(&err, "report of %s", what->schedule);
		ctl_complain("%s", err.text);
	}
	tell(ctl, rc < 0 ? err.text : NULL);
}
