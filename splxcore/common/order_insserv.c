/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * The order where insserv(8) rules: it numbers all links by headers, anew
 * with every package that brings a service, so a renamed link would not last.
 * An override of our own header lasts. It stands for the header as a whole.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "order.h"

#define OVERRIDE BOOT_OVERRIDES "/" BOOT_SPLX

/* What the override is made from. */
struct base {
	char *text; /* a text with the header in it */
	char *old;  /* the override that is there; NULL: none */
	bool own;   /* it is of our making, and made anew from the script */
	struct inithdr was, now;
};

/* ---- is what we made still right? ---- */

/* FNV-1a, of the lines of the header alone. */
static uint32_t header_sum(const char *text)
{
	struct inithdr h;
	uint32_t sum = 2166136261u;
	char *lines, *p;

	inithdr_parse(text, &h);
	lines = inithdr_rewrite(text, &h, &h);
	for (p = lines; p && *p; p++)
		sum = (sum ^ (unsigned char)*p) * 16777619u;
	free(lines);
	inithdr_free(&h);
	return sum;
}

static char *script_text(const struct boot *b)
{
	char *path = xasprintf("%s/" BOOT_SPLX, b->initd);
	char *text = boot_text(b, path);

	free(path);
	return text;
}

/* "# of header 0123abcd" */
static char *sum_line(const char *script)
{
	return xasprintf("# of header %08x", (unsigned int)header_sum(script));
}

bool order_is_stale(const struct boot *boot)
{
	char *over = boot_text(boot, OVERRIDE);
	char *script = script_text(boot), *line;
	bool stale = false;

	if (boot->kind == BOOT_INSSERV && over && script &&
	    str_starts(over, ORDER_MARK)) {
		line = sum_line(script);
		stale = !strstr(over, line);
		free(line);
	}
	free(script);
	free(over);
	return stale;
}

/* ---- the base ---- */

static void base_free(struct base *base)
{
	free(base->text);
	free(base->old);
	inithdr_free(&base->was);
	inithdr_free(&base->now);
}

/* An administrator's own override stays the base, then a distribution's. */
static int base_read(const struct boot *b, struct base *base, struct err *err)
{
	memset(base, 0, sizeof(*base));
	base->old = boot_text(b, OVERRIDE);
	base->own = !base->old || str_starts(base->old, ORDER_MARK);
	if (!base->own) {
		base->text = xstrdup(base->old);
	} else {
		base->text = boot_text(b, BOOT_OVERRIDES_SHARE "/" BOOT_SPLX);
		if (!base->text)
			base->text = script_text(b);
	}
	inithdr_parse(base->text ? base->text : "", &base->was);
	inithdr_copy(&base->now, &base->was);
	if (base->was.lsb)
		return 0;
	return err_set(err, 0,
		       "%s has no LSB header, which insserv starts it by",
		       base->own ? "init.d/splx" : OVERRIDE);
}

/* ---- loops ---- */

/* A service that is itself to start after splx cannot start before it. */
static int check_way(const struct bootdeps *deps, const char *service,
		     struct err *err)
{
	char why[512];

	if (!bootdeps_needs(deps, service, BOOT_SPLX, why, sizeof(why)))
		return 0;
	return err_set(err, 0,
		       "%s is to start after splx by headers that are not "
		       "ours (%s), so splx cannot start after it: stop it "
		       "before splx is stopped (service %s stop)",
		       service, why, service);
}

/*
 * Takes out of X-Start-Before who has to start before the service: splx
 * cannot be after it and before them.
 */
static void drop_before(struct order_plan *plan, const struct bootdeps *deps,
			const char *service, struct inithdr *now)
{
	struct inithdr all;
	char why[256], **word;

	inithdr_copy(&all, now);
	vec_each (word, &all.words[INITHDR_START_BEFORE]) {
		if (!bootdeps_word_needed(deps, service, *word))
			continue;
		inithdr_remove(now, INITHDR_START_BEFORE, *word);
		if (strcmp(*word, service) == 0)
			continue;
		if (!bootdeps_needs(deps, service, *word, why, sizeof(why)))
			str_copy(why, sizeof(why), "by its header");
		order_note(plan,
			   "splx starts before %s no longer: %s has to start "
			   "after %s (%s), and splx after that",
			   *word, service, *word, why);
	}
	inithdr_free(&all);
}

/* In each runlevel, with a header that asks for nobody to be later. */
static int untangle(const struct conflict_view *view, struct order_plan *plan,
		    struct inithdr *now, struct err *err)
{
	struct inithdr bare;
	const char *level;
	char **service;
	int rc = 0;

	inithdr_copy(&bare, now);
	while (bare.words[INITHDR_START_BEFORE].len)
		inithdr_remove(&bare, INITHDR_START_BEFORE,
			       bare.words[INITHDR_START_BEFORE].items[0]);
	for (level = "2345"; *level && rc == 0; level++) {
		struct bootdeps *deps;

		if (!boot_link(view->boot, *level, true, BOOT_SPLX))
			continue;
		deps = bootdeps_new(view->boot, *level, &bare);
		/* those of an earlier override count too */
		vec_each (service, &now->words[INITHDR_SHOULD_START]) {
			if (!boot_script(view->boot, *service))
				continue;
			rc = check_way(deps, *service, err);
			if (rc < 0)
				break;
			drop_before(plan, deps, *service, now);
		}
		bootdeps_free(&deps);
	}
	inithdr_free(&bare);
	return rc;
}

/* A service that says itself when splx is stopped is left alone there. */
static void drop_stop(const struct boot *b, const struct order_plan *plan,
		      struct inithdr *now)
{
	char **service, **word;

	vec_each (service, &plan->after) {
		const struct boot_script *s = boot_script(b, *service);

		if (!inithdr_lists(&s->hdr, INITHDR_REQUIRED_STOP, BOOT_SPLX) &&
		    !inithdr_lists(&s->hdr, INITHDR_SHOULD_STOP, BOOT_SPLX))
			continue;
		inithdr_remove(now, INITHDR_SHOULD_STOP, *service);
		vec_each (word, &s->hdr.words[INITHDR_PROVIDES])
			inithdr_remove(now, INITHDR_SHOULD_STOP, *word);
	}
}

/* ---- the override ---- */

static char *override_text(const struct boot *b, const struct base *base)
{
	char *lines = inithdr_rewrite(base->text, &base->was, &base->now);
	char *script, *sum, *all;

	if (!base->own) {
		/* around the header all stays as the administrator has it */
		const char *begin = strstr(base->text, "### BEGIN INIT INFO");
		const char *end = strstr(base->text, "### END INIT INFO");
		const char *rest = end ? strchr(end, '\n') : NULL;

		all = xasprintf("%.*s%s%s", (int)(begin - base->text),
				base->text, lines, rest ? rest + 1 : "");
		free(lines);
		return all;
	}
	script = script_text(b);
	sum = sum_line(script ? script : "");
	all = xasprintf("%s; insserv(8) takes it for the header\n"
			"# of init.d/splx. Without it splx starts where it "
			"did: rm this file;\n# insserv splx\n%s\n%s",
			ORDER_MARK, sum, lines);
	free(sum);
	free(script);
	free(lines);
	return all;
}

static void note_wish(const struct order_wish *wish, struct order_plan *plan)
{
	if (wish->early)
		order_note(plan, "insserv starts every service as early as "
				 "its header allows already; --early changes "
				 "nothing here");
	if (wish->level)
		order_note(plan, "headers hold in all runlevels: the order is "
				 "made in all of them");
}

int order_plan_insserv(const struct conflict_view *view,
		       const struct order_wish *wish, struct order_plan *plan,
		       struct err *err)
{
	struct order_step run = {.what = ORDER_RUN};
	struct base base;
	char *text = NULL;
	int rc = base_read(view->boot, &base, err);
	size_t writes;

	if (rc == 0) {
		order_add_after(plan, base.old, &base.was, &base.now);
		rc = untangle(view, plan, &base.now, err);
	}
	if (rc == 0) {
		drop_stop(view->boot, plan, &base.now);
		text = override_text(view->boot, &base);
		if (!base.old || strcmp(base.old, text) != 0)
			order_add_write(plan, OVERRIDE, text);
		writes = plan->steps.len;
		run.path = xstrdup(view->boot->insserv);
		vec_push(&plan->steps, run);
		rc = order_rehearse(plan, text, err);
		/* all as it should be: nothing is run either */
		if (rc == 0 && writes == 0 && plan->steps.len == 1) {
			free(plan->steps.items[0].path);
			plan->steps.len = 0;
		}
	}
	if (rc == 0)
		note_wish(wish, plan);
	free(text);
	base_free(&base);
	return rc;
}
