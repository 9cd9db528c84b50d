/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/events.h"
#include "crypt.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "post.h"

#define LINE_WIDTH 75
#define SUBJECT_MAX 200
/* Of an encoded word, RFC 2047, 2: 75 with "=?utf-8?q?" and "?=". */
#define WORD_WIDTH 60

/* ---- encodings ---- */

static unsigned int length_of(const char *s)
{
	unsigned int n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static bool is_plain(const char *text)
{
	if (strstr(text, "=?"))
		return false;
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* A character of an encoded word. */
static void add_encoded(struct str *out, const char *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == ' ')
			str_add(out, "_");
		else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			 (c >= 'A' && c <= 'Z'))
			str_addn(out, s + i, 1);
		else
			str_addf(out, "=%02X", c);
	}
}

static void add_words(struct str *out, const char *text)
{
	struct str word = {0};
	unsigned int n;
	bool first = true;

	while (*text) {
		str_clear(&word);
		for (; *text && word.len + 12 <= WORD_WIDTH; text += n) {
			n = length_of(text);
			add_encoded(&word, text, n);
		}
		str_addf(out, "%s=?utf-8?q?%s?=", first ? "" : "\r\n ",
			 str_get(&word));
		first = false;
	}
	str_free(&word);
}

/* At blanks, so that no line gets long. */
static void add_folded(struct str *out, size_t used, const char *text)
{
	while (*text) {
		size_t n = strspn(text, " ");
		size_t len = n + strcspn(text + n, " ");

		if (n > 0 && used + len > LINE_WIDTH) {
			str_add(out, "\r\n");
			used = 0;
		}
		str_addn(out, text, len);
		used += len;
		text += len;
	}
}

void mail_header(struct str *out, const char *name, const char *text)
{
	str_addf(out, "%s: ", name);
	if (is_plain(text))
		add_folded(out, strlen(name) + 2, text);
	else
		add_words(out, text);
	str_add(out, "\r\n");
}

void mail_quote(struct str *out, const char *text)
{
	size_t width = 0;
	char piece[4];

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool last = !text[1] || text[1] == '\n';

		if (c == '\n') {
			str_add(out, "\r\n");
			width = 0;
			continue;
		}
		/* A dot or "From " at a line's beginning is treated on the
		 * way, a blank at its end may get lost. */
		if ((c > ' ' && c <= '~' && c != '=' &&
		     !(width == 0 && (c == '.' || c == 'F'))) ||
		    (c == ' ' && !last))
			snprintf(piece, sizeof(piece), "%c", c);
		else
			snprintf(piece, sizeof(piece), "=%02X", c);
		if (width + strlen(piece) > LINE_WIDTH) {
			str_add(out, "=\r\n");
			width = 0;
			if (piece[0] == '.' || piece[0] == 'F')
				snprintf(piece, sizeof(piece), "=%02X", c);
		}
		str_add(out, piece);
		width += strlen(piece);
	}
	str_add(out, "\r\n");
}

/* ---- a mail ---- */

static void add_date(struct str *out, int64_t ns)
{
	/* Not by strftime(): its names depend on the locale. */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t s = (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
	struct tm tm = {0};

	gmtime_r(&s, &tm);
	str_addf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n",
		 days + tm.tm_wday * 3, tm.tm_mday, months + tm.tm_mon * 3,
		 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_to(const struct job *job, struct str *out)
{
	json_t *to;
	size_t i;

	str_add(out, "To: ");
	json_array_foreach (json_object_get(job->channel, "to"), i, to)
		str_addf(out, "%s%s", i ? ",\r\n " : "", json_string_value(to));
	str_add(out, "\r\n");
}

static void add_subject(const struct job *job, json_t *message, struct str *out)
{
	struct str subject = {0};

	str_addf(&subject, "[splx] %s: ", job->host);
	if (message_event(message))
		str_addf(&subject, "%s: ",
			 events_severity_name(message_severity(message)));
	message_line(message, &subject);
	job_cut(&subject, SUBJECT_MAX);
	mail_header(out, "Subject", str_get(&subject));
	str_free(&subject);
}

void mail_encode(const struct job *job, json_t *message, int64_t now_ns,
		 const char *unique, struct str *out)
{
	const char *from = job_get(job, "from");
	struct str body = {0};

	add_date(out, now_ns);
	if (from)
		str_addf(out, "From: splx <%s>\r\n", from);
	else
		str_addf(out, "From: splx <splx@%s>\r\n", job->host);
	add_to(job, out);
	add_subject(job, message, out);
	str_addf(out, "Message-ID: <%s@%s>\r\n", unique, job->host);
	/* No answers of those on holiday. */
	str_add(out, "Auto-Submitted: auto-generated\r\n"
		     "MIME-Version: 1.0\r\n"
		     "Content-Type: text/plain; charset=utf-8\r\n"
		     "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	message_body(job, message, &body);
	mail_quote(out, str_get(&body));
	str_free(&body);
}

/* ---- sending ---- */

static int post_one(struct post *post, const struct job *job, json_t *message,
		    struct outcome *out, struct err *err)
{
	struct str text = {0};
	char unique[33];
	uint8_t random[16];
	int rc = crypt_random(random, sizeof(random), err);

	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(unique + 2 * i, 3, "%02x", random[i]);
	if (rc == 0) {
		mail_encode(job, message, clock_real_ns(), unique, &text);
		rc = post_mail(post, str_get(&text), out, err);
	}
	str_free(&text);
	return rc;
}

int send_mail(struct job *job, struct outcome *out, struct err *err)
{
	return post_all(job, post_one, out, err);
}
