/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_TASKS_H
#define SPLX_HTTPD_TASKS_H

#include "visit.h"

/* The tasks (task.list) of some kind on a page: those that run, and the last
 * ones. Who may not see them sees nothing. */
void tasks_ask(struct visit *v);
/* Those whose verb begins so. */
void tasks_draw(struct visit *v, const char *begin);

#endif
