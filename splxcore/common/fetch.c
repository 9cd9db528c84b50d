/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/fdutil.h"
#include "lib/str.h"
#include "version.h"

#define CONNECT_MS 20000
#define REDIRECTS_MAX 5
#define PROGRESS_MS 200
#define BYTES_PER_MS 8 /* who is slower than this keeps us too long */

struct transfer {
	const struct fetch *f;
	const char *name;
	int fd;
	char *buf; /* or where they go in memory, and no more than max */
	uint64_t have, max;
	bool too_long;
	int error; /* errno of a write that failed */
	uint64_t shown_ns;
	char range[32];
};

static size_t on_bytes(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (t->buf) {
		size_t room = (size_t)(t->max - t->have);

		memcpy(t->buf + t->have, data, len < room ? len : room);
		t->have += len < room ? len : room;
		return len <= room ? len : 0;
	}
	if (len > t->max - t->have) {
		t->too_long = true;
		return 0;
	}
	if (fd_write_all(t->fd, data, len) < 0) {
		t->error = errno;
		return 0;
	}
	t->have += len;
	return len;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now,
		       curl_off_t up_total, curl_off_t up_now)
{
	struct transfer *t = arg;
	uint64_t ns = clock_mono_ns();
	char have[24], all[24];

	(void)total;
	(void)now;
	(void)up_total;
	(void)up_now;
	if (!t->f->progress || ns - t->shown_ns < PROGRESS_MS * CLOCK_NS_PER_MS)
		return 0;
	t->shown_ns = ns;
	fprintf(stderr, "\r%s: %s of %s \033[K", t->name,
		str_size(have, sizeof(have), t->have),
		str_size(all, sizeof(all), t->max));
	return 0;
}

static void set_up(CURL *curl, struct transfer *t, const char *url, char *text)
{
	long seconds = (long)(t->f->patience_ms / 1000);

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "splx/" SPLX_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* From https never to what anybody on the way can change. */
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
			 str_starts(url, "https:") ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, seconds ? seconds : 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			 (long)(t->f->patience_ms + t->max / BYTES_PER_MS));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	if (strcmp(t->f->proxy, "none") == 0)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	else if (strcmp(t->f->proxy, "environment") != 0)
		curl_easy_setopt(curl, CURLOPT_PROXY, t->f->proxy);
	if (t->buf)
		curl_easy_setopt(curl, CURLOPT_RANGE, t->range);
	else if (t->have)
		curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE,
				 (curl_off_t)t->have);
}

static int explain(const struct transfer *t, CURLcode rc, const char *text,
		   struct err *err)
{
	if (t->too_long)
		return err_set(err, 0,
			       "%s: the server sends more than the %llu bytes "
			       "that it may have",
			       t->name, (unsigned long long)t->max);
	if (t->error)
		return err_set(err, t->error, "%s/%s: write", t->f->dir,
			       t->name);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, 0,
			       "%s: the server does not answer, or sends "
			       "nothing (%llu bytes so far)",
			       t->name, (unsigned long long)t->have);
	return err_set(err, 0, "%s: %s", t->name,
		       text[0] ? text : curl_easy_strerror(rc));
}

/* What a server made of a wish to go on in the middle. */
static bool cannot_resume(CURLcode rc, CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return rc == CURLE_RANGE_ERROR || status == 416;
}

static void note_answer(const struct transfer *t, CURL *curl)
{
	struct fetch_answer *answer = t->f->answer;
	curl_off_t wait = 0;

	if (!answer)
		return;
	memset(answer, 0, sizeof(*answer));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
	answer->retry_after = wait > 0 ? (uint64_t)wait : 0;
}

/* 0, -1 and *err, or 1: to be tried from the beginning. */
static int run(struct transfer *t, struct err *err)
{
	char *url = xasprintf("%s/%s", t->f->base, t->name);
	char text[CURL_ERROR_SIZE] = "";
	bool resumed = t->have > 0;
	CURL *curl = curl_easy_init();
	CURLcode rc;
	int result = 0;

	if (!curl) {
		free(url);
		return err_set(err, 0, "libcurl does not start");
	}
	set_up(curl, t, url, text);
	rc = curl_easy_perform(curl);
	if (t->shown_ns)
		fputs("\r\033[K", stderr);
	note_answer(t, curl);
	/* What is more than was wanted ends it, and is no failure. */
	if (t->buf && t->have == t->max && rc == CURLE_WRITE_ERROR)
		rc = CURLE_OK;
	if (resumed && cannot_resume(rc, curl))
		result = 1;
	else if (rc != CURLE_OK)
		result = explain(t, rc, text, err);
	curl_easy_cleanup(curl);
	free(url);
	return result;
}

int fetch_file(const struct fetch *f, const char *name, uint64_t max,
	       bool resume, struct err *err)
{
	char *path = xasprintf("%s/%s", f->dir, name);
	struct transfer t = {.f = f, .name = name, .max = max};
	struct stat st;
	int rc;

	t.fd = open(path,
		    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_APPEND,
		    0644);
	if (t.fd < 0 || fstat(t.fd, &st) < 0) {
		rc = err_set(err, errno, "%s", path);
		goto out;
	}
	if (resume && (uint64_t)st.st_size < max)
		t.have = (uint64_t)st.st_size;
	if (!t.have && ftruncate(t.fd, 0) < 0) {
		rc = err_set(err, errno, "%s", path);
		goto out;
	}
	rc = run(&t, err);
	if (rc > 0) {
		t.have = 0;
		rc = ftruncate(t.fd, 0) < 0 ? err_set(err, errno, "%s", path)
					    : run(&t, err);
	}
	/* Of the wrong length it is no beginning either. */
	if (t.too_long)
		(void)!ftruncate(t.fd, 0);
out:
	fd_close(&t.fd);
	free(path);
	return rc < 0 ? -1 : 0;
}

int fetch_beginning(const struct fetch *f, const char *name, void *buf,
		    size_t len, struct err *err)
{
	struct transfer t = {
		.f = f, .name = name, .fd = -1, .buf = buf, .max = len};

	snprintf(t.range, sizeof(t.range), "0-%zu", len - 1);
	if (run(&t, err) < 0)
		return -1;
	return t.have == len ? 0
			     : err_set(err, 0, "%s: only %llu bytes came", name,
				       (unsigned long long)t.have);
}
