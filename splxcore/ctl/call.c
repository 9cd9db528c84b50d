/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipc.h"
#include "common/paths.h"
#include "ctl.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "output.h"
#include "render.h"

const char *ctl_arg(const struct ctl *ctl, const char *name)
{
	return json_string_value(json_object_get(ctl->args, name));
}

bool ctl_flag(const struct ctl *ctl, const char *name)
{
	return json_is_true(json_object_get(ctl->args, name));
}

void ctl_complain(const char *fmt, ...)
{
	struct str raw = {0};
	va_list ap;
	size_t size;
	char *safe, *said;

	va_start(ap, fmt);
	str_vaddf(&raw, fmt, ap);
	va_end(ap);
	said = output_said(str_get(&raw));
	size = strlen(said) * 4 + 1;
	safe = xmalloc(size);
	fprintf(stderr, "splxctl: %s\n", log_escape(safe, size, said));
	free(safe);
	free(said);
	str_free(&raw);
}

int ctl_failed(int rc, const struct err *err)
{
	if (rc == CTL_UNREACHABLE)
		status_complain(err);
	else
		ctl_complain("%s", err->text);
	return rc;
}

/* Remembers that it was the callback that ended the stream. */
struct stream {
	int (*fn)(json_t *part, void *arg);
	void *arg;
	bool ended;
};

static int on_part(json_t *part, void *arg)
{
	struct stream *s = arg;

	s->ended = s->fn(part, s->arg) != 0;
	return s->ended;
}

/* `s` is NULL where no parts are expected. */
static int exchange(const struct ctl *ctl, const char *verb, json_t *args,
		    struct stream *s, json_t **data_r, struct err *err)
{
	struct ipc_client *c;
	char code[32] = "";
	int rc;

	*data_r = NULL;
	c = ipc_connect(paths()->entity_sock, ctl->timeout_ms, err);
	if (!c)
		return CTL_UNREACHABLE;
	rc = ipc_call_stream(c, verb, args, s ? on_part : NULL, s, data_r, code,
			     err);
	ipc_client_free(&c);
	if (rc >= 0 || (s && s->ended))
		return CTL_OK;
	/* A code word is the service's own refusal; without one there was no
	 * answer. */
	return code[0] ? CTL_ERROR : CTL_UNREACHABLE;
}

int ctl_call(const struct ctl *ctl, const char *verb, json_t *args,
	     json_t **data_r, struct err *err)
{
	return exchange(ctl, verb, args, NULL, data_r, err);
}

int ctl_stream(const struct ctl *ctl, const char *verb, json_t *args,
	       int (*fn)(json_t *part, void *arg), void *arg, json_t **data_r,
	       struct err *err)
{
	struct stream s = {fn, arg, false};

	return exchange(ctl, verb, args, &s, data_r, err);
}
