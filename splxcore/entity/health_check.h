/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_ENTITY_HEALTH_CHECK_H
#define SPLX_ENTITY_HEALTH_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "core.h"
#include "lib/vec.h"

/* What is wrong, as it is being found. */
struct report {
	json_t *issues; /* worst first */
	struct {
		VEC(int);
	} levels; /* of the issues */
	enum status_level worst;
	bool degraded; /* a part does not do its work as it should */
	int field[STATUS_FIELDS];
	enum status_level field_level[STATUS_FIELDS];
};

/* Adds an issue, at the level of its code or at another. */
void health_issue_at(struct report *r, enum status_level level,
		     enum status_code code, const char *part, const char *fmt,
		     ...) __attribute__((format(printf, 5, 6)));
#define health_issue(r, code, part, ...)                                       \
	health_issue_at(r, status_level(code), code, part, __VA_ARGS__)

/* Looks at everything. */
void health_check(struct core *core, struct report *r);
/* … at the web console. */
void health_check_console(const struct core *core, struct report *r);
/* … at the network monitor. */
void health_check_network(const struct core *core, struct report *r);

/* Members of the answer; new references. */
const char *health_interceptor(const struct core *core);
json_t *health_workers(const struct core *core);
json_t *health_processes(const struct core *core);

#endif
