/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_CTL_ORDER_H
#define SPLX_CTL_ORDER_H

#include <jansson.h>

#include "ctl.h"

/* What conflicts and order share (conflicts.c). */

/*
 * The answer of a verb: root reads it here by own(arg), whatever state the
 * service is in; others ask entity first, which sees more than they. An exit
 * code, and *data_r (a new reference) with CTL_OK. own() may fill *err.
 */
int conflicts_ask(struct ctl *ctl, const char *verb, json_t *(*own)(void *),
		  void *arg, json_t **data_r, struct err *err);
/* On standard error: what is wrong in conflicts.conf, what may not be seen. */
void conflicts_problems(json_t *data);
/* What each of the rows means, and what helps. */
void conflicts_explain(json_t *rows);

#endif
