/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PAGE_SCAN_H
#define SPLX_HTTPD_PAGE_SCAN_H

#include "page.h"
#include "table.h"

/* How scans began, and what is done with an infected file: by the words that
 * entity has for it. */
extern const struct part_word scan_sources[], scan_actions[];

/* How far it is, for people, in a member "progress" of the job. */
void scan_add_progress(struct visit *v, json_t *job);
/* The buttons of what may be done with a job now. */
void scan_job_buttons(struct visit *v, json_t *job);

#endif
