/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_CHART_H
#define SPLX_HTTPD_CHART_H

#include <jansson.h>

#include "html.h"

/* Numbers over time, drawn here: they are seen without a script. */

enum chart_unit { CHART_COUNT, CHART_NS };

struct chart {
	enum text title;
	enum chart_unit unit;
	json_t *values;	 /* numbers, null where nothing is known */
	json_t *values2; /* a second line, or NULL */
	enum text name, name2;
	int64_t from_s, step_s;
};

/* A figure with its title, the drawing, and for those who cannot see it its
 * largest and last value in words. */
void chart_draw(struct html *h, const struct chart *c);

#endif
