/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_NETRULES_H
#define SPLX_COMMON_NETRULES_H

#include "netconf.h"
#include "netjudge.h"
#include "netlist.h"

/* Rules (without problems) and lists together; both are taken over, *lists is
 * empty afterwards. Never NULL. */
struct netrules *netrules_new(struct netconf *conf, struct netlists *lists);

#endif
