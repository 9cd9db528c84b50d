/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/proc.h"

#define PATIENCE_MS 5000
/* Making a key may take a while where randomness is rare. */
#define CERTIFICATE_MS 30000

static int ask(const char *verb, const char *key, int ms, json_t **data_r,
	       struct err *err)
{
	struct ipc_client *c = ipc_connect(paths()->entity_sock, ms, err);
	json_t *args;
	int rc;

	if (!c)
		return -1;
	args = key ? json_pack("{s:s}", "key", key) : NULL;
	rc = ipc_call_sync(c, verb, args, data_r, NULL, err);
	json_decref(args);
	ipc_client_free(&c);
	return rc < 0 ? err_add(err, "entity, %s", verb) : 0;
}

static char *text_of(json_t *data, const char *name)
{
	const char *text = json_string_value(json_object_get(data, name));

	return xstrdup(text ? text : "");
}

static int number_of(json_t *data, const char *name)
{
	return (int)json_integer_value(json_object_get(data, name));
}

static void take(struct settings *s, json_t *data)
{
	json_t *a;
	size_t i;

	s->enabled = json_is_true(json_object_get(data, "enabled"));
	json_array_foreach (json_object_get(data, "addresses"), i, a)
		vec_push(&s->addresses, xstrdup(json_string_value(a)));
	s->https_port = number_of(data, "https_port");
	s->http_port = number_of(data, "http_port");
	s->max_connections = number_of(data, "max_connections");
	s->certificate = text_of(data, "certificate");
	s->key = text_of(data, "key");
}

/* One setting's value as text. NULL and *err. */
static char *setting(const char *key, struct err *err)
{
	json_t *data = NULL;
	char *value;

	if (ask("config.get", key, PATIENCE_MS, &data, err) < 0)
		return NULL;
	value = text_of(data, "value");
	json_decref(data);
	return value;
}

static int add_user(struct settings *s, struct err *err)
{
	s->user = setting("ConsoleUser", err);
	if (!s->user)
		return -1;
	if (proc_user(s->user, &s->uid, &s->gid, err) == 0 && s->uid != 0)
		return 0;
	err_set(err, 0,
		"ConsoleUser = %s: that has to be a user of its own (useradd "
		"--system %s, or another one by splxctl config set)",
		s->user, s->user);
	err->code = EINVAL;
	return -1;
}

struct settings *settings_get(struct err *err)
{
	struct settings *s;
	json_t *data = NULL;
	char *generation, *syslog;

	if (ask("console.settings", NULL, PATIENCE_MS, &data, err) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	take(s, data);
	generation = text_of(data, "generation");
	json_decref(data);
	syslog = setting("LogSyslog", err);
	if (!syslog || (s->enabled && add_user(s, err) < 0)) {
		free(generation);
		free(syslog);
		settings_free(&s);
		return NULL;
	}
	s->log_syslog = !strcmp(syslog, "yes");
	s->generation = xasprintf("%s %s %s", generation,
				  s->user ? s->user : "", syslog);
	free(generation);
	free(syslog);
	return s;
}

int settings_certificate(struct settings **s, struct err *err)
{
	struct settings *fresh;

	if (access((*s)->certificate, R_OK) == 0 &&
	    access((*s)->key, R_OK) == 0)
		return 0;
	if (ask("certificate.renew", NULL, CERTIFICATE_MS, NULL, err) < 0)
		return -1;
	fresh = settings_get(err);
	if (!fresh)
		return -1;
	settings_free(s);
	*s = fresh; /* of the new one's generation */
	return 0;
}

void settings_free(struct settings **s)
{
	char **a;

	if (!*s)
		return;
	vec_each (a, &(*s)->addresses)
		free(*a);
	vec_free(&(*s)->addresses);
	free((*s)->certificate);
	free((*s)->key);
	free((*s)->user);
	free((*s)->generation);
	xfree(s);
}
