/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Real-time scanning: off, on, and on anew, as splxctl does it. */
#include <jansson.h>

#include "parts.h"
#include "scanning.h"

#define HOME "/"

void scanning_draw(struct visit *v, bool stopped)
{
	struct html *h = &v->html;

	if (v->role < VERB_ADMIN)
		return;
	part_card(h, TEXT_scanning);
	html_addf(h, "<p>%s</p><div class=\"actions\">",
		  lang_text(h->lang, stopped ? TEXT_scanning_is_off
					     : TEXT_scanning_is_on));
	if (stopped) {
		part_action(v, "/scanning/start", "primary",
			    TEXT_scanning_start);
	} else {
		part_action(v, "/scanning/restart", "", TEXT_scanning_restart);
		part_action(v, "/scanning/stop", "danger", TEXT_scanning_stop);
	}
	html_raw(h, "</div>");
	part_card_end(h);
}

static void do_it(struct visit *v, const char *verb)
{
	part_task(v, verb, json_pack("[s]", "vsapiapp"), page_summary);
}

void page_scanning_start(struct visit *v)
{
	do_it(v, "service.start");
}

void page_scanning_stop(struct visit *v)
{
	static const enum text opens[] = {TEXT_scanning_opens_files,
					  TEXT_scanning_opens_scans,
					  TEXT_scanning_opens_until};
	static const struct part_question q = {
		.title = TEXT_scanning_stop,
		.text = TEXT_scanning_stop_sure,
		.button = TEXT_scanning_stop,
		.back = HOME,
		.opens = opens,
		.n_opens = 3,
	};

	if (part_confirmed(v, &q))
		do_it(v, "service.stop");
}

void page_scanning_restart(struct visit *v)
{
	static const struct part_question q = {
		.title = TEXT_scanning_restart,
		.text = TEXT_scanning_restart_sure,
		.button = TEXT_scanning_restart,
		.back = HOME,
	};

	if (part_confirmed(v, &q))
		do_it(v, "service.restart");
}
