/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * /live: the summary's numbers as server-sent events, one an answer; browsers
 * come again by themselves after a pause. Looking on is no use of a session
 * (that is console.whoami alone), so a page that is left open ends like any
 * other.
 */
#include <stdlib.h>

#include "page.h"

#define AGAIN_MS 3000

static void tell(struct visit *v)
{
	json_t *status = visit_data(v, "status"), *data, *counters;
	json_t *statistics = visit_data(v, "statistics");
	struct str out = {0};
	char *text;

	if (!status || !statistics) {
		/* 204 has the browser stop; what ended is seen by the page. */
		visit_text(v, 204, "text/event-stream", "");
		return;
	}
	counters = json_object_get(statistics, "counters");
	data = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I}", "overall",
		json_text(status, "overall"), "operational",
		json_text(status, "operational"), "questions",
		(json_int_t)json_number(counters, "questions"), "scans",
		(json_int_t)json_number(counters, "scans"), "findings",
		(json_int_t)json_number(counters, "findings"), "issues",
		(json_int_t)json_array_size(
			json_object_get(status, "health_issues")));
	text = json_dumps(data, JSON_COMPACT);
	json_decref(data);
	str_addf(&out, "retry: %d\n\ndata: %s\n\n", AGAIN_MS, text);
	free(text);
	visit_text(v, 200, "text/event-stream", str_get(&out));
	str_free(&out);
}

void page_live(struct visit *v)
{
	const char *session = params_get(&v->cookies, COOKIE_SESSION);

	if (!session || !*session) {
		visit_failed(v, 401, NULL);
		return;
	}
	v->as = json_pack("{s:s}", "session", session);
	visit_ask(v, "status", NULL);
	visit_ask(v, "statistics", json_pack("{s:s}", "top", "1"));
	visit_then(v, tell);
}
