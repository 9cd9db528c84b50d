/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_EXPORT_H
#define SPLX_HTTPD_EXPORT_H

#include "visit.h"

/*
 * The visit's answer: events.export with these arguments (taken over), however
 * many events that is; a client that reads slowly costs no more memory than
 * others. file: the name to save it by, without its ending; NULL: none is
 * proposed.
 */
void export_events(struct visit *v, json_t *args, const char *file);

#endif
