/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* /healthz: for those who watch whether the machine is protected. */
#include <string.h>

#include "lib/clock.h"
#include "page.h"

/* Entity is asked so often, whatever number of times a second we are. */
#define FRESH_NS (CLOCK_NS_PER_S)

static void tell(struct visit *v)
{
	json_t *health = v->app->health;
	struct str text = {0};

	/* Both are words of ours. */
	str_addf(&text, "{\"overall\":\"%s\",\"operational\":\"%s\"}\n",
		 json_text(health, "overall"),
		 json_text(health, "operational"));
	visit_text(v,
		   strcmp(json_text(health, "overall"), "Unprotected") ? 200
								       : 503,
		   "application/json", str_get(&text));
	str_free(&text);
}

static void fresh(struct visit *v)
{
	json_t *health = visit_data(v, "console.health");

	if (!health) {
		visit_text(v, 503, "application/json",
			   "{\"overall\":\"unknown\"}\n");
		return;
	}
	json_decref(v->app->health);
	v->app->health = json_incref(health);
	v->app->health_ns = clock_mono_ns();
	tell(v);
}

void page_healthz(struct visit *v)
{
	v->api = true;
	if (v->app->health && clock_mono_ns() - v->app->health_ns < FRESH_NS) {
		tell(v);
		return;
	}
	visit_ask(v, "console.health", NULL);
	visit_then(v, fresh);
}
