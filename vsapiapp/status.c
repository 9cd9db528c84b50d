/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "child.h"
#include "common/state.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/vec.h"

#define WRITE_LIMIT_MS 20000

struct fault {
	enum status_code code;
	char *text;
	time_t when;
};

struct status {
	struct loop *loop;
	struct scoreboard *sb;
	void (*fill)(json_t *state, void *arg);
	void *arg;
	struct {
		VEC(struct fault);
	} faults;
	bool changed;
	struct hand *writing;
	struct log_limit write_limit;
};

struct status *status_new(struct loop *loop, struct scoreboard *sb,
			  void (*fill)(json_t *state, void *arg), void *arg)
{
	struct status *status = xcalloc(1, sizeof(*status));

	status->loop = loop;
	status->sb = sb;
	status->fill = fill;
	status->arg = arg;
	return status;
}

void status_free(struct status **status)
{
	struct fault *f;

	if (!*status)
		return;
	hand_cancel(&(*status)->writing);
	vec_each (f, &(*status)->faults)
		free(f->text);
	vec_free(&(*status)->faults);
	xfree(status);
}

static struct fault *fault_of(struct status *status, enum status_code code)
{
	struct fault *f;

	vec_each (f, &status->faults) {
		if (f->code == code)
			return f;
	}
	return NULL;
}

void status_fault(struct status *status, enum status_code code, const char *fmt,
		  ...)
{
	struct fault *f = fault_of(status, code);
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = xstrdup(status_text(code));
	va_end(ap);
	if (!f) {
		struct fault fresh = {.code = code};

		vec_push(&status->faults, fresh);
		f = &status->faults.items[status->faults.len - 1];
	}
	if (!f->text || strcmp(f->text, text) != 0)
		log_warn("status %s: %s", status_name(code), text);
	free(f->text);
	f->text = text;
	f->when = time(NULL);
	status->changed = true;
}

void status_well(struct status *status, enum status_code code)
{
	struct fault *f = fault_of(status, code);

	if (!f)
		return;
	log_info("status %s is over", status_name(code));
	free(f->text);
	vec_remove(&status->faults, (size_t)(f - status->faults.items));
	status->changed = true;
}

void status_changed(struct status *status)
{
	status->changed = true;
}

static json_t *describe(struct status *status)
{
	json_t *state = json_object(), *errors = json_array();
	char safe[4096];
	struct fault *f;

	vec_each (f, &status->faults) {
		json_t *text = json_string(f->text);

		if (!text)
			text = json_string(
				log_escape(safe, sizeof(safe), f->text));
		json_array_append_new(errors,
				      json_pack("{s:i,s:o,s:I}", "code",
						(int)f->code, "text", text,
						"time", (json_int_t)f->when));
	}
	status->fill(state, status->arg);
	json_object_set_new(state, "errors", errors);
	return state;
}

static int write_state(int out, void *arg)
{
	struct status *status = arg;
	json_t *state = describe(status);
	struct err err;
	int rc = state_write(state, &err);

	json_decref(state);
	if (rc)
		log_limited(&status->write_limit, 1, 1000, LOG_LVL_ERROR,
			    "state file: %s", err.text);
	return rc ? 1 : 0;
}

static void written(int status_code, const char *data, size_t len, void *arg)
{
	struct status *status = arg;

	status->writing = NULL;
}

void status_tick(struct status *status)
{
	if (!status->changed || status->writing)
		return;
	status->changed = false;
	status->writing = hand_start(status->loop, status->sb, WRITE_LIMIT_MS,
				     write_state, written, status, NULL);
}

void status_write(struct status *status)
{
	hand_cancel(&status->writing);
	status->changed = false;
	write_state(-1, status);
}
