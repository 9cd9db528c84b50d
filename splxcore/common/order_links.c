/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The order where links' numbers make it: splx's link goes behind those of
 * the services meant, or these and splx go to the front. Where chkconfig(8)
 * rules its overrides get the same numbers, so that it keeps them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "order.h"

#define NUMBER_MAX 99

/* Numbers to be, of a service's links. */
struct target {
	const char *service;
	int start; /* -1: stays */
	int stop;
	bool moved; /* to an earlier place */
};

struct work {
	const struct conflict_view *view;
	const struct boot *boot;
	const struct order_wish *wish;
	struct order_plan *plan;
	struct target own;
	struct target *others; /* as plan->after */
};

/* "S91splx" */
static char *file_name(char kind, int number, const char *service)
{
	return xasprintf("%c%02d%s", kind, number, service);
}

/* Whether the first link would be run before the second. */
static bool runs_before(int a, const char *service_a, int b,
			const char *service_b)
{
	return a < b || (a == b && strcmp(service_a, service_b) < 0);
}

/* The runlevels that are changed: with chkconfig there is one number for all
 * of them. */
static const char *levels(const struct work *w, char *out)
{
	if (w->plan->level) {
		out[0] = w->plan->level;
		out[1] = '\0';
		return out;
	}
	return "2345";
}

/* ---- a second link of a service in a runlevel ---- */

static int check_single(const struct boot *b, const char *service,
			struct err *err)
{
	const struct boot_link *l, *first;
	char dir[40];

	vec_each (l, &b->links) {
		if (strcmp(l->service, service) != 0 || l->dangling)
			continue;
		first = boot_link(b, l->level, l->start, service);
		if (first != l)
			return err_set(err, 0,
				       "%s has two links in %s, %s and %s: "
				       "remove the one that is wrong",
				       service,
				       boot_dir(b, l->level, dir, sizeof(dir)),
				       first->file, l->file);
	}
	return 0;
}

/* The first number behind another service's; -1 when there is none. */
static int behind(int number, const char *service)
{
	if (number < NUMBER_MAX)
		return number + 1;
	return runs_before(NUMBER_MAX, service, NUMBER_MAX, BOOT_SPLX)
		       ? NUMBER_MAX
		       : -1;
}

/* ---- late: splx behind the others ---- */

/* The number for splx in a runlevel; its own when nothing is to be done,
 * -1 and *err when there is none. */
static int late_in(const struct work *w, char level, struct err *err)
{
	const struct boot_link *own =
		boot_link(w->boot, level, true, BOOT_SPLX);
	int number = own->number;
	char **service;

	vec_each (service, &w->plan->after) {
		const struct boot_link *l =
			boot_link(w->boot, level, true, *service);

		if (!l || runs_before(l->number, *service, number, BOOT_SPLX))
			continue;
		number = behind(l->number, *service);
		if (number < 0)
			return err_set(err, 0,
				       "%s starts last of all in runlevel %c "
				       "(%s), so nothing can be put behind "
				       "it: splxctl order apply --early puts "
				       "both to the front",
				       *service, level, l->file);
	}
	return number;
}

/* Services that want splx before them, and would be left behind. */
static void note_left_behind(struct work *w, const struct boot_link *own,
			     int number)
{
	const struct boot_script *s;
	const struct boot_link *l;

	vec_each (s, &w->boot->scripts) {
		if (!inithdr_lists(&s->hdr, INITHDR_REQUIRED_START,
				   BOOT_SPLX) &&
		    !inithdr_lists(&s->hdr, INITHDR_SHOULD_START, BOOT_SPLX))
			continue;
		l = boot_link(w->boot, own->level, true, s->name);
		if (l &&
		    runs_before(own->number, BOOT_SPLX, l->number, s->name) &&
		    runs_before(l->number, s->name, number, BOOT_SPLX))
			order_note(w->plan,
				   "%s asks to be started after splx, and "
				   "will be started before it (%s)",
				   s->name, l->file);
	}
}

static void rename_link(struct work *w, const struct boot_link *l, int number)
{
	char dir[40], *from, *to, *name;

	if (l->number == number)
		return;
	if (l->start && strcmp(l->service, BOOT_SPLX) == 0)
		note_left_behind(w, l, number);
	boot_dir(w->boot, l->level, dir, sizeof(dir));
	name = file_name(l->start ? 'S' : 'K', number, l->service);
	from = xasprintf("%s/%s", dir, l->file);
	to = xasprintf("%s/%s", dir, name);
	order_add_rename(w->plan, from, to);
	free(from);
	free(to);
	free(name);
}

/* chkconfig: the greatest of all runlevels is the number. */
static int plan_late(struct work *w, struct err *err)
{
	const struct boot_link *own;
	const char *level;
	char buf[2];
	int n;

	for (level = levels(w, buf); *level; level++) {
		own = boot_link(w->boot, *level, true, BOOT_SPLX);
		if (!own)
			continue;
		n = late_in(w, *level, err);
		if (n < 0)
			return -1;
		if (w->boot->kind == BOOT_LINKS)
			rename_link(w, own, n);
		else if (n > w->own.start)
			w->own.start = n;
	}
	return 0;
}

/* ---- early: the others to the front, splx behind them ---- */

/*
 * The number from which on a service can start: behind all that its header
 * needs in that runlevel. 0 when it needs nothing there.
 */
static int floor_of(const struct work *w, const struct bootdeps *deps,
		    char level, const char *service)
{
	const struct boot_link *l;
	int number = 0;

	vec_each (l, &w->boot->links)
		if (l->level == level && l->start && !l->dangling &&
		    l->number > number && strcmp(l->service, BOOT_SPLX) != 0 &&
		    bootdeps_needs(deps, service, l->service, NULL, 0))
			number = l->number;
	return number;
}

static void note_headerless(struct work *w, const struct target *t)
{
	const struct boot_script *s = boot_script(w->boot, t->service);

	if (!t->moved || (s && s->hdr.lsb))
		return;
	order_note(w->plan,
		   "%s does not say what it needs (it has no LSB header): "
		   "make sure that it can start that early",
		   t->service);
}

/* The number behind the other conflicts that splx starts after now: it goes
 * on doing so. -1: there is none. */
static int kept_behind(struct work *w, const struct boot_link *own, int number)
{
	const struct boot_link *l;
	const struct conflict *c;
	char **service;

	vec_each (c, &w->view->found) {
		bool meant = false;

		if (!c->service || c->effect == CONFLICT_SAFE)
			continue;
		vec_each (service, &w->plan->after)
			meant = meant || strcmp(*service, c->service) == 0;
		l = boot_link(w->boot, own->level, true, c->service);
		if (meant || !l ||
		    !runs_before(l->number, c->service, own->number,
				 BOOT_SPLX) ||
		    runs_before(l->number, c->service, number, BOOT_SPLX))
			continue;
		number = behind(l->number, c->service);
		order_note(w->plan,
			   "splx stays behind %s (%s) in runlevel %c; "
			   "--after may name it too",
			   c->service, l->file, own->level);
	}
	return number;
}

/* One runlevel: each of the others, then splx behind the last of them. */
static int early_in(struct work *w, char level, struct err *err)
{
	struct bootdeps *deps = bootdeps_new(w->boot, level, NULL);
	const struct boot_link *l, *own;
	int number = 0, n;
	size_t i;

	own = boot_link(w->boot, level, true, BOOT_SPLX);
	for (i = 0; i < w->plan->after.len && number >= 0; i++) {
		struct target *t = &w->others[i];

		l = boot_link(w->boot, level, true, t->service);
		if (!l)
			continue;
		n = floor_of(w, deps, level, t->service) + 1;
		if (n > l->number)
			n = l->number;
		t->moved = t->moved || n < l->number;
		if (w->boot->kind == BOOT_LINKS)
			rename_link(w, l, n);
		if (n > t->start)
			t->start = n;
		if (behind(n, t->service) > number || n == NUMBER_MAX)
			number = behind(n, t->service);
	}
	bootdeps_free(&deps);
	if (number == 0)
		return 0; /* none of them is started there */
	if (number > 0)
		number = kept_behind(w, own, number);
	if (number < 0)
		return err_set(err, 0,
			       "what has to come before splx is started so "
			       "late in runlevel %c that nothing can be put "
			       "behind it",
			       level);
	if (w->boot->kind == BOOT_LINKS)
		rename_link(w, own, number);
	if (number > w->own.start)
		w->own.start = number;
	return 0;
}

static int plan_early(struct work *w, struct err *err)
{
	const char *level;
	char buf[2];
	size_t i;

	for (level = levels(w, buf); *level; level++)
		if (boot_link(w->boot, *level, true, BOOT_SPLX) &&
		    early_in(w, *level, err) < 0)
			return -1;
	for (i = 0; i < w->plan->after.len; i++)
		note_headerless(w, &w->others[i]);
	return 0;
}

/* ---- stopping: what starts after them stops before them ---- */

static int stop_in(const struct work *w, char level, bool *told)
{
	const struct boot_link *own =
		boot_link(w->boot, level, false, BOOT_SPLX);
	int number = own->number;
	char **service;

	vec_each (service, &w->plan->after) {
		const struct boot_link *l =
			boot_link(w->boot, level, false, *service);

		if (!l || runs_before(number, BOOT_SPLX, l->number, *service))
			continue;
		number = l->number - 1;
		if (number >= 0)
			continue;
		number = 0;
		if (!*told && !runs_before(0, BOOT_SPLX, 0, *service))
			order_note(w->plan,
				   "%s is stopped first of all, so splx "
				   "cannot be stopped before it when the "
				   "runlevel changes",
				   *service);
		*told = true;
	}
	return number;
}

static void plan_stop(struct work *w)
{
	const struct boot_link *own;
	const char *level;
	bool told = false;
	int n;

	for (level = "0123456"; *level; level++) {
		own = boot_link(w->boot, *level, false, BOOT_SPLX);
		if (!own)
			continue;
		n = stop_in(w, *level, &told);
		if (w->boot->kind == BOOT_LINKS)
			rename_link(w, own, n);
		else if (w->own.stop < 0 || n < w->own.stop)
			w->own.stop = n;
	}
}

/* ---- chkconfig ---- */

/* Its line, in a text of its own or in the place of the one that is there. */
static char *with_line(const char *text, const char *line)
{
	struct str out = {0};
	bool done = false;

	while (text && *text) {
		size_t n = strcspn(text, "\n"), at = 1;

		at += strspn(text + 1, " \t");
		if (*text == '#' && !done &&
		    str_starts(text + at, "chkconfig:")) {
			str_add(&out, line);
			done = true;
		} else {
			str_addn(&out, text, n);
		}
		str_add(&out, "\n");
		text += n + (text[n] == '\n');
	}
	if (!done)
		str_addf(&out, "%s\n", line);
	return str_take(&out);
}

/* "2345" for chkconfig's line: what the script says, else where it starts. */
static void own_levels(const struct work *w, const struct boot_script *s,
		       char *out, size_t size)
{
	char **word;
	size_t n = 0;

	if (s->hdr.chkconfig) {
		str_copy(out, size, s->hdr.levels);
		return;
	}
	vec_each (word, &s->hdr.words[INITHDR_DEFAULT_START])
		if (strchr("0123456", **word) && n + 1 < size)
			out[n++] = **word;
	out[n] = '\0';
	if (!n)
		boot_levels_of(w->boot, s->name, out, size);
	if (!*out)
		str_copy(out, size, "-");
}

/* Our own override says also after whom, for chkconfig may move those. */
static char *own_text(struct work *w, const char *line, const char *old)
{
	char *script = xasprintf("%s/splx", w->boot->initd);
	char *text = boot_text(w->boot, script), *lsb = NULL, *all;
	struct inithdr was, now;

	free(script);
	inithdr_parse(text ? text : "", &was);
	inithdr_copy(&now, &was);
	order_add_after(w->plan, old, &was, &now);
	if (text)
		lsb = inithdr_rewrite(text, &was, &now);
	all = xasprintf("%s; chkconfig(8) takes it for what init.d/splx "
			"says.\n%s\n# description: splx antivirus suite\n%s",
			ORDER_MARK, line, lsb ? lsb : "");
	inithdr_free(&was);
	inithdr_free(&now);
	free(lsb);
	free(text);
	return all;
}

static void write_override(struct work *w, const struct target *t, bool own)
{
	const struct boot_script *s = boot_script(w->boot, t->service);
	char *path = xasprintf(BOOT_CHKCONFIG_DIR "/%s", t->service);
	char *old = boot_text(w->boot, path), *text, *line;
	char in[16];

	own_levels(w, s, in, sizeof(in));
	line = xasprintf("# chkconfig: %s %02d %02d", in, t->start, t->stop);
	/* what an administrator wrote there stays */
	if (own && (!old || str_starts(old, ORDER_MARK)))
		text = own_text(w, line, old);
	else
		text = with_line(old, line);
	if (!old || strcmp(old, text) != 0)
		order_add_write(w->plan, path, text);
	free(text);
	free(line);
	free(old);
	free(path);
}

static void rename_all(struct work *w, const struct target *t)
{
	const struct boot_link *l;

	vec_each (l, &w->boot->links)
		if (l->level != 'S' && !l->dangling &&
		    strcmp(l->service, t->service) == 0)
			rename_link(w, l, l->start ? t->start : t->stop);
}

/* A number that the script or its links have now. */
static int stop_number(const struct boot *b, const char *service)
{
	const struct boot_script *s = boot_script(b, service);
	const struct boot_link *l;
	const char *level;

	for (level = "1065432"; *level; level++) {
		l = boot_link(b, *level, false, service);
		if (l)
			return l->number;
	}
	return s && s->hdr.chkconfig ? s->hdr.stop : NUMBER_MAX;
}

static int start_number(const struct boot *b, const char *service)
{
	const struct boot_link *l;
	const char *level;

	for (level = "3524"; *level; level++) {
		l = boot_link(b, *level, true, service);
		if (l)
			return l->number;
	}
	return 0;
}

static void plan_chkconfig(struct work *w)
{
	size_t i;

	if (w->own.stop < 0)
		w->own.stop = stop_number(w->boot, BOOT_SPLX);
	/* The others first: were it cut short, they would still come before. */
	for (i = 0; w->wish->early && i < w->plan->after.len; i++) {
		struct target *t = &w->others[i];

		t->stop = stop_number(w->boot, t->service);
		if (t->start == start_number(w->boot, t->service))
			continue;
		write_override(w, t, false);
		rename_all(w, t);
	}
	write_override(w, &w->own, true);
	rename_all(w, &w->own);
	if (w->wish->level)
		order_note(w->plan, "chkconfig keeps one number for all "
				    "runlevels: it is changed in all of them");
}

/* ---- all of it ---- */

static int check_all(const struct boot *b, const struct order_plan *plan,
		     struct err *err)
{
	char **service;

	if (b->concurrent)
		return err_set(err, 0,
			       "startpar starts services by "
			       "/etc/init.d/.depend.start, and insserv, which "
			       "makes that file, is not installed: install "
			       "insserv, or have the links count (touch "
			       "/etc/init.d/.legacy-bootordering)");
	vec_each (service, &plan->after)
		if (check_single(b, *service, err) < 0)
			return -1;
	return check_single(b, BOOT_SPLX, err);
}

int order_plan_links(const struct conflict_view *view,
		     const struct order_wish *wish, struct order_plan *plan,
		     struct err *err)
{
	struct work w = {
		.view = view,
		.boot = view->boot,
		.wish = wish,
		.plan = plan,
		.own = {.service = BOOT_SPLX, .start = -1, .stop = -1}};
	size_t i;
	int rc;

	if (check_all(w.boot, plan, err) < 0)
		return -1;
	w.others = xcalloc(plan->after.len, sizeof(*w.others));
	for (i = 0; i < plan->after.len; i++)
		w.others[i] = (struct target){.service = plan->after.items[i],
					      .start = -1,
					      .stop = -1};
	rc = wish->early ? plan_early(&w, err) : plan_late(&w, err);
	if (rc == 0) {
		plan_stop(&w);
		if (w.boot->kind == BOOT_CHKCONFIG)
			plan_chkconfig(&w);
	}
	free(w.others);
	return rc;
}
