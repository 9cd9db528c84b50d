/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_TALKS_H
#define SPLX_HTTPD_TALKS_H

#include <jansson.h>

#include "html.h"

/*
 * Who talks to whom, drawn here: on the left who comes in, in the middle the
 * programs of this host, on the right where they go. A line is the thicker the
 * more connections it stands for; what was an alert or was prevented has
 * another colour and is dashed. peers: as network.connections has them, most
 * first; only so many are drawn. All of it stands in the tables, too.
 */
#define TALKS_MAX 12 /* a side */
void talks_draw(struct html *h, json_t *peers);

#endif
