/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* The text of a settings file: its syntax, and how it is written. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf_impl.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"

#define SAMPLE_WIDTH 76

struct reader {
	const char *text;
	const char *name; /* for messages; may be NULL */
	const char *key;  /* whose value is being read, else NULL */
	size_t at;
	int line;
	struct conf_scan *scan;
	struct err *err;
};

static int fail(const struct reader *r, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(const struct reader *r, int line, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_set(r->err, 0, "%s", what);
	if (r->key)
		err_add(r->err, "%s", r->key);
	if (r->name)
		err_add(r->err, "%s:%d", r->name, line);
	return -1;
}

static char peek(const struct reader *r, size_t ahead)
{
	size_t i;

	for (i = 0; i < ahead; i++)
		if (!r->text[r->at + i])
			return '\0';
	return r->text[r->at + ahead];
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_./:@%-", c));
}

bool conf_is_word(const char *text)
{
	const char *p;

	if (!*text || str_starts(text, "//"))
		return false;
	for (p = text; *p; p++)
		if ((unsigned char)*p >= 0x80 || !is_word_char(*p))
			return false;
	return true;
}

/* One byte on, which is blanked in the plain copy when it is of a comment. */
static void skip(struct reader *r, bool blank)
{
	if (r->text[r->at] == '\n')
		r->line++;
	else if (blank)
		r->scan->plain[r->at] = ' ';
	r->at++;
}

static void skip_line_comment(struct reader *r)
{
	while (peek(r, 0) && peek(r, 0) != '\n')
		skip(r, true);
}

static int skip_block_comment(struct reader *r)
{
	int begin = r->line;

	skip(r, true);
	skip(r, true);
	while (peek(r, 0)) {
		if (peek(r, 0) == '*' && peek(r, 1) == '/') {
			skip(r, true);
			skip(r, true);
			return 0;
		}
		skip(r, true);
	}
	return fail(r, begin, "this comment is never closed");
}

/* Blanks and comments; up to the end of the line only when `stay`. */
static int skip_space(struct reader *r, bool stay)
{
	for (;;) {
		char c = peek(r, 0);

		if (c == '#' || (c == '/' && peek(r, 1) == '/')) {
			skip_line_comment(r);
		} else if (c == '/' && peek(r, 1) == '*') {
			if (skip_block_comment(r) < 0)
				return -1;
		} else if (c == ' ' || c == '\t' || c == '\r' ||
			   (c == '\n' && !stay)) {
			skip(r, false);
		} else {
			return 0;
		}
	}
}

/* After a backslash in double quotes; what other escapes mean in libconfuse
 * would surprise ("\." is "."), so they are no part of our syntax. */
static int skip_escape(struct reader *r)
{
	char c = peek(r, 1);

	if (c == 'x' && isxdigit((unsigned char)peek(r, 2)) &&
	    isxdigit((unsigned char)peek(r, 3))) {
		if (peek(r, 2) == '0' && peek(r, 3) == '0')
			return fail(r, r->line, "\\x00 cannot be in a text");
		r->at += 4;
		return 0;
	}
	if (!c || !strchr("\\\"'$ntr", c))
		return fail(
			r, r->line,
			"unknown escape after \\ in a text; allowed: \\\\ "
			"\\\" \\' \\$ \\n \\t \\r \\xHH, or put the text in "
			"single quotes");
	r->at += 2;
	return 0;
}

static int read_quoted(struct reader *r)
{
	char quote = peek(r, 0);
	char c;

	r->at++;
	while ((c = peek(r, 0)) != quote) {
		if (!c || c == '\n')
			return fail(r, r->line,
				    "a text in quotes ends on its line; the "
				    "closing %c is missing",
				    quote);
		if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
			return fail(r, r->line,
				    "control character %#04x in "
				    "a text",
				    (unsigned char)c);
		if (c == '\\' && quote == '"') {
			if (skip_escape(r) < 0)
				return -1;
		} else if (c == '\\' &&
			   (peek(r, 1) == quote || peek(r, 1) == '\\')) {
			r->at += 2;
		} else if (c == '$' && quote == '"' && peek(r, 1) == '{') {
			return fail(r, r->line,
				    "the environment is not used "
				    "here; write \\$ for a dollar sign");
		} else {
			r->at++;
		}
	}
	r->at++;
	return 0;
}

static int unexpected(const struct reader *r, const char *where)
{
	unsigned char c = (unsigned char)peek(r, 0);

	if (!c)
		return fail(r, r->line, "the file ends %s", where);
	if (isgraph(c))
		return fail(r, r->line,
			    "unexpected %c %s; put text in double "
			    "quotes",
			    c, where);
	return fail(r, r->line,
		    "unexpected character %#04x %s; put text in "
		    "double quotes",
		    c, where);
}

/* A word or a quoted text. */
static int read_text(struct reader *r, const char *where)
{
	char c = peek(r, 0);

	vec_push(&r->scan->lines, r->line);
	if (c == '"' || c == '\'')
		return read_quoted(r);
	if (!is_word_char(c))
		return unexpected(r, where);
	while (is_word_char(peek(r, 0)))
		r->at++;
	return 0;
}

static int read_list(struct reader *r)
{
	r->at++;
	for (;;) {
		if (skip_space(r, false) < 0)
			return -1;
		if (peek(r, 0) == '}')
			break;
		if (read_text(r, "in a list") < 0 || skip_space(r, false) < 0)
			return -1;
		if (peek(r, 0) == '}')
			break;
		if (peek(r, 0) != ',')
			return unexpected(r, "between the items of a list");
		r->at++;
	}
	r->at++;
	return 0;
}

static int unknown_key(const struct reader *r, const char *key, int line)
{
	const struct conf_option *near = conf_option_nearest(key);
	char shown[64];

	log_escape(shown, sizeof(shown), key);
	if (near)
		return fail(r, line, "%s: no such setting; did you mean %s?",
			    shown, near->key);
	return fail(r, line, "%s: no such setting", shown);
}

/* The key and the = after it. */
static int read_key(struct reader *r, struct conf_stmt *stmt)
{
	const struct conf_stmt *old;
	char key[64];

	stmt->key = r->at;
	stmt->line = r->line;
	while (is_word_char(peek(r, 0)))
		r->at++;
	if (r->at == stmt->key)
		return unexpected(r, "where a setting should begin");
	snprintf(key, sizeof(key), "%.*s", (int)(r->at - stmt->key),
		 r->text + stmt->key);
	stmt->opt = conf_option_find(key);
	if (!stmt->opt)
		return unknown_key(r, key, stmt->line);
	vec_each (old, &r->scan->stmts)
		if (old->opt == stmt->opt)
			return fail(r, stmt->line,
				    "%s: stands in line %d "
				    "already",
				    key, old->line);
	if (skip_space(r, true) < 0)
		return -1;
	if (peek(r, 0) != '=')
		return fail(r, r->line, "%s: = is missing after it", key);
	r->at++;
	return skip_space(r, true);
}

static int read_stmt(struct reader *r)
{
	struct conf_stmt stmt = {0};
	int rc;

	if (read_key(r, &stmt) < 0)
		return -1;
	stmt.value = r->at;
	stmt.first = r->scan->lines.len;
	/* fail() returned -1 otherwise. */
	r->key = stmt.opt->key; // NOLINT(clang-analyzer-core.NullDereference)
	if (!peek(r, 0) || peek(r, 0) == '\n')
		return fail(r, r->line, "has no value");
	if (peek(r, 0) != '{')
		rc = read_text(r, "in a value");
	else if (stmt.opt->type == CONF_LIST)
		rc = read_list(r);
	else
		return fail(r, r->line, "takes one value, not a list");
	if (rc < 0)
		return -1;
	stmt.end = r->at;
	vec_push(&r->scan->stmts, stmt);
	if (skip_space(r, true) < 0)
		return -1;
	if (peek(r, 0) && peek(r, 0) != '\n')
		return fail(r, r->line,
			    "more than one value; put text in "
			    "double quotes, several in { , }");
	r->key = NULL;
	return 0;
}

int conf_scan_text(const char *text, const char *name, struct conf_scan *scan,
		   struct err *err)
{
	struct reader r = {
		.text = text,
		.name = name,
		.line = 1,
		.scan = scan,
		.err = err,
	};

	memset(scan, 0, sizeof(*scan));
	if (strlen(text) > CONF_FILE_MAX)
		return fail(&r, 1, "too large; allowed: %u bytes",
			    CONF_FILE_MAX);
	scan->plain = xstrdup(text);
	for (;;) {
		if (skip_space(&r, false) < 0)
			return -1;
		if (!peek(&r, 0))
			return 0;
		if (read_stmt(&r) < 0)
			return -1;
	}
}

void conf_scan_free(struct conf_scan *scan)
{
	vec_free(&scan->stmts);
	vec_free(&scan->lines);
	xfree(&scan->plain);
}

/* True when the statement's own text already says what `now` holds. */
static bool says_already(const char *text, const struct conf_stmt *stmt,
			 const struct conf *now)
{
	char *line = xstrndup(text + stmt->key, stmt->end - stmt->key);
	struct conf *read = conf_parse(line, "", NULL);
	bool same = read && conf_field_equal(read, now, stmt->opt);

	conf_free(&read);
	free(line);
	return same;
}

static bool stands_in(const struct conf_scan *scan,
		      const struct conf_option *opt)
{
	const struct conf_stmt *stmt;

	vec_each (stmt, &scan->stmts)
		if (stmt->opt == opt)
			return true;
	return false;
}

static void add_setting(struct str *out, const struct conf *conf,
			const char *key)
{
	char *value = conf_get(conf, key);

	str_addf(out, "%s = ", key);
	str_add(out, value);
	str_add(out, "\n");
	free(value);
}

char *conf_edit(const char *old_text, const struct conf *now, struct err *err)
{
	const char *old = old_text ? old_text : "";
	struct conf *defaults;
	const struct conf_stmt *stmt;
	struct conf_scan scan;
	struct str out = {0};
	size_t at = 0, i;

	if (conf_scan_text(old, NULL, &scan, err) < 0) {
		conf_scan_free(&scan);
		return NULL;
	}
	defaults = conf_new();
	vec_each (stmt, &scan.stmts) {
		char *value;

		if (says_already(old, stmt, now))
			continue;
		value = conf_get(now, stmt->opt->key);
		str_addn(&out, old + at, stmt->value - at);
		str_add(&out, value);
		at = stmt->end;
		free(value);
	}
	str_add(&out, old + at);
	if (out.len && out.s[out.len - 1] != '\n')
		str_add(&out, "\n");
	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];

		if (!stands_in(&scan, opt) &&
		    !conf_field_equal(now, defaults, opt))
			add_setting(&out, now, opt->key);
	}
	conf_free(&defaults);
	conf_scan_free(&scan);
	str_add(&out, "");
	return out.s ? str_take(&out) : xstrdup("");
}

char *conf_dump(const struct conf *conf)
{
	struct str out = {0};
	size_t i;

	for (i = 0; i < conf_option_count; i++)
		add_setting(&out, conf, conf_options[i].key);
	return str_take(&out);
}

/* A comment of whole words, wrapped. Columns are counted in characters. */
static void sample_comment(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " "), wide = 0, i;

		for (i = 0; i < len; i++)
			wide += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (column && column + 1 + wide > SAMPLE_WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : "# ", (int)len, text);
		column += wide + 1;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void conf_sample(FILE *out)
{
	struct conf *conf = conf_new();
	const char *group = "";
	size_t i;

	fprintf(out,
		"# splx.conf: the settings of splx, each at its default. See "
		"splx.conf(5).\n"
		"# Made from the table of options. Taken over by: splxctl "
		"config reload\n");
	for (i = 0; i < conf_option_count; i++) {
		const struct conf_option *opt = &conf_options[i];
		char allowed[256];
		char *value = conf_get(conf, opt->key);

		if (strcmp(group, opt->group) != 0)
			fprintf(out, "\n# ---- %s ----\n", opt->group);
		group = opt->group;
		fputc('\n', out);
		sample_comment(out, opt->text);
		if (opt->type != CONF_LIST && opt->type != CONF_STRING)
			fprintf(out, "# Allowed: %s.\n",
				conf_option_allowed(opt, allowed,
						    sizeof(allowed)));
		fprintf(out, "%s = %s\n", opt->key, value);
		free(value);
	}
	conf_free(&conf);
}
