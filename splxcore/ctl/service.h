/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_SERVICE_H
#define SPLX_CTL_SERVICE_H

#include <jansson.h>

#include "lib/err.h"

/*
 * The processes as the supervisor tells them over its control socket:
 * [{"part","pid","state","restarts"}]. NULL and *err when it does not answer.
 * New reference.
 */
json_t *service_processes(int timeout_ms, struct err *err);
/* The same from its answer: lines of "PART key=value key=value". */
json_t *service_parse(const char *text);
/* The state of a part in such an array; "" when it is not in it. */
const char *service_state(json_t *processes, const char *part);
/* As a table on standard output. */
void service_show(json_t *processes);

#endif
