/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "order.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

/* ---- plans ---- */

void order_note(struct order_plan *plan, const char *fmt, ...)
{
	struct str text = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	vec_push(&plan->notes, str_take(&text));
}

void order_add_write(struct order_plan *plan, const char *path,
		     const char *text)
{
	struct order_step s = {.what = ORDER_WRITE};

	s.path = xstrdup(path);
	s.text = xstrdup(text);
	vec_push(&plan->steps, s);
}

void order_add_rename(struct order_plan *plan, const char *path, const char *to)
{
	struct order_step s = {.what = ORDER_RENAME};

	s.path = xstrdup(path);
	s.to = xstrdup(to);
	vec_push(&plan->steps, s);
}

static void words_free(struct conflist_words *words)
{
	char **w;

	vec_each (w, words)
		free(*w);
	vec_free(words);
}

void order_plan_free(struct order_plan *plan)
{
	struct order_step *s;

	vec_each (s, &plan->steps) {
		free(s->path);
		free(s->to);
		free(s->text);
	}
	vec_free(&plan->steps);
	words_free(&plan->after);
	words_free(&plan->notes);
	words_free(&plan->left);
}

char *order_shared_levels(const struct boot *boot, const char *service,
			  char *out, size_t size)
{
	const char *level;
	size_t n = 0;

	for (level = "2345"; *level && n + 1 < size; level++)
		if (boot_link(boot, *level, true, BOOT_SPLX) &&
		    boot_link(boot, *level, true, service))
			out[n++] = *level;
	out[n] = '\0';
	return out;
}

/* A word by which headers name a service. */
static const char *word_of(const struct boot *b, const char *service)
{
	const struct boot_script *s = boot_script(b, service);
	const struct inithdr_words *names =
		s ? &s->hdr.words[INITHDR_PROVIDES] : NULL;
	char **w;

	if (!names || !names->len)
		return service;
	vec_each (w, names)
		if (strcmp(*w, service) == 0)
			return service;
	return names->items[0];
}

/* Whether some script goes by that word. */
static bool is_provided(const struct boot *b, const char *word)
{
	const struct boot_script *s;

	vec_each (s, &b->scripts)
		if (strcmp(s->name, word) == 0 ||
		    inithdr_lists(&s->hdr, INITHDR_PROVIDES, word))
			return true;
	return false;
}

void order_add_after(const struct order_plan *plan, const char *old,
		     const struct inithdr *was, struct inithdr *now)
{
	struct inithdr before;
	char **w;

	if (old && str_starts(old, ORDER_MARK)) {
		inithdr_parse(old, &before);
		vec_each (w, &before.words[INITHDR_SHOULD_START]) {
			if (inithdr_lists(was, INITHDR_SHOULD_START, *w) ||
			    !is_provided(plan->boot, *w))
				continue;
			inithdr_add(now, INITHDR_SHOULD_START, *w);
			inithdr_add(now, INITHDR_SHOULD_STOP, *w);
		}
		inithdr_free(&before);
	}
	vec_each (w, &plan->after) {
		const char *word = word_of(plan->boot, *w);

		inithdr_add(now, INITHDR_SHOULD_START, word);
		inithdr_add(now, INITHDR_SHOULD_STOP, word);
	}
}

/* ---- which services are meant ---- */

static bool is_meant(const struct order_plan *plan, const char *service)
{
	char **w;

	vec_each (w, &plan->after)
		if (strcmp(*w, service) == 0)
			return true;
	return false;
}

static const struct conflict *conflict_of(const struct conflict_view *view,
					  const char *service)
{
	const struct conflict *c, *named = NULL;

	/* what the kernel shows goes before what is known by name */
	vec_each (c, &view->found) {
		if (!c->service || strcmp(c->service, service) != 0)
			continue;
		if (c->effect != CONFLICT_NAMED)
			return c;
		named = c;
	}
	return named;
}

static int check_named(const struct conflict_view *view, const char *service,
		       struct err *err)
{
	const struct conflict *c = conflict_of(view, service);
	const struct conflist_entry *known =
		conflist_service(view->list, service);
	struct conflict other = {.effect = CONFLICT_NAMED};
	char levels[16], why[256];
	bool may;

	if (strcmp(service, BOOT_SPLX) == 0)
		return err_set(err, 0, "splx cannot start after itself");
	if (!boot_script(view->boot, service))
		return err_set(err, 0, "%s: there is no such init script in %s",
			       service, view->boot->initd);
	if (!*order_shared_levels(view->boot, service, levels, sizeof(levels)))
		return err_set(err, 0,
			       "%s: no runlevel starts both it and splx",
			       service);
	if (!c) {
		other.service = xstrdup(service);
		other.known = known;
		c = &other;
	}
	may = conflict_may_order(view->deps, view->boot, c, why, sizeof(why));
	free(other.service);
	if (may)
		return 0;
	return err_set(err, 0,
		       "%s. Only remedy 1 works for it: stop it before splx "
		       "is stopped (service %s stop)",
		       why, service);
}

static int take_named(const struct conflict_view *view, const char *words,
		      struct order_plan *plan, struct err *err)
{
	char *copy = xstrdup(words), *save, *word;
	int rc = 0;

	for (word = strtok_r(copy, ", ", &save); word && rc == 0;
	     word = strtok_r(NULL, ", ", &save)) {
		rc = check_named(view, word, err);
		if (rc == 0 && !is_meant(plan, word))
			vec_push(&plan->after, xstrdup(word));
	}
	free(copy);
	if (rc == 0 && !plan->after.len)
		rc = err_set(err, 0, "--after names no service");
	return rc;
}

/* Those that are known and can be helped; the others are named. */
static void take_known(const struct conflict_view *view,
		       struct order_plan *plan)
{
	const struct conflict *c;
	char why[256], levels[16];

	vec_each (c, &view->found) {
		if (!c->service || c->effect == CONFLICT_SAFE ||
		    is_meant(plan, c->service) ||
		    !*order_shared_levels(view->boot, c->service, levels,
					  sizeof(levels)))
			continue;
		if (conflict_may_order(view->deps, view->boot, c, why,
				       sizeof(why)))
			vec_push(&plan->after, xstrdup(c->service));
		else
			vec_push(&plan->left,
				 xasprintf("%s; stop it before splx is "
					   "stopped: service %s stop",
					   why, c->service));
	}
}

static int choose(const struct conflict_view *view,
		  const struct order_wish *wish, struct order_plan *plan,
		  struct err *err)
{
	if (wish->after)
		return take_named(view, wish->after, plan, err);
	take_known(view, plan);
	if (plan->after.len || !plan->left.len)
		return 0;
	return err_set(err, 0, "order is no remedy here: %s",
		       plan->left.items[0]);
}

/* ---- who rules ---- */

static int refuse_systemd(const struct order_plan *plan, struct err *err)
{
	const char *first = plan->after.len ? plan->after.items[0] : "SERVICE";

	return err_set(err, 0,
		       "systemd starts services here, and the links say "
		       "nothing to it. Say it in a unit's own words: "
		       "systemctl edit splx, with the lines [Unit] and "
		       "After=%s.service",
		       first);
}

int order_plan(const struct conflict_view *view, const struct order_wish *wish,
	       struct order_plan *plan, struct err *err)
{
	const struct boot *b = view->boot;
	char levels[16];

	memset(plan, 0, sizeof(*plan));
	plan->boot = b;
	plan->level = b->kind == BOOT_LINKS ? wish->level : 0;
	if (choose(view, wish, plan, err) < 0)
		return -1;
	if (b->kind == BOOT_SYSTEMD)
		return refuse_systemd(plan, err);
	if (!boot_script(b, BOOT_SPLX) ||
	    !*boot_levels_of(b, BOOT_SPLX, levels, sizeof(levels)))
		return err_set(err, 0,
			       "splx has no start links here: it is not "
			       "installed as a service");
	if (wish->level && !boot_link(b, wish->level, true, BOOT_SPLX))
		return err_set(err, 0, "splx is not started in runlevel %c",
			       wish->level);
	if (!plan->after.len) {
		order_note(plan, "no service is known to be in the way");
		return 0;
	}
	if (b->kind == BOOT_INSSERV)
		return order_plan_insserv(view, wish, plan, err);
	return order_plan_links(view, wish, plan, err);
}
