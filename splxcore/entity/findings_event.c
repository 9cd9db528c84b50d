/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "findings_event.h"

#include "lib/log.h"

static const char *action_text(const struct finding *f,
			       const struct found_event *ev)
{
	switch (ev->action) {
	case ACTION_QUARANTINE:
		return "put into quarantine";
	case ACTION_DELETE:
		return "deleted";
	case ACTION_RENAME:
		return "renamed";
	case ACTION_PASS:
		return "let pass";
	case ACTION_NONE:
		return ev->failed ? "nothing was done" : "reported";
	default:
		/* Where nobody waited nobody was denied. */
		if (f->source >= SOURCE_ASYNC)
			return "left where it is";
		return "access denied";
	}
}

static const char *used_text(const struct finding *f)
{
	switch ((enum finding_use)f->use) {
	case USE_EXECUTED:
		return "allowed: asynchronous, executed";
	case USE_OPENED:
		return "allowed: asynchronous, opened";
	case USE_WRITTEN:
		return "allowed: asynchronous, written";
	case USE_NONE:
		break;
	}
	return "allowed: asynchronous";
}

/* denied, or allowed with the reason */
static const char *result_text(const struct finding *f,
			       const struct found_event *ev)
{
	if (f->denied)
		return "denied";
	switch (f->source) {
	case SOURCE_MANUAL:
	case SOURCE_SCHEDULED:
		return "found by a scan";
	case SOURCE_CLOSE:
		return "found after it was written";
	case SOURCE_ASYNC:
		return used_text(f);
	case SOURCE_IN_USE:
		return "found running: it began before it was examined";
	case SOURCE_REFRESH:
		return "found by newer patterns: it was let through before";
	default:
		break;
	}
	if (ev->action == ACTION_PASS)
		return "allowed: pass";
	return f->late ? "allowed: the verdict came too late" : "allowed";
}

static bool was_let_through(const struct finding *f)
{
	return !f->denied &&
	       (f->source == SOURCE_OPEN || f->source == SOURCE_EXEC ||
		f->source == SOURCE_ASYNC || f->source == SOURCE_IN_USE ||
		f->source == SOURCE_REFRESH);
}

static enum event_severity severity_of(const struct finding *f,
				       const struct found_event *ev)
{
	if (ev->restored)
		return EVENT_SEVERITY_LOW;
	if (f->late || ev->failed || was_let_through(f))
		return EVENT_SEVERITY_HIGH;
	return EVENT_SEVERITY_MEDIUM;
}

static void set(json_t *o, const char *name, json_t *value)
{
	json_object_set_new(o, name, value);
}

static void set_text(json_t *o, const char *name, const char *text)
{
	if (text && *text)
		set(o, name, json_string_nocheck(text));
}

static json_t *columns_of(const struct finding *f)
{
	json_t *o = json_object();

	set_text(o, "virus", f->virus);
	set_text(o, "path", f->path);
	set_text(o, "source", source_name((enum scan_source)f->source));
	set(o, "size", json_integer((json_int_t)f->key.size));
	if (f->pid > 0)
		set(o, "pid", json_integer(f->pid));
	if (f->job)
		set(o, "job", json_integer((json_int_t)f->job));
	return o;
}

void found_event(struct store *store, const struct finding *f,
		 const struct found_event *ev)
{
	json_t *o = columns_of(f);

	set_text(o, "result", result_text(f, ev));
	set_text(o, "action", action_name(ev->action));
	set_text(o, "detail", ev->detail);
	set_text(o, "program", ev->program);
	set_text(o, "sha256", ev->sha256);
	if (ev->uid >= 0)
		set(o, "uid", json_integer(ev->uid));
	if (ev->exposure_ms >= 0)
		set(o, "exposure_ms", json_integer(ev->exposure_ms));
	if (ev->item)
		set(o, "quarantine_id", json_integer(ev->item));
	log_warn("finding %s path=%s source=%s pid=%d action=%s%s%s", f->virus,
		 f->path, source_name((enum scan_source)f->source), f->pid,
		 action_name(ev->action), ev->detail[0] ? " detail=" : "",
		 ev->detail);
	store_event(store, EVENT_virus, severity_of(f, ev), o, "%s in %s: %s",
		    f->virus, f->path, action_text(f, ev));
}

void found_event_repeated(struct store *store, const struct finding *last,
			  unsigned int more)
{
	struct found_event ev = {
		.action = ACTION_DENY, .exposure_ms = -1, .detail = ""};
	json_t *o = columns_of(last);

	set_text(o, "result", result_text(last, &ev));
	set_text(o, "action", "none");
	set_text(o, "detail", "more findings like the one before");
	store_event(store, EVENT_virus, severity_of(last, &ev), o,
		    "%s in %s: found %u more time%s", last->virus, last->path,
		    more, more == 1 ? "" : "s");
}
