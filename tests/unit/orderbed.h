/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_TESTS_ORDERBED_H
#define SPLX_TESTS_ORDERBED_H

/* A plan of a new start order for the tree of bootbed.h. */
#include "bootbed.h"
#include "common/order.h"

static struct conflict_view v;
static struct order_plan plan;
static struct err err;

static void forget(void)
{
	order_plan_free(&plan);
	conflict_view_free(&v);
	memset(&v, 0, sizeof(v));
	memset(&plan, 0, sizeof(plan));
	err_clear(&err);
}

#endif
