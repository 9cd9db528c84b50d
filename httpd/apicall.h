/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_APICALL_H
#define SPLX_HTTPD_APICALL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/verbs.h"
#include "params.h"

/*
 * What a request to the programming interface asks of entity: a verb and its
 * arguments, out of a path, a query and a body that are all hostile. Whether
 * the arguments fit, and who may, is judged by entity.
 */

/* Those of the service, and none of what its parts tell each other. */
bool apicall_is_open(const struct verb *verb);
/* "quarantine/list"; NULL when there is none. */
const struct verb *apicall_verb(const char *path);
/* Arguments of a query; never NULL, the caller's. */
json_t *apicall_query(const struct verb *verb, const struct params *query);
/*
 * Those of a body: a JSON object. type: the header Content-Type, or NULL. The
 * caller's; NULL when it is something else.
 */
json_t *apicall_body(const char *type, const char *body, size_t len);

#endif
