/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/notifyconf.h"
#include "lib/fdutil.h"

static struct err err;

static const char sample[] = "# mine\n"
			     "[mail]\n"
			     "Type = smtp\n"
			     "Server = mail.example.org:2525 # the new one\n"
			     "To = a@example.org, b@example.org\n"
			     "From = splx@example.org\n"
			     "User = splx\n"
			     "Password = pass # word, \" and all\n"
			     "Kinds = virus, system\n"
			     "Severity = high\n"
			     "Codes = 20031, breakerOpen\n"
			     "NotCodes = restarting\n"
			     "Rate = 10\n"
			     "Digest = 3\n"
			     "Collect = 5m\n"
			     "\n"
			     "# the other\n"
			     "[log]\n"
			     "Type = syslog\n"
			     "Server = [2001:db8::1]:6514\n"
			     "Protocol = tls\n";

static const struct notify_channel *find(const struct notify_conf *conf,
					 const char *name)
{
	const struct notify_channel *c = notify_conf_find(conf, name);

	if (!c)
		fail_msg("%s: %s", name,
			 conf->problems.len ? conf->problems.items[0].text
					    : "is not there");
	return c;
}

static void what_stands_in_the_file_is_read(void **state)
{
	struct notify_conf *conf = notify_conf_parse(sample, "f");
	const struct notify_channel *c = find(conf, "mail");

	(void)state;
	assert_int_equal(conf->problems.len, 0);
	assert_int_equal(c->type, NOTIFY_SMTP);
	assert_string_equal(c->server, "mail.example.org:2525");
	assert_string_equal(c->protocol, "starttls");
	assert_string_equal(c->password, "pass # word, \" and all");
	assert_int_equal(c->to.len, 2);
	assert_int_equal(c->kinds, 1 << EVENT_virus | 1 << EVENT_system);
	assert_int_equal(c->severity, EVENT_SEVERITY_HIGH);
	assert_string_equal(c->codes.items[1], "20012");
	assert_int_equal(c->rate, 10);
	assert_int_equal(c->digest, 3);
	assert_int_equal(c->collect_ms, 300000);
	c = find(conf, "log");
	assert_int_equal(c->severity, EVENT_SEVERITY_MEDIUM);
	assert_int_equal(c->kinds, (1 << EVENT_KIND_COUNT) - 1);
	assert_int_equal(c->rate, 0);
	assert_int_equal(c->digest, 0);
	assert_string_equal(c->format, "rfc5424");
	notify_conf_free(&conf);
}

static bool told(const struct notify_conf *conf, const char *said)
{
	const struct entryfile_problem *p;

	vec_each (p, &conf->problems)
		if (strstr(p->text, said))
			return true;
	return false;
}

/* Each wrong line stands in an entry between two that are right. */
static void a_wrong_entry_voids_itself_alone_and_says_why(void **state)
{
	static const struct {
		const char *line, *said;
	} wrong[] = {
		{"Type = fax", "smtp, snmp, syslog or webhook"},
		{"Server = a b", "without blanks"},
		{"Type = syslog", "has no Server"},
		{"Type = syslog\nServer = a:0", "HOST, HOST:PORT"},
		{"Type = syslog\nServer = a:70000", "HOST, HOST:PORT"},
		{"Type = syslog\nServer = -oProxyCommand=x", "HOST, HOST:PORT"},
		{"Type = syslog\nServer = [::1", "HOST, HOST:PORT"},
		{"Type = syslog\nServer = a/b", "HOST, HOST:PORT"},
		{"Type = syslog\nServer = a\nProtocol = sctp", "udp, tcp, tls"},
		{"Type = syslog\nProtocol = local\nServer = a",
		 "path of a socket"},
		{"Type = smtp\nServer = a", "has no To"},
		{"Type = smtp\nServer = a\nTo = a", "addresses are allowed"},
		{"Type = smtp\nServer = a\nTo = a@b@c", "addresses"},
		{"Type = smtp\nServer = a\nTo = \"a@b, <c@d>\"", "addresses"},
		{"Type = smtp\nServer = a\nTo = -f@b", "addresses"},
		{"Type = smtp\nServer = a\nTo = a@b\nUser = x", "both"},
		{"Type = smtp\nServer = a\nTo = a@b\nUser = x\nPassword = y\n"
		 "Protocol = plain",
		 "anybody on the way"},
		{"Type = webhook\nServer = http://a/\nPassword = y",
		 "anybody on the way"},
		{"Type = webhook\nServer = file:///etc/passwd", "https://HOST"},
		{"Type = webhook\nServer = https://u:p@a/", "https://HOST"},
		{"Type = snmp\nServer = a\nProtocol = v3", "User"},
		{"Type = snmp\nServer = a\nProtocol = v3\nUser = u\n"
		 "Password = short",
		 "8"},
		{"Kinds = everything", "all, or some of virus"},
		{"Severity = bad", "info, low, medium or high"},
		{"Codes = 99999", "status codes"},
		{"Rate = -1", "0 to"},
		{"Digest = many", "0 to"},
		{"Collect = 2h", "0 to 1h"},
		{"Enabled = maybe", "yes or no"},
		{"CA = ca.pem", "full path"},
		{"Facility = kern", "allowed: daemon"},
		{"Format = json", "allowed: rfc5424, cef"},
		{"Servr = x", "did you mean Server?"},
		{"Password = \"open", "in quotes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct notify_conf *conf;
		char text[1024];

		snprintf(text, sizeof(text),
			 "[a]\nType = syslog\nServer = a\n[v]\n%s\n"
			 "[z]\nType = syslog\nServer = z\n",
			 wrong[i].line);
		conf = notify_conf_parse(text, "f");
		if (!told(conf, wrong[i].said))
			fail_msg("%s: %s", wrong[i].line,
				 conf->problems.len
					 ? conf->problems.items[0].text
					 : "taken");
		assert_null(notify_conf_find(conf, "v"));
		assert_non_null(notify_conf_find(conf, "a"));
		assert_non_null(notify_conf_find(conf, "z"));
		notify_conf_free(&conf);
	}
}

static void no_secret_is_in_what_is_told(void **state)
{
	static const char *const texts[] = {
		"[a]\nType = webhook\nServer = https://h/\nKey = S3cret\n"
		"Password = S3cret\n",
		"[a]\nKey = \"S3cret\n",
		"[a]\nPassword = \"S3cret\" x\n",
		"[a]\nPassword = S3cret\nPassword = S3cret\n",
		"[a]\nType = snmp\nServer = h\nProtocol = v3\nUser = u\n"
		"Key = S3cret\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct notify_conf *conf = notify_conf_parse(texts[i], "f");
		const struct notify_channel *c = notify_conf_find(conf, "a");
		const struct entryfile_problem *p;
		json_t *shown = c ? notify_json(c) : json_null();
		char *text = json_dumps(shown, JSON_ENCODE_ANY);

		assert_null(strstr(text, "S3cret"));
		assert_true(!c == (i > 0));
		vec_each (p, &conf->problems)
			assert_null(strstr(p->text, "S3cret"));
		free(text);
		json_decref(shown);
		notify_conf_free(&conf);
	}
	assert_true(notify_key_secret("Pasword"));
	assert_true(notify_key_secret("key"));
	assert_false(notify_key_secret("Server"));
	assert_false(notify_key_secret("To"));
}

static json_t *event(const char *kind, const char *severity, int code)
{
	json_t *e = json_pack("{s:s, s:s}", "kind", kind, "severity", severity);

	if (code)
		json_object_set_new(e, "code", json_integer(code));
	return e;
}

static bool wants(const struct notify_channel *c, const char *kind,
		  const char *severity, int code)
{
	json_t *e = event(kind, severity, code);
	bool is = notify_wants(c, e);

	json_decref(e);
	return is;
}

static void a_channel_wants_what_it_says(void **state)
{
	struct notify_conf *conf = notify_conf_parse(sample, "f");
	const struct notify_channel *c = find(conf, "mail");

	(void)state;
	assert_true(wants(c, "virus", "high", 0));
	assert_false(wants(c, "virus", "medium", 0));
	assert_false(wants(c, "audit", "high", 0));
	assert_false(wants(c, "no such", "high", 0));
	assert_true(wants(c, "system", "info", 20012));
	assert_true(wants(c, "system", "info", 20031));
	assert_false(wants(c, "system", "medium", 20030));
	assert_false(wants(c, "system", "high", 20017));
	notify_conf_free(&conf);
}

/* Whatever a secret holds, it comes back as it was set. */
static void secrets_are_kept_as_they_are(void **state)
{
	static const char *const secrets[] = {
		"plain", "# no comment", " blanks ",	"a, b",	 "\"",	"\\",
		"\\\"",	 "\"quoted\"",	 "p\xc3\xa4ss", "a = b", "[x]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
		char *text = notify_conf_edit(sample, "mail", "Password",
					      secrets[i], true, &err);
		struct notify_conf *conf = notify_conf_parse(text, "f");

		assert_string_equal(find(conf, "mail")->password, secrets[i]);
		assert_int_equal(conf->entries.len, 2);
		assert_null(strstr(text, "word, \" and all"));
		notify_conf_free(&conf);
		free(text);
	}
	assert_null(notify_conf_edit(sample, "mail", "Password", "a\nTo = x@y",
				     true, &err));
	assert_int_equal(err.code, EINVAL);
}

/* What is shown can be set again, and is then the same. */
static void what_is_told_can_be_written_again(void **state)
{
	struct notify_conf *conf = notify_conf_parse(sample, "f"), *again;
	json_t *shown = notify_json(find(conf, "mail")), *row, *back;
	char *text = strdup("[mail]\nPassword = set\n"), *next;
	const char *key;
	size_t i;

	(void)state;
	json_array_foreach (shown, i, row) {
		key = json_string_value(json_object_get(row, "key"));
		if (notify_key_secret(key))
			continue;
		next = notify_conf_edit(
			text, "mail", key,
			json_string_value(json_object_get(row, "value")), false,
			&err);
		assert_non_null(next);
		free(text);
		text = next;
	}
	again = notify_conf_parse(text, "f");
	back = notify_json(find(again, "mail"));
	assert_true(json_equal(shown, back));
	json_decref(shown);
	json_decref(back);
	notify_conf_free(&conf);
	notify_conf_free(&again);
	free(text);
}

static void the_shipped_file_is_right_in_all_that_it_shows(void **state)
{
	struct notify_conf *conf;
	char *text, *p;
	size_t len;

	(void)state;
	assert_int_equal(
		fd_read_file("etc/notify.conf", 65536, &text, &len, &err), 0);
	conf = notify_conf_parse(text, "f");
	assert_int_equal(conf->problems.len + conf->entries.len, 0);
	notify_conf_free(&conf);
	/* The examples, without what makes comments of them. */
	p = strstr(text, "#[mail]");
	assert_non_null(p);
	for (char *q = p; *q; q++)
		if (*q == '#')
			*q = ' ';
	conf = notify_conf_parse(p, "f");
	assert_int_equal(conf->problems.len, 0);
	assert_int_equal(conf->entries.len, 2);
	notify_conf_free(&conf);
	free(text);
}

static void a_target_tells_no_part_of_a_webhook_that_may_be_secret(void **state)
{
	struct notify_conf *conf = notify_conf_parse(
		"[h]\nType = webhook\nServer = https://h.example/T0K/EN?x=1\n",
		"f");
	char *target = notify_target(find(conf, "h"));

	(void)state;
	assert_string_equal(target, "https://h.example");
	free(target);
	notify_conf_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_in_the_file_is_read),
		cmocka_unit_test(a_wrong_entry_voids_itself_alone_and_says_why),
		cmocka_unit_test(no_secret_is_in_what_is_told),
		cmocka_unit_test(a_channel_wants_what_it_says),
		cmocka_unit_test(secrets_are_kept_as_they_are),
		cmocka_unit_test(what_is_told_can_be_written_again),
		cmocka_unit_test(
			the_shipped_file_is_right_in_all_that_it_shows),
		cmocka_unit_test(
			a_target_tells_no_part_of_a_webhook_that_may_be_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
