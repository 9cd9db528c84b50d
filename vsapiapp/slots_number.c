/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* How many workers: reckoning alone. */
#include "lib/proc.h"
#include "slots.h"

#define BACK_MIN 2
#define BACK_MAX 8

void slots_limits_from(struct slots_limits *limits, const struct conf *conf,
		       bool have_front)
{
	int cpus = proc_cpus();

	limits->front_min = have_front ? conf_workers(conf, cpus) : 0;
	limits->front_max = have_front ? conf_workers_max(conf, cpus) : 0;
	if (limits->front_max < limits->front_min)
		limits->front_max = limits->front_min;
	limits->back = cpus < BACK_MIN	 ? BACK_MIN
		       : cpus > BACK_MAX ? BACK_MAX
					 : cpus;
	limits->scan_timeout_ms = conf->scan_timeout;
	limits->allow_on_error = conf_allows(conf, CONF_POLICY_DEFAULT);
	limits->allow_on_timeout = conf_allows(conf, conf->on_timeout);
}

enum slots_advice slots_advise(const struct slots_view *view)
{
	if (view->serving + view->starting < view->min)
		return view->free_slots > 0 ? SLOTS_GROW : SLOTS_STAY;
	if (view->idle == 0 && view->starting == 0 &&
	    view->serving < view->max && view->free_slots > view->reserve)
		return SLOTS_GROW;
	if (view->serving > view->min && view->idle > 0 &&
	    view->idle_ms >= SLOTS_RETIRE_MS)
		return SLOTS_RETIRE;
	return SLOTS_STAY;
}
