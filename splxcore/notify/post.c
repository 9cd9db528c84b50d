/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "post.h"

#include <curl/curl.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/version.h"
#include "dgram.h"
#include "lib/alloc.h"

#define CONNECT_MS 10000
#define MESSAGE_MS 30000
#define BODY_MAX 160 /* of what a server says, for people */
#define STEP_MS 50
#define RETRY_AFTER_MAX 3600

struct post {
	const struct job *job;
	CURL *curl;
	struct curl_slist *to;
	char text[CURL_ERROR_SIZE];
	struct str said;  /* the beginning of the body */
	char line[256];	  /* the last answer of a dialogue */
	const char *data; /* of a mail, what is still to be read */
	size_t left;
};

/* ---- what servers say ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct post *p = arg;
	size_t len = size * n, room = BODY_MAX - p->said.len;

	str_addn(&p->said, data, len < room ? len : room);
	return len;
}

static size_t on_line(char *data, size_t size, size_t n, void *arg)
{
	struct post *p = arg;
	size_t len = size * n, keep = len;

	if (keep >= sizeof(p->line))
		keep = sizeof(p->line) - 1;
	while (keep > 0 && (data[keep - 1] == '\n' || data[keep - 1] == '\r'))
		keep--;
	/* That it goes is no answer. */
	if (keep > 0 && (keep < 3 || memcmp(data, "221", 3) != 0)) {
		memcpy(p->line, data, keep);
		p->line[keep] = '\0';
	}
	return len;
}

static void note_answer(struct outcome *out, const char *text)
{
	char *clean = job_clean(text);

	str_copy(out->answer, sizeof(out->answer), clean);
	free(clean);
}

static int explain(struct post *p, CURLcode rc, struct err *err)
{
	const char *server = job_get(p->job, "server");
	char *text = job_clean(p->text[0] ? p->text : curl_easy_strerror(rc));

	if (rc == CURLE_OPERATION_TIMEDOUT)
		err_set(err, 0, "%s: no answer in time", server);
	else if (rc == CURLE_PEER_FAILED_VERIFICATION)
		err_set(err, 0,
			"%s: %s (CA names the file with the certificate that "
			"it is verified by)",
			server, text);
	else if (rc == CURLE_USE_SSL_FAILED)
		err_set(err, 0,
			"%s: the server offers no STARTTLS (Protocol = tls or "
			"plain)",
			server);
	else if (rc == CURLE_LOGIN_DENIED)
		err_set(err, 0, "%s: User or Password is wrong: %s", server,
			p->line[0] ? p->line : text);
	else
		err_set(err, 0, "%s: %s", server, text);
	free(text);
	return -1;
}

/* ---- set up ---- */

static void set_tls(struct post *p)
{
	const char *ca = job_get(p->job, "ca");

	curl_easy_setopt(p->curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(p->curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(p->curl, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_2);
	if (ca) {
		curl_easy_setopt(p->curl, CURLOPT_CAINFO, ca);
		curl_easy_setopt(p->curl, CURLOPT_CAPATH, NULL);
	}
}

static struct post *begin(const struct job *job, const char *protocols,
			  struct err *err)
{
	struct post *p = xcalloc(1, sizeof(*p));

	p->job = job;
	p->curl = curl_easy_init();
	if (!p->curl) {
		err_set(err, 0, "libcurl does not start");
		free(p);
		return NULL;
	}
	curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, p->text);
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(p->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(p->curl, CURLOPT_USERAGENT, "splx/" SPLX_VERSION);
	curl_easy_setopt(p->curl, CURLOPT_CONNECTTIMEOUT_MS,
			 job_ms_left(job, CONNECT_MS));
	curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(p->curl, CURLOPT_HEADERFUNCTION, on_line);
	curl_easy_setopt(p->curl, CURLOPT_HEADERDATA, p);
	/* What is in the environment was meant for others. */
	curl_easy_setopt(p->curl, CURLOPT_PROXY,
			 job_get(job, "proxy") ? job_get(job, "proxy") : "");
	set_tls(p);
	return p;
}

void post_free(struct post **post)
{
	struct post *p = *post;

	if (!p)
		return;
	curl_easy_cleanup(p->curl);
	curl_slist_free_all(p->to);
	str_free(&p->said);
	xfree(post);
}

static CURLcode perform(struct post *p)
{
	p->text[0] = p->line[0] = '\0';
	str_clear(&p->said);
	curl_easy_setopt(p->curl, CURLOPT_TIMEOUT_MS,
			 job_ms_left(p->job, MESSAGE_MS));
	return curl_easy_perform(p->curl);
}

/* ---- web servers ---- */

static struct post *http_new(const struct job *job, struct err *err)
{
	struct post *p = begin(job, "http,https", err);
	const char *user = job_get(job, "user");
	const char *password = job_get(job, "password");

	if (!p)
		return NULL;
	curl_easy_setopt(p->curl, CURLOPT_URL, job_get(job, "server"));
	curl_easy_setopt(p->curl, CURLOPT_POST, 1L);
	if (user) {
		curl_easy_setopt(p->curl, CURLOPT_USERNAME, user);
		curl_easy_setopt(p->curl, CURLOPT_PASSWORD,
				 password ? password : "");
	} else if (password) {
		curl_easy_setopt(p->curl, CURLOPT_HTTPAUTH,
				 (long)CURLAUTH_BEARER);
		curl_easy_setopt(p->curl, CURLOPT_XOAUTH2_BEARER, password);
	}
	return p;
}

/* What another try of the same would not better. */
static bool is_refusal(long status)
{
	return status == 400 || status == 409 || status == 410 ||
	       status == 413 || status == 415 || status == 422;
}

static int judge_http(struct post *p, struct outcome *out, struct err *err)
{
	curl_off_t wait = 0;
	long status = 0;
	char *said;

	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(p->curl, CURLINFO_RETRY_AFTER, &wait);
	said = job_clean(str_get(&p->said));
	snprintf(out->answer, sizeof(out->answer), "%ld %s", status, said);
	free(said);
	if (status >= 200 && status < 300)
		return 0;
	out->refused = is_refusal(status);
	out->retry_after = wait <= 0		    ? 0
			   : wait > RETRY_AFTER_MAX ? RETRY_AFTER_MAX
						    : (uint64_t)wait;
	return err_set(err, 0, "%s answers %s", job_get(p->job, "server"),
		       out->answer);
}

int post_http(struct post *post, const char *body, const char *const *headers,
	      struct outcome *out, struct err *err)
{
	struct curl_slist *list = NULL;
	CURLcode rc;

	for (; *headers; headers++)
		list = curl_slist_append(list, *headers);
	curl_easy_setopt(post->curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(post->curl, CURLOPT_POSTFIELDSIZE_LARGE,
			 (curl_off_t)strlen(body));
	curl_easy_setopt(post->curl, CURLOPT_POSTFIELDS, body);
	rc = perform(post);
	curl_easy_setopt(post->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	return rc == CURLE_OK ? judge_http(post, out, err)
			      : explain(post, rc, err);
}

/* ---- mail ---- */

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct post *p = arg;
	size_t room = size * n, len = p->left < room ? p->left : room;

	memcpy(buf, p->data, len);
	p->data += len;
	p->left -= len;
	return len;
}

static const char *mail_port(const struct job *job)
{
	if (job_is(job, "protocol", "tls"))
		return "465";
	return job_get(job, "user") ? "587" : "25";
}

static struct post *mail_new(const struct job *job, struct err *err)
{
	struct post *p = begin(job, "smtp,smtps", err);
	bool tls = job_is(job, "protocol", "tls");
	char host[256], port[8], *url;
	json_t *to;
	size_t i;

	if (!p)
		return NULL;
	if (!dgram_split(job_get(job, "server"), mail_port(job), host, port)) {
		err_set(err, 0, "Server is none");
		post_free(&p);
		return NULL;
	}
	url = xasprintf(strchr(host, ':') ? "%s://[%s]:%s/%s" : "%s://%s:%s/%s",
			tls ? "smtps" : "smtp", host, port, job->host);
	curl_easy_setopt(p->curl, CURLOPT_URL, url);
	free(url);
	if (job_is(job, "protocol", "starttls"))
		curl_easy_setopt(p->curl, CURLOPT_USE_SSL,
				 (long)CURLUSESSL_ALL);
	if (job_get(job, "user")) {
		curl_easy_setopt(p->curl, CURLOPT_USERNAME,
				 job_get(job, "user"));
		curl_easy_setopt(p->curl, CURLOPT_PASSWORD,
				 job_get(job, "password"));
	}
	json_array_foreach (json_object_get(job->channel, "to"), i, to)
		p->to = curl_slist_append(p->to, json_string_value(to));
	curl_easy_setopt(p->curl, CURLOPT_MAIL_RCPT, p->to);
	curl_easy_setopt(p->curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	curl_easy_setopt(p->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(p->curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(p->curl, CURLOPT_READDATA, p);
	return p;
}

int post_mail(struct post *post, const char *text, struct outcome *out,
	      struct err *err)
{
	char *from = job_get(post->job, "from")
			     ? xstrdup(job_get(post->job, "from"))
			     : xasprintf("splx@%s", post->job->host);
	long status = 0;
	CURLcode rc;

	curl_easy_setopt(post->curl, CURLOPT_MAIL_FROM, from);
	post->data = text;
	post->left = strlen(text);
	rc = perform(post);
	free(from);
	note_answer(out, post->line);
	if (rc == CURLE_OK)
		return 0;
	status = strtol(post->line, NULL, 10);
	/* What it says to addresses is about our settings, not the message. */
	out->refused = status >= 500 && status < 600 && post->left == 0;
	if (status >= 400 && rc != CURLE_LOGIN_DENIED && *out->answer)
		return err_set(err, 0, "%s answers %s",
			       job_get(post->job, "server"), out->answer);
	return explain(post, rc, err);
}

int post_all(struct job *job, post_one_fn *post_one, struct outcome *out,
	     struct err *err)
{
	struct post *post = job_is(job, "type", "webhook") ? http_new(job, err)
							   : mail_new(job, err);
	int rc = post ? 0 : -1;
	json_t *message;
	size_t i;

	json_array_foreach (job->messages, i, message) {
		if (rc < 0 || job_late(job))
			break;
		rc = post_one(post, job, message, out, err);
		out->sent += rc == 0;
	}
	post_free(&post);
	return rc;
}

/* ---- streams ---- */

struct post *post_stream(const struct job *job, struct err *err)
{
	bool tls = job_is(job, "protocol", "tls");
	struct post *p = begin(job, "http,https", err);
	char host[256], port[8], *url;
	CURLcode rc;

	if (!p)
		return NULL;
	if (!dgram_split(job_get(job, "server"), tls ? "6514" : "514", host,
			 port)) {
		err_set(err, 0, "Server is none");
		post_free(&p);
		return NULL;
	}
	url = xasprintf(strchr(host, ':') ? "%s://[%s]:%s" : "%s://%s:%s",
			tls ? "https" : "http", host, port);
	curl_easy_setopt(p->curl, CURLOPT_URL, url);
	free(url);
	/* The connection alone; nothing of HTTP goes over it. */
	curl_easy_setopt(p->curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(p->curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
	rc = perform(p);
	if (rc != CURLE_OK) {
		explain(p, rc, err);
		post_free(&p);
	}
	return p;
}

static int socket_of(struct post *p)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	curl_easy_getinfo(p->curl, CURLINFO_ACTIVESOCKET, &fd);
	return (int)fd;
}

int post_send(struct post *post, const void *data, size_t len, struct err *err)
{
	struct pollfd pfd = {.fd = socket_of(post), .events = POLLOUT};
	const char *p = data;
	size_t n;
	CURLcode rc;

	while (len > 0) {
		rc = curl_easy_send(post->curl, p, len, &n);
		if (rc == CURLE_AGAIN) {
			if (job_late(post->job))
				return err_set(err, 0,
					       "%s takes nothing any more",
					       job_get(post->job, "server"));
			poll(&pfd, 1, STEP_MS);
			continue;
		}
		if (rc != CURLE_OK)
			return explain(post, rc, err);
		p += n;
		len -= n;
	}
	return 0;
}

/* 1: gone; 0: there; what it says is of no interest. */
static int is_gone(struct post *p)
{
	char buf[256];
	size_t n = 0;
	CURLcode rc = curl_easy_recv(p->curl, buf, sizeof(buf), &n);

	return rc != CURLE_AGAIN && (rc != CURLE_OK || n == 0);
}

/*
 * A receiver of logs answers nothing. What its machine has acknowledged has at
 * least arrived there; one that went away in the middle of it is told.
 */
int post_stream_end(struct post *post, struct err *err)
{
	const char *server = job_get(post->job, "server");
	int fd = socket_of(post), queued = 0;

	for (;;) {
		if (is_gone(post))
			return err_set(err, 0, "%s ended the connection",
				       server);
		if (ioctl(fd, SIOCOUTQ, &queued) < 0)
			return err_set(err, errno, "%s", server);
		if (queued == 0)
			break;
		if (job_late(post->job))
			return err_set(err, 0, "%s: no answer in time", server);
		poll(NULL, 0, STEP_MS);
	}
	/* What refuses by ending the connection does so now. */
	poll(NULL, 0, STEP_MS);
	return is_gone(post)
		       ? err_set(err, 0, "%s ended the connection", server)
		       : 0;
}
